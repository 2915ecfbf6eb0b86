#!/usr/bin/env bats
# kqueue(2) itself: on Linux the layer in linux/, elsewhere the system's own.
# Each test is one group of build/kqueue_test, which bounds its own time and
# says for each of its tests what was expected and what came.

bats_require_minimum_version 1.5.0

setup() {
  cd "$BATS_TEST_DIRNAME/../.." || return 1
}

setup_file() {
  cd "$BATS_TEST_DIRNAME/../.." || return 1
  make -f tests/Makefile build/kqueue_test
}

# What failed, with the lines that say why; the rest only if nothing is.
explain() {
  printf '%s\n' "$output" | awk '
    /^(not )?ok / { bad = /^not/ }
    bad || !/^(ok |1\.\.|# )/ { print }'
}

# group PROGRAM NAME_
group() {
  run "$1" "$2"
  [ "$status" -eq 0 ] || {
    explain
    return 1
  }
}

@test "kqueue: kevent() waits and collects" { group build/kqueue_test wait_; }
@test "kqueue: changes" { group build/kqueue_test change_; }
@test "kqueue: EVFILT_READ" { group build/kqueue_test read_; }
@test "kqueue: EVFILT_WRITE" { group build/kqueue_test write_; }
@test "kqueue: EVFILT_TIMER" { group build/kqueue_test timer_; }
@test "kqueue: EVFILT_SIGNAL" { group build/kqueue_test signal_; }
@test "kqueue: EVFILT_USER" { group build/kqueue_test user_; }
@test "kqueue: the descriptor of a queue" { group build/kqueue_test queue_; }
@test "kqueue: close() without EV_DELETE" { group build/kqueue_test close_; }
@test "kqueue: threads" { group build/kqueue_test thread_; }

# The layer asks less until a process has forked, and each test above is a child.
@test "kqueue: close() with a dup, in a process that has not forked" {
  local name
  for name in $(build/kqueue_test -l | grep '^close_with_'); do
    run build/kqueue_test -1 "$name"
    [ "$status" -eq 0 ] || [ "$status" -eq 77 ] || { # 77: skipped
      echo "$name: $output"
      return 1
    }
  done
}

@test "kqueue: no test is outside these groups" {
  local groups='wait|change|read|write|timer|signal|user|queue|close|thread'
  run -0 build/kqueue_test -l
  run ! grep -Ev "^($groups)_" <<<"$output"
}

@test "kqueue: threads, under ThreadSanitizer" {
  local cc=${CC:-cc} flags
  local program=$BATS_TEST_TMPDIR/kqueue_test
  flags=$(sh linux/flags)
  echo 'int main(void) { return 0; }' >"$BATS_TEST_TMPDIR/empty.c"
  # shellcheck disable=SC2086 # several words
  $cc -fsanitize=thread "$BATS_TEST_TMPDIR/empty.c" -o "$program" \
    >/dev/null 2>&1 || skip "$cc has no -fsanitize=thread here"
  "$program" || skip 'programs built with ThreadSanitizer do not run here'
  # shellcheck disable=SC2086
  $cc -std=gnu99 -g -O1 -fsanitize=thread -pthread $flags \
    tests/kqueue/conformance/*.c -o "$program"
  group "$program" thread_
}
