# Applies a unified diff of one file, as diff -u writes it, and prints the result.
#
#     awk -f tools/patch.awk 3.3/solution.patch 03-kqueue-basic/server.c
#
# For systems without patch(1). Strict: what a hunk takes away and its context
# must stand in the file, once, below the hunk before; the numbers of the lines
# are not looked at. What does not fit is told on stderr, and the exit status is
# then 1.

function stop(message) {
  print PATCH ": " message | "cat 1>&2"
  failed = 1
  exit 1
}

# Where the n lines of the hunk stand in the file, from line `from` on.
function find(from,   at, i, found) {
  for (at = from; at + before - 1 <= size; at++) {
    for (i = 1; i <= before && source[at + i - 1] == old[i]; i++)
      ;
    if (i <= before)
      continue
    if (found)
      stop("hunk " hunks " fits twice")
    found = at
  }
  if (!found)
    stop("hunk " hunks " does not fit: " old[1])
  return found
}

FNR == NR {
  PATCH = FILENAME
  line[++lines] = $0
  next
}
{ source[++size] = $0 }

function apply(   at, i) {
  if (!hunks)
    return
  at = find(next_line)
  while (next_line < at)
    print source[next_line++]
  for (i = 1; i <= after; i++)
    print new[i]
  next_line = at + before
}

END {
  if (failed)
    exit 1
  next_line = 1
  for (n = 1; n <= lines; n++) {
    sign = substr(line[n], 1, 1)
    text = substr(line[n], 2)
    if (sign == "@") {
      apply()
      hunks++
      before = after = 0
    } else if (!hunks || sign == "\\") {
      continue # what stands in front, and "No newline at end of file"
    } else {
      if (sign == "-" || sign == " " || sign == "")
        old[++before] = text
      if (sign == "+" || sign == " " || sign == "")
        new[++after] = text
    }
  }
  if (!hunks)
    stop("no hunk, \"@@\", is in it")
  apply()
  while (next_line <= size)
    print source[next_line++]
  close("cat 1>&2")
  exit failed
}
