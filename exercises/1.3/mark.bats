#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

setup_file() {
  ${CC:-cc} -o "$BATS_FILE_TMPDIR/from" "$BATS_TEST_DIRNAME/from.c"
}

from() { "$BATS_FILE_TMPDIR/from" "$@"; }

# One client from this address comes and goes; its line has to tell its port.
comes_from() { # ADDRESS
  local who status=0
  who=$(from "$1" "$port") || status=$?
  [ $status -ne 3 ] || return 3
  [ $status -eq 0 ] || told "a client connects from $1 and sends a byte" 'the byte comes back' \
    "nothing; stderr: $(head -n 1 "$ERRORS")" || return
  once_at_rest grep -q "^client [0-9]* connected from $who\$" "$LOG" ||
    told "a client connected from $who" "client N connected from $who" "$(grep connected "$LOG" | tail -n 1)"
}

@test "it compiles without a warning" { compiles_without_warning; }

@test "the line says from where: client 4 connected from 127.0.0.1:50112" {
  start "$STEP"
  comes_from 127.0.0.1
}

# Among ten ports there is one whose two bytes differ.
@test "ten clients, and no two from the same port" {
  local i
  start "$STEP"
  for ((i = 0; i < 10; i++)); do comes_from 127.0.0.1; done
}

@test "a client from 127.201.202.203 is told so" {
  local status=0
  start "$STEP"
  comes_from 127.201.202.203 || status=$?
  [ $status -ne 3 ] || skip '127.201.202.203 cannot be bound here'
  return $status
}

# On the stack there is by chance a number that is large enough, or there is not.
@test "nothing is left to what happens to lie on the stack" {
  local program=$BATS_TEST_TMPDIR/step1 flag=-ftrivial-auto-var-init=pattern
  # shellcheck disable=SC2086 # several words
  ${CC:-cc} ${CFLAGS:-} $flag -o "$program" "$WORK/server.c" || skip "the compiler has no $flag"
  complaints_allowed=1
  PROGRAM=$program start "$STEP"
  comes_from 127.0.0.1
}

# In a server that has just been started.
reset_before_accept() {
  local gone next
  halt
  gone=$(from 127.0.0.1 "$port" reset)
  go_on
  next=$(from 127.0.0.1 "$port") || told 'a client is reset before it is accepted, a second one sends a byte' \
    'the byte comes back' "nothing; stderr: $(head -n 1 "$ERRORS")" || return
  is "$(sed -n "s/^client [0-9]* connected *//p" "$LOG" | grep -v -x -F -e "from $gone" -e "from $next" || true)" '' \
    "$gone is reset before it is accepted, $next is served; other lines 'connected'" || return
  grep -q "^client [0-9]* connected from $next\$" "$LOG" ||
    told "$gone is reset before it is accepted, $next is served" "connected from $next" "$(grep connected "$LOG")"
}

@test "one that is reset before it is accepted does no harm, and no wrong line" {
  start "$STEP"
  reset_before_accept
}

@test "nor where it has no address, as on macOS" {
  variant gone '' -include "$BATS_TEST_DIRNAME/accept-gone.h"
  start "$STEP"
  reset_before_accept
}

@test "one that is reset before it is accepted gives its descriptor back" {
  local before
  [ -d /proc/self/fd ] || command -v lsof >/dev/null || skip 'needs /proc or lsof'
  start "$STEP"
  before=$(descriptors)
  talk run halt A open 10 reset run go_on B open 1 echo 1 shut eof
  wait_until has_descriptors "$before" >/dev/null ||
    told '10 clients are reset before they are accepted' "$before descriptors, as before" "$(descriptors)"
}

@test "the line of a client that leaves is as it was" {
  start "$STEP"
  talk A open 1 echo 12 shut eof B open 1 echo 300 reset run 'wait_for_line ", 300 bytes"'
  is "$(sed -n 's/^client [0-9]*/client N/; s/ from 127[0-9.:]*$/ from A/; 2,$p' "$LOG" | paste -s -d '/' -)" \
    'client N connected from A/client N closed, 12 bytes echoed/client N connected from A/client N reset, 300 bytes echoed' \
    'a client of 12 bytes leaves, one of 300 is reset; all lines'
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "no memory is touched that is not its own" { is_sane_one_by_one; }
