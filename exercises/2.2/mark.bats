#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark


# Who has got a byte back: 4, 5 and 6 are A, B and C.
answers() { grep -c "^send($1, 1 byte) = 1" "$ERRORS" || true; }
export -f answers

measure() {
  local said
  start_traced
  # No end is sent, since the end would be an event, too.
  said=$(talk A open 1 run 'wait_for_line "client 4 connected"' B open 1 run 'wait_for_line "client 5 connected"' \
    C open 1 run 'wait_for_line "client 6 connected"' \
    A put 1 run 'unread >/dev/null' B put 1 run 'unread >/dev/null' C put 1 run 'unread >/dev/null' \
    run 'echo "first $(answers 4) $(answers 5) $(answers 6)"' \
    C put 1 run 'unread >/dev/null; echo "again $(answers 6)"' \
    D open 1 put 1 run 'unread >/dev/null; echo "fourth $(grep -c "client 7 connected" "$LOG")"') ||
    { echo "$said"; return 1; }
  echo "$said" | awk '
    $1 == "first" { who = ($2 ? "A " : "") ($3 ? "B " : "") ($4 ? "C" : "")
      print "answered: " (who == "" ? "nobody" : who) }
    $1 == "again" { print "again: " ($2 > 1 ? "yes" : "no") }
    $1 == "fourth" { print "fourth: " ($2 ? "yes" : "no") }'
}
setup_file() { measured; }

how='hand over &master, three times nc, and type'

@test "who is answered" { predicted answered "$how"; }
@test "whether C is answered again" { predicted again "$how"; }
@test "whether a fourth is accepted" { predicted fourth "$how"; }
