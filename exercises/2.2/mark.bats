#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

# The number of the N-th client that connected, and of the listener.
number() { sed -n 's/^client \([0-9]*\) connected$/\1/p' "$LOG" | sed -n "$1p"; }
listener() { sed -n 's/^accept(\([0-9]*\)).*/\1/p;' "$ERRORS" | head -n 1; }

# How often the N-th has got a byte back.
answers() { grep -c "^send($(number "$1"), 1 byte) = 1" "$ERRORS" || true; }
connects() { # N
  local i
  for ((i = 0; i < 800; i++)); do
    [ -z "$(number "$1")" ] || return 0
    sleep 0.01
  done
  return 1
}
# The set that the sleeping server has handed over, as letters.
asks() {
  settles
  tail -n 1 "$ERRORS" | sed -n 's/^select(read \([0-9 ]*\)) = $/\1/p' | tr ' ' '\n' |
    sed "s/^$(listener)\$/L/; s/^$(number 1)\$/A/; s/^$(number 2)\$/B/; s/^$(number 3)\$/C/" | paste -s -d ' ' -
}
export -f number listener answers connects asks

# No end is sent before the last moment, since the end would be an event, too.
measure() {
  local said
  start_traced
  said=$(talk A open 1 run 'connects 1' B open 1 run 'connects 2' C open 1 run 'connects 3; echo "waits: $(asks)"' \
    A put 1 run settles B put 1 run settles C put 1 \
    run 'echo "then: $(asks)"; echo "answered $(answers 1) $(answers 2) $(answers 3)"' \
    C put 1 run 'settles; echo "again $(answers 3)"' \
    D open 1 put 1 run 'settles; echo "fourth $(number 4)"' \
    A close run 'settles; echo "leaves $(grep -c " closed, \\| reset, " "$LOG")"') ||
    { echo "$said"; return 1; }
  echo "$said" | awk '
    $1 == "answered" { who = ($2 ? "A " : "") ($3 ? "B " : "") ($4 ? "C" : "")
      $0 = "answered: " (who == "" ? "nobody" : who) }
    $1 == "again" { $0 = "again: " ($2 > 1 ? "yes" : "no") }
    $1 == "fourth" { $0 = "fourth: " ($2 != "" ? "yes" : "no") }
    $1 == "leaves" { $0 = "leaves: " ($2 > 0 ? "yes" : "no") }
    { print }'
}

# "LC" and "L and C" are L C.
setup_file() {
  awk '/^ *(waits|answered|then):/ && !/obody/ {
      key = $0
      sub(/:.*/, ":", key)
      sub(/^[^:]*:/, "")
      gsub(/ and /, " ")
      gsub(/[^A-Za-z]/, "")
      gsub(/./, " &")
      $0 = key $0
    }
    { print }' "$WORK/form.txt" >"$WORK/letters.txt"
  mv -f "$WORK/letters.txt" "$WORK/form.txt"
  measured
}

how='hand over &master, look at build/step2-trace, three times nc, and type; leave C until the last'

@test "for whom select() waits when all three are there" { predicted waits "$how"; }
@test "who is answered" { predicted answered "$how"; }
@test "for whom select() waits after that" { predicted 'then' "$how"; }
@test "whether C is answered again" { predicted again "$how"; }
@test "whether a fourth is accepted" { predicted fourth "$how"; }
@test "whether the server sees that A leaves" { predicted leaves "$how"; }
