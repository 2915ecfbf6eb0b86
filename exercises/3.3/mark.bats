#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

# With a buffer of 4 bytes it is certain what one recv() returns.
start_small() { # FLAG...
  variant small 's/buffer\[64 \* 1024\]/buffer[4]/' "$@" || return 1
  start "$STEP"
}

# The lines of this kind, without the number of the client: "4 of 10/4 of 6".
lines() { sed -n 's/^client [0-9]*: //p' "$LOG" | paste -s -d / -; }

has_lines() { [ "$(lines)" = "$1" ]; }

will_have() { # LINES DID
  once_at_rest has_lines "$1" || is "$(lines)" "$1" "$2"
}

@test "it compiles without a warning" { compiles_without_warning; }

@test "10 bytes through a buffer of 4: 4 of 10, 4 of 6" {
  start_small
  talk A open 1 run halt put 10 run go_on rest shut eof
  wait_until grep -q ' closed, ' "$LOG"
  will_have '4 of 10/4 of 6' '10 bytes that wait together, a buffer of 4 bytes'
  grep -q "^client $(sed -n 's/^client \([0-9]*\) connected/\1/p' "$LOG"): 4 of 10\$" "$LOG" ||
    told 'the line' 'client N: 4 of 10, with the number of the client' "$(grep ' of 10' "$LOG")"
  is "$(sed -n 's/.* closed, //p' "$LOG")" '10 bytes echoed' 'the client ends its sending; its last line'
}

@test "recv() returns 3 of 10, and is interrupted" {
  start_small -include "$BATS_TEST_DIRNAME/recv-short.h"
  talk A open 1 run halt put 10 run go_on rest shut eof
  wait_until grep -q ' closed, ' "$LOG"
  is "$(lines)" '3 of 10/3 of 7/3 of 4' '10 bytes that wait together; recv() fails with EINTR, then returns 3, and so on'
}

@test "nothing is printed when all was read" {
  start_small
  talk A open 1 run halt put 4 run go_on rest run halt put 3 shut run go_on rest eof
  wait_until grep -q ' closed, ' "$LOG"
  is "$(lines)" '' '4 bytes, then 3 bytes and the end, a buffer of 4 bytes'
}

@test "two clients in one turn have numbers of their own" {
  start_small
  talk A open 1 echo 1 B open 1 echo 1 run halt A put 9 B put 6 run go_on A rest B rest A shut eof B shut eof
  wait_until grep -q ' closed, ' "$LOG"
  is "$(lines | tr / '\n' | sort | paste -s -d / -)" '4 of 5/4 of 6/4 of 9' \
    'in one turn 9 bytes of one client and 6 of another, a buffer of 4 bytes'
}

@test "bytes and the end in one event are counted, too" {
  start_small
  talk run halt A open 1 put 6 shut run go_on rest eof
  wait_until grep -q ' closed, ' "$LOG"
  is "$(lines)" '4 of 6' '6 bytes and the end that wait together, a buffer of 4 bytes'
}

@test "bytes that came after the event are no reason for a line" {
  complaints_allowed=1
  start_small -include "$BATS_TEST_DIRNAME/recv-late.h"
  talk A open 1 put 2 run 'wait_for_line "recv() is called"' put 4 rest shut eof
  wait_until grep -q ' closed, ' "$LOG"
  is "$(lines)" '' 'an event for 2 bytes; 4 more come before recv(), which returns 4'
}

@test "a client that is reset causes no line with -1" {
  start_small
  talk A open 1 echo 1 run halt put 9 reset run go_on B open 1 echo 1 shut eof
  wait_until grep -q ' reset, ' "$LOG"
  ! lines | grep -e '-' || told '9 bytes, then a reset, before the server looks' 'no line, or 4 of 9' "$(lines)"
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "no memory is touched that is not its own" { is_sane_in_a_crowd; }
