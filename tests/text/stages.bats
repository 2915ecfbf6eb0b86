#!/usr/bin/env bats
# The stages of TUTORIAL.md: each is a program, the last of a chapter is its
# server, and each has the flaw and the virtue that the text says.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see lib/server.bash
load ../lib/checks

setup_file() {
  cd "$BATS_TEST_DIRNAME/../.." || return 1
  unset MAKEFLAGS MFLAGS MAKELEVEL
  make stages client talk >"$BATS_FILE_TMPDIR/make" 2>&1 || {
    cat "$BATS_FILE_TMPDIR/make"
    return 1
  }
  list_of TUTORIAL.md >"$BATS_FILE_TMPDIR/list"
}

# list_of TEXT: the numbers of its stages, in order.
list_of() {
  sed -n 's/^## \([0-9][0-9]*\.[0-9][0-9]*\) .*/\1/p' "$1"
}

# ---- The chain -------------------------------------------------------------

@test "stages: the last one of a chapter is its server, to the byte" {
  local chapter last
  cd "$ROOT" || return 1
  for chapter in 1 2 3 4 5; do
    last=$(grep "^$chapter\." "$BATS_FILE_TMPDIR/list" | tail -n 1)
    cmp "build/stages/$last.c" 0"$chapter"-*/server.c
  done
}

@test "stages: the Makefile builds those that the text has" {
  cd "$ROOT" || return 1
  sed -e :join -e '/\\$/N; s/\\\n//; t join' Makefile | sed -n 's/^STAGES = //p' |
    tr -s ' \t' '\n' | sed 's/^step//' >"$BATS_TEST_TMPDIR/made"
  diff "$BATS_FILE_TMPDIR/list" "$BATS_TEST_TMPDIR/made"
}

@test "stages: each compiles without a warning" {
  local cc standard found='' stage files=()
  cd "$ROOT" || return 1
  while read -r stage; do
    files+=("build/stages/$stage.c")
  done <"$BATS_FILE_TMPDIR/list"
  for cc in gcc clang cc; do
    command -v "$cc" >/dev/null || continue
    [ "$cc" != cc ] || [ -z "$found" ] || continue
    found=1
    for standard in gnu99 gnu2x; do
      # shellcheck disable=SC2046 # several words
      "$cc" -std=$standard -Wall -Wextra -Wpedantic -Wshadow -Wconversion \
        -Werror -fsyntax-only $(sh linux/flags -c) "${files[@]}"
    done
  done
}

# ---- What holds in which stage ---------------------------------------------

# holds PROPERTY FROM=yes|no ...: from this stage on, until the next one that
# is named, the property holds or does not. Looked at are the first and the last
# stage of each such run. PROPERTY is a function that gets yes or no, and
# succeeds if that is so; it starts the server of $STAGE.
holds() {
  local property=$1 from value pair stage previous run
  shift
  run=' '
  value=''
  previous=''
  while read -r stage; do
    for pair; do
      [ "${pair%=*}" = "$stage" ] || continue
      [ -z "$value" ] || check "$previous" "$value"
      value=${pair#*=}
      check "$stage" "$value"
    done
    previous=$stage
  done <"$BATS_FILE_TMPDIR/list"
  check "$previous" "$value"
  # Each stage that is named is there.
  for pair; do
    grep -qx "${pair%=*}" "$BATS_FILE_TMPDIR/list"
  done
}

check() { # STAGE VALUE, once
  case $run in *" $1 "*) return 0 ;; esac
  run="$run$1 "
  STAGE=$1
  echo "stage $STAGE: $property: $2"
  start_clean
  "$property" "$2"
  end_clean
  server=''
}

answers() {
  start "$STAGE"
  case $1 in
    yes) talk A open 1 send hello expect hello ;;
    no) talk A open 1 send hello quiet 200 ;;
  esac
}

@test "stages: what a client says comes back" {
  holds answers 1.1=no 1.3=yes
}

# More than the buffer of 1.3 and 1.4 takes at once.
long_message() {
  start "$STAGE"
  case $1 in
    yes) talk A open 1 echo 2000 shut eof ;;
    no) talk A open 1 put 2000 get 1024 end reset ;;
  esac
}

@test "stages: all of a long message comes back" {
  holds long_message 1.3=no 1.4=yes
}

counts() {
  local bytes=0
  start "$STAGE"
  [ "$1" = no ] || bytes=5
  talk A open 1 send hello expect hello shut eof
  log_is 'client A connected' "client A closed, $bytes bytes echoed"
}

@test "stages: the log says how many bytes" {
  holds counts 1.4=yes 2.1=no 2.2=yes
}

