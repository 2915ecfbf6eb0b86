#!/usr/bin/env bats
# The arguments of the servers. Those of step 5 are [port [idle-ms]].

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see lib/server.bash
load ../lib/server

# refused STEP ARGUMENT...: the usage on stderr, nothing else, status 2.
refused() {
  local step=$1 usage='[port]'
  shift
  [ "$step" -lt 5 ] || usage='[port [idle-ms]]'
  run -2 --separate-stderr limited "$ROOT/step$step" "$@"
  equal "$output" ''
  equal "$stderr" "usage: $ROOT/step$step $usage"
}

check_bad_ports() {
  local port
  for port in '' x 12x x12 -1 +1 ' 1' '1 ' 1.5 0x10 65536 99999 \
    4294967296 18446744073709551616 99999999999999999999999 --help; do
    refused "$1" "$port"
  done
}

check_too_many() {
  refused "$1" 0 1000 1
  [ "$1" -eq 5 ] || refused "$1" 0 1000
}

# takes STEP PORT [ARGUMENT]: it listens there, or somebody else does just now.
takes() {
  launch "$ROOT/step$1" ${3:+"$3"}
  wait_until started
  if grep -q . "$LOG"; then
    equal "$(cat "$LOG")" "listening on 127.0.0.1:$2"
    kill -KILL "$server"
    ended
    return
  fi
  ended
  equal "$ended_with" 1
  grep -q "^step$1: bind 127.0.0.1:$2: Address " "$ERRORS"
  rm "$ERRORS"
}

check_default_port() { takes "$1" 9999; }

# The largest there is, and the largest and smallest first digit.
@test "every step: ports to the last one" {
  local step port
  for step in 1 2 3 4 5; do
    for port in 65535 9998 10007; do takes $step $port $port; done
  done
}

check_free_ports() {
  start "$1"
  [ "$port" -gt 0 ]
  run -1 limited "$ROOT/step$1" "$port"
  kill -KILL "$server"
  ended
  # With zeros in front it is still the same number.
  start "$1" "000$port"
}

@test "step 1: bad ports" { check_bad_ports 1; }
@test "step 2: bad ports" { check_bad_ports 2; }
@test "step 3: bad ports" { check_bad_ports 3; }
@test "step 4: bad ports" { check_bad_ports 4; }
@test "step 5: bad ports" { check_bad_ports 5; }

@test "step 1: too many arguments" { check_too_many 1; }
@test "step 2: too many arguments" { check_too_many 2; }
@test "step 3: too many arguments" { check_too_many 3; }
@test "step 4: too many arguments" { check_too_many 4; }
@test "step 5: too many arguments" { check_too_many 5; }

@test "step 1: the default port is 9999" { check_default_port 1; }
@test "step 2: the default port is 9999" { check_default_port 2; }
@test "step 3: the default port is 9999" { check_default_port 3; }
@test "step 4: the default port is 9999" { check_default_port 4; }
@test "step 5: the default port is 9999" { check_default_port 5; }

@test "step 1: port 0 takes a free one, a number that one" { check_free_ports 1; }
@test "step 2: port 0 takes a free one, a number that one" { check_free_ports 2; }
@test "step 3: port 0 takes a free one, a number that one" { check_free_ports 3; }
@test "step 4: port 0 takes a free one, a number that one" { check_free_ports 4; }
@test "step 5: port 0 takes a free one, a number that one" { check_free_ports 5; }

@test "step 5: bad idle times" {
  local time
  for time in '' x 0 -1 +5 5x ' 5' 1.5 2147483648 99999999999999999999; do
    refused 5 0 "$time"
  done
  refused 5 x 1000
}

@test "step 5: good idle times" {
  local time
  for time in 1 2147483647; do
    start 5 0 $time
    kill -TERM "$server"
    ended
    equal "$ended_with" 0
  done
}
