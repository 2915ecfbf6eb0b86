# From the times of a run to a timeline: prints a text for draw.awk.
#
# The lines of the run: MILLISECONDS WHO EVENT.

function x(ms) {
  return int(70 + ms * 402 / last + 0.5)
}

function length_of(ms) {
  return ms < 10 ? sprintf("%.1f ms", ms) : sprintf("%d ms", ms + 0.5)
}

function bar(class, from, to, y, text) {
  print "box", class, x(from), y, x(to) - x(from), 30, text
}

/^#/ || NF < 3 { next }
{
  time[$2, $3 ($4 == "" ? "" : " " $4)] = $1
  if ($1 > last)
    last = $1
}

END {
  a = time["A", "leaves"]
  b = time["B", "connects"]
  print "size 480 296"
  print "title Two clients of step 1: B connects and sends while A is idle, and gets its echo only after A has left."
  print "text strong 8 55 start client A"
  print "text strong 8 125 start server"
  print "text strong 8 195 start client B"

  bar("good", time["A", "connects"], a, 35, "connected, and idle")
  print "text small", x(time["A", "connects"]), 24, "start connects, sends, has its echo after", length_of(time["A", "echo"] - time["A", "sends"])
  print "text small", x(a), 24, "middle leaves"

  bar("process", time["server", "accepts A"], time["server", "closes A"], 105, "serves A: sleeps in recv()")
  bar("process", time["server", "accepts B"], time["server", "closes B"], 105, "serves B")

  bar("hot", b, time["B", "echo"], 175, "waits " length_of(time["B", "echo"] - time["B", "sends"]) " for its echo")
  bar("good", time["B", "echo"], time["B", "leaves"], 175, "served")
  print "text small", x(b), 222, "start connects and sends"
  print "text small 472 238 end has its echo,", length_of(time["B", "echo"] - a), "after A left"
  print "line dashed", x(a), 67, x(a), 174

  print "line plain 70 254 472 254"
  step = last > 1500 ? 500 : 200
  for (t = 0; t <= last; t += step) {
    print "line plain", x(t), 254, x(t), 260
    print "text small", x(t), 276, (t == 0 ? "start 0 ms" : "middle " t)
  }
}
