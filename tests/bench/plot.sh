#!/bin/sh
# Draws cost.svg from a summary: the cost of an echo beside idle clients. Needs
# gnuplot. Not part of the build; run it when the figures were renewed.
#
#     sh tests/bench/plot.sh [SUMMARY [SVG]]
set -eu
cd "$(dirname "$0")"
summary=${1:-results/summary.txt}
svg=${2:-cost.svg}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A row for each number of idle clients; NaN where a server was not measured.
awk '
  $1 ~ /^cpu\./ {
    split($1, part, ".")
    cost[part[2], part[3]] = $2
    if (!(part[3] in seen)) {
      seen[part[3]] = 1
      idle[++n] = part[3]
    }
  }
  END {
    count = split("step2 step3 step4 step5 epoll", name, " ")
    for (i = 1; i <= n; i++) {
      row = idle[i]
      for (j = 1; j <= count; j++)
        row = row " " ((name[j], idle[i]) in cost ? cost[name[j], idle[i]] : "NaN")
      print row
    }
  }' "$summary" >"$work/data"
most=$(tail -n 1 "$work/data" | awk '
  { for (i = 3; i <= 5; i++) if ($i > high) high = $i
    print "high = " high "; low = " $6 }')

gnuplot -e "data = '$work/data'; $most" plot.gp >"$work/svg"

# Black becomes the colour of text, which is light where the page is dark, and
# there is no background.
awk '
  { gsub(/rgb\( *0, *0, *0\)|#000000/, "currentColor")
    gsub(/stroke="black"|stroke='\''black'\''/, "stroke=\"currentColor\"")
    gsub(/fill="black"|fill='\''black'\''/, "fill=\"currentColor\"")
    gsub(/ color="(black|white)"/, "")
    gsub(/[ \t]+$/, "") }
  /<title>Gnuplot/ { $0 = "<title>CPU per echo, by idle clients</title>" }
  { print }
  /<svg/ { open = 1 }
  open && />/ {
    print "<style>"
    print "svg { color: #1f2328 }"
    print "@media (prefers-color-scheme: dark) { svg { color: #e6edf3 } }"
    print "</style>"
    open = 0
  }' "$work/svg" >"$svg"
