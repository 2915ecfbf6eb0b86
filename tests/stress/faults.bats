#!/usr/bin/env bats
# Each system call of a server fails, one at a time, with each error that its
# manual names, while clients talk to it: see fault-runner.c and fault-injector.c. What must
# come of it is written there.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see lib/server.bash
load ../lib/server

sanitized() { # STEP
  grep -q -e __asan_init -e __tsan_init "$BATS_TEST_DIRNAME/../../step$1"
}

# All at once: most of the time somebody waits for a timer.
setup_file() {
  local step
  [ "$(uname -s)" = Linux ] || skip 'the preload library is for Linux'
  cd "$BATS_TEST_DIRNAME/../.." || return 1
  make -f tests/Makefile build/fault-injector.so build/fault-runner
  for step in 1 2 3 4 5; do
    ! sanitized $step || continue
    {
      build/fault-runner -j 4 "./step$step" && : >"$BATS_FILE_TMPDIR/good$step"
    } >"$BATS_FILE_TMPDIR/said$step" 2>&1 3>&- &
  done
  wait
}

injected() { # STEP
  ! sanitized "$1" || skip 'malloc() is the sanitizer'\''s'
  cat "$BATS_FILE_TMPDIR/said$1"
  [ -e "$BATS_FILE_TMPDIR/good$1" ]
  echo "# step $1: $(cat "$BATS_FILE_TMPDIR/said$1")" >&3
}

@test "faults: step 1: any call may fail" { injected 1; }
@test "faults: step 2: any call may fail" { injected 2; }
@test "faults: step 3: any call may fail" { injected 3; }
@test "faults: step 4: any call may fail" { injected 4; }
@test "faults: step 5: any call may fail" { injected 5; }
