#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

yes_or_no() { # KEY COMMAND...
  if "${@:2}" >/dev/null; then echo "$1: yes"; else echo "$1: no"; fi
}

# Ten million bytes in lines with numbers, Z in the last ones.
numbers() { awk 'BEGIN { for (i = 0; i < 1250000; i++) print (i < 1249950 ? 1000000 + i : "Z" 100000 + i % 50) }'; }

# A client that leaves with two events in one batch can end this server: all that
# is asked of one is asked before its client leaves.
measure() {
  start "$STEP"
  before=$(resident)
  export before
  export -f yes_or_no talk
  talk buffer 4096 A open 1 put 10000000 run 'yes_or_no "reads all" [ "$(unread)" = 0 ]
    yes_or_no memory [ $(($(resident) - before)) -gt 1000 ]
    yes_or_no others talk B open 1 echo 100 shut eof' || echo 'reads all: no'
  end_clean >/dev/null || true
  start "$STEP"
  exec 9<>"/dev/tcp/127.0.0.1/$port"
  numbers | "$ROOT/build/talk" alarm "$LIMIT" cat >&9
  unread >/dev/null
  "$ROOT/build/talk" alarm "$LIMIT" sed /Z/q <&9 >"$BATS_TEST_TMPDIR/back"
  yes_or_no first test "$(sed 125q "$BATS_TEST_TMPDIR/back" | cksum)" = "$(numbers | sed 125q | cksum)"
  yes_or_no last grep -q Z "$BATS_TEST_TMPDIR/back"
  yes_or_no between test "$(grep -c '^1......$' "$BATS_TEST_TMPDIR/back")" -eq 1249950
  exec 9>&-
  end_clean >/dev/null || true
  start "$STEP"
  yes_or_no closed talk buffer 4096 A open 1 put 10000000 shut run 'wait_for_line " closed, "'
}
setup_file() { measured; }

how='build/talk PORT buffer 4096 A open 1 put 10000000 ... as in the task, with top and the log'

@test "whether the server reads them all" { predicted 'reads all' "$how"; }

@test "whether its memory grows" { predicted memory "$how"; }

@test "whether others are answered" { predicted others "$how"; }

@test "which bytes come back" {
  predicted first "$how, get 1000"
  predicted last "$how, and a client that reads all that comes"
  predicted between "$how, rest"
}

@test "whether an end closes the client before it reads" { predicted closed "$how, shut"; }