# Of ten messages in four pieces, half wait 20 ms and more for a timer of TCP.
quick() {
  start "$STAGE"
  case $1 in
    yes) talk A open 1 ping 10 4000 20 ;;
    no) run -1 talk A open 1 ping 10 4000 20 ;;
  esac
}

@test "stages: no echo waits for a timer of TCP" {
  case $(uname -s) in Linux) ;; *) skip 'other systems acknowledge otherwise' ;; esac
  holds quick 1.4=no 1.5=yes
}

# B is accepted when it has gone.
survives_a_client_that_is_gone() {
  start "$STAGE"
  talk A open 1 B open 1 put 70000 close A close
  case $1 in
    yes) talk A open 1 echo 10 ;;
    no)
      ended
      equal "$ended_with" $((128 + $(kill -l PIPE)))
      ;;
  esac
}

@test "stages: a client that is gone does not end the server" {
  holds survives_a_client_that_is_gone 1.4=no 1.6=yes
}

complains() {
  local i
  for ((i = 0; i < 1000; i++)); do
    [ "$(grep -c accept: "$ERRORS")" -le 100 ] || return 0
    sleep 0.01
  done
  return 1
}
export -f complains

needs_a_descriptor() {
  complaints_allowed=1
  launch bash -c 'ulimit -S -n 4; exec "$1" 0' - "$ROOT/step$STAGE"
  case $1 in
    yes)
      ended
      equal "$ended_with" 1
      ;;
    no)
      listening
      talk A open 1 run complains
      ;;
  esac
}

@test "stages: without a descriptor for a client there is no server" {
  [ "$(uname -s)" != Darwin ] || skip 'accept() drops the connection on macOS'
  holds needs_a_descriptor 1.2=no 1.6=yes
}

checks_arguments() {
  case $1 in
    yes)
      run -2 limited "$ROOT/step$STAGE" 99999999
      ;;
    no)
      start "$STAGE" abc
      ;;
  esac
}

@test "stages: a port that is none is refused" {
  holds checks_arguments 1.1=no 1.7=yes
}

gets_its_port_back() {
  local first before
  before=$(forgotten_connections)
  start "$STAGE"
  first=$port
  SERVER_PID=$server talk A open 1 echo 1 signal TERM end any
  ended
  launch "$ROOT/step$STAGE" "$first"
  case $1 in
    yes) listening ;;
    no)
      wait_until started
      ! grep -q '^listening on' "$LOG" || [ "$(forgotten_connections)" = "$before" ] ||
        skip 'more connections than the kernel remembers'
      ended
      equal "$ended_with" 1
      grep -q 'Address already in use' "$ERRORS"
      complaints_allowed=1
      ;;
  esac
}

@test "stages: a restarted server gets its port back" {
  holds gets_its_port_back 1.4=no 1.7=yes
}

nobody_waits() {
  start "$STAGE"
  case $1 in
    yes) talk A open 1 B open 1 echo 10 ;;
    no) talk A open 1 B open 1 send hello quiet 200 A close B expect hello ;;
  esac
}

@test "stages: an idle client does not hold up another" {
  holds nobody_waits 1.4=no 2.1=yes
}

# Beyond the end of an fd_set what follows is not defined; but no echo.
many() {
  local size
  size=$("$ROOT/build/talk" limits)
  need_descriptors $((size + 100))
  start "$STAGE"
  case $1 in
    yes) talk A open $((size + 10)) B open 1 echo 10 ;;
    no)
      run -1 "$ROOT/build/talk" -t 1 "$port" A open $((size + 10)) B open 1 echo 10
      complaints_allowed=1
      ;;
  esac
}

@test "stages: a client beyond FD_SETSIZE is refused, then served" {
  holds many 2.2=no 3.2=yes
}

# Stages 4.2 and 4.3 meet stale events when a client leaves, which may be the end
# of them. So they are halted before, or ended here.
end_server() {
  kill -KILL "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  server=''
}

# A is there first, B does not read.
deaf_is_harmless() {
  local all=fill
  [ "$STAGE" != 4.1 ] || all=flood # until it is thrown out
  start "$STAGE"
  case $1 in
    yes) talk buffer 4096 A open 1 echo 1 B open 1 $all A echo 5 ;;
    no)
      talk buffer 4096 A open 1 echo 1 B open 1 fill A send hello quiet 200 B reset \
        A expect hello
      ;;
  esac
}

@test "stages: a client that does not read does not hold up another" {
  holds deaf_is_harmless 2.1=no 4.1=yes
}

slow_is_served() {
  start "$STAGE"
  case $1 in
    yes) talk A open 1 pour 10000000 rest run halt ;; # 4.2, 4.3: until it leaves
    no)
      talk A open 1 flood
      log_will_have 1 '^client [0-9]* too slow,'
      ;;
  esac
}

