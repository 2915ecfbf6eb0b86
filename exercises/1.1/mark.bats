#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

# All 12 bytes and the end wait before the server looks.
measure() {
  local returned
  start_traced
  talk run halt A open 1 put 12 shut run go_on rest eof
  wait_until grep -q '^close(' "$ERRORS"
  returned=$(sed -n 's/^recv(.* = \([0-9]*\).*/\1/p' "$ERRORS")
  echo "recv: $(echo "$returned" | wc -l)"
  echo "returns: $(echo "$returned" | paste -s -d ' ' -)"
}
setup_file() { measured; }

how='a buffer of 4 bytes, build/step1-trace, and printf 123456789012 | nc -N 127.0.0.1 9999'

@test "how many times recv() returns" { predicted recv "$how"; }

@test "what each of the calls returns" { predicted returns "$how"; }
