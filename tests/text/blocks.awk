# The code in the text is the code of the servers.
#
#     awk -f tests/text/blocks.awk TUTORIAL.md README.md
#
# in the root of the tree. A fenced block ```c FILE stands word for word in that
# file. A line of blanks and `...` in it stands for any lines, and the comment in
# front of what follows an empty line may be left out. ```c sketch is free. And
# all functions and structs of the five servers are shown, in blocks that
# together have all of their lines; but lines that the function of that name had
# in the step before need not be shown again.
#
# Prints what is wrong, with where; the exit status is then 1.

function wrong(message) {
  print message
  bad = 1
}

# Reads a source file once: src[file, 1...], lines[file].
function load(file,   line, n) {
  if (file in lines)
    return lines[file] > 0
  while ((getline line < file) > 0)
    src[file, ++n] = line
  close(file)
  lines[file] = n + 0
  return n > 0
}

function is_gap(line) {
  return line ~ /^[ \t]*\.\.\.[ \t]*$/
}

# Compares the part first..last of the block with the source from line at on.
# Returns the line after it, or 0, and then i and at_source are where they part.
function compare(file, first, last, at,   j) {
  for (j = first; j <= last; j++) {
    # A comment left out: `/*` at the margin, after an empty line.
    if (src[file, at] != block[j] && j > first && block[j - 1] == "" &&
        src[file, at] ~ /^\/\*/) {
      while (src[file, at] !~ /\*\//)
        at++
      at++
    }
    if (at > lines[file] || src[file, at] != block[j]) {
      part = j
      part_source = at
      return 0
    }
    match_line[j] = at
    at++
  }
  return at
}

# How many words of a stand in b.
function common(a, b,   words, n, i, count) {
  n = split(a, words, /[^A-Za-z0-9_]+/)
  for (i = 1; i <= n; i++)
    if (words[i] != "" && index(b, words[i]))
      count += length(words[i])
  return count + 0
}

# The line of the source that is most like this one.
function nearest(file, text,   i, n, most, best) {
  for (i = 1; i <= lines[file]; i++) {
    n = common(text, src[file, i]) - length(src[file, i]) / 1000
    if (src[file, i] != "" && (best == 0 || n > most)) {
      most = n
      best = i
    }
  }
  return best
}

function show(file, at) {
  return "  " file ":" at ":\n+ " src[file, at]
}

# Finds the part of the block; returns the source line after it, or 0.
function find(file, first, last, from,   i, next_line, longest, best, best_source) {
  best = 0
  for (i = from; i <= lines[file]; i++) {
    next_line = compare(file, first, last, i)
    if (next_line)
      return next_line
    if (part - first > longest) {
      longest = part - first
      best = part
      best_source = part_source
    }
  }
  if (best) {
    wrong(FILENAME ":" (start + best) ": not the code; after the same lines the text and the file have:\n- " \
          block[best] "\n" show(file, best_source))
    return 0
  }
  for (i = 1; i < from; i++)
    if (compare(file, first, last, i)) {
      wrong(FILENAME ":" (start + first) ": these lines come earlier in the file, at " \
            file ":" i ":\n- " block[first])
      return 0
    }
  wrong(FILENAME ":" (start + first) ": not a line of the file; the most similar one is there:\n- " \
        block[first] "\n" show(file, nearest(file, block[first])))
  return 0
}

function check(file,   i, first, at) {
  if (!load(file)) {
    wrong(FILENAME ":" start ": no file " file)
    return
  }
  at = 1
  for (i = 1; i <= size; i = first) {
    while (i <= size && is_gap(block[i]))
      i++
    for (first = i; first <= size && !is_gap(block[first]); first++)
      ;
    if (first == i)
      break
    at = find(file, i, first - 1, at)
    if (!at)
      return
    for (; i < first; i++)
      seen[file, match_line[i]] = 1
  }
}

FNR == 1 && open {
  wrong(opened ": the block does not end")
  open = 0
}
/^ *(```|~~~)/ && !open {
  open = 1
  start = FNR
  opened = FILENAME ":" FNR
  size = 0
  info = $0
  sub(/^ *(```|~~~) */, "", info)
  sub(/ *$/, "", info)
  # One fence inside a list or a quotation would not be compared as it looks.
  if (info ~ /^c( |$)/ && $0 ~ /^ /)
    wrong(FILENAME ":" FNR ": a code block must begin at the margin")
  next
}
/^ *(```|~~~) *$/ && open {
  open = 0
  if (info == "c" || info ~ /^[Cc][^ ]*$/ && info !~ /^(console|css|csv)$/)
    wrong(FILENAME ":" start ": which file is this from? ```c FILE, or ```c sketch")
  else if (info ~ /^c / && info != "c sketch")
    check(substr(info, 3))
  next
}
open { block[++size] = $0 }

# ---- All functions and structs ---------------------------------------------

# A definition begins at the margin and ends with a brace at the margin.
function definitions(step, file,   i, begin, name, text, missing, whole) {
  for (i = 1; i <= lines[file]; i++) {
    if (src[file, i] !~ /^[a-z].*[a-z_]/ || src[file, i] ~ /;$/)
      continue
    if (src[file, i] ~ /^struct [a-z_]+ \{$/ || src[file, i] ~ /^[a-z].*\(/) {
      begin = i
      name = src[file, i]
      if (name !~ /^struct/) {
        sub(/\(.*/, "()", name)
        sub(/.*[ *]/, "", name)
      } else {
        sub(/ \{$/, "", name)
      }
      text = ""
      missing = 0
      whole = "\n" body[step - 1, name]
      for (; i <= lines[file]; i++) {
        text = text src[file, i] "\n"
        if (!((file, i) in seen) && !missing &&
            !index(whole, "\n" src[file, i] "\n"))
          missing = i
        if (src[file, i] ~ /^\}/)
          break
      }
      found[step]++
      body[step, name] = text
      if (missing)
        wrong("not in the text, from this line on: " name " of step " step "\n" \
              show(file, missing))
    }
  }
  if (found[step] < 5)
    wrong(file ": few functions; is this file read as it should be?")
}

END {
  if (open)
    wrong(opened ": the block does not end")
  n = split("01-blocking 02-select 03-kqueue-basic 04-kqueue-nonblocking 05-kqueue-timers", name, " ")
  for (step = 1; step <= n; step++) {
    file = name[step] "/server.c"
    if (load(file))
      definitions(step, file)
    else
      wrong("no file " file)
  }
  exit bad
}
