#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

# Starts it on the same port, and tells how that went.
start_there() { # PROGRAM
  launch "$1" "$port"
  wait_until started || return 1
  said=$(cat "$LOG" "$ERRORS")
}
stop() {
  kill -KILL "$server" 2>/dev/null || true
  ended
}
start_again() {
  stop
  start_there "$PROGRAM"
}
succeeds() { # KEY
  case $said in
  listening*) echo "$1: yes" ;;
  *) echo "$1: no" ;;
  esac
}

measure() {
  local said unchanged=$BATS_FILE_TMPDIR/step1 first before
  before=$(forgotten_connections)
  start "$STEP"
  talk A open 1 echo 3 run 'kill -KILL $server' end any || return 1
  start_again || return 1
  [ "$(forgotten_connections)" = "$before" ] || {
    echo 'more connections are in TIME_WAIT than the kernel remembers: try again in a minute'
    return 1
  }
  echo "call: $(sed 's/^[^:]*: \([a-z]*\).*/\1/;q' <<<"$said")"
  echo "text: ${said##*: }"
  stop
  start "$STEP"
  talk A open 1 echo 3 shut eof close run 'wait_for_line " closed, "' || return 1
  start_again
  succeeds 'client first'
  stop
  start "$STEP"
  start_again
  succeeds nobody
  stop
  (cd "$ROOT" && ${CC:-cc} -o "$unchanged" 01-blocking/server.c) || return 1
  launch "$unchanged" 0
  listening
  first=$server
  start_there "$unchanged"
  kill -KILL "$first"
  stop
  succeeds second
}
setup_file() { measured; }

how='without the three lines: connect with nc, Ctrl-C in one terminal or the other, start it again'

@test "the call that fails" { predicted call "$how"; }
@test "the text of the message" { predicted text "$how"; }
@test "what happens when the client leaves first" { predicted 'client first' "$how"; }
@test "what happens when nobody was there" { predicted nobody "$how"; }
@test "whether two servers share a port" { predicted second 'start ./step1 in two terminals'; }
