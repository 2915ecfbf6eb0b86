#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

# Processes that run the server of this mark, found by the path of the program.
processes() {
  ps -A -o pid=,args= | awk -v plain="$PROGRAM" -v sane="$SANITIZED" '$2 == plain || $2 == sane { print $1 }'
}
export PROGRAM SANITIZED
# The process that accepts now.
newest() {
  local pid
  pid=$(sed -n 's/^handed over to \([0-9][0-9]*\)$/\1/p' "$LOG" | tail -n 1)
  echo "${pid:-$server}"
}
count() { grep -c "$1" "$LOG" || true; }
# For `run` in a script of talk: SIGHUP, and the copy is there.
take_over() {
  local handed listens end=$((SECONDS + LIMIT))
  handed=$(($(count '^handed over to [0-9]*$') + 1))
  listens=$(($(count '^listening on ') + 1))
  kill -HUP "$(newest)" || { echo "no process $(newest): nobody accepts"; return 1; }
  while [ $SECONDS -lt $end ]; do
    [ "$(count '^handed over to [0-9]*$')" -lt $handed ] || [ "$(count '^listening on ')" -lt $listens ] || break
    case $(ps -o state= -p "$(newest)") in Z* | '') break ;; esac # SIGHUP has ended it
    sleep 0.01
  done
  if [ "$(count '^handed over to [0-9]*$')" -ne $handed ] || [ "$(count '^listening on ')" -ne $listens ] ||
    [ "$(grep '^listening on ' "$LOG" | sort -u | wc -l)" -ne 1 ] || ! kill -0 "$(newest)"; then
    told 'SIGHUP' "$handed times 'handed over to PID', $listens times the same 'listening on ...', and a process PID" \
      "$(grep -e '^handed' -e '^listening' "$LOG" | tail -n 4; head -n 2 "$ERRORS")"
  fi
}

# Only so many processes are left, and no zombie among their children.
zombies() { ps -A -o ppid=,stat= | awk -v old="$server" '$1 == old && $2 ~ /Z/' | wc -l | tr -d ' '; }
alone_with() {
  local i
  for ((i = 0; i < 300; i++)); do
    [ "$(processes | wc -l)" -eq "$1" ] && [ "$(zombies)" -eq 0 ] && return
    sleep 0.01
  done
  told "${2:-SIGHUP, again and again; the clients of the first stay}" "$1 processes and no zombie" \
    "$(processes | wc -l | tr -d ' ') processes, $(zombies) zombies"
}
gone() { ! kill -0 "$1" 2>/dev/null; }
export -f processes newest count take_over zombies alone_with

# The old one has ended, in good order, and the copy has not.
old_has_ended() {
  ended || told 'its clients have left' 'the old one ends' 'it runs' || return
  is "$ended_with" 0 'the clients of the old one have left; its exit status'
}

setup() {
  begin_check
  complaints_allowed=1
}
teardown() {
  local pid
  note_failure
  for pid in $(processes); do kill -KILL "$pid" 2>/dev/null || true; done
  [ -z "$server" ] || wait "$server" 2>/dev/null || true
}

@test "it compiles without a warning" { compiles_without_warning; }

@test "the new copy accepts, and the old one keeps its clients" {
  start "$STEP"
  talk A open 2 echo 5 run take_over B open 4 echo 70000 A echo 70000 B echo 1 \
    run 'server=$(newest) halt' D open 1 put 9 quiet 300 A echo 1 run 'server=$(newest) go_on' D rest \
    C open 8 echo 1 A shut eof
  old_has_ended
  talk D open 1 echo 5 shut eof
  is "$(count ' closed, 70006 bytes')" 2 'two clients of the old one; their lines in the log'
}

# (With other descriptors open, so that the listener has not the number that it mostly has.)
@test "without clients the old one ends at once" {
  launch bash -c 'exec 3</dev/null 4</dev/null 5</dev/null; exec "$@"' - "$PROGRAM" 0
  listening
  talk run take_over A open 1 echo 5
  old_has_ended
}

@test "nobody is refused or reset while one copy takes over from another" {
  local i said
  local -a all=()
  start "$STEP"
  for ((i = 0; i < 50; i++)); do all+=(A open 1 echo 1 close B open 1 echo 5 shut eof close); done
  (for ((i = 0; i < 8; i++)); do take_over || break; sleep 0.15; done >"$LOG.hup" 2>&1; : >"$LOG.done") 3>&- &
  until [ -f "$LOG.done" ]; do
    said=$("$ROOT/build/talk" -t "$LIMIT" "$port" "${all[@]}" 2>&1) ||
      told 'clients connect, send a byte and leave, without a pause; SIGHUP each 0.15 s' 'all are served' "$said" || return
  done
  is "$(cat "$LOG.hup")" '' 'eight times SIGHUP while clients come and go'
  talk "${all[@]}"
}

# From the signal to the moment when the copy is ready, one connection after another.
@test "nobody is refused by a copy that starts slowly" {
  local i said
  variant slow '' -include "$BATS_TEST_DIRNAME/slow-start.h" || return 1
  start "$STEP"
  talk A open 1 echo 1
  kill -HUP "$server"
  for ((i = 0; i < 500; i++)); do
    said=$("$ROOT/build/talk" -t "$LIMIT" "$port" A open 1 pause 10 close 2>&1) ||
      told 'SIGHUP, and connections until the copy listens' 'none is refused' "$said" || return
    [ "$(count '^listening on ')" -lt 2 ] || break
  done
  talk B open 1 echo 1 shut eof
}

