#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark
rest=400 # nothing in it waits for time

# Servers with small send buffers: what a client does not read is soon kept.
setup_file() {
  local small='-include exercises/lib/small-buffers.h'
  # shellcheck disable=SC2086 # two words
  compiled small plain $small && compiled small-sanitized sanitized $small
  compiled still plain -include exercises/lib/still.h
}

setup() {
  begin_check
  nl='
'
  # 60 lines of 1000 bytes, and 60 that are all the same; lines of 1024, of 1025, and 5000 bytes without an end.
  local i
  sixty='' same=''
  for ((i = 0; i < 60; i++)); do
    printf -v line '%0999d\n' $i
    sixty+=$line
    same+=${sixty:0:1000}
  done
  printf -v longest '%01023d\n' 1
  printf -v too_long '%01024d\n' 2
  printf -v endless '%05000d' 3
}

# gone REASON N: so many lines of the log say it.
gone() {
  local i
  for ((i = 0; i < LIMIT * 50; i++)); do
    [ "$(grep -c "^client [0-9]* $1" "$LOG")" -lt "$2" ] || break
    sleep 0.01
  done
  is "$(grep -c "^client [0-9]* $1" "$LOG")" "$2" "the lines of the log with '$1' are counted"
}
export -f gone is

@test "it compiles without a warning" { compiles_without_warning; }

@test "a line goes to all others, and not back" {
  start "$STEP"
  talk A open 1 send "alone$nl" run settles B open 1 C open 8 run settles A send "hello$nl" B expect "hello$nl" C expect "hello$nl" \
    run 'halt; go_on' B send "x$nl" A expect "x$nl" C expect "x$nl" A send "$nl" B expect "$nl" C expect "$nl" \
    run 'halt; go_on; halt' A send "1$nl" run settles B shut A send "2$nl" run go_on C expect "1${nl}2$nl" \
    C close A send "alone again$nl"
}

@test "each line is whole, whoever sends beside it" {
  start "$STEP"
  talk A open 1 B open 1 C open 1 run settles A send ab run settles B send xy run settles A send "c$nl" \
    C expect "abc$nl" B expect "abc$nl" B send "z$nl" C expect "xyz$nl" A expect "xyz$nl" \
    A send "one${nl}two${nl}thr" C expect "one${nl}two$nl" A send "ee$nl" C expect "three$nl" \
    B expect "one${nl}two${nl}three$nl" \
    D open 1 send lost shut eof E open 1 send "found$nl" C expect "found$nl" B expect "found$nl" A expect "found$nl"
}

@test "a line has at most 1024 bytes" {
  start "$STEP"
  talk A open 1 B open 1 C open 1 D open 1 run settles A send "$longest" B expect "$longest" C expect "$longest" \
    D expect "$longest" B send "$too_long" end any run 'gone "too long" 1' D send "$endless" end any run 'gone "too long" 2' \
    E open 1 send 12 run settles send "$endless" end any run 'gone "too long" 3' \
    A send "$longest" C expect "$longest" send "next$nl" A expect "next$nl"
}

@test "a line may have any bytes, come in pieces, or before one that is too long" {
  start "$STEP"
  talk A open 1 B open 1 C open 1 run settles A send "${longest:0:1000}" run settles send "${longest:1000}" \
    B expect "$longest" C expect "$longest" B send "good$nl$too_long" end any A expect "good$nl" C expect "good$nl" \
    run 'gone "too long" 1' run "late_newline ${too_long:0:1024}" run 'gone "too long" 2' C send "next$nl" A expect "next$nl"
  is "$(byte_0)" 6100620a 'one sent a, a byte 0, b and a newline; what another got, in hexadecimal'
}
# 1024 bytes, and then a newline, unless the server has hung up already.
late_newline() {
  (
    trap '' PIPE
    exec 8<>"/dev/tcp/127.0.0.1/$port"
    printf %s "$1" >&8
    settles
    printf '\n' >&8
  ) 2>/dev/null || true
}
byte_0() {
  (
    exec 8<>"/dev/tcp/127.0.0.1/$port" 9<>"/dev/tcp/127.0.0.1/$port"
    settles
    printf 'a\0b\n' >&9
    limited head -c 4 <&8 | od -An -tx1 | tr -d ' \n'
  ) 2>/dev/null
}
export -f late_newline

