#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

# What the calls of this name returned since the last time, in order.
returned() { # NAME
  sed -n "s/^$1(.* = \\([0-9]*\\).*/\\1/p" "$ERRORS" | paste -s -d ' ' -
}

measure() {
  # All 12 bytes and the end wait before the server looks.
  start_traced
  talk run halt A open 1 put 12 shut run go_on rest eof run 'wait_for_line "^close("' || return 1
  echo "recv: $(returned recv | wc -w | tr -d ' ')"
  echo "returns: $(returned recv)"
  echo "sends: $(returned send | wc -w | tr -d ' ')"
  end_clean
  start_traced
  talk A open 1 echo 3 echo 6 shut eof run 'wait_for_line "^close("' || return 1
  echo "pieces: $(returned recv)"
  echo "echoed: $(sed -n 's/.* closed, \([0-9]*\) bytes.*/\1/p' "$LOG")"
}
setup_file() { measured; }

how='a buffer of 4 bytes, traced, and build/talk PORT A open 1 put 12 shut rest eof'
other='the same server, and build/talk PORT A open 1 echo 3 echo 6 shut eof'

@test "how many times recv() returns" { predicted recv "$how"; }
@test "what each of the calls returns" { predicted returns "$how"; }
@test "how often send() is called" { predicted sends "$how"; }
@test "what recv() returns for the client that waits" { predicted pieces "$other"; }
@test "how many bytes the log tells" { predicted echoed "$other"; }
