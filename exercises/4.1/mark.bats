#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

# One that has work, on a busy machine, runs for a while; one that spins for ever.
look() { # KEY
  if sleeps '' >/dev/null || sleeps '' >/dev/null || sleeps '' >/dev/null; then
    echo "$1: sleeps"
  else
    echo "$1: spins"
  fi
}
# The trace does, by so many bytes, although no client does anything.
grows_by() {
  local i from
  from=$(wc -c <"$ERRORS")
  for ((i = 0; i < 500; i++)); do
    [ $(($(wc -c <"$ERRORS") - from)) -lt "$1" ] || return 0
    sleep 0.01
  done
}
export -f look grows_by

measure() {
  start "$STEP"
  talk buffer 4096 A open 1 fill run 'look full' rest run 'look "all read"' \
    fill run 'look "full again"'
  end_clean
  start_traced
  talk buffer 4096 A open 1 fill rest run 'grows_by 4000; halt'
  # The last line may be half a line.
  sed '$d' "$ERRORS" | tail -n 20 | grep -v receipt | sed -n 's/^<- fd [0-9]* \([A-Z]*\): .*/filter: \1/p' | tail -n 1
  sed '$d' "$ERRORS" | tail -n 20 | sed -n 's/^send(.* = \([-0-9]*\).*/send: \1/p' | tail -n 1
  end_clean
  start "$STEP"
  if talk A open 1 fill rest B open 1 echo 1 shut eof >/dev/null; then
    echo 'others: yes'
  else
    echo 'others: no'
  fi
}
setup_file() { measured; }

how='build/talk PORT A open 1 fill rest pause 10000; look at it with top, and with the trace'

@test "whether it sleeps while A's buffers are full" {
  predicted full "$how, without rest"
  predicted 'full again' "$how, fill behind rest"
}

@test "whether it sleeps when A has read all" { predicted 'all read' "$how"; }

@test "the filter of the events" { predicted filter "$how"; }

@test "what send() returns" { predicted send "$how"; }

@test "whether the server answers others" { predicted others "$how, and nc beside it"; }
