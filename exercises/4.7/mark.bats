#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

# Until the server has done what it can: it sleeps, in whatever call, for ten looks,
# and has said nothing new; or it has no descriptor any more; or it is halted.
settles() {
  local i now last='' same=0
  for ((i = 0; i < 400 && same < 10; i++)); do
    now=$(ps -o state= -p "$server" | cut -c 1)
    case $now in T) return 0 ;; esac
    ! grep -q 'accept: Too many' "$ERRORS" || return 0
    now="$now $(cat "$LOG" "$ERRORS" | wc -c)"
    same=$((same + 1))
    [ "$now" = "$last" ] || same=0
    case $now in [SI]*) ;; *) same=0 ;; esac
    last=$now
    sleep 0.01
  done
  true
}
export -f settles

# Sets list to the student's words; a whole command line is taken too.
words() { # KEY
  local word last='' skip='' given
  read -r -a given <<<"$(sed -n "s/^ *$1: *//p" "$WORK/form.txt" | head -n 1 | tr -d '`')"
  list=()
  for word in "${given[@]}"; do
    case $last/$word in
    */build/talk) skip=1 last=$word && continue ;;
    */run | */alarm) fail "'$word' is not among the words" || return 1 ;;
    esac
    if [ -n "$skip" ]; then
      skip=''
    elif [ "$last/$word" = signal/STOP ]; then
      unset "list[${#list[@]}-1]"
      list+=(run 'settles; halt')
    else
      case $word in close | reset | shut) list+=(run settles) ;; esac
      list+=("$word")
    fi
    last=$word
  done
  [ ${#list[@]} -gt 0 ] || fail "no words behind '$1:' yet"
}

# talks KEY COMMAND: the student's words, then the command, with their clients there.
talks() {
  local list
  words "$1" || return
  export SERVER_PID=$server
  talk "${list[@]}" run "$2"
}

setup_file() {
  # For make solution-4.7: words that do it.
  cp "$BATS_TEST_DIRNAME/right-plain.txt" "$TRUTH"
  local layer=$ROOT/build/exercises/layer/plain.o
  [ -f "$layer" ] || layer=''
  mkdir "$BATS_FILE_TMPDIR/three"
  # shellcheck disable=SC2046,SC2086 # several words
  (cd "$ROOT" && ${CC:-cc} ${CFLAGS:--std=gnu99} $(sh linux/flags -c) -o "$BATS_FILE_TMPDIR/three/step3" \
    03-*/server.c $layer -pthread)
}

# What became of the events of each batch: "stale 5", closed before its turn came;
# "taken 5", and the number had a new owner when recv() was called for it.
stale_events() {
  awk '
    function number() { match($0, /[0-9]+/); return substr($0, RSTART, RLENGTH) }
    /^->/ { change = 1; next }
    /^kevent\(/ {
      if (!change) { split("", event); split("", closed); split("", taken) }
      change = 0
      next
    }
    /^<- .* READ: / && !/receipt/ { event[$3] = 1; next }
    /^recv\(/ {
      if (number() in taken) print "taken", number()
      delete event[number()]
    }
    /^close\(/ && number() in event { print "stale", number(); closed[number()] = 1 }
    /^accept\(.* = [0-9]/ { sub(/.* = /, ""); if ($0 in closed) taken[$0] = 1 }
  ' "$ERRORS.kept"
}

# The words are done, all is at rest.
stale() {
  complaints_allowed=1
  start_traced
  talks stale 'kill -CONT $server; settles; cp "$ERRORS" "$ERRORS.kept"'
}

@test "an event is stale: its client was closed earlier in the batch" {
  stale
  stale_events | grep -q stale || told 'the words of the form' 'a batch in which close(N) comes before the event of N has its turn' \
    "$(grep -v -e '^->' -e receipt "$ERRORS.kept" | tail -n 12)"
}

@test "its number has a new owner, and the server sleeps in recv() for it" {
  stale
  stale_events | grep -q taken || told 'the words of the form' 'recv(N) after close(N) and accept() = N, in one batch' \
    "$(grep -v -e '^->' -e receipt "$ERRORS.kept" | tail -n 12)"
  case $(tail -n 1 "$ERRORS.kept") in
  'recv('*' = ') ;;
  *) told 'the words of the form' 'the server sleeps in recv()' "$(tail -n 1 "$ERRORS.kept")" ;;
  esac
}

# Step 3 with 16 descriptors. Those that the marker's shells leave open would be among
# them.
start_16() {
  [ "$(uname -s)" != Darwin ] || skip 'accept() drops the connection on macOS'
  complaints_allowed=1
  launch bash -c 'for ((i = 3; i < 256; i++)); do eval "exec $i>&-"; done
    ulimit -S -n 16 && exec "$0" 0' "$BATS_FILE_TMPDIR/three/step3"
  listening
}

# Running in most looks, of 300: a server that has work comes to its end before.
spins_on() { ! sleeps '' >/dev/null && ! sleeps '' >/dev/null && ! sleeps '' >/dev/null; }
present() { echo $(($(grep -c ' connected$' "$LOG") - $(grep -c ' echoed$' "$LOG"))); }
# Connections with bytes that it has not read: then it sleeps in send(), not in kevent().
unanswered() {
  [ -r /proc/net/tcp ] || { echo 0; return; }
  awk -v port="$(printf ':%04X' "$port")" '$4 == "01" && substr($2, 9) == port && $5 !~ /:0*$/ { n++ }
    END { print n + 0 }' /proc/net/tcp
}
export -f spins_on present unanswered

@test "out of descriptors, the server spins" {
  start_16
  talks spins 'kill -CONT $server
    if spins_on; then echo spins; else echo sleeps; fi; echo "$(present) clients are connected"' >"$LOG.seen"
  grep -q '^spins$' "$LOG.seen" || told 'the words of the form, with 16 descriptors' 'the server spins' \
    "it $(paste -s -d , - <"$LOG.seen"); $(cat "$ERRORS")"
}

@test "enough leave, and it sleeps again, with five or more connected" {
  start_16
  talks sleeps 'kill -CONT $server
    if spins_on; then echo spins; elif [ "$(unanswered)" -gt 0 ]; then echo "does not sleep in kevent()"; else echo sleeps; fi; echo "$(present) clients are connected"' >"$LOG.seen"
  grep -q 'accept: Too many' "$ERRORS" || told 'the words of the form, with 16 descriptors' \
    'accept() fails for want of a descriptor before enough leave' "it never did; $(grep -c ' connected$' "$LOG") clients were accepted in all"
  grep -q '^sleeps$' "$LOG.seen" || told 'the words of the form, with 16 descriptors' 'the server sleeps in the end' \
    "it $(paste -s -d , - <"$LOG.seen")"
  [ "$(sed -n '$s/ .*//p' "$LOG.seen")" -ge 5 ] || told 'the words of the form, with 16 descriptors' \
    'five or more clients are connected in the end' "$(tail -n 1 "$LOG.seen")"
}
