# All links inside the texts lead somewhere.
#
#     awk -f tests/text/links.awk TUTORIAL.md README.md
#
# in the root of the tree. Files and pictures must exist, headings must be there
# under the name that GitHub gives them. Links to other sites are not tried.
# Prints what is wrong, with where; the exit status is then 1.

function wrong(message) {
  print message
  bad = 1
}

# A heading as GitHub writes it in a link.
function slug(text) {
  gsub(/`/, "", text)
  while (match(text, /!?\[[^]]*\]\([^)]*\)/)) {
    link = substr(text, RSTART, RLENGTH)
    rest = substr(text, RSTART + RLENGTH)
    text = substr(text, 1, RSTART - 1)
    sub(/^!?\[/, "", link)
    sub(/\]\([^)]*\)$/, "", link)
    text = text link rest
  }
  sub(/ +#* *$/, "", text)
  text = tolower(text)
  gsub(/[!-,.\/:-@[-^{-~]/, "", text)
  gsub(/ /, "-", text)
  return text
}

function heading(text,   name) {
  name = slug(text)
  if ((FILENAME, name) in times)
    name = name "-" times[FILENAME, name]++
  else
    times[FILENAME, name] = 1
  anchor[FILENAME, name] = 1
  all[FILENAME] = all[FILENAME] " #" name
}

function link_to(target) {
  n++
  to[n] = target
  where[n] = FILENAME ":" FNR
  from[n] = FILENAME
}

/^ *(```|~~~)/ { fenced = !fenced; next }
fenced { next }
/^#+ / {
  text = $0
  sub(/^#+ +/, "", text)
  heading(text)
}
{
  line = $0
  gsub(/`[^`]*`/, "", line)
  while (match(line, /<[a-z]+ [^>]*(id|name)="[^"]*"/)) {
    text = substr(line, RSTART, RLENGTH)
    sub(/"$/, "", text)
    sub(/.*"/, "", text)
    anchor[FILENAME, text] = 1
    line = substr(line, 1, RSTART - 1) substr(line, RSTART + RLENGTH)
  }
  rest = line
  while (match(rest, /(src|href)="[^"]*"/)) {
    text = substr(rest, RSTART, RLENGTH)
    rest = substr(rest, RSTART + RLENGTH)
    sub(/"$/, "", text)
    sub(/.*"/, "", text)
    link_to(text)
  }
  rest = line
  while (match(rest, /\]\([^) ]*/)) {
    link_to(substr(rest, RSTART + 2, RLENGTH - 2))
    rest = substr(rest, RSTART + RLENGTH)
  }
  if (line ~ /^ *\[[^]]+\]: /) {
    sub(/^ *\[[^]]+\]: */, "", line)
    sub(/ .*/, "", line)
    link_to(line)
  }
}

function exists(file) {
  gsub(/'/, "", file)
  return system("test -e '" file "'") == 0
}

END {
  for (i = 1; i <= n; i++) {
    file = to[i]
    if (file ~ /^[a-z]+:/ || file ~ /^<?https?:/)
      continue
    name = ""
    if (index(file, "#")) {
      name = substr(file, index(file, "#") + 1)
      file = substr(file, 1, index(file, "#") - 1)
    }
    sub(/^\.\//, "", file)
    if (file == "")
      file = from[i]
    else if (!exists(file)) {
      wrong(where[i] ": no file " file)
      continue
    }
    if (to[i] !~ /#/)
      continue
    if (!(file in all))
      wrong(where[i] ": " to[i] ": a place in a file that has no headings")
    else if (!((file, name) in anchor)) {
      close_ones = ""
      count = split(all[file], names, " ")
      for (j = 1; j <= count; j++)
        if (substr(names[j], 2, 8) == substr(name, 1, 8) || index(names[j], name))
          close_ones = close_ones " " names[j]
      wrong(where[i] ": no heading #" name " in " file \
            (close_ones == "" ? "; it has" all[file] : "; similar:" close_ones))
    }
  }
  if (n == 0)
    wrong("no link in " FILENAME)
  exit bad
}
