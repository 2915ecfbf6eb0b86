#!/bin/sh
# Draws the pictures of the text from what lies beside them: in the folder of a
# step each NAME.txt, by awk. Edit a text, run this, and commit both.
#
#     sh tools/draw.sh           draws them there
#     sh tools/draw.sh FOLDER    draws all of them here
#     sh tools/draw.sh -r        records 01-blocking/waiting.txt anew, from a real
#                                run, and draws; needs ./step1, build/talk and a
#                                bash that knows EPOCHREALTIME (5 and later)
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)

# Client A is served and stays; B connects, sends at once, and waits for A.
record() {
  work=$(mktemp -d)
  server=
  trap 'kill $server 2>/dev/null || true; rm -rf "$work"' EXIT
  mkfifo "$work/log"
  # Each line of the server's log with the time at which it came.
  bash -c 'while IFS= read -r line; do echo "$EPOCHREALTIME $line"; done' \
    <"$work/log" >"$work/times" &
  "$root/step1" 0 >"$work/log" &
  server=$!
  port=
  until [ -n "$port" ]; do
    port=$(sed -n 's/.* listening on .*:\([0-9]*\)$/\1/p' "$work/times")
  done
  # shellcheck disable=SC2016 # for the bash that talk runs
  at='echo "$EPOCHREALTIME"'
  "$root/build/talk" "$port" \
    run "$at A connects" A open 1 run "$at A sends" send hello expect hello \
    run "$at A echo" pause 250 \
    run "$at B connects" B open 1 run "$at B sends" send hello quiet 500 \
    run "$at A leaves" A shut eof B expect hello run "$at B echo" \
    pause 150 run "$at B leaves" B shut eof >"$work/clients"
  until [ "$(grep -c closed "$work/times")" -eq 2 ]; do sleep 0.1; done
  {
    echo '# A run of step 1 with two clients: milliseconds, who, what.'
    awk '
      / connected$/ { print $1, "server accepts", ++n == 1 ? "A" : "B"; next }
      / closed, /   { print $1, "server closes", ++m == 1 ? "A" : "B"; next }
      / listening / { next }
      { print }
    ' "$work/times" "$work/clients" | sort -n | awk '
      # The seconds since 1970 leave too few digits for the rest.
      { split($1, part, ".") }
      NR == 1 { first = part[1]; micro = part[2] }
      {
        ms = (part[1] - first) * 1000 + (part[2] - micro) / 1000
        $1 = ""
        printf "%7.1f%s\n", ms, $0
      }'
  } >"$root/01-blocking/waiting.txt"
}

if [ "${1-}" = -r ]; then
  record
  shift
fi
# The record of a run becomes a timeline, the others are texts for draw.awk.
for text in "$root"/0[1-5]-*/*.txt; do
  picture=${text%.txt}.svg
  [ $# -eq 0 ] || picture=$1/${picture##*/}
  case $text in
    */waiting.txt) awk -f "$root/tools/timeline.awk" "$text" ;;
    *) cat "$text" ;;
  esac | awk -f "$root/tools/draw.awk" >"$picture"
done
