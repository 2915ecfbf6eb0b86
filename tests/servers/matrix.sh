#!/bin/sh
# Prints the behaviour matrix as a Markdown table, from the results of the
# tests of its cells (matrix.bats). A cell stands there only if its test
# passed, else FAILED, or skipped, and then the exit status is 1.
set -u
cd "$(dirname "$0")/../.." || exit 1

# Without bats, tests/run.sh says how to get it.
command -v bats >/dev/null 2>&1 || exec sh tests/run.sh

mkdir -p build
bats --tap tests/servers/matrix.bats >build/matrix.tap 2>&1
awk '
  /^(not )?ok [0-9]+ matrix: / {
    failed = /^not/
    skipped = / # skip/
    sub(/ # skip.*/, "")
    sub(/^(not )?ok [0-9]+ matrix: /, "")
    # What is left: "ROW: stepN: VALUE".
    value = $0
    sub(/.*: /, "", value)
    sub(/: [a-z]+$/, "")
    step = substr($0, length($0))
    sub(/: step[1-5]$/, "")
    if (!($0 in seen)) {
      seen[$0] = 1
      row[++rows] = $0
    }
    cell[$0, step] = failed ? "FAILED" : skipped ? "skipped" : value
    if (failed || skipped)
      bad = 1
  }
  # 1..N, the plan, comes first.
  /^1\.\.[0-9]+$/ { missing = substr($0, 4) }
  END {
    print "| behaviour | 1 | 2 | 3 | 4 | 5 |"
    print "|---|---|---|---|---|---|"
    for (i = 1; i <= rows; i++) {
      line = "| " row[i]
      for (step = 1; step <= 5; step++) {
        if ((row[i], step) in cell) {
          line = line " | " cell[row[i], step]
          missing--
        } else {
          line = line " | -"
        }
      }
      print line " |"
    }
    if (rows == 0 || missing != 0) {
      print "not all tests have run: see build/matrix.tap"
      bad = 1
    }
    exit bad
  }
' build/matrix.tap
status=$?
[ $status -eq 0 ] || grep -e '^not ok' -e '^#' -e '# skip' build/matrix.tap >&2
exit $status
