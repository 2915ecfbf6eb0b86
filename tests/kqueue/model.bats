#!/usr/bin/env bats
# kqueue(2) against a model of it, and many threads on one queue: see
# model.c. A failure says which seed to replay. LONG=1 takes more of them.

bats_require_minimum_version 1.5.0

setup_file() {
  cd "$BATS_TEST_DIRNAME/../.." || return 1
  make -f tests/Makefile build/kqueue_model
}

setup() {
  cd "$BATS_TEST_DIRNAME/../.." || return 1
  build/kqueue_model -n 1 >/dev/null || [ $? -ne 77 ] ||
    skip 'this system has no EVFILT_USER'
}

# play SEED: the difference is its first line, the last operations its last.
play() {
  run build/kqueue_model -s "$1" -n 100000
  [ "$status" -eq 0 ] || {
    head -n 1 <<<"$output"
    tail -n 8 <<<"$output" | cut -c 1-500
    return 1
  }
}

@test "model: 100,000 random operations, as the model says" {
  local i
  play 1
  for ((i = 1; i < ${LONG:+50}+1; i++)); do
    play $((RANDOM * 32768 + RANDOM))
  done
}

@test "model: threads on one queue" {
  run -0 build/kqueue_model -t -n $((${LONG:+9}1000))
}

@test "model: threads on one queue, under ThreadSanitizer" {
  local cc=${CC:-cc} flags
  local program=$BATS_TEST_TMPDIR/kqueue_model
  flags=$(sh linux/flags)
  echo 'int main(void) { return 0; }' >"$BATS_TEST_TMPDIR/empty.c"
  # shellcheck disable=SC2086 # several words
  $cc -fsanitize=thread "$BATS_TEST_TMPDIR/empty.c" -o "$program" \
    >/dev/null 2>&1 || skip "$cc has no -fsanitize=thread here"
  "$program" || skip 'programs built with ThreadSanitizer do not run here'
  # shellcheck disable=SC2086
  $cc -std=gnu99 -g -O1 -fsanitize=thread -pthread tests/kqueue/model.c \
    -o "$program" $flags
  TSAN_OPTIONS=halt_on_error=1 run -0 "$program" -t -n $((${LONG:+1}200))
}
