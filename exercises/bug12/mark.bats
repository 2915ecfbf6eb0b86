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

# Whoever has no output, and whoever has some: their own event stands behind the timer's.
@test "halted beyond the idle time, who was reset is closed once" {
  start_sanitized 0 1000
  talk buffer 4096 A open 5 echo 3 F open 3 fill B open 2 echo 1 C open 5 echo 2 run halt pause 1100 A reset \
    F reset C close B put 4 D open 3 put 7 run go_on B rest D rest shut eof B shut eof
  wait_until log_has 18 ' bytes echoed' >/dev/null
  is_sane
  is "$(grep -c ' bytes echoed' "$LOG")" 18 '18 clients came and left; lines of those that left'
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

# shutdown() of a connection that is lost fails, and closes the client there and then.
@test "a signal in front of the batch, no freed memory is touched" {
  start_sanitized
  talk A open 6 echo 3 B open 2 echo 1 run 'halt; kill -TERM $server' A reset B put 4 close run go_on
  ended
  is "$ended_with" 0 'SIGTERM and the reset of six clients in one batch; the exit status (99: freed memory was touched)'
}

# The timer is hardly late: no gap in time tells that the server was halted.
@test "halted until just beyond the idle time, no freed memory is touched" {
  local i
  start_sanitized 0 300
  for i in 1 2 3 4; do
    talk A open 5 echo 3 run halt pause 301 reset run go_on B open 1 echo 1 shut eof
    is_sane
  done
}

@test "who is silent too long leaves, and is not early" {
  start "$STEP" 0 500
  talk A open 3 echo 1 eof lasted 500 B open 1 echo 1 eof lasted 500
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "nobody waits for a silent client, or for one that does not read" { serves_others_meanwhile; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "it sleeps while nobody wants anything" { sleeps_at_rest; }
@test "no memory is touched that is not its own" { is_sane_in_a_crowd; }
@test "clients that do not read leave no memory behind" { gives_memory_back; }