@test "stages: a client that is slow for a while gets all its bytes" {
  holds slow_is_served 4.1=no 4.2=yes
}

rests() {
  local calls
  start "$STAGE"
  case $1 in
    yes) talk A open 1 pour 10000000 rest run uses_no_cpu ;;
    no) talk A open 1 pour 10000000 rest run spins run halt ;;
  esac
}

@test "stages: with all sent, the server sleeps" {
  holds rests 4.2=no 4.3=yes
}

pushes_back() {
  start "$STAGE"
  case $1 in
    yes) talk A open 1 fill shut rest eof ;;
    no)
      run -1 talk A open 1 fill
      case $output in *'takes without end'*) ;; *) fail "$output" ;; esac
      end_server
      ;;
  esac
}

@test "stages: a client that does not read can send no more" {
  holds pushes_back 4.2=no 4.4=yes
}

# The end is there when something is still to be sent.
sends_the_rest() {
  start "$STAGE"
  case $1 in
    yes) # B speaks, until the server has seen the end of A if it looks.
      talk buffer 4096 A open 1 pour 10000000 shut B open 1 ping 200 1 1000 A rest eof
      ;;
    no)
      # Closed, although A has read nothing yet; what it gets is too little.
      run -1 talk buffer 4096 A open 1 put 10000000 shut \
        run 'wait_for_line "^client .* closed,"' rest
      log_will_have 1 '^client .* closed,'
      end_server
      ;;
  esac
}

@test "stages: the end waits until all is sent" {
  holds sends_the_rest 4.3=no 4.4=yes
}

# In one batch: two who wait, and the end of A. Who was answered just now comes first,
# so the server has to be asleep before it is halted.
accepts_all() {
  start "$STAGE"
  talk A open 1 echo 1 run 'unread >/dev/null; halt' B open 1 C open 1 A shut run go_on A eof C echo 1
  case $1 in
    yes) in_order '^client B connected' '^client C connected' '^client A closed' ;;
    no) in_order '^client B connected' '^client A closed' '^client C connected' ;;
  esac
}

@test "stages: one turn accepts all who wait" {
  holds accepts_all 3.3=no 4.5=yes
}

out_of_descriptors() {
  complaints_allowed=1
  start_with_limit 20 "$STAGE"
  case $1 in
    yes)
      talk A open 5 echo 10 B open 30 run 'wait_for_line accept:' run uses_no_cpu \
        A echo 10 shut eof B put 50 shut rest eof
      ;;
    no)
      talk A open 5 echo 10 B open 30 run 'wait_for_line accept:' run spins A echo 10
      ;;
  esac
}

@test "stages: out of descriptors the server sleeps, and goes on" {
  [ "$(uname -s)" != Darwin ] || skip 'accept() drops the connection on macOS'
  holds out_of_descriptors 2.1=no 4.6=yes
}

# A SIGTERM has status 0, or the one that the shell gives to its victims.
stops() {
  start "$STAGE"
  SERVER_PID=$server talk A open 1 echo 1 signal TERM end any
  ended
  case $1 in
    yes) equal "$ended_with" 0 ;;
    no) equal "$ended_with" 143 ;;
  esac
}

@test "stages: SIGTERM is an event" {
  holds stops 1.4=no 5.1=yes
}

sends_what_it_has_read() {
  case $1 in
    yes)
      all_read_is_sent "$STAGE" TERM eof
      equal "$arrived" "$taken"
      ;;
    no)
      all_read_is_sent "$STAGE" TERM any
      [ "$arrived" -lt "$taken" ] || fail "$arrived of $taken bytes arrived"
      ;;
  esac
  equal "$ended_with" 0
}

@test "stages: at SIGTERM all that was read is sent" {
  holds sends_what_it_has_read 5.1=no 5.7=yes
}

closes_the_idle() {
  case $1 in
    yes)
      start "$STAGE" 0 300
      talk A open 1 echo 1 end eof lasted 300
      log_is 'client A connected' 'client A idle, 1 bytes echoed'
      ;;
    no) run -2 limited "$ROOT/step$STAGE" 0 300 ;;
  esac
}

@test "stages: an idle client is closed" {
  holds closes_the_idle 4.1=no 5.3=yes
}

# In one batch: the timer, which serves the client, and the client's own event.
meets_no_stale_event() {
  start "$STAGE" 0 2000
  case $1 in
    yes)
      SERVER_PID=$server talk A open 1 fill signal STOP pause 2200 drain 300 signal CONT rest
      ;;
    no)
      complaints_allowed=1
      SERVER_PID=$server run -1 talk A open 1 fill signal STOP pause 2200 drain 300 \
        signal CONT rest
      grep -q 'No such file or directory' "$ERRORS"
      ;;
  esac
}

