# Makes one page of player.html: a line `<!-- include FILE -->` becomes the file,
# `<!-- source -->` the source of the server, `<!-- record -->` the record, both
# as text of HTML.
#
#     awk -v source=FILE -v record=FILE -v name=step4 -v player=FOLDER -f page.awk player.html

function text_of(file,   line) {
  while ((getline line < file) > 0) {
    gsub(/&/, "\\&amp;", line)
    gsub(/</, "\\&lt;", line)
    print line
  }
  close(file)
}

function copy_of(file,   line) {
  while ((getline line < file) > 0)
    print line
  close(file)
}

# Tenths of a millisecond are enough to look at.
function record_of(file,   line, space) {
  while ((getline line < file) > 0) {
    gsub(/&/, "\\&amp;", line)
    gsub(/</, "\\&lt;", line)
    space = index(line, " ")
    printf "%.4f%s\n", substr(line, 1, space - 1), substr(line, space)
  }
  close(file)
}

/<!-- include .* -->/ { copy_of(player "/" $3); next }
/<!-- source -->/ { text_of(source); next }
/<!-- record -->/ { record_of(record); next }
{ gsub(/STEP/, name); print }
