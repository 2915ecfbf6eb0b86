# Draws a picture from a text. Its lines, X to the right and Y down, in pixels:
#
#     size WIDTH HEIGHT
#     title TEXT                     for those who cannot see it
#     box CLASS X Y WIDTH HEIGHT TEXT    lines of TEXT are separated by |
#     text CLASS X Y ANCHOR TEXT     ANCHOR: start, middle or end
#     line CLASS X Y X Y ...         through all these points
#     arrow CLASS X Y X Y ...        the same, with a head at the end
#     bits CLASS X Y WIDTH HEIGHT N  a row of N small boxes
#     # a comment
#
# Classes of boxes and lines: plain, process, kernel, hot, good, faint, dashed.
# Of text: plain, strong, faint, hot, good, code, small.

function escape(text) {
  gsub(/&/, "\\&amp;", text)
  gsub(/</, "\\&lt;", text)
  gsub(/>/, "\\&gt;", text)
  return text
}

function words(from,   i, text) {
  for (i = from; i <= NF; i++)
    text = text (i > from ? " " : "") $i
  return escape(text)
}

function put_text(class, x, y, anchor, text) {
  print "<text class=\"" class "\" x=\"" x "\" y=\"" y "\" text-anchor=\"" anchor "\">" text "</text>"
}

function put_box(class, x, y, width, height, round) {
  print "<rect class=\"" class "\" x=\"" x "\" y=\"" y "\" width=\"" width "\" height=\"" height "\" rx=\"" round "\"/>"
}

function points(from,   i, text) {
  for (i = from; i < NF; i += 2)
    text = text (i > from ? " " : "") $i "," $(i + 1)
  return text
}

# The head of an arrow, along its last part. Only the four directions and
# slopes: a small triangle, turned.
function head(class, x1, y1, x2, y2,   angle) {
  angle = int(atan2(y2 - y1, x2 - x1) * 180 / 3.14159265358979 + 360.5) % 360
  print "<path class=\"head " class "\" d=\"M 0 0 L -10 -4.5 L -10 4.5 Z\" transform=\"translate(" x2 " " y2 ") rotate(" angle ")\"/>"
}

function shape(class, line, fill) {
  print "rect." class ",polyline." class "{stroke:" line "}.head." class "{fill:" line "}rect." class "{fill:" fill "}"
}

function colours(ground, ink, faint, line, plain, process, process_line, kernel, kernel_line, hot, hot_line, good, good_line) {
  print ".ground{fill:" ground "}"
  print "text{fill:" ink "}text.faint,text.small{fill:" faint "}text.hot{fill:" hot_line "}text.good{fill:" good_line "}"
  shape("plain", line, plain)
  shape("faint", line, "none")
  shape("dashed", line, "none")
  shape("process", process_line, process)
  shape("kernel", kernel_line, kernel)
  shape("hot", hot_line, hot)
  shape("good", good_line, good)
}

$1 == "size" {
  print "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" $2 "\" height=\"" $3 "\" viewBox=\"0 0 " $2 " " $3 "\" role=\"img\">"
  width = $2
  height = $3
}
$1 == "title" {
  print "<title>" words(2) "</title>"
  print "<style>"
  print "text{font:14px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif}"
  print "text.strong{font-weight:600}text.small{font-size:12px}"
  print "text.code{font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:13px}"
  print "rect,polyline{stroke-width:1.5;fill:none}"
  print ".faint,.dashed{stroke-dasharray:5 4}"
  colours("#ffffff", "#1f2328", "#59636e", "#818b98", "#f6f8fa", "#ddf4ff", "#0969da", "#fff8c5", "#9a6700", "#ffebe9", "#cf222e", "#dafbe1", "#1a7f37")
  print "@media (prefers-color-scheme: dark){"
  colours("#0d1117", "#e6edf3", "#9ba3ad", "#7d8590", "#161b22", "#0c2d55", "#58a6ff", "#3a2c06", "#d29922", "#4a1214", "#ff7b72", "#0d3a1c", "#3fb950")
  print "}"
  print "</style>"
  # Its own ground, so that it can be read on a page of the other colour too.
  print "<rect class=\"ground\" width=\"" width "\" height=\"" height "\" rx=\"6\"/>"
}
$1 == "box" {
  put_box($2, $3, $4, $5, $6, 5)
  n = split(words(7), lines, /\|/)
  for (i = 1; i <= n; i++) {
    gsub(/^ +| +$/, "", lines[i])
    put_text(i == 1 ? "plain" : "small", $3 + $5 / 2, int($4 + $6 / 2 + 5 + (i - (n + 1) / 2) * 18), "middle", lines[i])
  }
}
$1 == "text" { put_text($2, $3, $4, $5, words(6)) }
$1 == "line" || $1 == "arrow" {
  print "<polyline class=\"" $2 "\" points=\"" points(3) "\"/>"
  if ($1 == "arrow")
    head($2, $(NF - 3), $(NF - 2), $(NF - 1), $NF)
}
$1 == "bits" {
  for (i = 0; i < $7; i++)
    put_box($2, $3 + i * $5, $4, $5, $6, 0)
}
END { print "</svg>" }
