# The figures in the text are those that were measured.
#
#     awk -f tests/text/figures.awk tests/bench/results/summary.txt \
#         TUTORIAL.md README.md
#
# in the root of the tree. `22,846<!-- bench:KEY -->` in the text stands for the
# line `KEY 22846` of the summary. Prints what is wrong, with where; the exit
# status is then 1.

function wrong(message) {
  print message
  bad = 1
}

FILENAME ~ /summary\.txt$/ {
  if (NF >= 2 && $1 !~ /^#/)
    value[$1] = $2
  next
}
/<!-- *bench/ {
  rest = $0
  while (match(rest, /<!-- *bench[^>]*>/)) {
    before = substr(rest, 1, RSTART - 1)
    key = substr(rest, RSTART, RLENGTH)
    rest = substr(rest, RSTART + RLENGTH)
    at = FILENAME ":" FNR
    if (key !~ /^<!-- bench:[^ ]+ -->$/) {
      wrong(at ": write <!-- bench:KEY --> for " key)
      continue
    }
    sub(/^<!-- bench:/, "", key)
    sub(/ -->$/, "", key)
    number = ""
    if (match(before, /-?[0-9][0-9,.]*$/))
      number = substr(before, RSTART)
    gsub(/,/, "", number)
    if (number == "")
      wrong(at ": no number in front of <!-- bench:" key " -->")
    else if (!(key in value))
      wrong(at ": nothing measured is called " key "; the text says " number)
    else if (number != value[key])
      wrong(at ": " key " is " value[key] " and not " number)
  }
}
END { exit bad }
