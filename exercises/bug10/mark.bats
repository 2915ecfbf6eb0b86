#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

@test "it compiles without a warning" { compiles_without_warning; }

stops_well() { # SIGNAL
  variant terminal '' -include "$BATS_TEST_DIRNAME/from-terminal.h" || return 1
  start "$STEP"
  talk A open 1 echo 10 run "kill -$1 \$server; wait_for_line stopping" end eof
  ended
  is "$ended_with" 0 "SIG$1 while a client is connected; the exit status"
}
@test "SIGTERM: stopping, EOF for the clients, status 0" { stops_well TERM; }
@test "SIGINT: the same" { stops_well INT; }

@test "SIGTERM while output waits: all that was read is sent" {
  all_read_is_sent "$STEP" TERM eof
  is "$ended_with" 0 'SIGTERM while a client does not read; the exit status'
  is "$arrived" "$taken" 'SIGTERM while a client does not read; the bytes that came back'
}

@test "a second signal ends it at once" {
  complaints_allowed=1
  start "$STEP"
  talk A open 1 echo 1 run 'kill -TERM $server; wait_for_line stopping; kill -TERM $server; wait_for_line "at once"' end any
  ended
  is "$ended_with" 1 'two signals; the exit status'
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "nobody waits for a silent client, or for one that does not read" { serves_others_meanwhile; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "it sleeps while nobody wants anything" { sleeps_at_rest; }
@test "no memory is touched that is not its own" { is_sane_in_a_crowd; }
@test "clients that do not read leave no memory behind" { gives_memory_back; }