@test "who reads slowly gets each line in its place" {
  start_compiled small
  talk A open 1 C open 1 buffer 4096 B open 1 run settles A send "$sixty" C expect "$sixty" run settles run halt \
    B expect "${sixty:0:4000}" pause 200 A send "over$nl" run go_on C expect "over$nl" run settles B expect "${sixty:4000:26000}" \
    run settles A send "${sixty:0:30000}" C expect "${sixty:0:30000}" run settles run 'gone "too slow" 0' \
    B expect "${sixty:30000}over$nl${sixty:0:30000}"
}

@test "two talk much at once, and who has room for it is not too slow" {
  start "$STEP"
  talk A open 1 B open 1 C open 1 run settles run halt A send "$same" B send "$same" run go_on \
    C expect "$same" expect "$same" A expect "$same" B expect "$same" run 'gone "too slow" 0'
}

@test "who is too slow is dropped, who is only slow is not" {
  start_compiled small
  talk A open 1 C open 1 buffer 4096 B open 1 run settles A send "$sixty" C expect "$sixty" run settles \
    B send "here$nl" A expect "here$nl" C expect "here$nl" B expect "$sixty" A send "$sixty" C expect "$sixty" \
    run settles run 'gone "too slow" 0' A send "$sixty" C expect "$sixty" A send "$sixty" C expect "$sixty" \
    run 'gone "too slow" 1' C send "on$nl" A expect "on$nl"
}

# The line drops B and D, the new client gets the number of one of them, and events of
# theirs stand further down in the batch.
@test "some are dropped while others are told, and no stale event is followed" {
  start_compiled small-sanitized
  talk A open 1 C open 1 buffer 4096 D open 2 B open 3 run settles A send "$sixty" C expect "$sixty" run settles \
    run halt A send "$sixty" E open 1 B shut D reset run go_on C expect "$sixty" run settles \
    C send "on$nl" A expect "on$nl" E expect "on$nl"
  is_sane
  gone '\(closed\|reset\|too slow\)' 8
}

@test "it sleeps while lines wait, and when they are gone" {
  start_compiled small
  talk A open 1 buffer 4096 B open 1 run settles A send "$sixty" run settles \
    run 'sleeps "one has not read its lines"' B expect "$sixty" run 'sleeps "now it has"'
}

@test "who is dropped gives its memory back" {
  local before after round
  start_compiled small
  for round in 1 2 3 4; do
    talk A open 1 buffer 4096 B open 8 run settles A send "$sixty" send "$sixty" send "$sixty" \
      run "gone 'too slow' $((8 * round))"
    [ $round -gt 1 ] || before=$(resident)
  done
  after=$(resident)
  [ $((after - before)) -lt 700 ] ||
    told 'eight slow clients were dropped, four times' "no more memory than after the first time, $before KiB" "$after KiB"
  end_clean
  start "$STEP"
  talk A open 100 send x reset B open 100 reset
  wait_until gone_all 200
  before=$(resident)
  for round in 3 5 7 9 11 13 15 17 19; do
    talk A open 100 send x reset B open 100 reset
    wait_until gone_all $((100 * round + 100))
  done
  after=$(resident)
  [ $((after - before)) -lt 500 ] ||
    told '2000 clients came and left' "no more memory than after the first 200, $before KiB" "$after KiB"
}
gone_all() { [ "$(grep -c -e ' closed' -e ' reset' "$LOG")" -ge "$1" ]; }

@test "out of descriptors, one that leaves makes room for one that waits" {
  [ "$(uname -s)" != Darwin ] || skip 'accept() drops the connection on macOS'
  start_compiled still 16
  talk A open 2 run settles B open 20 run settles run 'sleeps "more have come than there are descriptors"' \
    run 'grep -c " connected" "$LOG" >"$WORK/connected"' A close run 'wait_until two_more "$(cat "$WORK/connected")"'
}
two_more() { [ "$(grep -c ' connected' "$LOG")" -eq $(($1 + 2)) ]; }
export -f two_more wait_until

@test "who leaves gives its descriptor back" {
  [ -d /proc/self/fd ] || command -v lsof >/dev/null || skip 'needs /proc or lsof'
  local before i
  local -a all=()
  start "$STEP"
  talk A open 1 send "x$nl" shut eof
  before=$(descriptors)
  for ((i = 0; i < 10; i++)); do
    all+=(A open 1 send x close B open 1 send "y$nl" shut eof close C open 1 send z reset)
  done
  talk "${all[@]}"
  wait_until has_descriptors "$before" >/dev/null ||
    told '30 clients came and left: closed, half-closed, reset' "$before descriptors, as before" "$(descriptors)"
}
