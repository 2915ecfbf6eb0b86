#!/usr/bin/env bats
# What a server makes of one error of one system call, and what it says of it.
# (stress/faults.bats lets every call fail with every error, and asks only that
# the server goes on.)

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see lib/server.bash
load ../lib/server

setup_file() {
  [ "$(uname -s)" = Linux ] || skip 'the preload library is for Linux'
  cd "$BATS_TEST_DIRNAME/../.." || return 1
  unset MAKEFLAGS MFLAGS MAKELEVEL
  make -f tests/Makefile build/fault-injector.so
}

# with_fault STEP CALL ERROR [N]: the N-th call fails; or, without N, all while
# there is the file $failing.
with_fault() {
  failing=$BATS_TEST_TMPDIR/failing
  export failing
  local -a when=(FAULT_N=1 FAULT_WHILE="$failing")
  ! grep -q -e __asan_init -e __tsan_init "$ROOT/step$1" ||
    skip 'a sanitizer has calls of its own'
  [ -z "${4:-}" ] || when=(FAULT_N="$4")
  launch env LD_PRELOAD="$ROOT/build/fault-injector.so" FAULT_CALL="$2" \
    FAULT_ERRNO="$(errno_of "$3")" "${when[@]}" "$ROOT/step$1" 0
  listening
}

errno_of() {
  echo "#include <errno.h>
$1" | cc -E -P - | tail -n 1
}

harmless() { # STEP ERROR
  with_fault "$1" accept "$2" 2
  talk A open 1 echo 10 shut eof B open 1 echo 10 shut eof
  log_will_have 2 ' closed, 10 bytes'
  over
}

# The end of one of several servers in a test, which has nothing to complain of.
over() {
  kill -KILL "$server"
  ended
  equal "$(cat "$ERRORS")" ''
}

@test "errors: a client that left in the backlog is no news" {
  local step
  for step in 1 2 3 4 5; do harmless $step ECONNABORTED; done
}

@test "errors: accept() that a signal interrupts is no news" {
  local step
  for step in 1 2 3 4 5; do harmless $step EINTR; done
}

@test "errors: an empty backlog is no news" {
  harmless 4 EAGAIN
  harmless 5 EAGAIN
}

said_once_each_time() { # STEP
  complaints_allowed=1
  with_fault "$1" accept EMFILE
  talk A open 1 echo 1 run ': >"$failing"' B open 1 put 5 \
    run 'wait_for_line "Too many open files"' quiet 2500 \
    run 'rm "$failing"' rest \
    run ': >"$failing"' C open 1 put 5 quiet 2500 run 'rm "$failing"' rest
  equal "$(grep -c 'accept: Too many open files' "$ERRORS")" 2
}

@test "errors: step 4: an error of accept() is reported once, and once again after a success" { said_once_each_time 4; }
@test "errors: step 5: an error of accept() is reported once, and once again after a success" { said_once_each_time 5; }

# A reset just after accept(): setsockopt() fails. EINVAL on macOS.
@test "errors: a client that is reset before its options are set is no news" {
  local step
  for step in 1 2 3 4 5; do
    with_fault $step setsockopt EINVAL 3
    talk A open 1 echo 10 shut eof B open 1 end any C open 1 echo 10 shut eof
    log_will_have 2 ' connected'
    over
  done
}

change_refused() { # STEP
  complaints_allowed=1
  with_fault "$1" epoll_ctl ENOSPC
  talk A open 1 echo 1 run ': >"$failing"' B open 1 end any \
    run 'rm "$failing"' C open 1 echo 1 A echo 1
  grep -q "^step$1: client [0-9]*: No space left on device$" "$ERRORS"
  log_will_have 1 ' refused, 0 bytes'
}

@test "errors: step 3: a subscription that fails, and why" { change_refused 3; }
@test "errors: step 4: a subscription that fails, and why" { change_refused 4; }
@test "errors: step 5: a subscription that fails, and why" { change_refused 5; }

@test "errors: recv() has nothing after all" {
  local step
  for step in 4 5; do
    with_fault $step recv EAGAIN 1
    talk A open 1 echo 10 shut eof
    log_will_have 1 ' closed, 10 bytes'
    over
  done
}

# Whatever is missing, the connection waits in the backlog, and the loop would
# spin: nothing is asked for until a second later.
waits() { # STEP ERROR
  complaints_allowed=1
  with_fault "$1" accept "$2"
  : >"$failing"
  talk A open 1 put 5 run 'wait_for_line "accept: "' run uses_no_cpu quiet 0 \
    run 'rm "$failing"' rest shut eof
  kill -KILL "$server"
  ended
}

@test "errors: step 4: nothing to accept with: no descriptor, no memory" {
  local error
  for error in EMFILE ENFILE ENOBUFS ENOMEM; do waits 4 $error; done
}

@test "errors: step 5: nothing to accept with: no descriptor, no memory" {
  local error
  for error in EMFILE ENFILE ENOBUFS ENOMEM; do waits 5 $error; done
}

# send() takes nothing although the queue said that there is room: kept.
@test "errors: send() has no room after all" {
  local step
  for step in 4 5; do
    with_fault $step send EAGAIN 1
    talk A open 1 echo 10 echo 100000 shut eof
    log_will_have 1 ' closed, 100010 bytes'
    over
  done
}

# A signal in the middle of each of the calls of a client's life.
@test "errors: EINTR is no error" {
  local step call
  for step in 1 2 3 4 5; do
    for call in recv send; do
      with_fault $step $call EINTR 2
      talk A open 1 echo 10 echo 10 echo 10 shut eof
      log_will_have 1 ' closed, 30 bytes'
      over
    done
  done
}

# The client is told: a reset, or EOF. The others are served.
@test "errors: memory for what a client does not take" {
  local step
  complaints_allowed=1
  for step in 4 5; do
    with_fault $step malloc ENOMEM
    talk buffer 4096 B open 1 echo 1 run ': >"$failing"' A open 1 flood \
      run 'rm "$failing"' B echo 100000 shut eof
    grep -q "^step$step: client [0-9]*: Cannot allocate memory\$" "$ERRORS"
    log_will_have 1 ' refused, '
    kill -KILL "$server"
    ended
  done
}
