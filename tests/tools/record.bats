#!/usr/bin/env bats
# The record of a server (tools/record.h), and what tools/record.sh makes of it.

# shellcheck disable=SC2016,SC2030,SC2031
bats_require_minimum_version 1.5.0
load ../lib/make

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)

setup_file() {
  make_quietly build/talk step1-trace step2-trace step3-trace step4-trace step5-trace
}

setup() {
  cd "$BATS_TEST_TMPDIR" || return 1
  server=''
}

teardown() {
  [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
}

# until_so COMMAND...: waits until it succeeds.
until_so() {
  local end=$((SECONDS + 20))
  until "$@"; do
    [ $SECONDS -lt $end ] || {
      echo "in vain: $*"
      return 1
    }
    sleep 0.02
  done
}

three() {
  [ "$(grep -c connected out)" -eq 3 ]
}

# A program of the root as step4-trace here, so that its files come here too.
program() {
  ln -s "$ROOT/build/step$1-trace" "step$1-trace"
  TALK=$ROOT/build/talk
  export TALK
}

# Without the descriptors of bats: a server gets the next ones.
alone() {
  "$@" 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
}

# record_story STEP STORY
record_story() {
  program "$1"
  printf 'story() {\n%s\n}\n' "$2" >story.sh
  alone sh "$ROOT/tools/record.sh" -s story.sh "step$1-trace"
}

# The trace on stderr, and the words of the record, of the same conversation:
# the addresses differ in nothing, since both servers get the same descriptors.
@test "record: its words are those of the trace" {
  local step port missing
  for step in 1 2 3 4 5; do
    rm -f out # the line of the server before would be taken for this one's
    alone exec "$ROOT/build/step$step-trace" 0 >out 2>trace &
    server=$!
    until_so grep -q listening out
    port=$(sed -n 's/.*://p' out)
    "$ROOT/build/talk" "$port" A open 1 send hello expect hello shut eof
    until_so grep -q ' 5 bytes echoed' out
    kill -KILL "$server"
    wait "$server" || true
    record_story "$step" 'talk A open 1 send hello expect hello shut eof scene end x'
    # In the trace the last call does not come back. In the record it may have.
    sed -n 's/^[0-9.]* words //p' "step$step.record" >words
    [ "$(wc -l <words)" -gt 4 ]
    missing=$(sed '$d' trace | diff - words | grep '^<' || true)
    [ -z "$missing" ] || {
      echo "$missing"
      return 1
    }
  done
}

@test "record: a call has its line, and the kernel's state before it comes back" {
  record_story 3 'talk A open 1 scene rest x send hello expect hello'
  awk -v source="$ROOT/03-kqueue-basic/server.c" '
    BEGIN { while ((getline line < source) > 0) text[++n] = line }
    $2 == "call" { calls++; if (text[$3] !~ $4 "\\(") { print; bad = 1 } }
    END { exit bad || calls < 8 }
  ' step3.record
  # Five bytes lay in the receive buffer, and the knote was ready.
  grep -q ' fd [0-9]* client port [0-9]* receive 5 ' step3.record
  grep -q ' knote fd [0-9]* READ on ready$' step3.record
  grep -q ' asleep kevent(' step3.record
}

@test "record: what lies in the four buffers of a client that does not read" {
  [ "$(uname -s)" = Linux ] || skip 'what the others tell has not been seen yet'
  record_story 3 'talk segment 1460 buffer 4096 sendbuffer 16384 A open 1 fill scene full x'
  awk '
    $3 ~ /^A/ && $2 == "client" { sent = $6; unsent = $12; unread = $10 }
    $2 == "fd" && $4 == "client" { receive = $8; send = $10; room = /writable/ }
    $2 == "words" && /^[0-9.]* words recv/ { read += $5 }
    $2 == "asleep" { call = $3 }
    $2 == "scene" {
      print call, sent, unsent, receive, send, unread, room
      # Each byte that the client has sent is in one place: still its own, in
      # the receive buffer of the server, or read by it.
      if (call !~ /^send/ || room || sent != unsent + receive + read || !unread || !send)
        exit 1
      found = 1
    }
    END { exit !found }
  ' step3.record
}

# What SO_ERROR holds is taken by whoever asks first; a byte is read once.
@test "record: a reset and every byte reach the server all the same" {
  record_story 4 'talk A open 1 send hello expect hello \
    scene quiet x signal STOP reset signal CONT \
    B open 1 echo 100000 shut eof'
  grep -q ' log client [0-9]* reset, ' step4.record
  grep -q ' log client [0-9]* closed, 100000 bytes' step4.record
}

@test "record: the server gets the same descriptors as without" {
  record_story 4 'talk A open 3 scene here x'
  grep -o 'client [0-9]* connected' step4.record >recorded
  alone exec "$ROOT/build/step4-trace" 0 >out 2>/dev/null &
  server=$!
  until_so grep -q listening out
  "$ROOT/build/talk" "$(sed -n 's/.*://p' out)" A open 3
  until_so three
  diff recorded <(grep -o 'client [0-9]* connected' out)
}

@test "record: a timer has the time when it is due, a signal its name" {
  record_story 5 'talk A open 1 scene rest x'
  awk '
    / knote timer 1 on due / { due = $7; at = $1 }
    / knote signal SIGTERM on$/ { signal = 1 }
    END { exit !(signal && due - at > 59 && due - at <= 60) }
  ' step5.record
  tail -n 1 step5.record | grep -q ' ended exit status 0$'
}

@test "record.sh: until the server ends, and with what the reader does" {
  program 2
  alone exec sh "$ROOT/tools/record.sh" step2-trace 0 >out 2>&1 &
  server=$!
  until_so grep -q '^listening on' out
  "$ROOT/build/talk" "$(sed -n 's/^listening on .*://p' out)" \
    A open 1 send hello expect hello shut eof
  pkill -TERM -P "$server"
  wait "$server"
  server=''
  grep -q 'recv([0-9]*) = 5 bytes' step2.record
  grep -q ' ended killed by signal 15' step2.record
  grep -q 'listening on 127.0.0.1' step2.html
}

@test "record.sh: says what is wrong" {
  run -2 sh "$ROOT/tools/record.sh"
  [[ $output == usage:* ]]
  run -2 sh "$ROOT/tools/record.sh" "$BATS_TEST_TMPDIR/none"
  [[ $output == *'no program'* ]]
  cp "$ROOT/build/step1-trace" strange-trace
  TALK=$ROOT/build/talk run -2 sh "$ROOT/tools/record.sh" ./strange-trace
  [[ $output == *'no story'* ]]
}

# A page can hold any record: also one with what HTML would take for its own.
@test "record.sh: the page is one file, and what the server prints stays text" {
  record_story 1 'talk A open 1 send "</script><b>&amp;" expect "</script><b>&amp;" shut eof'
  [ "$(grep -c '<script>' step1.html)" -eq 1 ]
  run ! grep -q 'send </script>' step1.html
  grep -q 'does A send &lt;/script>&lt;b>&amp;amp;' step1.html
  run ! grep -qE '(src|href)="(https?:)?//|@import|fetch\(|XMLHttpRequest' step1.html
}
