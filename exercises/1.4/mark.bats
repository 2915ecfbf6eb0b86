#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

# Its children, the dead ones too, and processes that run the same program.
children() { ps -A -o ppid=,stat= | awk -v parent="$server" '$1 == parent' | wc -l | tr -d ' '; }
processes() { ps -A -o args= | awk -v program="$PROGRAM" '$1 == program' | wc -l | tr -d ' '; }
export -f children processes

no_children() { [ "$(children)" -eq 0 ]; }
runs() { [ "$(processes)" -eq "$1" ]; }
export -f runs

# Children of a server that has been killed serve on; their clients are gone.
teardown() {
  end_check
  wait_until runs 0 >/dev/null || told 'all clients have left' 'no process' "$(processes)"
}

@test "it compiles without a warning" { compiles_without_warning; }

@test "ten clients are served at the same time, by ten processes" {
  start "$STEP"
  talk A open 1 echo 1 B open 9 echo 5000 A echo 1 \
    run 'for i in {1..400}; do runs 11 && exit; sleep 0.01; done; echo "processes: $(processes)"; exit 1' \
    A shut eof B echo 1 shut eof
}

@test "a hundred are served, too" {
  start "$STEP"
  talk A open 100 echo 100 shut eof
}

# Halted only when it sleeps: between fork() and close() it has the client, too.
@test "ten leave at once, and no zombie is left" {
  start "$STEP"
  talk A open 10 echo 10 run halt_asleep A shut eof close run go_on
  { wait_until no_children && wait_until runs 1; } >/dev/null ||
    told 'ten clients have left while the parent was halted, and nobody comes' \
      'one process, and no child of it' \
      "$(processes) processes, children: $(ps -A -o ppid=,pid=,stat=,args= | awk -v p="$server" '$1 == p' | head -n 3)"
  talk A open 1 echo 1 shut eof
}

@test "one comes and goes while another stays" {
  start "$STEP"
  talk A open 1 echo 1 B open 1 echo 100 shut eof close C open 1 echo 7 A echo 1 C shut eof A shut eof
}

# A killed process has closed all when it is a zombie, not before.
kill_parent() { # SIGNAL
  local i
  kill "-$1" "$server"
  for ((i = 0; i < 400; i++)); do
    case $(ps -o stat= -p "$server") in Z* | '') return 0 ;; esac
    sleep 0.01
  done
}
# Two can have a port, with SO_REUSEPORT: then each gets some of the clients.
nobody_listens() {
  local end=$((SECONDS + 3))
  while [ $SECONDS -lt $end ]; do
    [ -n "$(listens_at)" ] || return 0
    sleep 0.05
  done
  echo 'somebody still listens at the port'
  return 1
}
start_another() {
  local i other
  rm -f "$LOG.again"
  "$PROGRAM" "$port" >"$LOG.again" 2>&1 &
  other=$!
  for ((i = 0; i < 400; i++)); do
    [ -s "$LOG.again" ] && break
    sleep 0.01
  done
  kill -KILL $other 2>/dev/null
  wait $other 2>/dev/null || true
  grep -q '^listening' "$LOG.again" || cat "$LOG.again" >&2
  grep -q '^listening' "$LOG.again"
}
export -f kill_parent nobody_listens listens_at start_another

@test "when the parent is killed, the port is free" {
  local signal
  for signal in KILL TERM; do
    start "$STEP"
    talk A open 1 echo 1 run "kill_parent $signal" echo 5 run nobody_listens run start_another echo 5 shut eof
    ended
  done
}

@test "fork() fails now and then, and the next client is served" {
  # shellcheck disable=SC2046,SC2086 # words
  ${CC:-cc} $CFLAGS -include "$BATS_TEST_DIRNAME/fork-fails.h" -o "$BATS_TEST_TMPDIR/fails" "$WORK/server.c"
  complaints_allowed=1
  launch "$BATS_TEST_TMPDIR/fails" 0
  listening
  talk A open 1 end any B open 1 echo 1000 C open 1 end any D open 1 echo 10 shut eof B echo 1 shut eof
}

@test "each client has its lines in the log" {
  start "$STEP"
  talk A open 1 echo 10 B open 1 echo 2000 C open 1 D open 1 echo 300 A shut eof D reset C shut eof B shut eof
  wait_until log_has 4 ' bytes echoed' >/dev/null || true
  is "$(sed 's/^client [0-9][0-9]\{0,1\} /client N /' "$LOG" | sed 1d | sort | paste -s -d / -)" \
    "$(printf 'client N %s bytes echoed\n' 'closed, 0' 'closed, 10' 'closed, 2000' 'reset, 300' |
      cat - <(yes 'client N connected' | head -n 4) | sort | paste -s -d / -)" \
    'clients of 0, 10 and 2000 bytes leave, one of 300 is reset; the lines, sorted'
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "it sleeps while nobody wants anything" { sleeps_at_rest; }
