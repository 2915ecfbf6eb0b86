#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

@test "it compiles without a warning" { compiles_without_warning; }

@test "a client that reads late gets the right bytes" {
  start "$STEP"
  talk buffer 4096 A open 1 fill rest B open 3 pour 200000 rest A fill shut rest eof
}

@test "three at once, again and again" {
  start "$STEP"
  talk buffer 4096 A open 3 fill rest fill rest fill shut rest eof
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "nobody waits for a silent client, or for one that does not read" { serves_others_meanwhile; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "it sleeps while nobody wants anything" { sleeps_at_rest; }
@test "no memory is touched that is not its own" { is_sane_in_a_crowd; }
@test "clients that do not read leave no memory behind" { gives_memory_back; }
