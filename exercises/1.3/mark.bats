#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

setup_file() {
  ${CC:-cc} -o "$BATS_FILE_TMPDIR/from" "$BATS_TEST_DIRNAME/from.c"
}

# One client from this address comes and goes; its line has to tell its port.
comes_from() { # ADDRESS
  local who
  who=$("$BATS_FILE_TMPDIR/from" "$1" "$port") || return
  wait_until grep -q "^client [0-9]* connected from $who\$" "$LOG" >/dev/null ||
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

@test "a client from 127.0.0.2 is told so" {
  local status=0
  start "$STEP"
  comes_from 127.0.0.2 || status=$?
  [ $status -ne 3 ] || skip '127.0.0.2 cannot be bound here'
  return $status
}

@test "the line of a client that leaves is as it was" {
  start "$STEP"
  talk A open 1 echo 12 shut eof B open 1 echo 300 reset
  wait_until grep -q ', 300 bytes' "$LOG" >/dev/null
  is "$(sed -n '/connected/!s/^client [0-9]*/client N/p' "$LOG" | paste -s -d '/' -)" \
    'client N closed, 12 bytes echoed/client N reset, 300 bytes echoed' \
    'a client of 12 bytes leaves, one of 300 is reset; two lines'
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "no memory is touched that is not its own" { is_sane_one_by_one; }
