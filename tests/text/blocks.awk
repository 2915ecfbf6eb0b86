# The blocks of code in the text are such as a reader can follow and type.
#
#     awk -f tests/text/blocks.awk TUTORIAL.md
#
# in the root of the tree, after `make stages`. A block of a stage has at most
# 30 lines, half of them 12 or fewer, no more than 30 lines come without a
# sentence between, and a stage adds and takes away at most 80. What a web page
# does not show, the text says: where a ```c block goes. Its last lines before
# the block have the name of what it goes before, "before `serve`", or speak of
# the head. A ```c block that belongs to no stage has only `c` behind its fence.
#
# And of the text: lines of at most 100 columns, but for tables, links and
# pictures; headings that are unique; all stages in its contents; at most
# 18,000 words. Prints what is wrong, with where; the exit status is then 1.

function wrong(at, message) {
  print FILENAME ":" at ": " message
  bad = 1
}

# The name of what stands at, or first below, this line of a stage: of a
# function, a struct, a variable, or `#include`.
function name_at(stage, place,   file, line, found, name) {
  file = "build/stages/" stage ".c"
  while ((getline line < file) > 0) {
    if (line == place)
      found = 1
    if (found && line ~ /^[#a-z]/) {
      name = line
      break
    }
  }
  close(file)
  if (name ~ /^#/)
    return "#include"
  sub(/ \{$/, "", name)
  sub(/\(.*| =.*|;.*|\[.*/, "", name)
  if (name !~ /^struct/)
    sub(/.*[ *]/, "", name)
  return name
}

function begin_block(info,   place, name) {
  size = 0
  split(info, word, " ")
  stage = info ~ /^(c|diff) [0-9]+\.[0-9]+( |$)/ ? word[2] : ""
  if (stage == "" && (info ~ /^(c|C|diff)[ .+]/ || info == "diff"))
    wrong(FNR, "neither of a stage, ```c 4.2, nor an example, ```c: " info)
  kind = stage == "" ? "" : word[1]
  if (kind == "c" && word[3] == "head" && !index(tolower(prose), "head"))
    wrong(FNR, "the text above does not say that this is a new head")
  if (kind == "c" && word[3] == "before") {
    place = substr(info, index(info, " before ") + 8)
    name = name_at(stage, place)
    if (name == "" && stage_count > 1) { # this stage changes the line
      split(stages[stage_count - 1], word, " ")
      name = name_at(word[1], place)
    }
    if (name == "" || !index(tolower(prose), "before `" name))
      wrong(FNR, "the text above does not say that this goes before `" name "`")
  }
}

function end_block() {
  if (stage != "") {
    count++
    sizes[size]++
    if (size > 30)
      wrong(start, "a block of " size " lines; 30 are enough")
    unbroken += size
    if (unbroken > 30 && unbroken > size)
      wrong(start, unbroken " lines of code without a sentence between; 30 are enough")
  }
  prose = ""
}

/^ *(```|~~~)/ {
  fenced = !fenced
  if (fenced) {
    info = $0
    sub(/^ *(```|~~~) */, "", info)
    start = FNR
    begin_block(info)
  } else
    end_block()
  next
}
{
  # A word has a letter or a digit; a comment of the text is none.
  line = $0
  gsub(/<!--[^>]*-->/, "", line)
  n = split(line, word, " ")
  for (i = 1; i <= n; i++)
    words += word[i] ~ /[A-Za-z0-9]/
}
fenced {
  size++
  if (stage != "" && (kind == "c" || /^[+-]/))
    changed[stage]++
  if (length($0) > 100)
    wrong(FNR, length($0) " columns; 100 are enough")
  next
}
/^#+ / {
  if ($0 in heading)
    wrong(FNR, "the same heading as in line " heading[$0])
  heading[$0] = FNR
  if ($2 ~ /^[0-9]+\.[0-9]+$/) {
    stages[++stage_count] = substr($0, 4)
    stage_line[stage_count] = FNR
  }
}
/^<!-- contents -->$/ { contents = "\n" }
/^<!-- \/contents -->$/ { contents_end = 1 }
contents != "" && !contents_end { contents = contents $0 "\n" }
/./ {
  prose = prose " " $0
  unbroken = 0
  if (length($0) > 100 && !/^\||^!?\[|^- .*\]\(|<!-- bench/)
    wrong(FNR, length($0) " columns; 100 are enough")
}

END {
  for (i = 1; i <= stage_count; i++)
    if (!index(contents, "[" stages[i] "]"))
      wrong(stage_line[i], "not in the contents: " stages[i])
  for (stage in changed)
    if (changed[stage] > 80)
      wrong(1, "stage " stage " changes " changed[stage] " lines; 80 are enough")
  for (i = 0; i <= 30 && 2 * below < count; i++)
    below += sizes[i]
  if (i - 1 > 12)
    wrong(1, "half of the blocks have more than " (i - 2) " lines; 12 are enough")
  if (words > 18000)
    wrong(1, words " words; 18,000 are enough")
  if (!count)
    wrong(1, "no block of a stage")
  exit bad
}
