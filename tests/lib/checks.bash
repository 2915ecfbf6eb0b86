# shellcheck shell=bash disable=SC2016,SC2030,SC2031,SC2034,SC2154
# What every server must do, as functions that step1.bats ... step5.bats call,
# each with its own STEP. (bats 1.8 cannot make tests in a loop.)

load ../../tests/lib/server # from wherever a test lies

# Clients that may wait in the backlog: 128 is that of macOS and of the BSDs. On
# Linux more than one turn of a server takes.
backlog_of_clients() {
  case $(uname -s) in Linux) echo 300 ;; *) echo 100 ;; esac
}

# ---- Bytes -----------------------------------------------------------------

check_sizes() {
  local n sum=0
  local -a script
  script=(A open 1)
  for n in 1 2 3 100 1448 1460 4096 16383 65535 65536 65537 100000 200000 \
    262144; do
    script+=(echo "$n")
    sum=$((sum + n))
  done
  start "$STEP"
  talk "${script[@]}" shut eof
  log_is 'client A connected' "client A closed, $sum bytes echoed"
}

check_text() {
  start "$STEP"
  talk A open 1 send hello expect hello send ' world' expect ' world' shut eof
  log_is 'client A connected' 'client A closed, 11 bytes echoed'
}

# All send, half-close, and read to the end, at the same time.
check_many_at_once() {
  local clients=${1:-60}
  start "$STEP"
  talk A open "$clients" put 5000 shut rest eof
  log_will_have "$clients" '^client [0-9]* connected$'
  log_will_have "$clients" '^client [0-9]* closed, 5000 bytes echoed$'
}

check_half_close() {
  local n
  for n in 0 1 70000; do
    start "$STEP"
    talk A open 1 put $n shut rest eof
    log_is 'client A connected' "client A closed, $n bytes echoed"
    kill "$server"
    ended
  done
}

# When the server looks, bytes and the end of them are both there.
check_bytes_before_the_end() {
  start "$STEP"
  talk A open 1 B open 1 C open 1 run 'halt' \
    A put 1 shut B pour 100000 shut C pour 262144 shut run 'go_on' \
    A rest eof B rest eof C rest eof
  log_will_have 1 ' closed, 1 bytes echoed'
  log_will_have 3 ' closed, '
}

