#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

setup_file() { compiled small sanitized -include "$BATS_TEST_DIRNAME/../lib/small-buffers.h"; }

@test "it compiles without a warning" { compiles_without_warning; }

@test "a slow client has got everything: the server sleeps" {
  start "$STEP"
  talk buffer 4096 A open 1 fill rest B open 1 echo 10 run 'echo all is sent'
  # Connected still: talk's clients stay while it runs.
}

# The state is looked at while the slow client is still there.
spins_beside_it() {
  local i line running=0
  for ((i = 0; i < 100; i++)); do
    case $(ps -o stat= -p "$server") in R*) running=$((running + 1)) ;; esac
  done
  [ $running -lt 50 ] || { echo "running in $running of 100 looks"; return 1; }
}
export -f spins_beside_it

@test "beside a client that was slow, it uses no processor" {
  start "$STEP"
  talk buffer 4096 A open 1 fill rest run spins_beside_it B open 1 echo 1 A echo 1
}

@test "slow a second time, and a third" {
  start "$STEP"
  talk buffer 4096 A open 2 fill rest fill rest run spins_beside_it fill shut rest eof
}

# The end comes with the last room: no second event may be left for a client that is closed.
@test "a slow client that ends, no freed memory is touched" {
  start_compiled small
  talk buffer 4096 A open 40 put 60000 shut rest eof B open 5 put 60000 rest run halt_asleep put 9 reset run go_on \
    C open 1 echo 1 shut eof
  is_sane
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "nobody waits for a silent client, or for one that does not read" { serves_others_meanwhile; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "it sleeps while nobody wants anything" { sleeps_at_rest; }
@test "no memory is touched that is not its own" { is_sane_in_a_crowd; }
@test "clients that do not read leave no memory behind" { gives_memory_back; }
