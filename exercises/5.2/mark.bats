#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

# Has the timer fired oftener than it has closed somebody?
in_vain() {
  local fires closes i
  start_traced 0 200
  for ((i = 0; i < 10; i++)); do talk A open 1 end eof || return 1; done
  fires=$(grep -c '^<- timer 1: expired' "$ERRORS")
  closes=$(grep -c ' idle, ' "$LOG")
  kill -KILL "$server"
  ended
  answer=$([ "$fires" -gt "$closes" ] && echo yes || echo no)
}

measure() {
  local answer=no
  # A busy machine may wake it late ten times: then it is asked again.
  for _ in 1 2 3; do
    [ $answer = yes ] || in_vain || return 1
  done
  echo "in vain: $answer"
  # The server as it is.
  cp "$ROOT"/05-*/server.c "$WORK/server.c"
  compiled up trace || return 1
  TRACED=$WORK/up/step5
  in_vain || return 1
  echo "rounded up: $answer"
}
setup_file() { measured; }

how='the change, the trace with 9999 200, ten times nc, and compare the lines "expired" with those that say idle'

@test "whether the timer fires in vain" { predicted 'in vain' "$how"; }
@test "whether it does when it is rounded up" { predicted 'rounded up' "$how"; }
