#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

# The same with an idle time of 2000 ms. It is stopped for longer than that,
# and the seconds of the form are those of an idle time of 5: 2.5 for one.
IDLE=2000

# In milliseconds since an unknown moment.
now() { "$ROOT/build/talk" clock | awk '{ printf "%d\n", $1 * 1000 }'; }
# gone NUMBER-IN-THE-LOG KEY: with which word, and how long after go_on.
gone() {
  local name word
  name=$(awk -v n="$1" '/ connected$/ && ++i == n { print $2 }' "$LOG")
  wait_for_line "^client $name [a-z]*, " || return 1
  word=$(sed -n "s/^client $name \([a-z]*\), .*/\1/p" "$LOG")
  echo "$2: $word"
  echo "$2 after: $(awk -v ms=$(($(now) - $(cat "$LOG.from"))) -v idle=$IDLE 'BEGIN { print int(ms / idle) * 5 }')"
}
export -f now gone
export IDLE

measure() {
  local batch
  start_traced 0 $IDLE
  talk A open 1 B open 1 \
    run 'wait_for_line "^-> timer 1: "; halt; sleep 3' B send hello \
    run 'now >"$LOG.from"; go_on; gone 1 silent' B expect hello run 'gone 2 typist' || return 1
  grep -q '^client [0-9]* idle, 5 bytes echoed' "$LOG" && echo 'echo: yes' || echo 'echo: no'
  # The batch that has the first event of the timer.
  batch=$(awk '/^kevent/ { if (timer) exit; n = 0; text = "" }
    /^<- / && !/receipt/ { n++; text = text $0 "\n" }
    /^<- timer 1: / { timer = 1 }
    END { print n; printf "%s", text }' "$ERRORS")
  echo "events: ${batch%%[!0-9]*}"
  echo "expired: $(echo "$batch" | sed -n 's/^<- timer 1: expired \([0-9]*\) .*/\1/p')"
}
setup_file() { measured; }

how='./step5 9999 5000, two nc, Ctrl-Z, hello into the second, ten seconds, fg; and the trace'

@test "how many events the first batch holds" { predicted events "$how"; }
@test "how many times the timer has expired" { predicted expired "$how"; }
@test "what becomes of the silent client" {
  predicted silent "$how"
  predicted 'silent after' "$how"
}
@test "whether the other gets its hello back" { predicted echo "$how"; }
@test "what becomes of the other" {
  predicted typist "$how"
  predicted 'typist after' "$how"
}
