#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

@test "it compiles without a warning" { compiles_without_warning; }

# As many as it takes: with 20 descriptors twelve or so. Then one more, first in the batch.
full_then_one_more() {
  complaints_allowed=1
  launch bash -c 'ulimit -S -n 40 && exec "$1" 0' - "$1"
  listening
  talk A open 1 echo 1 B open 60 run 'wait_for_line "Too many open files\|idle, "' \
    run halt C open 1 A put 9 run go_on A rest
}

@test "out of descriptors, who has spoken is answered" { full_then_one_more "$PROGRAM"; }

@test "out of descriptors, no freed memory is touched" {
  full_then_one_more "$SANITIZED" || true
  is_sane
}

@test "nobody is thrown out before the idle time" {
  complaints_allowed=1
  start_with_limit 20 "$STEP"
  talk A open 1 echo 1 B open 30 run 'wait_for_line "Too many open files\|idle, "' A quiet 300
  ! grep -q ' idle, ' "$LOG" || told 'more clients came than it has descriptors' 'the idle time is a minute' "$(grep ' idle, ' "$LOG" | head -n 1)"
}

# One more comes when nobody has a place and the time of all is up: the event of the
# listener stands in front of theirs.
@test "out of descriptors beyond the idle time, who has spoken is answered" {
  command -v prlimit >/dev/null || skip 'needs prlimit, which Linux has'
  start_sanitized 0 1000
  talk A open 12 echo 1 run 'halt; prlimit --pid "$server" --nofile=4:' pause 1100 C open 1 A put 9 \
    run go_on A rest
  is_sane
}

@test "out of descriptors it sleeps" {
  complaints_allowed=1
  start_with_limit 20 "$STEP"
  talk A open 1 echo 1 shut eof B open 30 run 'wait_for_line accept:' \
    run 'sleeps "30 clients have come, 20 descriptors are allowed"'
}

@test "out of descriptors, who waits is served when another one leaves" { check_next_when_one_leaves; }
@test "out of descriptors, it tries again by itself" { check_tries_again; }

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "nobody waits for a silent client, or for one that does not read" { serves_others_meanwhile; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "it sleeps while nobody wants anything" { sleeps_at_rest; }
@test "no memory is touched that is not its own" { is_sane_in_a_crowd; }
@test "clients that do not read leave no memory behind" { gives_memory_back; }
