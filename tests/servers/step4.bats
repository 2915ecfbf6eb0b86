#!/usr/bin/env bats
# Step 4: never blocks.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see lib/server.bash
load ../lib/server

# While its output waits a client is not read, so EOF comes after all of it.
@test "step 4: half-close with output pending" {
  start 4
  talk buffer 4096 A open 1 fill shut B open 1 echo 10 A rest eof B shut eof
}

@test "step 4: reset with output pending" {
  start 4
  talk buffer 4096 A open 5 fill B open 1 echo 10 A reset B echo 10 shut eof
  log_will_have 5 ' reset, '
}

@test "step 4: many clients with output pending" {
  start 4
  talk buffer 4096 A open 10 fill B open 1 echo 1000 A rest shut eof
}

# 80 of some 24 KiB are 1.9 MB on Linux; freed, they come to nothing.
@test "step 4: the output of a client that leaves is freed" {
  local before after
  ! grep -q -e __asan_init -e __tsan_init "$ROOT/step4" ||
    skip 'built with a sanitizer: no memory can be measured'
  start 4
  talk buffer 4096 A open 20 fill reset
  log_will_have 20 ' reset, '
  before=$(resident)
  talk buffer 4096 A open 20 fill reset B open 20 fill reset \
    C open 20 fill reset D open 20 fill reset
  log_will_have 100 ' reset, '
  after=$(resident)
  [ $((after - before)) -lt 500 ] || fail "from $before to $after KiB"
}

# What the log says is what send() took.
@test "step 4: the bytes of a client that is reset are those that were sent" {
  complaints_allowed=1
  (cd "$ROOT" && unset MAKEFLAGS MFLAGS MAKELEVEL && make -s step4-trace)
  launch "$ROOT/build/step4-trace" 0
  listening
  talk buffer 4096 A open 1 fill reset run 'wait_for_line " reset, "'
  equal "$(sed -n 's/.* reset, \([0-9]*\) bytes echoed/\1/p' "$LOG")" \
    "$(awk '/^send\(/ && $NF > 0 { n += $NF } END { printf "%d", n }' "$ERRORS")"
}

# The clients that it has get their turn before all of a flood is in.
@test "step 4: at most 256 are accepted in a turn" {
  need_descriptors 700
  [ "$(uname -s)" = Linux ] || skip 'a backlog of 128 is too short'
  complaints_allowed=1
  (cd "$ROOT" && unset MAKEFLAGS MFLAGS MAKELEVEL && make -s step4-trace)
  launch "$ROOT/build/step4-trace" 0
  listening
  talk A open 1 echo 1 run halt B open 600 put 1 run go_on rest
  equal "$(awk '/^accept\(/ && $3 > 0 { if (++n > most) most = n }
    / connections* waiting/ { n = 0 } END { print most }' "$ERRORS")" 256
}
