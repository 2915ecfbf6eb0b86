#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

lines() { grep -c "$1" "$LOG" || true; }
will_have() { # NUMBER PATTERN
  local i
  for ((i = 0; i < 800; i++)); do
    [ "$(lines "$2")" -ge "$1" ] && return 0
    sleep 0.01
  done
  echo "not $1 lines with '$2' but $(lines "$2")"
  return 1
}
export -f lines will_have

# Served are those that were connected and not refused.
serve() { # REDIRECTION
  local said
  # As in a terminal: 0, 1 and 2 are open, and nothing that this shell has.
  launch bash -c "for n in {3..999}; do eval \"exec \$n>&-\"; done; exec \"\$1\" 0 $1" - "$PROGRAM"
  listening || return 1
  said=$(talk A open 1 run 'will_have 1 " connected$"' B open 1099 \
    run 'will_have 1100 " connected$"; settles; lines " connected$"' \
    A close run 'will_have 1 " closed, "' C open 1 echo 1) || { echo "$said"; return 1; }
  connected=$said
  beyond=$(($(sed -n 's/^client \([0-9]*\) refused.*/\1/p' "$LOG" | head -n 1) - size))
  fewer=$((size - 1100 + $(lines ' refused, ')))
  newcomer=$(sed -n 's/^client \([0-9]*\) connected$/\1/p' "$LOG" | tail -n 1)
  kill -KILL "$server"
  ended
}

measure() {
  local size connected beyond fewer newcomer
  ulimit -S -n 4096 || { echo 'it needs 4096 descriptors: ulimit -n'; return 1; }
  size=$("$ROOT/build/talk" limits | sed 's/[^0-9]*//')
  serve '</dev/null' || return 1
  printf '%s\n' "fewer: $fewer" "beyond: $beyond" "connected: $connected" "newcomer: $newcomer"
  serve '<&-' || return 1
  echo "without input: $fewer"
}
setup_file() { measured; }

how='ulimit -n 4096 in both terminals, ./step2 >log, build/talk 9999 A open 1 B open 1099 pause 60000, and read the log'

@test "how many are served" { predicted fewer "$how"; }
@test "which number is refused first" { predicted beyond "$how"; }
@test "how many lines say connected" { predicted connected "$how"; }
@test "which number a newcomer gets" { predicted newcomer "$how"; }
@test "how many without a standard input" { predicted 'without input' "$how"; }
