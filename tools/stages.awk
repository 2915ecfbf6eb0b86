# Builds the stages of a text from its blocks, as a reader does who types them.
#
#     awk -f tools/stages.awk -v servers='01-blocking/server.c ...' \
#         -v last=4.2 -v folder=build/stages TUTORIAL.md
#
# writes folder/1.1.c ... up to the stage `last` (all without it), and prints a
# line for each: number, lines that its blocks add and take away, heading.
# Without `folder` nothing is written. A stage begins at its heading,
# `## 4.2 Keep what is left`, and its blocks say its number:
#
#     ```diff 4.2             Lines begin with ' ', '+' or '-'; an empty one is
#                             ' '. What stood before, ' ' and '-', must stand
#                             there once, and ' ' and '+' take its place. A
#                             line `@@` separates two such hunks.
#     ```c 4.2                goes to the end, after an empty line,
#     ```c 4.2 before LINE    or before the only line that is LINE; an empty
#                             line comes between.
#     ```c 4.2 head           takes the place of the comment that the file
#                             begins with.
#
# A chapter goes on from the last stage of the one before. A text that begins
# with a later chapter, a draft, goes on from that chapter's server.
#
# What does not fit is told with its line in the text, what was looked for and
# the nearest there is. The exit status is then 1, and only the stages before
# have been written.

function stop(line, message) {
  print FILENAME ":" line ": " message | "cat 1>&2"
  failed = 1
  exit 1
}

# The start of chapter n, in a text that does not have the chapter before.
function load(n,   name, count, line) {
  size = 0
  if (n == 1)
    return
  split(servers, name, " ")
  while ((getline line < name[n - 1]) > 0)
    source[++size] = line
  close(name[n - 1])
  if (size == 0)
    stop(FNR, "chapter " n " begins with the server of chapter " (n - 1) \
         ", and there is none: " name[n - 1])
}

# Writes the stage that has ended. Returns whether it was the last one wanted.
function finish(   i, file) {
  if (stage == "")
    return 0
  if (!blocks)
    stop(heading_line, "stage " stage " changes nothing: no block says `diff " \
         stage "' or `c " stage "'")
  if (folder != "") {
    file = folder "/" stage ".c"
    for (i = 1; i <= size; i++)
      print source[i] > file
    close(file)
  }
  print stage " " added " " removed " " title
  return stage == last
}

function begin(number,   part) {
  split(number, part, ".")
  if (stage == "")
    load(part[1])
  # 1.2 follows 1.1; 2.1 follows the last of chapter 1.
  if (stage == "" ? part[2] != 1 : !(part[1] == chapter && part[2] == minor + 1) &&
      !(part[1] == chapter + 1 && part[2] == 1))
    stop(FNR, "stage " number " cannot follow " (stage == "" ? "nothing" : stage))
  stage = number
  chapter = part[1] + 0
  minor = part[2] + 0
  blocks = added = removed = 0
  heading_line = FNR
}

# ---- Where a hunk fits -----------------------------------------------------

# How many lines of old[] stand at this line of the source.
function fits(at,   i) {
  for (i = 1; i <= olds && source[at + i - 1] == old[i]; i++)
    ;
  return i - 1
}

# How much of the words of a is in b.
function common(a, b,   word, n, i, count) {
  n = split(a, word, /[^A-Za-z0-9_]+/)
  for (i = 1; i <= n; i++)
    if (word[i] != "" && index(b, word[i]))
      count += length(word[i])
  return count - length(b) / 1000
}

# Returns the one place where old[] stands, or stops.
function place(   at, n, most, best, count, all, i) {
  for (at = 1; at + olds - 1 <= size; at++)
    if (fits(at) == olds) {
      all = all (count++ ? ", " : "") at
      best = at
    }
  if (count == 1)
    return best
  if (count > 1)
    stop(old_line[1], "stands " count " times in stage " stage " so far, at its lines " \
         all "; more lines around it must be shown:\n- " old[1])
  for (at = 1; at <= size; at++)
    if ((n = fits(at)) > most) {
      most = n
      best = at
    }
  i = most + 1
  if (!most) {
    for (at = 1; at <= size; at++)
      if (!best || common(old[1], source[at]) > common(old[1], source[best]))
        best = at
  }
  at = best + i - 1
  stop(old_line[i], "does not fit stage " stage " so far; looked for" \
       (most ? ", after the " most " lines above it" : "") ":\n- " old[i] \
       (best ? "\n  the nearest there is, its line " at ":\n+ " source[at] : "\n  in nothing"))
}

