# What a record of tools/stories/five.sh says, in lines for a picture. Times are
# in milliseconds.
#
#     lane STEP WHO HOW FROM TO    the server sleeps in the call HOW; client WHO
#                                  is calm, or waits for bytes, or is deaf: has
#                                  bytes and does not read them
#     end STEP WHO HOW TIME        the server ended: it, or the connection, as idle
#                                  or because of SIGTERM
#     bytes STEP WHO GOT SENT
#     fact STEP WHO WHAT           what does not depend on times; a test compares
#                                  these with those of a new run
#
#     awk -v step=4 -f five-servers.awk build/step4.record
#
# What lasts less than SHORT is left out: the server runs for less than that
# between two sleeps, and an echo comes in less. Nobody waits for LONG unless
# somebody else is to blame. SIGTERM comes at 2700 or a little later.

BEGIN {
  SHORT = 80
  LONG = 1000
  TERM = 2650
}

# From now on it is so with someone.
function turn(who, how, time) {
  if (n[who] == 0 || life[who, n[who]] != how) {
    life[who, ++n[who]] = how
    begins[who, n[who]] = time
  }
}

# Prints the lane of someone, to this time: short pieces become part of their
# neighbours.
function print_lane(who, until,   i, how, from, to) {
  for (i = 1; i <= n[who]; i++) {
    to = i < n[who] ? begins[who, i + 1] : until
    if (how != "" && (life[who, i] == how || to - begins[who, i] < SHORT))
      continue
    if (how != "" && begins[who, i] - from >= SHORT) {
      piece(who, how, from, begins[who, i])
      how = ""
    }
    if (how == "")
      from = begins[who, i]
    how = life[who, i]
  }
  if (how != "")
    piece(who, how, from, until)
}

function piece(who, how, from, to) {
  if (to - from < 1)
    return
  printf "lane %d %s %s %.0f %.0f\n", step, who, how, from, to
  if (how == "waits" && to - from > longest[who])
    longest[who] = to - from
}

{ ms = $1 * 1000 }

$2 == "call" { call = $4; called = ms }
$2 == "asleep" { turn("server", call, called) }
$2 == "return" { back = ms }
$2 == "does" { word[$3] = $4 }
$2 == "client" && $4 != "connecting" && !($3 in ended) {
  sent[$3] = $6
  got[$3] = $8
  if ($4 == "eof" || $4 == "reset") {
    ended[$3] = ms
    turn($3, "over", ms)
    if (ms >= TERM && term == 0)
      term = ms
  } else if ($8 >= $6)
    turn($3, "calm", ms)
  else if ($9 == "receive" && $10 > 0)
    turn($3, word[$3] ~ /^(put|pour|fill|shut|stay)$/ ? "deaf" : "calm", ms)
  else
    turn($3, "waits", ms)
}
$2 == "ended" {
  fact["server"] = $3
  for (i = 4; i <= NF; i++)
    fact["server"] = fact["server"] " " $i
}

END {
  # A server that is killed ends when its clients hear of it.
  print_lane("server", fact["server"] ~ /^killed/ ? term : back)
  printf "end %d server stopped %.0f\n", step, fact["server"] ~ /^killed/ ? term : back
  count = split("A B C D", names, " ")
  for (i = 1; i <= count; i++) {
    who = names[i]
    print_lane(who, ended[who])
    idle = ended[who] < TERM
    printf "end %d %s %s %.0f\n", step, who, idle ? "idle" : "stopped", ended[who]
    print "bytes", step, who, got[who], sent[who]
    fact[who] = idle ? "is closed as idle" : "stays until SIGTERM"
  }
  fact["B"] = longest["B"] > LONG ? "waits for ever" : "has every echo at once"
  fact["D"] = "gets " (got["D"] == sent["D"] ? "all" : got["D"] > 0 ? "some" : "none") " of its bytes"
  names[++count] = "server"
  for (i = 1; i <= count; i++)
    print "fact", step, names[i], fact[names[i]]
}
