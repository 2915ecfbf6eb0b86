#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

# Sends SIGUSR1 to this server alone and waits for one more line of statistics.
ask() {
  local before i
  before=$(grep -c ' bytes$' "$LOG")
  kill -USR1 "$server"
  for ((i = 0; i < 200; i++)); do
    [ "$(grep -c ' bytes$' "$LOG")" -gt "$before" ] && break
    kill -0 "$server" 2>/dev/null || break
    sleep 0.02
  done
  grep ' bytes$' "$LOG" | tail -n 1
}
# says WANTED: that is the line, once the server has noticed what came before.
says() {
  local i said
  for ((i = 0; i < 20; i++)); do
    said=$(ask)
    [ "$said" = "$1" ] && return 0
    kill -0 "$server" 2>/dev/null || break
  done
  echo "done:     SIGUSR1"
  echo "expected: $1"
  echo "seen:     ${said:-no such line}"
  return 1
}
export -f ask says

@test "it compiles without a warning" { compiles_without_warning; }

@test "nobody: 0 clients, 0 bytes" {
  start "$STEP"
  says '0 clients, 0 bytes'
}

@test "one client, 10 bytes: 1 clients, 10 bytes" {
  start "$STEP"
  talk A open 1 echo 10 run "says '1 clients, 10 bytes'" echo 3 run "says '1 clients, 13 bytes'" shut eof
}

@test "who has left is not counted, and its bytes are" {
  start "$STEP"
  talk A open 2 echo 10 B open 3 echo 100 run "says '5 clients, 320 bytes'" A close B echo 1 \
    run "says '3 clients, 323 bytes'" B reset run "says '0 clients, 323 bytes'"
}

@test "bytes are those that were sent" {
  local sent
  start "$STEP"
  talk buffer 4096 A open 1 fill run 'settles; ask >"$LOG.line"' reset
  wait_until grep -q ' reset, ' "$LOG"
  sent=$(sed -n 's/.* reset, \([0-9]*\) bytes echoed/\1/p' "$LOG")
  is "$(cat "$LOG.line")" "1 clients, $sent bytes" 'a client does not read; what the line of the client says later'
}

@test "idle clients have left, too" {
  start "$STEP" 0 400
  talk A open 2 echo 4 eof
  says '0 clients, 8 bytes'
}

# Each message of 777 bytes counts as a gibibyte and 777 bytes.
@test "more than 2,147,483,647 bytes" {
  variant big '' -include "$BATS_TEST_DIRNAME/big-send.h" || return 1
  start "$STEP"
  talk A open 1 echo 777 echo 777 run "says '1 clients, 2147485202 bytes'" \
    echo 777 echo 777 echo 777 run "says '1 clients, 5368713005 bytes'"
}

# A handler that sets a flag is too late for the look at it.
@test "a signal just before the server waits is not lost" {
  variant raised '' -include "$BATS_TEST_DIRNAME/signal-before-wait.h" || return 1
  start "$STEP"
  wait_until grep -q '^0 clients, 0 bytes$' "$LOG" >/dev/null ||
    told 'SIGUSR1 between the last look and the call of kevent() that waits' 'a line' 'none'
}

@test "nor one while a line is printed, the first one included" {
  variant printing '' -include "$BATS_TEST_DIRNAME/signal-in-printf.h" || return 1
  complaints_allowed=1
  start "$STEP"
  talk A open 1 echo 5 shut eof B open 1 echo 5
  kill -0 "$server" 2>/dev/null || told 'SIGUSR1 within printf()' 'the server serves on' "$(cat "$ERRORS")"
  says '0 clients, 10 bytes'
}

@test "one that is refused is not counted" {
  variant refused '' -include "$BATS_TEST_DIRNAME/../lib/refused.h" || return 1
  complaints_allowed=1
  start "$STEP"
  talk A open 1 echo 10 B open 1 end any run "says '1 clients, 10 bytes'" A echo 1
}

@test "a storm of signals, and served after it" {
  local i
  start "$STEP"
  talk A open 3 echo 5 run 'for i in {1..200}; do kill -USR1 $server; done' echo 70000 \
    run 'kill -0 $server && halt; for i in {1..20}; do kill -USR1 $server; done; go_on' echo 5 shut eof
  says '0 clients, 210030 bytes'
}

@test "SIGTERM and SIGINT still end it in good order" {
  local name
  for name in TERM INT; do
    start "$STEP"
    talk A open 1 echo 10 run 'says "1 clients, 10 bytes"; kill -'$name' $server; wait_for_line stopping' end eof
    ended
    is "$ended_with" 0 "SIG$name; the exit status"
  done
}

@test "a second SIGTERM ends it at once" {
  complaints_allowed=1
  start "$STEP"
  talk A open 1 echo 5 run 'kill -TERM $server; wait_for_line stopping; says "1 clients, 5 bytes"; kill -TERM $server' end any
  ended
  is "$ended_with $(sed 's/.*: //' "$ERRORS")" '1 stopped at once' 'SIGTERM, SIGUSR1, SIGTERM; the exit status, and stderr'
}

@test "during the stop it is not the second signal" {
  start "$STEP"
  talk A open 1 echo 5 run 'kill -TERM $server; wait_for_line stopping; says "1 clients, 5 bytes"' eof close
  ended
  is "$ended_with" 0 'SIGTERM, SIGUSR1, and the client leaves; the exit status'
}

@test "nor is one lost in the last turn of a stop" {
  start "$STEP"
  talk A open 1 echo 5 run 'kill -TERM $server; wait_for_line stopping; halt_asleep; kill -USR1 $server' eof close run go_on
  ended
  grep -q '^[01] clients, 5 bytes$' "$LOG" ||
    told 'SIGTERM; then, in one turn, SIGUSR1 and the last client leaves' '0 clients, 5 bytes' "$(tail -n 3 "$LOG")"
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "it sleeps while nobody wants anything" { sleeps_at_rest; }
@test "no memory is touched that is not its own" { is_sane_in_a_crowd; }
