#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark


# Two servers at once, since it takes time: one is left alone, one is spoken to.
# The lines of the log get the time at which they were read.
stamped() { # NAME
  local name=$BATS_FILE_TMPDIR/$1
  mkfifo "$name.fifo"
  while IFS= read -r line; do echo "$("$ROOT/build/talk" clock) $line"; done \
    <"$name.fifo" >"$name" 3>&- &
  LOG=$name.fifo ERRORS=$name.errors launch "$PROGRAM" 0
  pids="$pids $server"
  for ((i = 0; i < 400; i++)); do
    port=$(sed -n 's/.* listening on 127.0.0.1://p' "$name")
    [ -z "$port" ] || return 0
    sleep 0.01
  done
  return 1
}

setup_file() {
  local pids='' i pid
  stamped alone && stamped spoken || return 1
  "$ROOT/build/talk" -t 20 "$port" A open 1 every 800 1 7200 2>&1 3>&- || true
  "$ROOT/build/talk" clock >"$BATS_FILE_TMPDIR/last"
  # 12 seconds of the first one, and 5 after the last byte of the second.
  for ((i = 0; i < 900; i++)); do
    awk -v now="$("$ROOT/build/talk" clock)" 'NR == 1 { exit now < $1 + 12.3 }' "$BATS_FILE_TMPDIR/alone" && break
    sleep 0.02
  done
  for pid in $pids; do kill "$pid"; done
}

# The seconds from the first line to each "quiet" before the time, whole.
quiet_after() { # NAME FROM TO
  awk -v from="$2" -v to="$3" '/ quiet$/ && $1 >= from && $1 < to { printf "%s%d", s, $1 - from; s = " " }' \
    "$BATS_FILE_TMPDIR/$1"
}
start_of() { awk 'NR == 1 { print $1 }' "$BATS_FILE_TMPDIR/$1"; }

@test "it compiles without a warning" { compiles_without_warning; }

@test "12 silent seconds: quiet twice, after 5 and after 10" {
  local from
  from=$(start_of alone)
  is "$(quiet_after alone "$from" "$(awk "BEGIN { print $from + 12 }")")" '5 10' \
    'nobody connects for 12 seconds; the whole seconds after which the line comes'
}

@test "a byte each 0.8 seconds: never quiet" {
  is "$(quiet_after spoken "$(start_of spoken)" "$(cat "$BATS_FILE_TMPDIR/last")")" '' \
    'a client sends a byte each 0.8 seconds for 7 seconds; the whole seconds after which the line comes'
}

@test "other lines are as they were" {
  is "$(sed 's/^[0-9.]* //; s/[0-9][0-9]* bytes/N bytes/' "$BATS_FILE_TMPDIR/spoken" | sed -n '2,3p' | paste -s -d / -)" \
    'client 4 connected/client 4 closed, N bytes echoed' 'a client connects and leaves'
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "nobody waits for a silent client" { serves_others_meanwhile; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "it survives being stopped and continued" { survives_stop_and_continue; }
