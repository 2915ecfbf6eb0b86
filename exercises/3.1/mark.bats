#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

# The end waits behind the bytes before the server looks.
measure() {
  local events
  start_traced
  talk run halt A open 1 put 12 shut run go_on rest eof
  wait_until grep -q '^close(' "$ERRORS"
  # The first READ of the client's own descriptor is the receipt.
  events=$(sed -n '/^<- fd 5 READ: done/d; s/^<- fd 5 READ: //p' "$ERRORS")
  echo "events: $(echo "$events" | wc -l)"
  echo "data: $(echo "$events" | sed 's/^EOF.*/0/; s/ .*//' | paste -s -d ' ' -)"
  echo "eof: $(echo "$events" | grep -c EOF)"
  echo "recv: $(sed -n 's/^recv(5) = \([0-9]*\).*/\1/p' "$ERRORS" | paste -s -d ' ' -)"
}
setup_file() { measured; }

how='a buffer of 8 bytes, the trace, kill -STOP, printf 123456789012 | nc -N 127.0.0.1 9999, kill -CONT'

@test "how many events come" { predicted events "$how"; }
@test "what data is in each" { predicted data "$how"; }
@test "how often EV_EOF is set" { predicted eof "$how"; }
@test "what recv() returns" { predicted recv "$how"; }
