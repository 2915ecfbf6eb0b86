#!/bin/sh
# Compares the functions of two neighbouring steps.
#
#     sh tests/repo/compare-functions.sh 02-select/server.c 03-kqueue-basic/server.c
#
# prints `changed NAME` for each function that both files have, but not
# identical to the byte, its comment included, and `moved NAME` for the first
# that stands in another order.
set -u
[ $# -eq 2 ] || exit 2

awk '
  # A function: its comment, which ends on the line above, to "}" in column 1.
  function finish() {
    text[FILENAME, name] = body
    order[FILENAME, ++count[FILENAME]] = name
    name = body = ""
  }
  FNR == 1 { name = body = comment = "" }
  name != "" {
    body = body "\n" $0
    if (/^}/)
      finish()
    next
  }
  /^\/\*/ { comment = ""; inside = 1 }
  inside {
    comment = comment $0 "\n"
    if (/\*\/$/)
      inside = 0
    next
  }
  /^[a-z].*[a-z_0-9]\(/ && !/;$/ {
    name = $0
    sub(/\(.*/, "", name)
    sub(/.*[^a-z_0-9]/, "", name)
    body = comment $0
    next
  }
  { comment = "" }
  END {
    old = ARGV[1]
    new = ARGV[2]
    if (count[old] == 0 || count[new] == 0)
      exit 1
    for (i = 1; i <= count[new]; i++) {
      f = order[new, i]
      if ((old, f) in text && text[old, f] != text[new, f])
        print "changed " f
    }
    # Those in both, in the order of each.
    for (i = j = 0; ; ) {
      do i++
      while (i <= count[old] && !((new, order[old, i]) in text))
      do j++
      while (j <= count[new] && !((old, order[new, j]) in text))
      if (i > count[old] || j > count[new])
        break
      if (order[old, i] != order[new, j]) {
        print "moved " order[new, j]
        break
      }
    }
  }
' "$1" "$2"
