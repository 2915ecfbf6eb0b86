#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

@test "it compiles without a warning" { compiles_without_warning; }

@test "no memory is touched that is not its own" { is_sane_in_a_crowd; }

# One takes the place of another in the turn in which that one is looked at. If
# the server asks the new one for bytes that it has not sent, it sleeps for ever.
# New memory is full of 0xbe: a field that nobody has set says yes to everything.
@test "a silent newcomer takes a place, and nobody waits for it" {
  export ASAN_OPTIONS=$ASAN_OPTIONS:max_malloc_fill_size=1048576
  start_sanitized
  talk A open 5 echo 1 B open 20 echo 1 run halt_asleep A close D open 3 run go_on \
    B echo 1 run halt_asleep B close E open 20 run go_on D echo 1 E echo 1 shut eof D shut eof
  is_sane
}

# More than arrays of 1,024 and of 4,096 hold; the second half comes when the first
# has been accepted, or the backlog would be full, and connecting takes seconds.
@test "4,200 clients at once" {
  local n=2100
  ulimit -S -n 4300 2>/dev/null || { n=1000; need_descriptors 2100; }
  start "$STEP"
  talk A open $n echo 1 B open $n echo 10 A echo 1 B shut eof A shut eof
}

# An entry behind the end may find room in what malloc() gives more than is asked for.
@test "2,100 clients, and no memory is touched that is not its own" {
  need_descriptors 2200
  start_sanitized
  talk A open 1 B open 2098 echo 1 A echo 1 C open 1 echo 1 B shut eof A echo 1 C echo 1 A shut eof
  is_sane
}

# A static array would be of this size, or a larger one. Where size(1) counts as on Linux.
@test "no array has a fixed size" {
  local bytes
  bytes=$(size "$PROGRAM" 2>/dev/null | awk 'NR == 1 && $2 == "data" && $3 == "bss" { known = 1 } NR == 2 && known { print $2 + $3 }')
  [ -n "$bytes" ] || skip 'needs size(1), of binutils'
  [ "$bytes" -lt $((65536 + 32768)) ] || told 'size(1) of your server' \
    'data and bss: 65536 bytes for the buffer, and not many more' "$bytes bytes"
}

@test "each has its own total, whoever leaves" {
  start "$STEP"
  talk A open 1 echo 10 B open 1 echo 200 C open 1 echo 3000 D open 1 echo 40000 \
    A close run 'wait_for_line ", 10 bytes"' D echo 1 B close run 'wait_for_line ", 200 bytes"' C echo 1 \
    E open 1 echo 5 close run 'wait_for_line ", 5 bytes"' \
    C close run 'wait_for_line ", 3001 bytes"' D close run 'wait_for_line ", 40001 bytes"'
}

@test "many leave in one turn, others send: nobody is forgotten" {
  start "$STEP"
  talk A open 20 echo 1 B open 20 echo 1 C open 20 echo 1 run halt_asleep \
    A close B put 10 C reset D open 5 put 3 run go_on B rest D rest B shut eof D shut eof
  log_will_have 20 ' closed, 11 bytes'
  log_will_have 5 ' closed, 3 bytes'
}

# poll() fails with EINVAL when its array is longer than the limit of descriptors.
@test "300 come and go, and the array does not grow" {
  local all=() i
  start_with_limit 40 "$STEP"
  for ((i = 0; i < 10; i++)); do
    all+=(A open 10 echo 1 shut eof close B open 10 echo 1 reset C open 10 echo 1 close)
  done
  talk "${all[@]}"
}

# So the empty place is never the last one. In the end, as many as may be.
@test "one comes before one leaves, 60 times, and the array does not grow" {
  local all=(A open 1) i
  start_with_limit 40 "$STEP"
  for ((i = 0; i < 30; i++)); do
    all+=(B open 1 echo 1 A close A open 1 echo 1 B close)
  done
  talk "${all[@]}" C open 32 echo 1 shut eof >"$LOG.talk" ||
    told 'at most 40 descriptors; one stays, 60 times another one comes and that one leaves; then 33 at once'       'all are served' "$(tail -n 1 "$LOG.talk"; cat "$ERRORS")"
}

# On Linux a stop and a go do not make poll() fail.
@test "a signal that interrupts poll() is no event, and no end" {
  variant interrupted '' -include "$BATS_TEST_DIRNAME/poll-fails.h"
  start "$STEP"
  talk S open 1 A open 3 echo 5 S echo 1 A echo 1 shut eof B open 1 echo 70000 shut eof S echo 1 shut eof
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "it sleeps while nobody wants anything" { sleeps_at_rest; }
@test "it survives being stopped and continued" { survives_stop_and_continue; }
