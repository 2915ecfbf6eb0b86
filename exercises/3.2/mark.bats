#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

# What the server has sent back, once it sleeps and nothing moves any more.
echoed() { awk '/^send\(/ { n += $NF } END { print n + 0 }' "$ERRORS"; }
export -f echoed

measure() {
  local said
  start_traced
  said=$(talk A open 1 put 10 run 'settles; echoed' put 1 run 'settles; echoed' \
    shut run 'settles; echoed') ||
    { echo "$said"; return 1; }
  echo "$said" | awk 'BEGIN { split("after ten,after eleven,after the end", name, ",") }
    { print name[NR] ": " $1 }'
}
setup_file() { measured; }

how='the two changes, ./step3 in one terminal, nc in the other; type 123456789 and Enter, Enter, Ctrl-D (nc -N)'

@test "what comes back of ten bytes" { predicted 'after ten' "$how"; }
@test "what one more byte brings" { predicted 'after eleven' "$how"; }
@test "what the end brings" { predicted 'after the end' "$how"; }
