#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

@test "it compiles without a warning" { compiles_without_warning; }

# Halted for longer than the idle time; then the clients read.
late() { # PROGRAM
  complaints_allowed=1
  launch "$1" 0 2000
  listening
  talk buffer 4096 A open 3 fill B open 2 fill run halt pause 2200 A drain 300 B reset A run go_on rest echo 1
}

@test "halted beyond the idle time, who reads again loses no byte" { late "$PROGRAM"; }

@test "halted beyond the idle time, no freed memory is touched" {
  late "$SANITIZED" || true
  is_sane
}

@test "halted beyond the idle time, who has spoken meanwhile stays" {
  start "$STEP" 0 1000
  talk A open 20 echo 1 run halt pause 1200 put 100 run go_on rest echo 1
}

@test "a signal in front of the batch loses no byte" {
  start "$STEP"
  talk buffer 4096 A open 6 fill run 'halt; kill -TERM $server' drain 300 run go_on end eof
  ended
  is "$ended_with" 0 'SIGTERM and room for six clients in one batch; the exit status'
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "nobody waits for a silent client" { serves_others_meanwhile; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "it sleeps while nobody wants anything" { sleeps_at_rest; }
@test "no memory is touched that is not its own" { is_sane_in_a_crowd; }
@test "clients that do not read leave no memory behind" { gives_memory_back; }
