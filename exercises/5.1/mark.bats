#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

# Who has left, and what came back, is seen by the clients: both are asked.
measure() {
  local said
  start "$STEP" 0 1000
  said=$(talk A open 1 echo 6 B open 1 echo 6 run halt pause 2000 B put 5 run go_on mark rest \
    run 'echo "line yes"' A end eof run 'echo "a $(grep -c "^client 5 idle" "$LOG") b $(grep -c "^client 6 idle" "$LOG")"' \
    B mark end eof lasted 500 within 1900 run 'echo "seconds 1"') || { echo "$said"; return 1; }
  echo "$said" | awk '
    $1 == "line" { print "line: " $2 }
    $1 == "a" { print "a: " ($2 ? "idle" : "stays"); print "b: " ($4 ? "idle" : "stays") }
    $1 == "seconds" { print "seconds: " $2 }'
}
setup_file() { measured; }

how='./step5 9999 1000, two nc, Ctrl-Z, a line in the second nc, two seconds, fg'

@test "what happens to who was silent" { predicted a "$how"; }
@test "what happens to who has typed" { predicted b "$how"; }
@test "whether the line comes back" { predicted line "$how"; }
@test "when the other one goes" { predicted seconds "$how"; }
