#!/usr/bin/env bats
# The behaviour matrix, a test for each of its cells. `make matrix` prints the
# table from what these tests said; a test's name is its row, step and value.
# A "no" is a test too: it shows the flaw.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see lib/server.bash
load ../lib/checks

# ---- many clients that each send, half-close and read to EOF ---------------

get_their_bytes() {
  STEP=$1
  check_many_at_once "$(backlog_of_clients)"
}

@test "matrix: many clients that each send, half-close and read to EOF get exactly their bytes: step1: yes" { get_their_bytes 1; }
@test "matrix: many clients that each send, half-close and read to EOF get exactly their bytes: step2: yes" { get_their_bytes 2; }
@test "matrix: many clients that each send, half-close and read to EOF get exactly their bytes: step3: yes" { get_their_bytes 3; }
@test "matrix: many clients that each send, half-close and read to EOF get exactly their bytes: step4: yes" { get_their_bytes 4; }
@test "matrix: many clients that each send, half-close and read to EOF get exactly their bytes: step5: yes" { get_their_bytes 5; }

# ---- survives clients that reset -------------------------------------------

# In the backlog, before and after sending; while idle; in the middle of a
# transfer; after having sent all; with an answer unread.
survives_resets() {
  start "$1"
  talk run halt A open 5 B open 5 put 100 C open 5 put 100 shut A reset \
    B reset C reset run go_on D open 1 reset E open 1 echo 10 reset \
    F open 1 pour 200000 reset G open 1 put 1000 pause 10 reset \
    H open 1 run halt pour 100000 shut run go_on reset \
    I open 1 echo 10000 shut eof
  log_will_have 1 ' closed, 10000 bytes echoed'
}

@test "matrix: survives clients that reset, at any moment: step1: yes" { survives_resets 1; }
@test "matrix: survives clients that reset, at any moment: step2: yes" { survives_resets 2; }
@test "matrix: survives clients that reset, at any moment: step3: yes" { survives_resets 3; }
@test "matrix: survives clients that reset, at any moment: step4: yes" { survives_resets 4; }
@test "matrix: survives clients that reset, at any moment: step5: yes" { survives_resets 5; }

# ---- an idle client --------------------------------------------------------

# B is accepted only after A has left.
idle_holds_up() {
  start "$1"
  talk A open 1 echo 1 B open 1 put 5 quiet 200 A shut eof B rest shut eof
  log_is 'client A connected' 'client A closed, 1 bytes echoed' \
    'client B connected' 'client B closed, 5 bytes echoed'
}

idle_is_harmless() {
  start "$1"
  talk A open 1 B open 20 echo 1000 C open 1 echo 1 B shut eof A echo 1 shut eof
}

@test "matrix: an idle client does not hold up the others: step1: no" { idle_holds_up 1; }
@test "matrix: an idle client does not hold up the others: step2: yes" { idle_is_harmless 2; }
@test "matrix: an idle client does not hold up the others: step3: yes" { idle_is_harmless 3; }
@test "matrix: an idle client does not hold up the others: step4: yes" { idle_is_harmless 4; }
@test "matrix: an idle client does not hold up the others: step5: yes" { idle_is_harmless 5; }

# ---- more than FD_SETSIZE clients ------------------------------------------

# All are there at once, and all are served, in any order.
serves_more_than_a_set() {
  local size
  size=$("$ROOT/build/talk" limits)
  need_descriptors $((size + 300))
  start "$1"
  talk A open $((size + 200)) echo 100 echo 1000 shut eof
  log_will_have $((size + 200)) ' closed, 1100 bytes echoed'
}

# The second client is one too many already.
serves_one() {
  start "$1"
  talk A open 1 echo 1 B open 1 put 1 quiet 100 A shut eof B rest shut eof
  log_is 'client A connected' 'client A closed, 1 bytes echoed' \
    'client B connected' 'client B closed, 1 bytes echoed'
}

# Those beyond are closed without an answer, the others are served.
refuses_beyond_a_set() {
  local size
  complaints_allowed=1
  size=$("$ROOT/build/talk" limits)
  need_descriptors $((size + 300))
  start "$1"
  talk A open $((size - 20)) B open 20 C open 10 eof A echo 100
  grep -q "^client $size refused, 0 bytes echoed\$" "$LOG"
}

