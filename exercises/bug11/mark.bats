#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

@test "it compiles without a warning" { compiles_without_warning; }

@test "nobody is closed before the idle time, in ten phases of a second" {
  local i
  local -a all=()
  start "$STEP" 0 1300
  for i in A B C D E F G H I J; do all+=("$i" open 1 pause 100); done
  for i in A B C D E F G H I J; do all+=("$i" end eof lasted 1300); done
  talk "${all[@]}"
}

@test "who speaks is not idle" {
  start "$STEP" 0 1300
  talk A open 1 every 400 1 3000 echo 1
}

# One of three is enough: a busy machine is late, too.
@test "a silent client is closed soon after its time" {
  local i
  start "$STEP" 0 300
  for i in 1 2 3; do
    ! talk A open 1 mark end eof within 1000 >/dev/null || return 0
  done
  told 'three silent clients, one after the other; idle time 300 ms' 'one has its end within a second' 'none has'
}

@test "a silent client is closed while others speak" {
  start "$STEP" 0 1300
  talk S open 1 A open 3 every 100 1 4000 run 'grep -q " idle, " "$LOG"' S eof A echo 1
}

@test "the time of day may be set" {
  compiled clock-set plain -include "$BATS_TEST_DIRNAME/clock-set.h"
  launch "$WORK/clock-set/${PROGRAM##*/}" 0 1500
  listening
  talk A open 1 quiet 500 mark echo 1 end eof lasted 1500
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "nobody waits for a silent client, or for one that does not read" { serves_others_meanwhile; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "it sleeps while nobody wants anything" { sleeps_at_rest; }
@test "no memory is touched that is not its own" { is_sane_in_a_crowd; }
@test "clients that do not read leave no memory behind" { gives_memory_back; }
