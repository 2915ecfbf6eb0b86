# The behaviour matrix in the text is the one of the tests.
#
#     awk -f tests/text/matrix.awk tests/servers/matrix.bats TUTORIAL.md
#
# The name of each test in matrix.bats has row, step and value of a cell, and the
# test proves it. Here only the table is compared with the names, so that it need
# not be measured twice. Prints what is wrong, with where; the exit status is
# then 1.

function wrong(message) {
  print message
  bad = 1
}

FILENAME ~ /\.bats$/ {
  if ($0 !~ /^@test "matrix: .*: step[1-5]: [a-z]+"/)
    next
  sub(/^@test "matrix: /, "")
  sub(/" \{.*/, "")
  value = $0
  sub(/.*: /, "", value)
  sub(/: [a-z]+$/, "")
  step = substr($0, length($0))
  sub(/: step[1-5]$/, "")
  if (!($0 in known)) {
    known[$0] = 1
    row[++rows] = $0
  }
  cell[$0, step] = value
  next
}
/^<!-- matrix -->$/ {
  between = 1
  at = FNR
  next
}
/^<!-- \/matrix -->$/ { between = 0 }
between { line[++n] = $0 }

END {
  want[++wanted] = "| behaviour | 1 | 2 | 3 | 4 | 5 |"
  want[++wanted] = "|---|---|---|---|---|---|"
  for (i = 1; i <= rows; i++) {
    text = "| " row[i]
    for (step = 1; step <= 5; step++)
      text = text " | " ((row[i], step) in cell ? cell[row[i], step] : "-")
    want[++wanted] = text " |"
  }
  if (!at)
    wrong(FILENAME ": no <!-- matrix --> and <!-- /matrix --> around a table")
  if (!rows)
    wrong("no cells in tests/servers/matrix.bats")
  for (i = 1; at && (i <= wanted || i <= n); i++)
    if (line[i] != want[i]) {
      wrong(FILENAME ":" (at + i) ": the tests of the matrix say:\n- " \
            (i <= n ? line[i] : "(nothing)") "\n+ " \
            (i <= wanted ? want[i] : "(nothing)"))
      if (n != wanted) # rows are missing: not one message for each
        break
    }
  exit bad
}
