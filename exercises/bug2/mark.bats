#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

@test "it compiles without a warning" { compiles_without_warning; }

@test "a client that cannot be subscribed to is refused, with the reason" {
  variant fails '' -include "$BATS_TEST_DIRNAME/kevent-fails.h" || return 1
  complaints_allowed=1
  start "$STEP"
  talk A open 1 end any
  wait_until grep -q ' refused, ' "$LOG" >/dev/null || told 'its subscription failed' 'refused' "$(cat "$LOG")"
  grep -q ': client [0-9]*: Cannot allocate memory' "$ERRORS" ||
    told 'its subscription failed: ENOMEM' 'client N: Cannot allocate memory' "$(cat "$ERRORS")"
}

@test "and the next one is served" {
  variant fails '' -include "$BATS_TEST_DIRNAME/kevent-fails.h" || return 1
  complaints_allowed=1
  start "$STEP"
  talk A open 1 end any B open 2 echo 1000 shut eof
}

@test "thirty are refused, and their descriptors are free again" {
  variant many '' -DLAST=30 -include "$BATS_TEST_DIRNAME/kevent-fails.h" || return 1
  complaints_allowed=1
  start_with_limit 20 "$STEP"
  talk A open 30 end any B open 2 echo 1000 shut eof
}

@test "without a subscription to the listener it does not begin" {
  variant deaf '' -DFIRST=0 -include "$BATS_TEST_DIRNAME/kevent-fails.h" || return 1
  complaints_allowed=1
  launch "$PROGRAM" 0
  ended || told 'the first subscription failed: ENOMEM' 'it ends' 'it runs on, and hears nobody'
  is "$ended_with" 1 'the first subscription failed: ENOMEM; the exit status'
  grep -q 'Cannot allocate memory' "$ERRORS" ||
    told 'the first subscription failed: ENOMEM' 'Cannot allocate memory' "$(cat "$ERRORS")"
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "nobody waits for a silent client" { serves_others_meanwhile; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "it sleeps while nobody wants anything" { sleeps_at_rest; }
@test "no memory is touched that is not its own" { is_sane_in_a_crowd; }
