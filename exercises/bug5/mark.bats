#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark
rest=400 # nothing in it waits for time

@test "it compiles without a warning" { compiles_without_warning; }

@test "200,000 bytes that wait together" {
  start "$STEP"
  talk A open 1 run halt pour 200000 run go_on rest shut eof
}

@test "a million, while others ask" {
  start "$STEP"
  talk A open 2 put 1 rest B open 1 run halt A pour 1000000 B put 10 run go_on B rest A rest shut eof
}

# The buffers have grown by then: a bounded number of rounds leaves some.
@test "what waits together after many megabytes" {
  start "$STEP"
  talk A open 1 echo 8000000 echo 8000000 echo 8000000 run halt pour 600000 run 'unread >/dev/null' \
    run go_on rest echo 1 shut eof
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "nobody waits for a silent client, or for one that does not read" { serves_others_meanwhile; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "it sleeps while nobody wants anything" { sleeps_at_rest; }
@test "no memory is touched that is not its own" { is_sane_in_a_crowd; }
@test "clients that do not read leave no memory behind" { gives_memory_back; }
