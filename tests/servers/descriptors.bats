#!/usr/bin/env bats
# Few descriptors, and none left: what is too few for one client is refused at
# the start; above that, a server that has none left serves those it has, uses
# no processor time, and takes the next one when there is a descriptor again.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see lib/server.bash
load ../lib/server

no_sanitizer() { # STEP
  ! grep -q -e __asan_init -e __tsan_init "$ROOT/step$1" ||
    skip 'a sanitizer has descriptors and calls of its own'
}

# limited_to DESCRIPTORS STEP [ARGUMENT...]: listens, or has ended.
limited_to() {
  local step=$2
  local -a arguments=(0 "${@:3}")
  launch bash -c 'ulimit -S -n "$1" && exec "$2" "${@:3}"' - "$1" \
    "$ROOT/step$step" "${arguments[@]}"
  wait_until started
}

# fewest STEP [ARGUMENT...]: starts the server with as few descriptors as it
# takes; sets least. With fewer it says why it ends.
fewest() {
  no_sanitizer "$1"
  for ((least = 5; least < 20; least++)); do
    limited_to $least "$@"
    ! grep -q '^listening on' "$LOG" || break
    ended
    equal "$ended_with" 1
    equal "$(cat "$LOG")" ''
    equal "$(wc -l <"$ERRORS" | tr -d ' ')" 1
    grep -q "^step$1: [a-z 0-9.:]*: Too many open files\$" "$ERRORS"
  done
  listening
}

# One client at a time, each to its end, and after that the next.
serves_one_at_a_time() { # STEP
  [ "$(uname -s)" != Darwin ] || skip 'accept() drops the connection on macOS'
  complaints_allowed=1
  fewest "$1"
  [ "$least" -lt 15 ]
  talk A open 1 echo 70000 B open 1 put 10 A echo 5 shut eof B rest shut eof \
    C open 1 echo 70000 shut eof
}

@test "descriptors: step 1: too few are refused, with enough it serves" { serves_one_at_a_time 1; }
@test "descriptors: step 2: too few are refused, with enough it serves" { serves_one_at_a_time 2; }
@test "descriptors: step 3: too few are refused, with enough it serves" { serves_one_at_a_time 3; }
@test "descriptors: step 4: too few are refused, with enough it serves" { serves_one_at_a_time 4; }
@test "descriptors: step 5: too few are refused, with enough it serves" { serves_one_at_a_time 5; }

# Its timers and its output need no more.
serves_fully() { # STEP
  [ "$(uname -s)" != Darwin ] || skip 'accept() drops the connection on macOS'
  complaints_allowed=1
  fewest "$1"
  talk buffer 4096 A open 1 fill run 'uses_no_cpu' B open 1 put 5 \
    run 'wait_for_line "Too many open files"' A run uses_no_cpu rest echo 1000 \
    shut eof B rest shut eof
}

@test "descriptors: step 4: the fewest are enough for one that does not read" { serves_fully 4; }
@test "descriptors: step 5: the fewest are enough for one that does not read" { serves_fully 5; }

@test "descriptors: step 5: the fewest are enough to close one that is idle" {
  [ "$(uname -s)" != Darwin ] || skip 'accept() drops the connection on macOS'
  complaints_allowed=1
  fewest 5 300
  talk A open 1 echo 1 B open 1 put 5 A eof lasted 300 B rest eof lasted 300
  log_will_have 2 ' idle, '
}

@test "descriptors: step 5: the fewest are enough for a clean stop" {
  complaints_allowed=1
  fewest 5
  talk A open 1 echo 1 run 'kill -TERM $server' eof
  ended
  equal "$ended_with" 0
}

# select() has no bit for the first client: said before it listens.
@test "descriptors: step 2: all numbers below FD_SETSIZE are taken at the start" {
  local size
  no_sanitizer 2
  complaints_allowed=1
  size=$("$ROOT/build/talk" limits)
  need_descriptors $((size + 100))
  launch bash -c 'for ((n = 10; n < $1 + 10; n++)); do
      eval "exec $n</dev/null" || exit 7
    done
    for n in 3 4 5 6 7 8 9; do eval "exec $n</dev/null"; done
    exec "$2" 0' - "$size" "$ROOT/step2"
  ended
  equal "$ended_with" 1
  equal "$(cat "$LOG")" ''
  grep -q "^step2: select() takes only descriptors below $size\$" "$ERRORS"
}

# ---- Tries again -----------------------------------------------------------

# accept() finds no descriptor as long as there is the file $none, whatever the
# server's own clients do: another process has what it needs.
start_without() { # STEP CALLS
  [ "$(uname -s)" = Linux ] || skip 'the preload library is for Linux'
  no_sanitizer "$1"
  complaints_allowed=1
  (cd "$ROOT" && unset MAKEFLAGS MFLAGS MAKELEVEL &&
    make -s -f tests/Makefile build/fault-injector.so)
  none=$BATS_TEST_TMPDIR/none
  export none
  : >"$none"
  launch env LD_PRELOAD="$ROOT/build/fault-injector.so" FAULT_CALL=accept \
    FAULT_N="$2" FAULT_ERRNO=24 FAULT_WHILE="$none" "$ROOT/step$1" 0
  listening
}

without_clients() { # STEP
  start_without "$1" 1
  talk A open 3 put 5 run 'wait_for_line "Too many open files"' \
    run uses_no_cpu quiet 0 run 'rm "$none"' mark rest within 3000 shut eof
}

with_quiet_clients() { # STEP
  start_without "$1" 4
  talk Q open 3 echo 1 A open 3 put 5 \
    run 'wait_for_line "Too many open files"' run uses_no_cpu A quiet 0 \
    run 'rm "$none"' mark rest within 3000 shut eof Q echo 1
}

# B never lets the server sleep for a second.
with_busy_clients() { # STEP
  start_without "$1" 2
  talk B open 1 echo 1 A open 3 put 5 \
    run 'wait_for_line "Too many open files"' run 'rm "$none"' \
    B every 20 1 3000 A run 'log_has 4 " connected\$"' rest shut eof B echo 1
}
export -f log_has

@test "descriptors: step 4: tries again without a client" { without_clients 4; }
@test "descriptors: step 5: tries again without a client" { without_clients 5; }
@test "descriptors: step 4: tries again beside quiet clients" { with_quiet_clients 4; }
@test "descriptors: step 5: tries again beside quiet clients" { with_quiet_clients 5; }
@test "descriptors: step 4: tries again beside busy clients" { with_busy_clients 4; }
@test "descriptors: step 5: tries again beside busy clients" { with_busy_clients 5; }
