#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

# For `run` in a script of talk: `begin` takes the time; `stuck_after MS N` waits
# until N clients have been dropped as stuck, and that must not be before MS. (What
# talk's `lasted` would read, would unstick the client.)
begin() { "$ROOT/build/talk" clock >"$LOG.begin"; }
stuck_after() {
  local i
  for ((i = 0; i < 500; i++)); do
    [ "$(grep -c '^client [0-9]* stuck, [0-9]* bytes echoed$' "$LOG")" -ge "$2" ] && break
    kill -0 "$server" || break
    sleep 0.01
  done
  [ "$(grep -c '^client [0-9]* stuck, [0-9]* bytes echoed$' "$LOG")" -eq "$2" ] || {
    echo "$2 'client N stuck, M bytes echoed' expected; the log ends with: $(tail -n 1 "$LOG")"
    return 1
  }
  "$ROOT/build/talk" clock | awk -v begin="$(cat "$LOG.begin")" -v least="$1" '
    { ms = ($1 - begin) * 1000 }
    ms < least { printf "stuck %d ms after it took bytes, and not %d\n", ms, least; exit 1 }'
}
export -f begin stuck_after

@test "it compiles without a warning" { compiles_without_warning; }

@test "a client that takes nothing is dropped as stuck, and not before its time" {
  start "$STEP" 0 3600000 900
  talk buffer 65536 A open 1 fill pause 300 run begin get 300000 run 'stuck_after 900 1' \
    B open 1 echo 5 shut eof
}

@test "a steady slow reader stays" {
  start "$STEP" 0 3600000 1000
  talk buffer 4096 A open 1 fill get 20000 pause 500 get 20000 pause 500 get 20000 pause 500 \
    get 20000 rest echo 10 shut eof
}

@test "who takes nothing is dropped in its time, though another takes some" {
  variant one '' -include "$BATS_TEST_DIRNAME/one-takes.h" || return 1
  start "$STEP" 0 3600000 900
  talk A open 1 put 60000 get 1000 B open 1 put 5 run 'for i in {1..200}; do
      grep -q " stuck, " "$LOG" && exit; sleep 0.01; done; echo "who takes nothing is not stuck after 2 seconds"; exit 1' A get 2000
}

@test "who takes some bytes now and then stays, and is not stuck when it has all" {
  variant slow '' -include "$BATS_TEST_DIRNAME/slow-send.h" || return 1
  start "$STEP" 0 3600000 900
  talk A open 1 echo 4500 pause 1100 echo 1 shut eof
}

@test "who gets stuck later is dropped later, however long it was there" {
  start "$STEP" 0 3600000 900
  talk buffer 4096 B open 2 A open 1 fill run 'begin; stuck_after 0 1' C open 1 echo 1 run begin B fill \
    run 'stuck_after 900 3' C echo 1 shut eof
}

# A timer for each message would be 90 of them; and some systems go on with the old
# time of one that runs (traps of chapter 5).
@test "it is dropped however busy the others are, and their messages start no timer" {
  local adds
  start_traced 0 3600000 900
  talk buffer 4096 A open 1 fill B open 2 every 40 9 1800 run '[ "$(grep -c " stuck, " "$LOG")" -eq 1 ] ||
      { echo "nobody is stuck after 1.8 seconds"; exit 1; }' echo 1 shut eof
  adds=$(grep -c '^-> timer [0-9]*: add' "$ERRORS" || true)
  [ "$adds" -lt 30 ] || told 'two clients send something 45 times, a third is stuck' 'a few timers are started' "$adds" || return
  awk '/-> timer [0-9]+: add/ { if (runs[$3]) exit 1; runs[$3] = 1 }
    /timer [0-9]+: (delete|expired)/ { runs[$3] = 0 }' "$ERRORS" ||
    told 'a client takes nothing, and the timer runs for an hour' 'EV_DELETE, then EV_ADD' 'EV_ADD of a timer that runs'
}

@test "halted beyond the time, who makes room gets all its bytes" {
  start "$STEP" 0 3600000 1000
  talk buffer 4096 A open 4 fill run halt pause 1100 drain 300 run go_on rest echo 10 shut eof
}

@test "halted beyond the time, who leaves is not touched again, memory checked" {
  start_sanitized 0 3600000 1000
  talk buffer 4096 A open 5 fill B open 2 fill run halt pause 1100 A reset B drain 300 C open 3 put 10 \
    run go_on C rest B rest echo 10 C shut eof B shut eof
  wait_until log_has 10 ' bytes echoed' >/dev/null
  is_sane
  is "$(grep -c ' bytes echoed' "$LOG")" 10 'ten clients came and left, each once; lines of those that left'
}

@test "an idle time that is shorter is what counts" {
  start "$STEP" 0 700 5000
  talk buffer 4096 A open 1 fill B open 1 echo 3 run 'for i in {1..300}; do
      [ "$(grep -c " idle, " "$LOG")" -eq 2 ] && exit; sleep 0.01; done; tail -n 2 "$LOG"; exit 1'
}

@test "with two numbers it is ten seconds, and what is no number is refused" {
  local n
  for n in 0 -1 x 1x 99999999999 ''; do
    ended_with=0
    limited "$PROGRAM" 0 1000 "$n" >/dev/null 2>"$LOG.usage" || ended_with=$?
    is "$ended_with" 2 "step5 0 1000 '$n'; the exit status" || return
  done
  start "$STEP" 0 3600000
  talk buffer 4096 A open 1 fill stay 1200 echo 1 shut rest eof
}

@test "the stop waits for the output of all" {
  local sent waiting arrived
  start "$STEP" 0 3600000 60000
  run -0 talk buffer 4096 A open 1 fill count run unread run 'kill -TERM $server' end eof count
  ended
  is "$ended_with" 0 'SIGTERM while output is pending; the exit status'
  sent=$(echo "$output" | awk 'NR == 1 { print $2 }')
  waiting=$(echo "$output" | awk 'NR == 2 { print $1 }')
  arrived=$(echo "$output" | awk 'NR == 3 { print $3 }')
  is "$arrived" $((sent - waiting)) 'SIGTERM while output is pending; bytes that came'
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "no memory is touched that is not its own" { is_sane_in_a_crowd; }

@test "the stop does not wait for who takes nothing" {
  variant quick '' -include "$BATS_TEST_DIRNAME/quick-stop.h" || return 1
  start "$STEP" 0 3600000 60000
  talk buffer 4096 A open 1 fill run settles run 'kill -TERM $server; for i in {1..300}; do
      grep -q " cut off, " "$LOG" && exit; sleep 0.01; done; echo "nobody is cut off 3 seconds after SIGTERM"; exit 1'
  ended
  is "$ended_with" 0 'SIGTERM, and a client takes nothing; the exit status'
}
