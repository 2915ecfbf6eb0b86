#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

# The port of the second line of the log.
second() { sed -n '2s/^listening on 127\.0\.0\.1:\([0-9]*\)$/\1/p' "$LOG"; }

start_two() {
  start "$STEP"
  once_at_rest second_is_there ||
    told 'the server was started' 'a second line: listening on 127.0.0.1:PORT' "$(sed -n 2p "$LOG")"
  export counting
  counting=$(second)
}
second_is_there() { [ -n "$(second)" ]; }

# ask N: the second port says so, to one who sends nothing, and closes. "1 clients" and
# "1 client" are right.
ask() {
  local said
  said=$(asked "$1 clients") || { [ "$1" -eq 1 ] && said=$(asked '1 client'); } || {
    echo "done:     one connects to the second port and sends nothing"
    echo "expected: the line '$1 clients', and the end"
    echo "seen:     $said"
    return 1
  }
}
asked() { # LINE
  "$ROOT/build/talk" -t "$LIMIT" "$counting" X open 1 expect "$1
" eof 2>&1
}
# Until the server has noticed who has left.
will_say() {
  local i
  for ((i = 0; i < 200; i++)); do ask "$1" >/dev/null && return 0; sleep 0.02; done
  ask "$1"
}
export -f ask asked will_say

@test "it compiles without a warning" { compiles_without_warning; }

@test "nobody: 0 clients" {
  start_two
  ask 0
}

@test "1 clients, 3 clients, while they are served" {
  start_two
  talk A open 1 echo 10 run 'ask 1' B open 2 echo 10 run 'ask 3' A echo 10
}

@test "who has left is not counted: closed, half-closed, reset" {
  start_two
  talk A open 2 echo 1 B open 2 echo 1 C open 2 echo 1 run 'ask 6' A close run 'will_say 4' \
    B shut eof run 'will_say 2' C reset run 'will_say 0'
}

@test "twenty ask in one turn" {
  start_two
  talk A open 2 echo 1 \
    run 'halt; for i in {1..20}; do ask 2 >"$LOG.asked$i" 2>&1 || touch "$LOG.failed" & done
      go_on; wait; cat "$LOG".asked*; ! [ -e "$LOG.failed" ]'
}

@test "one who asks and resets does no harm" {
  start_two
  complaints_allowed=1
  talk A open 1 echo 1 run 'halt
    "$ROOT/build/talk" "$counting" X open 5 reset Y open 5 close && go_on && ask 1' echo 10 shut eof
}

@test "one who asks and stays keeps nobody waiting" {
  start_two
  exec 7<>"/dev/tcp/127.0.0.1/$counting"
  read -r -t "$LIMIT" _ <&7 || told 'one asks, and does not close' 'a line' nothing
  talk A open 1 echo 5 shut eof
  exec 7>&-
}

@test "1100 clients" {
  need_descriptors 1200
  start_two
  talk A open 1100 run 'will_say 1100'
}

@test "one that is refused is not counted" {
  variant refused '' -include "$BATS_TEST_DIRNAME/../lib/refused.h"
  start_two
  complaints_allowed=1
  talk A open 1 echo 1 B open 1 end any run 'ask 1' A echo 1
}

@test "out of descriptors it serves on" {
  complaints_allowed=1
  start_with_limit 16 "$STEP"
  once_at_rest second_is_there
  export counting
  counting=$(second)
  # After one more echo it has seen the one who asks, and has no descriptor for him.
  talk S open 1 echo 1 A open 20 run 'wait_for_line accept:' \
    run 'halt; exec 7<>"/dev/tcp/127.0.0.1/$counting"; go_on' S echo 1 echo 1 A reset run 'will_say 1' B open 1 echo 5
}

@test "each who asks gives its descriptor back" {
  [ -d /proc/self/fd ] || command -v lsof >/dev/null || skip 'needs /proc or lsof'
  local before
  start_two
  ask 0
  before=$(descriptors)
  talk run 'for i in {1..10}; do ask 0 || exit; done'
  wait_until has_descriptors "$before" >/dev/null ||
    told 'ten have asked and left' "$before descriptors" "$(descriptors)"
}

# Both lines, or why not.
two_or_over() { second_is_there || is_over; }
@test "with a port given, the second is the next" {
  local first i
  # Below the ports that the system gives to clients, which may be used up.
  for ((i = 0; i < 50; i++)); do
    first=$((10000 + RANDOM % 20000))
    complaints_allowed=1
    launch "$PROGRAM" "$first"
    once_at_rest two_or_over || true
    ! grep -q 'in use' "$ERRORS" || { ended; continue; }
    listening
    is "$(second)" $((first + 1)) "step3 $first"
    return
  done
  told 'the server was started with fifty different ports' 'it listens on one, and on the next' \
    'Address already in use, each time'
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "it sleeps while nobody wants anything" { sleeps_at_rest; }
@test "no memory is touched that is not its own" { is_sane_in_a_crowd; }