@test "matrix: serves more than FD_SETSIZE clients at once: step1: no" { serves_one 1; }
@test "matrix: serves more than FD_SETSIZE clients at once: step2: no" { refuses_beyond_a_set 2; }
@test "matrix: serves more than FD_SETSIZE clients at once: step3: yes" { serves_more_than_a_set 3; }
@test "matrix: serves more than FD_SETSIZE clients at once: step4: yes" { serves_more_than_a_set 4; }
@test "matrix: serves more than FD_SETSIZE clients at once: step5: yes" { serves_more_than_a_set 5; }

# ---- a client that does not read -------------------------------------------

# B is there first, C comes last. Neither is served before B has left.
deaf_holds_up() {
  start "$1"
  talk buffer 4096 A open 1 echo 1 B open 1 fill A put 5 C open 1 put 7 \
    C quiet 200 A quiet 0 B reset A rest C rest shut eof A shut eof
  in_order '^client B reset,' '^client C connected'
}

# Step 1 does not even accept B.
deaf_holds_up_the_next() {
  start "$1"
  talk buffer 4096 A open 1 fill B open 1 put 5 quiet 200 A reset B rest \
    shut eof
  in_order '^client A reset,' '^client B connected'
}

deaf_is_harmless() {
  start "$1"
  talk buffer 4096 B open 1 echo 1 A open 2 fill B echo 5 C open 20 \
    echo 10000 shut eof B echo 200000 shut eof A rest shut eof
}

@test "matrix: a client that does not read does not hold up the others: step1: no" { deaf_holds_up_the_next 1; }
@test "matrix: a client that does not read does not hold up the others: step2: no" { deaf_holds_up 2; }
@test "matrix: a client that does not read does not hold up the others: step3: no" { deaf_holds_up 3; }
@test "matrix: a client that does not read does not hold up the others: step4: yes" { deaf_is_harmless 4; }
@test "matrix: a client that does not read does not hold up the others: step5: yes" { deaf_is_harmless 5; }

# ---- out of descriptors ----------------------------------------------------

# It serves those that it has, but asks for the next one without pause. Where
# accept() closes the connection instead of leaving it in the backlog (macOS),
# nothing spins.
spins_without_descriptors() {
  [ "$(uname -s)" != Darwin ] || skip 'accept() drops the connection on macOS'
  complaints_allowed=1
  start_with_limit 20 "$1"
  talk A open 5 echo 10 B open 30 run 'wait_for_line accept:' run spins \
    A echo 10 shut eof
}

rests_without_descriptors() {
  [ "$(uname -s)" != Darwin ] || skip 'accept() drops the connection on macOS'
  complaints_allowed=1
  start_with_limit 20 "$1"
  talk A open 5 echo 10 B open 30 run 'wait_for_line accept:' \
    A echo 10 run uses_no_cpu echo 1000 \
    run 'equal "$(grep -c accept: "$ERRORS")" 1' shut eof B put 50 shut rest eof C open 10 echo 10 shut eof
}

@test "matrix: out of descriptors: keeps serving those it has, uses no CPU, recovers: step2: no" { spins_without_descriptors 2; }
@test "matrix: out of descriptors: keeps serving those it has, uses no CPU, recovers: step3: no" { spins_without_descriptors 3; }
@test "matrix: out of descriptors: keeps serving those it has, uses no CPU, recovers: step4: yes" { rests_without_descriptors 4; }
@test "matrix: out of descriptors: keeps serving those it has, uses no CPU, recovers: step5: yes" { rests_without_descriptors 5; }

# ---- the cost of an echo ---------------------------------------------------