# As much as all buffers take is sent before the client reads a byte.
check_late_reader() {
  local sent
  start "$STEP"
  run -0 talk buffer 4096 A open 1 fill shut count rest eof
  sent=${output#A }
  sent=${sent%% *}
  # NetBSD takes 72,000, Linux millions.
  [ "$sent" -gt 16384 ]
  log_is 'client A connected' "client A closed, $sent bytes echoed"
}

check_no_delay() {
  local n
  local -a script
  script=(A open 1 ping 40 1 20)
  for n in 1 10 1000 4096 16384 40000 65535 65536 65537 66000 70000 100000 \
    131000 150000 200000 262144; do
    script+=(ping 7 "$n" 20)
  done
  start "$STEP"
  talk "${script[@]}"
}

# ---- Faults of clients -----------------------------------------------------

check_reset_in_backlog() {
  start "$STEP"
  talk run 'halt' A open 1 B open 20 C open 1 A put 5 \
    B put 5 reset run 'go_on' A rest shut eof C echo 100 shut eof
}

check_reset_when_idle() {
  start "$STEP"
  talk A open 1 echo 12 reset run 'wait_for_line " reset, "' \
    B open 1 echo 10 shut eof
  log_is 'client A connected' 'client A reset, 12 bytes echoed' \
    'client B connected' 'client B closed, 10 bytes echoed'
}

# The server has bytes for a client, and the client is gone: SIGPIPE.
check_reset_in_transfer() {
  start "$STEP"
  talk buffer 4096 A open 1 fill reset B open 1 echo 100000 reset \
    C open 5 run halt pour 100000 reset run go_on \
    D open 1 echo 10 shut eof
  log_will_have 1 ' closed, 10 bytes echoed'
  [ "$(grep -c ' reset, ' "$LOG")" -gt 0 ]
}

# Closed without reading what came back: again a reset, a moment later.
check_close_unread() {
  start "$STEP"
  talk buffer 4096 A open 1 pour 100000 close B open 1 fill close \
    C open 1 echo 10 shut eof
  log_will_have 1 ' closed, 10 bytes echoed'
}

# Each client that leaves gives its descriptor back.
check_descriptors_come_back() {
  local i
  local -a script
  script=()
  for ((i = 0; i < 30; i++)); do
    script+=(A open 1 echo 3 close B open 1 echo 3 shut eof close C open 1
      echo 3 reset D open 1 echo 1 shut eof close)
  done
  start_with_limit 20 "$STEP"
  talk "${script[@]}"
}

# ---- The process -----------------------------------------------------------

# SIGSTOP and SIGCONT make some system calls fail with EINTR.
check_stop_and_continue() {
  start "$STEP"
  # In accept() or what waits for it, in recv(), in send().
  talk run 'halt; go_on' A open 1 run 'halt; go_on' echo 1 run 'halt; go_on' \
    echo 100000 shut eof buffer 4096 B open 1 fill run 'halt; go_on' \
    run 'halt; go_on' rest run 'halt; go_on' shut eof
}

check_log() {
  start "$STEP"
  equal "$(cat "$LOG")" "listening on 127.0.0.1:$port"
  # Each line is in the file at once, while the server runs.
  talk A open 1 echo 12 run 'wait_for_line "^client [0-9]* connected$"' \
    shut eof run 'wait_for_line "^client [0-9]* closed, 12 bytes echoed$"' \
    B open 1 echo 300 run 'wait_for_line "^client [0-9]* connected$"' reset
  log_is 'client A connected' 'client A closed, 12 bytes echoed' \
    'client B connected' 'client B reset, 300 bytes echoed'
}

check_log_reader_gone() {
  local line
  complaints_allowed=1
  mkfifo "$BATS_TEST_TMPDIR/fifo"
  LOG=$BATS_TEST_TMPDIR/fifo launch "$(program "$STEP")" 0
  exec 8<"$BATS_TEST_TMPDIR/fifo"
  read -r -t "$LIMIT" line <&8
  exec 8<&-
  port=${line##*:}
  talk A open 1 echo 10 shut eof B open 1 echo 100000 reset \
    C open 1 echo 10 shut eof
}

check_port_in_use() {
  start "$STEP"
  run -1 --separate-stderr limited "$(program "$STEP")" "$port"
  equal "$output" ''
  # musl says it with one word less.
  equal "${stderr/Address in use/Address already in use}" \
    "step$STEP: bind 127.0.0.1:$port: Address already in use"
}

# The server closes first, so its side of the connection is in TIME_WAIT.
check_restart() {
  start "$STEP"
  talk A open 1 echo 100 run 'kill -KILL $server' eof
  ended
  launch "$(program "$STEP")" "$port"
  listening
  talk A open 1 echo 100 shut eof
}

check_loopback_only() {
  start "$STEP"
  equal "$(listens_at)" 127.0.0.1
}

# ---- Steps 2 to 5: many clients in one turn --------------------------------

check_batch() {
  local clients
  clients=$(backlog_of_clients)
  start "$STEP"
  # More connections, and then more messages, than one turn takes.
  talk run halt A open "$clients" put 100 run go_on rest \
    run halt put 3000 run go_on rest shut eof
  log_will_have "$clients" ' closed, 3100 bytes echoed'
}

# In one turn some send, some leave, some are reset, and new ones come, which
# get the descriptors of those that left.
check_mixed_batch() {
  start "$STEP"
  talk A open 50 B open 30 C open 30 D open 20 A echo 10 B echo 20 C echo 30 \
    D echo 40 run halt \
    B put 1000 reset A put 1000 C shut D put 500 shut E open 50 put 77 \
    run go_on A rest C eof D rest eof E rest \
    run halt A put 7 shut E shut F open 50 put 9 run go_on \
    A rest eof E eof F rest shut eof
  log_will_have 50 ' closed, 1017 bytes echoed'
  log_will_have 30 ' closed, 30 bytes echoed'
  log_will_have 20 ' closed, 540 bytes echoed'
  log_will_have 50 ' closed, 77 bytes echoed'
  log_will_have 50 ' closed, 9 bytes echoed'
}

check_idle_uses_no_cpu() {
  start "$STEP"
  talk A open 20 echo 1000 B open 1 echo 262144 shut eof run uses_no_cpu
}

# ---- Steps 4 and 5 ---------------------------------------------------------

# Clients that send all they can before they read: what does not fit is kept.
# Waiting for them to read is free, and so is having waited.
check_partial_writes() {
  start "$STEP"
  talk buffer 4096 A open 1 fill B open 3 pour 200000 C open 1 echo 1000 \
    run uses_no_cpu A rest run uses_no_cpu echo 100000 fill shut rest eof \
    B rest echo 1000 shut eof
  log_will_have 5 ' closed, '
}

# A sanitizer keeps freed memory and notes of its own.
needs_plain_memory() {
  ! grep -q -e __asan_init -e __tsan_init "$(program "$STEP")" ||
    skip 'built with a sanitizer: no memory can be measured'
}

# A client that does not read costs less than 128 KiB of memory.
check_bounded_memory() {
  local before after
  needs_plain_memory
  start "$STEP"
  talk buffer 4096 A open 1 fill rest shut eof
  before=$(resident)
  run -0 talk buffer 4096 A open 3 fill run 'resident' rest fill rest \
    fill run 'resident'
  # The second time, those of before would be there still if they leaked.
  for after in $output; do
    [ $((after - before)) -lt $((3 * 128)) ] ||
      fail "3 clients: from $before to $after KiB"
  done
}

# An idle client costs at most 256 bytes of heap.
check_cheap_idle_clients() {
  local before after
  needs_plain_memory
  need_descriptors 2200
  start "$STEP"
  talk A open 100 echo 1000 close
  log_will_have 100 ' closed, '
  before=$(resident)
  run -0 talk A open 2000 echo 10 run 'resident'
  after=$output
  # 2000 of them, and some pages of change.
  [ $((after - before)) -le 640 ] ||
    fail "2000 clients: from $before to $after KiB"
}

# more_connected N: N clients more than when it was called with 0.
more_connected() {
  local end=$((SECONDS + ${LIMIT:-20}))
  [ "$1" -gt 0 ] || grep -c connected "$LOG" >"$LOG.before"
  while [ $SECONDS -lt $end ]; do
    [ "$(grep -c connected "$LOG")" -lt $(($(cat "$LOG.before") + $1)) ] ||
      return 0
    sleep 0.01
  done
  return 1
}
export -f more_connected

# Out of descriptors: those that wait are served as soon as another one leaves,
# and not only when the server tries again by itself, each second.
check_next_when_one_leaves() {
  [ "$(uname -s)" != Darwin ] || skip 'accept() drops the connection on macOS'
  complaints_allowed=1
  start_with_limit 20 "$STEP"
  talk A open 1 B open 1 C open 1 D open 1 E open 1 echo 1 D echo 1 \
    F open 30 run 'wait_for_line accept:' run 'more_connected 0' \
    E mark A close run 'more_connected 1' B close run 'more_connected 2' \
    C close run 'more_connected 3' D close run 'more_connected 4' \
    E within 2000 echo 10
}

# A descriptor becomes free and nobody has left: the server tries by itself.
check_tries_again() {
  command -v prlimit >/dev/null || skip 'needs prlimit, which Linux has'
  complaints_allowed=1
  start_with_limit 20 "$STEP"
  talk A open 30 put 1 run 'wait_for_line accept:' \
    run 'prlimit --pid "$server" --nofile=60:' rest
}
export -f equal fail

# A client sends without reading until all buffers are full. Then the server
# gets a signal, and the client reads to the end, which must be of this kind.
# Sets taken, the bytes that the server had read, and arrived. What it had read
# is what was sent and does not wait in a buffer of the kernel.
all_read_is_sent() { # STEP SIGNAL END
  local sent waiting
  start "$1"
  run -0 talk buffer 4096 A open 1 fill count run unread \
    run "kill -$2 \$server" end "$3" count
  ended
  sent=$(echo "$output" | awk 'NR == 1 { print $2 }')
  waiting=$(echo "$output" | awk 'NR == 2 { print $1 }')
  arrived=$(echo "$output" | awk 'NR == 3 { print $3 }')
  taken=$((sent - waiting))
}
