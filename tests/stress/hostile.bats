#!/usr/bin/env bats
# Clients that flood, stall, reset and come back, in random order, against
# servers built with AddressSanitizer and UndefinedBehaviorSanitizer: see
# hostile.c. LONG=1 takes three seeds, and ten times as many acts.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see lib/server.bash
load ../lib/server

SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=all'

# shellcheck disable=SC2086 # several words
build() {
  ${CC:-cc} -std=gnu99 -O1 -g $SANITIZE "$@"
}

can_sanitize() {
  echo 'int main(void) { return 0; }' >"$BATS_FILE_TMPDIR/empty.c"
  build "$BATS_FILE_TMPDIR/empty.c" -o "$BATS_FILE_TMPDIR/empty" \
    >/dev/null 2>&1 && "$BATS_FILE_TMPDIR/empty"
}

# shellcheck disable=SC2046 # several words
setup_file() {
  local step
  cd "$BATS_TEST_DIRNAME/../.." || return 1
  make -f tests/Makefile build/hostile
  can_sanitize || skip 'no address and undefined-behaviour sanitizers here'
  for step in 1 2; do
    build "0$step"-*/server.c -o "$BATS_FILE_TMPDIR/step$step"
  done
  for step in 3 4 5; do
    build "0$step"-*/server.c -o "$BATS_FILE_TMPDIR/step$step" \
      $(sh linux/flags) &
  done
  wait
}

endure() { # STEP
  local seed=$((RANDOM * 32768 + RANDOM)) i rounds=1 acts=10000
  export ASAN_OPTIONS=detect_stack_use_after_return=1
  [ -z "${LONG:-}" ] || { rounds=3 acts=100000; }
  complaints_allowed=1
  launch "$BATS_FILE_TMPDIR/step$1" 0
  listening
  for ((i = 0; i < rounds; i++)); do
    run -0 "$ROOT/build/hostile" -s $((seed + i)) -n $acts "$port"
    echo "$output"
  done
  talk A open 1 echo 100000 shut eof
  # What the server wrote itself is harmless, a sanitizer's report is not.
  run ! grep -e ERROR: -e 'runtime error' "$ERRORS"
  # At the end LeakSanitizer looks, where the server has an end.
  if [ "$1" = 5 ]; then
    kill -TERM "$server"
    ended
    equal "$ended_with" 0
    run ! grep -e ERROR: "$ERRORS"
  fi
}

@test "hostile: step 1" { endure 1; }
@test "hostile: step 2" { endure 2; }
@test "hostile: step 3" { endure 3; }
@test "hostile: step 4" { endure 4; }
@test "hostile: step 5" { endure 5; }

@test "hostile: the same seed gives the same acts" {
  start 3
  run -0 "$ROOT/build/hostile" -p -s 5 -n 2000 "$port"
  echo "$output" | sed '$d' >"$BATS_TEST_TMPDIR/first"
  run -0 "$ROOT/build/hostile" -p -s 5 -n 2000 "$port"
  equal "$(wc -l <"$BATS_TEST_TMPDIR/first" | tr -d ' ')" 2000
  echo "$output" | sed '$d' | cmp - "$BATS_TEST_TMPDIR/first"
  run -0 "$ROOT/build/hostile" -p -s 6 -n 2000 "$port"
  ! echo "$output" | sed '$d' | cmp -s - "$BATS_TEST_TMPDIR/first" ||
    fail 'another seed gives the same acts'
}
