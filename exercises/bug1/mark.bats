#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

@test "it compiles without a warning" { compiles_without_warning; }

@test "12 bytes and the end in one event" {
  start "$STEP"
  talk run halt A open 1 put 12 shut run go_on rest eof
}

@test "200,000 bytes and the end, before the server looks" {
  start "$STEP"
  talk A open 1 B open 3 run halt A put 200000 shut B put 70000 shut run go_on A rest eof B rest eof
}

@test "a client that only ends is closed" {
  start "$STEP"
  talk A open 1 shut eof
  wait_until grep -q ' closed, 0 bytes' "$LOG"
}

@test "a client that resets its connection is not told as closed" {
  start "$STEP"
  talk A open 3 echo 5 reset
  wait_until log_has 3 ' reset, 5 bytes echoed' >/dev/null ||
    told 'three clients got 5 bytes and reset their connections' 'client N reset, 5 bytes echoed' "$(cat "$LOG")"
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "nobody waits for a silent client" { serves_others_meanwhile; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "it sleeps while nobody wants anything" { sleeps_at_rest; }
@test "no memory is touched that is not its own" { is_sane_in_a_crowd; }
