#!/usr/bin/env bats
# Step 5: time, and the end.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see lib/server.bash
load ../lib/checks

# ---- Idle clients ----------------------------------------------------------

# From before the client's last send to when it sees the end: never less.
# In all phases of a second: a clock cut to whole ones would be early in some.
@test "step 5: no client is closed early" {
  local i
  local -a script
  script=(A)
  for ((i = 0; i < 25; i++)); do
    script+=(open 1 pause 45)
  done
  start 5 0 1300
  talk "${script[@]}" eof lasted 1300 B open 1 echo 5 C open 1 pause 20 echo 7 \
    eof lasted 1300 B eof lasted 1300
  log_will_have 27 ' idle, '
}

# traced IDLE-MS: the server with its calls in words on stderr
traced() {
  complaints_allowed=1
  (cd "$ROOT" && unset MAKEFLAGS MFLAGS MAKELEVEL && make -s step5-trace)
  launch "$ROOT/build/step5-trace" 0 "$1"
  listening
}

# It would fire for nothing, and once more a millisecond later.
@test "step 5: the idle timer is rounded up" {
  [ "$(uname -s)" != NetBSD ] || skip 'timers come early before NetBSD 10'
  traced 150
  talk A open 1 eof
  equal "$(grep -c '^-> timer 1: add' "$ERRORS")" 1
}

@test "step 5: the longest silent client leaves first" {
  start 5 0 300
  talk A open 1 B open 1 C open 1 D open 1 C pause 10 echo 1 A pause 10 echo 2 \
    D pause 10 echo 3 D eof A eof B eof C eof
  log_is 'client A connected' 'client B connected' 'client C connected' \
    'client D connected' 'client B idle, 0 bytes echoed' \
    'client C idle, 1 bytes echoed' 'client A idle, 2 bytes echoed' \
    'client D idle, 3 bytes echoed'
}

@test "step 5: the timer goes on, with clients and without" {
  start 5 0 150
  talk A open 1 eof B open 1 pause 100 C open 1 B eof lasted 150 \
    C eof lasted 150 pause 50 run uses_no_cpu D open 1 eof lasted 150
  log_will_have 4 ' idle, 0 bytes echoed'
}

@test "step 5: a client that does not read is idle" {
  start 5 0 500
  talk buffer 4096 A open 1 flood run 'wait_for_line " idle, "'
}

# One turn finds the timer, which closes the clients, and their bytes.
@test "step 5: an event for a client that was just closed" {
  start 5 0 200
  talk A open 30 run halt pause 300 put 5 B open 1 put 10 run go_on \
    B rest shut eof A end any C open 30 echo 10 shut eof
  log_will_have 61 ' connected$'
  log_will_have 30 ' idle, '
  log_will_have 31 ' closed, 10 bytes echoed'
  equal "$(wc -l <"$LOG" | tr -d ' ')" 123
}

# The same with each access to memory checked.
@test "step 5: an event for a client that was just closed, memory checked" {
  local server_asan=$BATS_TEST_TMPDIR/step5
  # shellcheck disable=SC2046 # several words on Linux, none elsewhere
  (cd "$ROOT" && cc -std=gnu99 -g -fsanitize=address -o "$server_asan" \
    05-kqueue-timers/server.c $(sh linux/flags)) >/dev/null 2>&1 ||
    skip 'cc has no -fsanitize=address here'
  launch "$server_asan" 0 200
  listening
  talk A open 30 run halt pause 300 put 5 B open 1 put 10 run go_on \
    B rest shut eof A end any
  kill -TERM "$server"
  ended
  equal "$ended_with" 0
}

# Halted longer than the idle time, with as much to read as the buffers take:
# a client that gets a last try and then its own event is served twice.
@test "step 5: halted beyond the idle time, busy clients lose no byte" {
  start 5 0 2000
  talk buffer 4096 A open 20 echo 1 fill run halt pause 2100 drain 400 run go_on \
    rest shut eof
  run -1 grep -e ' reset, ' -e ' refused, ' "$LOG"
}

clock() {
  "$ROOT/build/talk" clock
}

# More bytes than one batch has events wait behind that of the timer. Nobody may
# be idle before the server is halted: so the idle time is five times what it
# takes to get there, here and now. (Recorded, a server takes ten times as long.)
@test "step 5: a client whose bytes wait for the next batch is not idle" {
  local began idle
  need_descriptors 400
  [ "$(uname -s)" = Linux ] || skip 'a backlog of 128 is too short'
  start 5
  began=$(clock)
  talk A open 350 echo 1 run halt close
  idle=$(awk -v began="$began" -v now="$(clock)" \
    'BEGIN { printf "%d", 5000 * (now - began) }')
  [ "$idle" -ge 2000 ] || idle=2000
  [ "$idle" -le 60000 ] || idle=60000 # talk has a limit too
  kill -KILL "$server"
  ended
  start 5 0 "$idle"
  talk A open 350 echo 1 run halt pause $((idle + 100)) put 1 run go_on rest shut eof
  log_will_have 350 ' closed, 2 bytes'
}

# EVFILT_WRITE may wait until a third of the send buffer is free.
@test "step 5: a client that reads slowly is not idle" {
  start 5 0 1000
  talk buffer 4096 A open 1 fill get 20000 pause 500 get 20000 pause 500 \
    get 20000 pause 500 get 20000 pause 500 get 20000 rest shut eof
  log_will_have 1 ' closed, '
}

