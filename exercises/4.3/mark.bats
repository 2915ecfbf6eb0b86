#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

# With short-send.h 10,000 bytes make a client wait, and it goes on a moment later.
start_short() { # FLAG...
  variant short '' -include "$BATS_TEST_DIRNAME/short-send.h" "$@"
  start "$STEP"
}

waits() { grep -c '^client [0-9]* waits$' "$LOG"; }
goes_on() { grep -c '^client [0-9]* goes on$' "$LOG"; }
export -f waits goes_on

says() { [ "$(waits)" -eq "$1" ] && [ "$(goes_on)" -eq "$2" ]; }
says_more() { [ "$(waits)" -gt "$1" ] && [ "$(goes_on)" -gt "$2" ]; }

# log_says WAITS GOES_ON DID: so many lines of each kind.
log_says() {
  once_at_rest says "$1" "$2" ||
    told "$3" "$1 lines 'client N waits', $2 'client N goes on'" \
      "$(grep -v ' echoed$' "$LOG" | sed 's/^client [0-9]*/client N/' | sort | uniq -c)"
}

@test "it compiles without a warning" { compiles_without_warning; }

@test "a client waits, and in the same second it goes on" {
  local i lines
  start_short
  for i in 1 2 3 4; do
    talk A open 1 echo 10000 shut eof
    log_says $i $i "client no. $i has sent 10000 bytes, of which send() takes 4096 at a time"
  done
  lines=$(grep -v '^listening' "$LOG" | sed 's/[0-9][0-9]* bytes/N bytes/' | awk '{ print ($2 == first ? "N" : $2), $0 } NR == 1 { first = $2 }' |
    sed 's/^[^ ]* client [0-9]*/client N/' | paste -s -d '/' -)
  one='client N connected/client N waits/client N goes on/client N closed, N bytes echoed'
  is "$lines" "$one/$one/$one/$one" 'four clients, one after the other'
}

@test "it goes on when all is sent, not before" {
  start_short -DSTOPS_AT=3
  run -0 talk A open 1 put 20000 \
    run 'for i in {1..400}; do case $(ps -o state= -p $server) in *T*) break ;; esac; sleep 0.01; done
      echo "$(waits) waits, $(goes_on) goes on"; kill -CONT $server' rest shut eof
  is "$output" '1 waits, 0 goes on' 'of 20000 bytes 12288 have been sent'
  log_says 1 1 'all bytes have been sent'
}

@test "of thousands of changes, one a second is told" {
  local i from kind n most
  local -a script
  start_short
  for ((i = 0; i < 30; i++)); do script+=(ping 100 10000 1000 pause 50); done
  from=$(date +%s)
  talk A open 1 "${script[@]}"
  most=$(($(date +%s) - from + 1))
  for kind in waits goes_on; do
    n=$($kind)
    { [ "$n" -ge 2 ] && [ "$n" -le $most ]; } ||
      told "3000 changes of one client in $((most - 1)) to $most seconds" \
        "2 to $most lines of each kind" "$n of '${kind/_/ }'"
  done
}

@test "a second later it is told again" {
  local before
  start_short
  talk A open 1 echo 10000
  for i in 1 2; do
    before=("$(waits)" "$(goes_on)")
    talk B open 1 echo 10000 echo 10000 pause 1100 echo 10000
    once_at_rest says_more "$((before[0] + 1))" "$((before[1] + 1))" ||
      told 'a client waits, and after 1100 ms again' "two lines of each kind more than ${before[*]}" \
        "$(waits) 'waits', $(goes_on) 'goes on'"
  done
}

# The client waits untold, 2100 ms pass, and its block is sent in several pieces.
@test "a long wait is told once, and its end though its beginning was not" {
  local stopped now
  start_short -DSTOPS_AT=5
  run -0 talk A open 1 echo 10000 put 20000 \
    run 'for i in {1..400}; do case $(ps -o state= -p $server) in *T*) break ;; esac; sleep 0.01; done
      echo "$(waits) waits, $(goes_on) goes on"; sleep 2.1; kill -CONT $server' rest shut eof
  stopped=$output
  wait_until log_has 1 ' closed, ' >/dev/null
  now="$(waits) waits, $(goes_on) goes on"
  is "$now" "${stopped%%,*}, 2 goes on" "a second wait, of 2100 ms, began with $stopped"
}

@test "what came too early is not told later" {
  start_short
  run -0 talk A open 1 echo 10000 echo 10000 \
    run 'settles; echo "$(waits) $(goes_on)"; sleep 2.1; echo "$(waits) $(goes_on)"'
  is "${lines[1]}" "${lines[0]}" 'a client has waited twice in a second, and 2100 ms later; waits, goes on'
}

@test "one that is refused does not go on" {
  start_short -DFAILS
  complaints_allowed=1
  talk A open 1 put 10000 rest shut eof
  wait_until log_has 1 ' bytes echoed$' >/dev/null
  ! sed '1,/ refused, /d' "$LOG" | grep -q 'goes on' ||
    told 'the change that turns EVFILT_WRITE off has failed' 'no more of it behind "refused"' "$(tail -n 2 "$LOG")"
}

@test "each client has a second of its own" {
  start_short
  talk A open 70 echo 10000
  log_says 70 70 '70 clients wait at the same time'
}

@test "a new client with a used number starts afresh" {
  local i
  start_short
  for i in 1 2 3 4 5; do
    talk A open 1 echo 10000 reset
    log_says $i $i "client no. $i has the number of the one before, which has just left"
    wait_until log_has $i ' reset, ' >/dev/null
  done
}

@test "one that leaves while it waits does not go on" {
  local before
  start "$STEP"
  run -0 talk buffer 4096 A open 1 fill run 'settles; goes_on || true' reset
  before=$output
  wait_until log_has 1 ' reset, ' >/dev/null
  is "$(goes_on)" "$before" 'a client that waits is reset; lines with "goes on"'
  talk buffer 4096 A open 1 fill shut rest eof
  once_at_rest says_more 1 "$before" ||
    told 'another one, with its number, ends its sending and reads all' 'it waits and goes on' "$(tail -n 4 "$LOG")"
}

@test "who always reads never waits" {
  start "$STEP"
  talk A open 20 echo 1000 echo 10 B open 1 echo 1 reset A shut eof
  wait_until log_has 20 ' closed, 1010 bytes echoed' >/dev/null
  log_says 0 0 '21 clients have sent 1000 bytes at most'
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "memory is given back" { gives_memory_back; }
@test "it sleeps while nobody wants anything" { sleeps_at_rest; }

@test "no memory is touched that is not its own" {
  is_sane_in_a_crowd
  talk buffer 4096 A open 3 fill reset B open 2 fill rest shut eof C open 1 fill shut reset
  is_sane
}

@test "nor for a client with a number above 1024" {
  need_descriptors 1200
  start_sanitized
  talk S open 1040 buffer 4096 A open 2 fill rest shut eof
  is_sane
}
