# From five-servers.txt, whose lines five-servers.awk explains, to a text for
# draw.awk: five panels, one below the other, on one time axis. It is narrow, so
# that its letters can be read on a phone.

BEGIN {
  LEFT = 62
  RIGHT = 366
  TIME = 3000
  ROW = 18
  PANEL = 126
  split("blocking|select|kqueue|non-blocking|timers", idea, "|")
  split("accept, recv, send, for one client|wait for many|subscribe once|never block|time, and the end", what, "|")
  split("server A B C D", rows, " ")
  for (i in rows)
    row[rows[i]] = i
  # A server that sleeps in these sleeps for one client, and all others wait.
  class["recv"] = class["send"] = class["waits"] = "hot"
  class["accept"] = class["select"] = class["kevent"] = "process"
  class["calm"] = "good"
  class["deaf"] = "kernel"
}

function x(ms) {
  return int(LEFT + ms * (RIGHT - LEFT) / TIME + 0.5)
}

function top(step) {
  return 52 + (step - 1) * PANEL
}

function y(step, who) {
  return top(step) + 8 + (row[who] - 1) * ROW
}

function bytes(n) {
  return n < 1000 ? n : int(n / 1000)
}

$1 == "lane" { lanes[++n] = $0 }
$1 == "end" {
  how[$2, $3] = $4
  at[$2, $3] = $5
  # SIGTERM is when the first of them hears of it.
  if ($4 == "stopped" && $3 != "server" && (term == 0 || $5 < term))
    term = $5
}
$1 == "bytes" {
  got[$2, $3] = $4
  sent[$2, $3] = $5
}
$1 == "fact" {
  step = $2
  $1 = $2 = ""
  fact[step, $3] = substr($0, 3)
  said[step] = said[step] (said[step] == "" ? "" : ", ") substr($0, 3)
}

function outcome(step, who) {
  if (who == "server")
    return fact[step, who] ~ /killed/ ? "killed" : "exit status 0"
  if (how[step, who] == "idle")
    return "closed: idle"
  if (who == "A" || who == "C")
    return "cut off"
  return bytes(got[step, who]) " of " bytes(sent[step, who]) (sent[step, who] < 1000 ? "" : " kB")
}

# Some of the bytes, as little as none, is bad.
function colour(text,   part) {
  split(text, part, " ")
  if (part[2] == "of")
    return part[1] == part[3] ? "good" : "hot"
  return text ~ /killed|cut off/ ? "small" : "good"
}

END {
  print "size 480", top(6) + 66
  text = "One story on five servers. A is silent, B asks every 50 ms, C sends all it can and reads nothing, D comes late and sends much, then SIGTERM."
  for (step = 1; step <= 5; step++)
    text = text " Step " step ": " said[step] "."
  print "title", text
  print "text strong 12 24 start One story on five servers"
  print "text small 12 42 start red: waits, or the server sleeps for one client; yellow: does not read"
  for (step = 1; step <= 5; step++) {
    print "text strong 12", top(step) + 18, "start", step, idea[step]
    print "text small 470", top(step) + 18, "end", what[step]
    for (i = 1; i <= 5; i++) {
      who = rows[i]
      print "text small 12", y(step, who) + 31, "start", who
      print "text", colour(outcome(step, who)), RIGHT + 8, y(step, who) + 31, "start", outcome(step, who)
    }
  }
  for (i = 1; i <= n; i++) {
    split(lanes[i], part, " ")
    step = part[2]
    to = part[6]
    # Nothing goes on after the server.
    if (to > at[step, "server"])
      to = at[step, "server"]
    print "box", class[part[4]], x(part[5]), y(step, part[3]) + 20, x(to) - x(part[5]), 13
    if (part[3] == "server" && x(to) - x(part[5]) > 50)
      print "text small", x(part[5]) + 4, y(step, part[3]) + 31, "start", part[4] "()"
  }
  print "line dashed", x(term), top(1) + 26, x(term), top(6) + 12
  print "text small", x(term), top(6) + 26, "middle SIGTERM"
  print "line plain", LEFT, top(6) + 32, RIGHT, top(6) + 32
  for (t = 0; t <= TIME; t += 1000) {
    print "line plain", x(t), top(6) + 32, x(t), top(6) + 37
    print "text small", x(t), top(6) + 52, "middle", t / 1000, "s"
  }
}
