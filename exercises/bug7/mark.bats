#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

@test "it compiles without a warning" { compiles_without_warning; }

@test "100 clients are reset while something is kept for them" {
  local before after
  start "$STEP"
  talk buffer 4096 A open 20 fill reset
  wait_until log_has 20 ' reset, '
  before=$(resident)
  talk buffer 4096 A open 20 fill reset B open 20 fill reset C open 20 fill reset D open 20 fill reset
  wait_until log_has 100 ' reset, '
  after=$(resident)
  [ $((after - before)) -lt 500 ] ||
    told '80 more clients were reset while something was kept for them' "about $before KiB, as before" "$after KiB"
}

@test "reset while something is kept: no freed memory is touched" {
  start_sanitized
  talk buffer 4096 A open 3 fill reset B open 2 fill rest shut eof C open 1 echo 1 shut eof
  is_sane
}

@test "many clients come and go: what the server has of them is freed" { clients_leave_no_memory; }

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "nobody waits for a silent client, or for one that does not read" { serves_others_meanwhile; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "it sleeps while nobody wants anything" { sleeps_at_rest; }
@test "no memory is touched that is not its own" { is_sane_in_a_crowd; }
@test "clients that do not read leave no memory behind" { gives_memory_back; }
