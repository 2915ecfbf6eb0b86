#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

# Starts it again on the same port, and tells how that went.
start_again() { # sets again to what it said
  local first=$port
  kill -KILL "$server"
  ended
  launch "$PROGRAM" "$first"
  wait_until started || return 1
  again=$(cat "$LOG" "$ERRORS")
}

measure() {
  local again
  start "$STEP"
  talk A open 1 echo 3 run 'kill -KILL $server' end any
  start_again
  echo "call: $(sed 's/^[^:]*: \([a-z]*\).*/\1/;q' <<<"$again")"
  echo "text: ${again##*: }"
  ended
  start "$STEP"
  talk A open 1 echo 3 shut eof close
  wait_until grep -q ' closed, ' "$LOG"
  start_again
  case $again in
  listening*) echo 'client first: yes' ;;
  *) echo 'client first: no' ;;
  esac
}
setup_file() { measured; }

how='take out the four lines in a copy, connect with nc, Ctrl-C in one terminal or the other, start again'

@test "the call that fails" { predicted call "$how"; }

@test "the text of the message" { predicted text "$how"; }

@test "what happens when the client leaves first" { predicted 'client first' "$how"; }
