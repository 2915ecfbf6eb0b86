#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark


# Served are those that were accepted and not refused. Waits until all 1100 are
# one or the other; sets served and refused.
serve() { # REDIRECTION
  # As in a terminal: 0, 1 and 2 are open, and nothing that this shell has.
  launch bash -c "for n in {3..999}; do eval \"exec \$n>&-\"; done; exec \"\$1\" 0 $1" - "$PROGRAM"
  listening || return 1
  talk A open 1100 run 'for i in {1..800}; do
    [ $(grep -c " connected$" "$LOG") -eq 1100 ] && break; sleep 0.01; done; unread >/dev/null' || return 1
  refused=$(sed -n 's/^client \([0-9]*\) refused.*/\1/p' "$LOG" | head -n 1)
  served=$((1100 - $(grep -c ' refused, ' "$LOG")))
  kill -KILL "$server"
  ended
}

measure() {
  local served refused
  ulimit -S -n 4096 || { echo 'it needs 4096 descriptors: ulimit -n'; return 1; }
  serve '</dev/null' || return 1
  echo "served: $served"
  echo "refused: $refused"
  serve '<&-' || return 1
  echo "without input: $served"
}
setup_file() { measured; }

how='(ulimit -n 4096; ./step2 >log), build/client -i 1100 -c 1, and count the lines of the log'

@test "how many are served" { predicted served "$how"; }
@test "which number is refused first" { predicted refused "$how"; }
@test "how many without a standard input" { predicted 'without input' "$how"; }
