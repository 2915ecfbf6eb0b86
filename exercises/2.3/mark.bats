#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

now() { "$ROOT/build/talk" clock; }

# A server in setup_file. The lines of its log get the time at which they were
# read. That is never before they were written, so what is counted from a moment
# before the cause is never too short, on a busy machine either.
stamped() { # NAME
  local name=$BATS_FILE_TMPDIR/$1 i
  mkfifo "$name.fifo"
  {
    # One that says quiet without end is heard for fifty lines.
    for ((i = 0; i < 50; i++)); do IFS= read -r line && echo "$(now) $line"; done >"$name"
    cat >/dev/null
  } <"$name.fifo" 3>&- &
  now >"$name.began"
  LOG=$name.fifo ERRORS=$name.errors launch "$PROGRAM" 0
  pids="$pids $server"
  for ((i = 0; i < 800; i++)); do
    port=$(sed -n 's/.* listening on 127.0.0.1://p' "$name")
    [ -z "$port" ] || return 0
    sleep 0.01
  done
  echo 'no server listens:'
  cat "$name" "$name.errors"
  return 1
}

# Five servers at once, since it takes time: one is left alone; so is one with a select()
# that is strict; one is sent a byte now and then; to one clients come, and leave,
# without a word; one sleeps in send(), and a client comes meanwhile.
setup_file() {
  local pids='' talks='' pid i
  export moment="$ROOT/build/talk clock >$BATS_FILE_TMPDIR"
  compiled strict plain -include "$BATS_TEST_DIRNAME/select-strict.h"
  PROGRAM=$WORK/strict/${PROGRAM##*/} stamped strict || return 1
  stamped alone || return 1
  stamped spoken || return 1
  "$ROOT/build/talk" -t 20 "$port" A open 1 every 800 1 6400 run "$moment/spoken.last" echo 1 \
    run "for i in {1..800}; do grep -q quiet '$BATS_FILE_TMPDIR/spoken' && break; sleep 0.01; done" \
    >"$BATS_FILE_TMPDIR/spoken.said" 2>&1 3>&- &
  talks=$!
  stamped visited || return 1
  "$ROOT/build/talk" -t 20 "$port" A open 1 pause 2800 close pause 2800 B open 1 pause 2800 \
    reset pause 2800 run "$moment/visited.last" >"$BATS_FILE_TMPDIR/visited.said" 2>&1 3>&- &
  talks="$talks $!"
  stamped held || return 1
  "$ROOT/build/talk" -t 20 "$port" buffer 4096 A open 1 fill pause 5200 B open 1 \
    A rest B echo 1 run "$moment/held.last" >"$BATS_FILE_TMPDIR/held.said" 2>&1 3>&- &
  talks="$talks $!"
  until [ "$(grep -c quiet "$BATS_FILE_TMPDIR/alone")" -ge 2 ] ||
    awk -v now="$(now)" '{ exit now < $1 + 13 }' "$BATS_FILE_TMPDIR/alone.began"; do
    sleep 0.1
  done
  for pid in $talks; do wait "$pid" || true; done
  # What the server and the reader of its log still have to say.
  for ((i = 0; i < 400; i++)); do
    grep -q ' closed, ' "$BATS_FILE_TMPDIR/spoken" && break
    sleep 0.01
  done
  for pid in $pids; do kill "$pid" 2>/dev/null || true; done
}

# The seconds from a moment to each "quiet".
quiet_after() { # NAME MOMENT
  awk 'NR == FNR { from = $1; next }
    / quiet$/ && n++ < 6 { printf "%s%.2f", s, $1 - from; s = " " } END { if (n > 6) printf " ..." }' \
    "$BATS_FILE_TMPDIR/$1.$2" "$BATS_FILE_TMPDIR/$1"
}

@test "it compiles without a warning" { compiles_without_warning; }

@test "12 silent seconds: quiet twice, after 5 and after 10" {
  local seen
  seen=$(quiet_after alone began)
  awk '{ exit !($1 > 4.99 && $1 < 7 && $2 > 9.99 && $2 < 12.5) }' <<<"$seen " ||
    told 'nobody connects for 12 seconds' 'quiet after 5 and after 10 seconds' "after ${seen:-none} seconds"
}

@test "a byte each 0.8 seconds: never quiet, and five seconds after the last" {
  local seen
  is "$(cat "$BATS_FILE_TMPDIR/spoken.said")" '' 'build/talk PORT A open 1 every 800 1 6400 echo 1'
  seen=$(quiet_after spoken last)
  awk '{ exit !($1 > 4.99 && $1 < 7) }' <<<"$seen " ||
    told 'a client sends a byte each 0.8 seconds, for 6.4 seconds, one more, and stays' \
      'the first quiet 5 seconds after the last byte' "after ${seen:-none} seconds; below 0 is before it"
}

@test "clients that come, or leave, without a word break the silence" {
  is "$(cat "$BATS_FILE_TMPDIR/visited.said")" '' 'build/talk PORT A open 1 pause 2800 close pause 2800 B open 1 pause 2800 reset'
  is "$(quiet_after visited last | tr ' ' '\n' | grep -c '^-' || true)" 0 \
    'a client comes; after 2.8 seconds it leaves; after 2.8 another one comes; after 2.8 it is reset; 2.8 more pass: lines quiet meanwhile'
}

@test "a client that comes while the server sleeps in send() breaks the silence" {
  is "$(cat "$BATS_FILE_TMPDIR/held.said")" '' 'build/talk PORT buffer 4096 A open 1 fill pause 5200 B open 1 A rest B echo 1'
  is "$(quiet_after held last | tr ' ' '\n' | grep -c '^-' || true)" 0 \
    'a client does not read for 5 seconds; another one comes; the first reads: lines quiet until all is read'
}

@test "select() gets a time that POSIX allows, and is not asked again and again" {
  local seen
  is "$(cat "$BATS_FILE_TMPDIR/strict.errors")" '' 'nobody connects, with a select() that is strict; stderr'
  seen=$(quiet_after strict began)
  awk '{ exit !($1 > 4.99 && $1 < 7) }' <<<"$seen " ||
    told 'nobody connects, with a select() that is strict' 'quiet after 5 seconds' "after ${seen:-none} seconds"
}

# On Linux a stop and a go do not make select() fail.
@test "a signal that interrupts select() is no silence, and no end" {
  variant interrupted '' -include "$BATS_TEST_DIRNAME/select-fails.h"
  start "$STEP"
  talk S open 1 A open 3 echo 5 S echo 1 A echo 1 shut eof B open 1 echo 70000 shut eof S echo 1 shut eof
  is "$(grep -c quiet "$LOG" || true)" 0 'five clients come, send and leave; each second select() fails with EINTR: lines quiet'
}

@test "other lines are as they were" {
  is "$(sed 's/^[0-9.]* //; s/[0-9][0-9]* bytes/N bytes/; /^quiet$/d' "$BATS_FILE_TMPDIR/spoken" | sed -n '2,$p' | paste -s -d / -)" \
    'client 4 connected/client 4 closed, N bytes echoed' 'a client connects and leaves'
  is "$(cat "$BATS_FILE_TMPDIR"/{alone,spoken,visited,held}.errors)" '' 'stderr, all the time'
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "it sleeps while nobody wants anything" { sleeps_at_rest; }
@test "it survives being stopped and continued" { survives_stop_and_continue; }
