#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark


# Ten clients; yes if the timer has fired oftener than it has closed somebody.
ten() {
  local i
  for ((i = 0; i < 10; i++)); do
    talk A open 1 echo 1 end eof lasted 200 >/dev/null || return 1
  done
}
in_vain() {
  local fires closes
  fires=$(grep -c '^<- timer 1: expired' "$ERRORS")
  closes=$(grep -c ' idle, ' "$LOG")
  [ "$fires" -gt "$closes" ] && echo yes || echo no
}

measure() {
  start_traced 0 200
  ten && echo 'early: no' || echo 'early: yes'
  echo "in vain: $(in_vain)"
  kill -KILL "$server"
  ended
  # The server as it is.
  (cd "$ROOT" && unset MAKEFLAGS MFLAGS MAKELEVEL && ${MAKE:-make} -s step5-trace) >/dev/null 2>&1
  TRACED=$ROOT/build/step5-trace
  start_traced 0 200
  ten || true
  echo "rounded up: $(in_vain)"
}
setup_file() { measured; }

how='the change, the trace with 9999 200, ten times nc, and compare the lines "expired" with those that say idle'

@test "whether a client is closed early" { predicted early "$how"; }
@test "whether the timer fires in vain" { predicted 'in vain' "$how"; }
@test "whether it does when it is rounded up" { predicted 'rounded up' "$how"; }