# The server's processor time for the same echoes, with 1000 idle clients in
# percent of that without. Sets percent.
measure_echoes() {
  local size echoes=1000
  local -a script
  script=()
  size=$("$ROOT/build/talk" limits)
  [ "$size" -gt 1010 ] || skip "FD_SETSIZE is $size: no room for 1000 clients"
  need_descriptors 1200
  # Both on one processor: to wake one up on another costs several echoes.
  if command -v taskset >/dev/null; then
    taskset -pc 0 "$BASHPID" >/dev/null 2>&1 || true
  fi
  start "$1"
  # Five times each, since something else may be in the way: the least counts.
  # Where the clock of cpu() ticks in hundredths of a second, more echoes.
  [ -r "/proc/$server/schedstat" ] || echoes=20000
  for _ in 1 2 3 4 5; do
    script+=(run cpu ping "$echoes" 1 1000 run cpu)
  done
  # A is the last to come: its bit is behind all others.
  run -0 talk B open 1 ping 500 1 1000 "${script[@]}" close \
    I open 1000 echo 1 A open 1 ping 500 1 1000 "${script[@]}"
  percent=$(echo "$output" | awk '
    { time[NR] = $1 }
    function least(i,   j, d, m) {
      for (j = i; j < i + 10; j += 2) {
        d = time[j + 1] - time[j]
        if (m == 0 || d < m)
          m = d
      }
      return m
    }
    END { print int(100 * least(11) / (least(1) + 1)) }')
  echo "with 1000 idle clients an echo costs $percent percent"
}

cost_grows() {
  measure_echoes "$1"
  [ "$percent" -gt 500 ]
}

cost_stays() {
  measure_echoes "$1"
  [ "$percent" -lt 300 ]
}

@test "matrix: the cost of an echo does not grow with the number of idle clients: step2: no" { cost_grows 2; }
@test "matrix: the cost of an echo does not grow with the number of idle clients: step3: yes" { cost_stays 3; }
@test "matrix: the cost of an echo does not grow with the number of idle clients: step4: yes" { cost_stays 4; }
@test "matrix: the cost of an echo does not grow with the number of idle clients: step5: yes" { cost_stays 5; }

# ---- a silent client -------------------------------------------------------

# There is no argument for a time, and no end.
never_closes_silent() {
  run -2 limited "$ROOT/step$1" 0 100
  start "$1"
  talk A open 1 quiet 250 echo 1 shut eof
}

# B speaks all the time.
closes_silent() {
  local i
  local -a script
  script=()
  for ((i = 0; i < 12; i++)); do
    script+=(B echo 1 pause 100)
  done
  start "$1" 0 1000
  talk A open 5 B open 1 "${script[@]}" A eof lasted 1000 B echo 8 shut eof
  log_will_have 5 ' idle, 0 bytes echoed'
  log_will_have 1 ' closed, 20 bytes echoed'
}

@test "matrix: closes a client that stays silent too long, and no other: step1: no" { never_closes_silent 1; }
@test "matrix: closes a client that stays silent too long, and no other: step2: no" { never_closes_silent 2; }
@test "matrix: closes a client that stays silent too long, and no other: step3: no" { never_closes_silent 3; }
@test "matrix: closes a client that stays silent too long, and no other: step4: no" { never_closes_silent 4; }
@test "matrix: closes a client that stays silent too long, and no other: step5: yes" { closes_silent 5; }

# ---- SIGTERM ---------------------------------------------------------------

# 128 + 15: the signal ended it, and what it had read and not yet sent is lost.
drops_what_it_has_read() {
  all_read_is_sent "$1" TERM any
  equal "$ended_with" 143
  [ "$arrived" -lt "$taken" ] || fail "$arrived of $taken bytes arrived"
}

sends_what_it_has_read() {
  all_read_is_sent "$1" TERM eof
  equal "$ended_with" 0
  equal "$arrived" "$taken"
}

@test "matrix: SIGTERM: all that was read is sent, exit status 0: step1: no" { drops_what_it_has_read 1; }
@test "matrix: SIGTERM: all that was read is sent, exit status 0: step2: no" { drops_what_it_has_read 2; }
@test "matrix: SIGTERM: all that was read is sent, exit status 0: step3: no" { drops_what_it_has_read 3; }
@test "matrix: SIGTERM: all that was read is sent, exit status 0: step4: no" { drops_what_it_has_read 4; }
@test "matrix: SIGTERM: all that was read is sent, exit status 0: step5: yes" { sends_what_it_has_read 5; }
