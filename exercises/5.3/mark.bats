#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark


# Sends SIGUSR1 to this server alone and waits for one more line of statistics.
ask() {
  local before i
  before=$(grep -c ' bytes$' "$LOG")
  kill -USR1 "$server"
  for ((i = 0; i < 200; i++)); do
    [ "$(grep -cE '^[0-9]+ clients, [0-9]+ bytes$' "$LOG")" -gt "$before" ] && break
    sleep 0.02
  done
  grep -E '^[0-9]+ clients, ' "$LOG" | tail -n 1
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
  talk buffer 4096 A open 1 fill run 'unread >/dev/null; ask >"$LOG.line"' reset
  wait_until grep -q ' reset, ' "$LOG"
  sent=$(sed -n 's/.* reset, \([0-9]*\) bytes echoed/\1/p' "$LOG")
  is "$(cat "$LOG.line")" "1 clients, $sent bytes" 'a client does not read; what the line of the client says later'
}

@test "more than 2,147,483,647 bytes" {
  start "$STEP"
  talk A open 6 put 1 rest
  talk A open 8 echo 270000000 run 'ask >/dev/null' || return 1
  is "$(ask | sed 's/.*, //')" '2160000006 bytes' '8 clients echo 270,000,000 bytes each'
}

@test "a storm of signals, and served after it" {
  local i
  start "$STEP"
  talk A open 3 echo 5 run 'for i in {1..200}; do kill -USR1 $server; done' echo 70000 \
    run 'halt; for i in {1..20}; do kill -USR1 $server; done; go_on' echo 5 shut eof
  says '0 clients, 210030 bytes'
}

@test "SIGTERM still ends it in good order" {
  start "$STEP"
  talk A open 1 echo 10 run 'says "1 clients, 10 bytes"; kill -TERM $server; wait_for_line stopping' end eof
  ended
  is "$ended_with" 0 'SIGTERM; the exit status'
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "it sleeps while nobody wants anything" { sleeps_at_rest; }
@test "no memory is touched that is not its own" { is_sane_in_a_crowd; }