# Puts new[] in place of old[].
function change(   at, shift, i) {
  if (!olds)
    stop(start, "says nothing of where it goes: no line that stands there already")
  if (!changed)
    stop(start, "changes nothing")
  at = place()
  shift = news - olds
  if (shift > 0)
    for (i = size; i >= at + olds; i--)
      source[i + shift] = source[i]
  else
    for (i = at + olds; i <= size; i++)
      source[i + shift] = source[i]
  for (i = 1; i <= news; i++)
    source[at + i - 1] = new[i]
  size += shift
  empty_hunk()
}

function empty_hunk() {
  olds = news = changed = 0
}

function stood(line, at) {
  old[++olds] = line
  old_line[olds] = at
}

# ---- Blocks ----------------------------------------------------------------

function diff_line(line,   sign) {
  sign = substr(line, 1, 1)
  if (line == "@@") {
    change()
    return
  }
  if (line == "")
    sign = " "
  else if (sign != " " && sign != "+" && sign != "-")
    stop(FNR, "a line of a diff begins with ' ', '+' or '-':\n- " line)
  line = substr(line, 2)
  if (sign != "+")
    stood(line, FNR)
  if (sign != "-")
    new[++news] = line
  if (sign != " ")
    changed++
  added += sign == "+"
  removed += sign == "-"
}

function code_line(line) {
  new[++news] = line
  changed = 1
  added++
}

function end_of_block(   at, i) {
  if (kind == "diff") {
    change()
  } else if (head) {
    for (at = 1; at <= size && source[at] != ""; at++)
      stood(source[at], start)
    if (old[1] != "/*" || old[olds] != " */")
      stop(start, "stage " stage " so far does not begin with a comment")
    removed += olds
    change()
  } else if (before != "") {
    code_line("")
    stood(before, start)
    new[++news] = before
    change()
  } else {
    for (i = 1; i <= news; i++)
      source[++size] = new[i]
  }
}

function start_of_block(info,   number) {
  kind = info
  sub(/ .*/, "", kind)
  if (info !~ /^(c|diff) [0-9]+\.[0-9]+( |$)/) {
    kind = ""
    return
  }
  number = info
  sub(/^[^ ]* /, "", number)
  before = number
  sub(/ .*/, "", number)
  sub(/^[^ ]* */, "", before)
  if (number != stage)
    stop(FNR, "a block of stage " number (stage == "" ? " before all stages" : \
         " below the heading of stage " stage))
  if (before != "" && (kind == "diff" || before !~ /^(before .+|head)$/))
    stop(FNR, "after the number, `before LINE', `head' or nothing: " before)
  head = before == "head"
  sub(/^before /, "", before)
  blocks++
  start = FNR
  empty_hunk()
  if (kind == "c" && before == "" && size)
    code_line("")
}

/^ *(```|~~~)/ {
  if (!fenced) {
    info = $0
    sub(/^ *(```|~~~) */, "", info)
    sub(/ *$/, "", info)
    fenced = FNR
    start_of_block(info)
  } else {
    if (kind != "")
      end_of_block()
    fenced = 0
  }
  next
}
fenced && kind == "diff" { diff_line($0) }
fenced && kind == "c" { code_line($0) }
fenced { next }
/^## [0-9]+\.[0-9]+ / {
  if (finish()) {
    done = 1
    exit 0
  }
  begin($2)
  title = $0
  sub(/^## [^ ]* /, "", title)
}

END {
  if (failed)
    exit 1
  if (!done && fenced)
    stop(fenced, "the block does not end")
  if (!done && finish())
    done = 1
  if (!done && last != "")
    stop(FNR, "no stage " last)
  if (stage == "")
    stop(FNR, "no stages")
}