@test "stages: timers come when no event names a client any more" {
  holds meets_no_stale_event 5.3=no 5.4=yes
}

# ---- The tool --------------------------------------------------------------

# changed AWK-PROGRAM: the text, with lines changed, in $TEXT.
changed() {
  export TEXT=$BATS_TEST_TMPDIR/text.md
  awk "$1" "$ROOT/TUTORIAL.md" >"$TEXT"
  ! cmp -s "$ROOT/TUTORIAL.md" "$TEXT"
}

# build_changed STATUS [LAST]: up to a stage; nothing is written to build/.
build_changed() {
  mkdir "$BATS_TEST_TMPDIR/out"
  cd "$ROOT" || return 1
  run "-$1" awk -f tools/stages.awk -v servers="$(echo 0[1-5]-*/server.c)" \
    -v folder="$BATS_TEST_TMPDIR/out" -v last="${2-}" "$TEXT"
  echo "$output"
}

says() {
  case $output in
    *"$1"*) ;;
    *) fail "does not say: $1" ;;
  esac
}

@test "stages: a context line that has changed: where, what, and the nearest" {
  changed '/^     int port = argc > 1/ && !n++ { sub(/argc > 1/, "argc > 2") } { print }'
  build_changed 1
  says "text.md:$(grep -n 'argc > 2 ? atoi' "$TEXT" | sed 's/:.*//'): does not fit stage 1.2"
  says '-     int port = argc > 2 ? atoi(argv[1]) : DEFAULT_PORT;'
  says '+     int port = argc > 1 ? atoi(argv[1]) : DEFAULT_PORT;'
  [ -f "$BATS_TEST_TMPDIR/out/1.1.c" ]
  [ ! -f "$BATS_TEST_TMPDIR/out/1.2.c" ]
}

@test "stages: a block out of order" {
  # In 1.3 the two functions change places: then serve() comes before hang_up().
  changed '
    /^```c 1\.3/ { n++ }
    /^```c 1\.3/, /^```$/ { block[n] = block[n] $0 "\n"; if (n == 2 && /^```$/) printf "%s%s", block[2], block[1]; next }
    { print }'
  build_changed 0
  run ! cmp "$BATS_TEST_TMPDIR/out/1.7.c" "$ROOT"/01-*/server.c
  rm -r "$BATS_TEST_TMPDIR/out"
  # What a later stage needs comes earlier.
  changed '{ sub(/^```diff 1\.2$/, "```diff 1.3") } { print }'
  build_changed 1
  says 'a block of stage 1.3 below the heading of stage 1.2'
}

@test "stages: a stage missing" {
  changed '/^## 1\.4 / { skip = 1 } /^## 1\.5 / { skip = 0 } !skip'
  build_changed 1
  says 'stage 1.5 cannot follow 1.3'
}

@test "stages: a block missing, from a stage and before one that needs it" {
  changed '/^```diff 1\.3/ { skip = 1 } !skip { print } /^```$/ { skip = 0 }'
  build_changed 1
  says 'does not fit stage 1.5'
}

@test "stages: a place that stands twice" {
  changed '/^```c 1\.2 before/ { print "```c 1.2 before {"; next } { print }'
  build_changed 1
  says 'stands 2 times in stage 1.2'
}

@test "stages: a last stage that differs by a byte" {
  changed '/^\+    highest = listener;$/ { sub(/;/, " ;") } { print }'
  build_changed 0 2.2
  run ! cmp "$BATS_TEST_TMPDIR/out/2.2.c" "$ROOT"/02-*/server.c
  # Only the end of the chain is built: the rest is as it was.
  cp "$TEXT" "$BATS_TEST_TMPDIR/all.md"
  awk '/^# Chapter 3/ { exit } /^# Chapter 2/ { on = 1 } on' "$BATS_TEST_TMPDIR/all.md" >"$TEXT"
  copy=$BATS_TEST_TMPDIR/tree
  mkdir "$copy"
  cp -R "$ROOT"/0[1-5]-* "$ROOT/tools" "$ROOT/linux" "$copy"
  run -1 sh "$copy/tools/stages.sh" stages
  says 'differ'
}

@test "stages: a block of no stage, an empty stage, no end" {
  changed '/^```c 1\.1$/ && !n++ { print "```c 1.2"; next } { print }'
  build_changed 1
  says 'a block of stage 1.2 below the heading of stage 1.1'
  rm -r "$BATS_TEST_TMPDIR/out"
  changed '{ sub(/^```(c|diff) 1\.2.*/, "```c") } { print }'
  build_changed 1
  says 'stage 1.2 changes nothing'
  rm -r "$BATS_TEST_TMPDIR/out"
  changed '{ print } /^```diff 1\.2$/ { exit }'
  build_changed 1
  says 'the block does not end'
}
