#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

@test "it compiles without a warning" { compiles_without_warning; }

# (What comes before it has noticed the stop would be a reason to return of its own.)
@test "stopped and continued, it serves on" {
  start "$STEP"
  talk A open 1 echo 1 run 'halt_asleep; go_on' echo 1 \
    run 'halt_asleep; go_on; halt_asleep; go_on; settles' B open 1 echo 10 A echo 1
}

# Each time it sleeps again, and nothing else happens: as often as one likes.
@test "stopped and continued six times in one sleep, it serves on" {
  start "$STEP"
  talk A open 1 echo 1 run 'for _ in 1 2 3 4 5 6; do halt_asleep && go_on; done; settles' echo 1
}

@test "another error ends it, with a message" {
  variant fails '' -include "$BATS_TEST_DIRNAME/kevent-fails.h" || return 1
  complaints_allowed=1
  launch "$PROGRAM" 0
  listening
  talk A open 1 put 1 end any
  ended || told 'kevent() failed with EBADF' 'it ends' 'it runs on'
  is "$ended_with" 1 'kevent() failed with EBADF; the exit status'
  grep -q 'kevent: Bad file descriptor' "$ERRORS" || told 'kevent() failed with EBADF' 'kevent: Bad file descriptor' "$(cat "$ERRORS")"
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "nobody waits for a silent client" { serves_others_meanwhile; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "it sleeps while nobody wants anything" { sleeps_at_rest; }
@test "no memory is touched that is not its own" { is_sane_in_a_crowd; }
