#!/usr/bin/env bats
# build/client, and talk too: right with the servers, and they find what is
# wrong with servers that are wrong on purpose (bad-server.c).

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see lib/server.bash
load ../lib/server

client() {
  "$ROOT/build/client" -q -t 20 "$@" "$port"
}

check_server() { # STEP
  start "$1"
  if [ "$1" -gt 1 ]; then
    run -0 client -c 50 -r 10 -b 64 -i 20
    run -0 client -c 1 -r 3 -b 262144
    run -0 client -c 5 -r 3 -b 100000 -s 7
  fi
  run -0 client -c 50 -r 3 -b 1000 -e
  run -0 client -c 2 -r 2 -b 1 -e
}

@test "client: step 1" { check_server 1; }
@test "client: step 2" { check_server 2; }
@test "client: step 3" { check_server 3; }
@test "client: step 4" { check_server 4; }
@test "client: step 5" { check_server 5; }

setup() {
  others=''
  jobs=''
  start_clean
}

teardown() {
  local pid
  for pid in $others; do
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null || true
  done
  end_clean
}

# A server of its own for each client program, since who is whose neighbour
# decides who gets the wrong bytes. The last one is ended by end_clean().
bad_server() { # MODE
  [ -z "$server" ] || others="$others $server"
  launch "$ROOT/build/bad-server" "$1"
  listening
}

# in_background PROGRAM ARGUMENT...
in_background() {
  local number
  number=$(echo "$jobs" | wc -w | tr -d ' ')
  "$@" >"$BATS_TEST_TMPDIR/said$number" 2>&1 3>&- 4>&- &
  jobs="$jobs $!"
}

# Each fault is found, and something is said, in three ways: with round trips,
# with all sent before the first byte is read, and by talk. All at the same
# time, since some are found only when nothing more comes for a second.
check_faults() { # MODE...
  local mode pid status number=0
  for mode; do
    bad_server "$mode"
    in_background "$ROOT/build/client" -q -t 1 -c 2 -r 3 -b 700 "$port"
    bad_server "$mode"
    in_background "$ROOT/build/client" -q -t 1 -c 2 -r 3 -b 700 -e "$port"
    bad_server "$mode"
    in_background "$ROOT/build/talk" -t 1 "$port" A open 2 put 700 rest \
      put 700 rest put 700 shut rest eof
  done
  for pid in $jobs; do
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 1 ] || fail "$mode, way $number: exit status $status"
    [ -s "$BATS_TEST_TMPDIR/said$number" ]
    number=$((number + 1))
  done
}

@test "client: a server without a fault" {
  launch "$ROOT/build/bad-server" right
  listening
  client -c 2 -r 3 -b 700
  client -c 2 -r 3 -b 700 -e
  talk A open 2 put 700 rest put 700 rest put 700 shut rest eof
}

@test "client: a byte is wrong, or one too many" { check_faults flip twice late; }
@test "client: the last byte of what comes together is wrong" { check_faults last; }
@test "client: two clients get each other's bytes" { check_faults swap; }
@test "client: closed too early" { check_faults early; }
@test "client: the server falls silent" { check_faults drop open stall; }
@test "client: no server accepts, or listens" { check_faults deaf absent; }

@test "client: bad arguments" {
  local bad
  for bad in '-c 0' '-c x' '-b 0' '-r -1' '-x' '65536' 'x' '1 2'; do
    # shellcheck disable=SC2086 # an option and its argument
    run -2 --separate-stderr "$ROOT/build/client" $bad
    equal "$output" ''
    [ -n "$stderr" ]
  done
}

@test "talk says where its words are listed" {
  run -2 "$ROOT/build/talk"
  [[ $output == usage:*tools/talk.c* ]]
  equal "$(run -2 "$ROOT/build/talk" -h; echo "$output")" "$output"
  grep -q '^ \*     open N ' "$ROOT/tools/talk.c"
}

# Step 1 serves one client, so the second one waits for ever, and the server sleeps.
@test "talk -r does not wait for a server that sleeps" {
  run -2 env -u SERVER_PID "$ROOT/build/talk" -t 60 -r 300 9999 A open 1
  [ -r /proc/self/schedstat ] || skip 'only Linux tells how often a process has run'
  start 1
  export SERVER_PID=$server
  SECONDS=0
  run -1 "$ROOT/build/talk" -t 60 -r 300 "$port" A open 1 echo 1 B open 1 echo 1
  [ $SECONDS -lt 30 ]
  [[ $output == *'nothing moves (put 1, got 0)' ]]
}

@test "talk -r waits for a server, or a child of it, that could go on" {
  start 1
  export SERVER_PID=$server
  talk_later=(A open 1 echo 1 run 'kill -STOP "$halted"; (sleep 0.5; kill -CONT "$halted") &' echo 5)
  halted=$server "$ROOT/build/talk" -t 20 -r 100 "$port" "${talk_later[@]}"
  end_clean
  complaints_allowed=1 # bash says that its child was ended
  launch bash -c '"$1" 0; exit' - "$(program 1)"
  listening
  export SERVER_PID=$server
  halted=$(pgrep -P "$server") "$ROOT/build/talk" -t 20 -r 100 "$port" "${talk_later[@]}"
  kill "$(pgrep -P "$server")"
  ended
}