# As long as a file is not there the copy does not begin: the old one must not wait for it.
@test "the old one serves while the copy starts" {
  variant gate '' -include "$BATS_TEST_DIRNAME/gate.h" || return 1
  export GATE=$BATS_TEST_TMPDIR/open
  : >"$GATE"
  start "$STEP"
  talk A open 1 echo 1 run 'rm "$GATE"; kill -HUP $server
      end=$((SECONDS + LIMIT))
      while [ $SECONDS -lt $end ]; do [ "$(processes | wc -l)" -eq 2 ] && exit; sleep 0.01; done
      echo "SIGHUP: no second process"; exit 1' \
    A echo 70000 run ': >"$GATE"' B open 1 echo 1 A echo 1 shut eof
  old_has_ended
}

@test "who waits while it is handed over is served" {
  start "$STEP"
  talk A open 1 echo 1 run halt B open 30 put 100 A put 5 run 'kill -HUP $server; go_on' B rest A rest echo 1 B echo 10 shut eof \
    A shut eof
  old_has_ended
}

@test "fifteen generations leave no descriptor and no zombie" {
  [ -d /proc/self/fd ] || command -v lsof >/dev/null || skip 'needs /proc or lsof'
  local before after i
  start "$STEP"
  talk A open 1 echo 1 shut eof
  wait_until grep -q ' closed, ' "$LOG"
  before=$(descriptors)
  talk A open 3 echo 1 run 'for i in {1..15}; do take_over || exit; done' B open 1 echo 1 shut eof \
    run 'alone_with 2' \
    A echo 1
  wait_until grep -q ' closed, 1 bytes' "$LOG"
  after=$(server=$(newest) descriptors)
  is "$after" "$before" 'the first of 15, and the last; descriptors without a client'
}

@test "the old one ignores SIGHUP from then on" {
  start "$STEP"
  talk A open 1 echo 5 run take_over run 'kill -HUP $server; kill -HUP $server' A echo 5 B open 1 echo 1 A echo 1 shut eof
  old_has_ended
  is "$(count '^handed over')" 1 'SIGHUP, then twice to the old one; lines of handing over'
  talk run take_over B open 1 echo 1
}

@test "each of the two stops by itself at SIGTERM" {
  local copy
  start "$STEP"
  talk A open 1 echo 5 run take_over B open 1 echo 5 run 'kill -TERM $server' A eof close B echo 5 \
    run 'kill -TERM $(newest)' eof close
  old_has_ended
  copy=$(newest)
  wait_until gone "$copy" >/dev/null || told 'SIGTERM to the copy, and its client left' 'it ends' 'it runs'
  start "$STEP"
  talk A open 1 echo 1 run 'kill -TERM $server; wait_for_line stopping; kill -HUP $server' eof close
  old_has_ended
  is "$(count '^handed over')" 0 'SIGTERM, then SIGHUP; lines of handing over'
}

@test "the port is free when the copy has ended, though the old one serves on" {
  start "$STEP"
  talk A open 1 echo 5 run take_over run 'copy=$(newest); kill -TERM $copy; for i in {1..500}; do kill -0 $copy || break; sleep 0.01; done
      ! "$ROOT/build/talk" "$port" B open 1 || { echo "SIGTERM to the copy: somebody still listens"; exit 1; }' \
    A echo 70000 shut eof
  old_has_ended
}

@test "the idle time holds in the old one and in the new one" {
  start "$STEP" 0 800
  talk A open 1 echo 5 run take_over B open 1 echo 5 A eof lasted 800 B eof lasted 800 within 5000
  old_has_ended
}

@test "a program that cannot be started: the old one says so and goes on" {
  mkdir -p "$BATS_TEST_TMPDIR/there"
  cp "$PROGRAM" "$BATS_TEST_TMPDIR/there/"
  PROGRAM=$BATS_TEST_TMPDIR/there/${PROGRAM##*/}
  export PROGRAM
  start "$STEP"
  talk A open 1 echo 1 run 'before=$(descriptors); chmod -x "$PROGRAM"; kill -HUP $server
      end=$((SECONDS + LIMIT))
      while [ $SECONDS -lt $end ] && ! [ -s "$ERRORS" ]; do sleep 0.01; done
      [ -s "$ERRORS" ] || { echo "no word on stderr"; exit 1; }
      alone_with 1 "chmod -x step5; SIGHUP" || exit
      for i in {1..300}; do [ "$(descriptors)" -le $before ] && exit; sleep 0.01; done
      told "chmod -x step5; SIGHUP" "$before descriptors, as before" "$(descriptors)"' \
    B open 1 echo 5 A echo 1 run 'chmod +x "$PROGRAM"; take_over' C open 1 echo 1 A echo 1 shut eof B echo 1 shut eof
  old_has_ended
}

@test "both sleep while nobody wants anything" {
  local first
  start "$STEP"
  talk A open 1 echo 1 run take_over B open 1 echo 1 C open 9 echo 1 close \
    run 'sleeps "handed over, two clients are silent; the old one" && server=$(newest) sleeps "the new one"'
}

@test "no memory is touched that is not its own" {
  start_sanitized
  talk A open 3 echo 10 run take_over B open 2 echo 70000 run take_over A echo 3 shut eof B shut eof \
    C open 1 echo 1
  old_has_ended
  ! grep -q -e Sanitizer -e 'runtime error' "$ERRORS" || is "$(grep -m 3 -e ERROR -e 'server\.c:' "$ERRORS")" '' 'built with the sanitizers'
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
