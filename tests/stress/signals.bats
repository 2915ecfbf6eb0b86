#!/usr/bin/env bats
# Signals in the middle of transfers. LONG=1 takes more of everything.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2153,SC2154 # see lib/server.bash
load ../lib/server

# The last test takes 3 seconds, in which the others run.
setup_file() {
  cd "$BATS_TEST_DIRNAME/../.." || return 1
  make -f tests/Makefile build/soak build/halts
  {
    build/soak deadline ./step5 && : >"$BATS_FILE_TMPDIR/good"
    : >"$BATS_FILE_TMPDIR/over"
  } >"$BATS_FILE_TMPDIR/said" 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
}

teardown() {
  [ -z "${storm:-}" ] || kill "$storm" 2>/dev/null || true
  if [ -n "$server" ]; then
    kill -KILL "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
}

rounds() {
  [ -z "${LONG:-}" ] && echo "$1" || echo $((20 * $1))
}

# Two signals in turn, without end, in the background. `enough` comes to be when
# a good number has been sent.
begin_storm() {
  (
    exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
    n=0
    while kill "-$1" "$server" && kill "-$2" "$server"; do
      n=$((n + 2))
      [ $n -ne "$(rounds 300)" ] || : >"$BATS_TEST_TMPDIR/enough"
    done
  ) >/dev/null 2>&1 &
  storm=$!
}

end_storm() {
  kill "$storm"
  wait "$storm" 2>/dev/null || true
  storm=''
  kill -CONT "$server"
}

# COMMAND...: again and again, as long as the storm is to last.
during_storm() {
  until [ -e "$BATS_TEST_TMPDIR/enough" ]; do
    kill -0 "$storm"
    "$@"
  done
  end_storm
  talk A open 1 echo 100 shut eof
  equal "$(cat "$ERRORS")" ''
}

transfers() {
  talk A open 20 echo 10 echo 200000 B open 1 put 100000 A echo 3 shut eof \
    B rest shut eof
}

# Step 1 serves one client after the other: none may stay.
transfers_in_turn() {
  talk A open 1 echo 10 echo 200000 put 100000 rest shut eof
}

# Both are ignored without a handler; some calls end early all the same.
in_a_storm() { # STEP TRANSFERS
  start "$1"
  begin_storm WINCH CHLD
  during_storm "$2"
}

# Stopped for as long as it takes to send the next signal.
stopped_and_continued() { # STEP TRANSFERS
  start "$1"
  begin_storm STOP CONT
  during_storm "$2"
}

@test "signals: step 1: SIGWINCH and SIGCHLD" { in_a_storm 1 transfers_in_turn; }
@test "signals: step 2: SIGWINCH and SIGCHLD" { in_a_storm 2 transfers; }
@test "signals: step 3: SIGWINCH and SIGCHLD" { in_a_storm 3 transfers; }
@test "signals: step 4: SIGWINCH and SIGCHLD" { in_a_storm 4 transfers; }
@test "signals: step 5: SIGWINCH and SIGCHLD" { in_a_storm 5 transfers; }

@test "signals: step 1: SIGSTOP and SIGCONT" { stopped_and_continued 1 transfers_in_turn; }
@test "signals: step 2: SIGSTOP and SIGCONT" { stopped_and_continued 2 transfers; }
@test "signals: step 3: SIGSTOP and SIGCONT" { stopped_and_continued 3 transfers; }
@test "signals: step 4: SIGSTOP and SIGCONT" { stopped_and_continued 4 transfers; }
@test "signals: step 5: SIGSTOP and SIGCONT" { stopped_and_continued 5 transfers; }

# Another seed each time; a failure says which one it was.
@test "signals: step 5: SIGTERM at any moment: what was echoed arrives" {
  run -0 "$ROOT/build/soak" stop "$(rounds 60)" $((RANDOM * 1000)) "$ROOT/step5"
}

@test "signals: step 5: two SIGTERMs at any moments" {
  run -0 "$ROOT/build/soak" stop2 "$(rounds 100)" $((RANDOM * 1000)) \
    "$ROOT/step5"
}

@test "signals: step 5: halted at random moments, busy clients lose no byte" {
  local seconds=3
  [ -z "${LONG:-}" ] || seconds=10
  start 5 0 800
  run -0 "$ROOT/build/halts" "$seconds" $((RANDOM * 1000)) 800 "$port" "$server"
  run -1 grep -v -e ' connected$' -e ' closed, ' -e '^listening' "$LOG"
}

@test "signals: step 5: SIGTERM and a client that never reads: 3 seconds" {
  wait_until [ -e "$BATS_FILE_TMPDIR/over" ]
  cat "$BATS_FILE_TMPDIR/said"
  [ -e "$BATS_FILE_TMPDIR/good" ]
}