@test "step 5: nobody is idle during the stop" {
  start 5 0 2000
  # Silent from the start: the timer that runs at the stop is for this client, and
  # due before the three seconds are over.
  talk A open 1 run 'wait_for_line " connected\$"; kill -TERM $server' eof \
    run 'wait_for_line " cut off, 0 bytes"'
  ended
  equal "$ended_with" 0
}

# A clock that is set must not close anybody.
@test "step 5: the idle time is measured on the monotonic clock" {
  local program=$BATS_TEST_TMPDIR/step5
  cat >"$BATS_TEST_TMPDIR/clock.h" <<'END'
#include <stdio.h>
#include <time.h>
static int watched(clockid_t clock, struct timespec *t)
{
    if (clock != CLOCK_MONOTONIC)
        fprintf(stderr, "not the monotonic clock\n");
    return clock_gettime(clock, t);
}
#define clock_gettime watched
#define time(t) (fprintf(stderr, "time()\n"), (time_t)0)
END
  # shellcheck disable=SC2046 # several words on Linux, none elsewhere
  (cd "$ROOT" && cc -std=gnu99 -include "$BATS_TEST_TMPDIR/clock.h" \
    $(sh linux/flags -c) -c -o "$program.o" 05-kqueue-timers/server.c &&
    cc -o "$program" "$program.o" $(sh linux/flags))
  launch "$program" 0 300
  listening
  talk A open 1 echo 1 eof
}

@test "step 5: 60 seconds are the default" {
  start 5 0
  talk A open 1 quiet 300 echo 10 shut eof
}

@test "step 5: as many are accepted in a turn as wait" {
  traced 60000
  talk A open 1 echo 1 run halt B open 50 put 1 run go_on rest
  equal "$(awk '/^accept\(/ && $3 > 0 { if (++n > most) most = n }
    / connections* waiting/ { n = 0 } END { print most }' "$ERRORS")" 50
}

# ---- The end ---------------------------------------------------------------

check_stop() { # SIGNAL
  start 5
  kill "-$1" "$server"
  ended
  equal "$ended_with" 0
  log_is 'stopping'
}

@test "step 5: SIGINT without clients" { check_stop INT; }
@test "step 5: SIGTERM without clients" { check_stop TERM; }

@test "step 5: SIGINT: an idle client sees EOF" {
  start 5
  talk A open 1 echo 5 run 'kill -INT $server' eof
  ended
  equal "$ended_with" 0
  log_is 'client A connected' 'stopping' 'client A closed, 5 bytes echoed'
}

@test "step 5: SIGINT: output that waits is sent" {
  all_read_is_sent 5 INT eof
  equal "$ended_with" 0
  equal "$arrived" "$taken"
  # The end came when the rest was sent, and not at the deadline.
  log_has 1 " closed, $taken bytes"
}

# close() with bytes unread would send a reset.
@test "step 5: bytes unread at the stop cause no reset" {
  start 5
  talk A open 20 echo 1 run halt pour 70000 \
    run 'kill -TERM $server; go_on' end eof
  ended
  equal "$ended_with" 0
}

@test "step 5: bytes sent after the stop cause no reset" {
  start 5
  talk A open 1 echo 1 run 'kill -TERM $server; wait_for_line stopping' \
    put 100000 eof
  ended
  equal "$ended_with" 0
  log_has 1 ' closed, 1 bytes'
}

@test "step 5: a stopping server accepts nobody" {
  start 5
  talk A open 1 echo 1 run 'kill -TERM $server; wait_for_line stopping' \
    run '! "$ROOT/build/talk" "$port" B open 1' eof
  ended
  equal "$ended_with" 0
}

# Its descriptor is closed, and the number may be another's.
@test "step 5: a stop while out of descriptors asks nothing of the listener" {
  complaints_allowed=1
  (cd "$ROOT" && unset MAKEFLAGS MFLAGS MAKELEVEL && make -s step5-trace)
  launch bash -c 'ulimit -S -n 20 && exec "$1" 0' - "$ROOT/build/step5-trace"
  listening
  talk A open 30 run 'wait_for_line "accept:"' \
    run 'kill -TERM $server; wait_for_line stopping' \
    run 'wait_for_line "<- timer 3: expired"' end any
  ended
  equal "$ended_with" 0
  equal "$(sed -n '/^shutdown(/,$p' "$ERRORS" | grep -c 'READ: enable')" 0
}

# A stays until the server has ended, or that would be an end without hurry.
check_second_signal() { # COMMANDS THAT SEND TWO
  complaints_allowed=1
  start 5
  talk A open 1 echo 1 run "$1; wait_for_line 'at once'" end any
  ended
  equal "$ended_with" 1
  equal "$(cat "$ERRORS")" 'step5: stopped at once'
}

@test "step 5: a second signal ends it at once" {
  check_second_signal \
    'kill -TERM $server; wait_for_line stopping; kill -TERM $server'
}

@test "step 5: a second, other signal ends it at once" {
  check_second_signal \
    'kill -INT $server; wait_for_line stopping; kill -TERM $server'
}

@test "step 5: two signals in one turn end it at once" {
  check_second_signal 'halt; kill -TERM $server; kill -INT $server; go_on'
}

# A never reads, B never closes. No connection is cut before the deadline, but
# for the 10 ms that timers come early before NetBSD 10.
@test "step 5: the deadline of the stop" {
  start 5
  talk buffer 4096 A open 1 fill B open 1 echo 2 A mark \
    run 'kill -TERM $server; wait_for_line "cut off"' end any lasted 2980
  ended
  equal "$ended_with" 0
  log_will_have 2 ' cut off, '
}
