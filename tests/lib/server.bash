# shellcheck shell=bash disable=SC2016,SC2030,SC2031,SC2034,SC2154
# What all *.bats files share: start a server, talk to it, look at its log,
# measure it, end it. Works with the bash 3.2 of macOS and with bats 1.8.
#
# Rules. No fixed port: the server takes port 0 and says which it got. No fixed
# time decides: a test waits until something is so, and only a limit that a
# right server never comes near ends the wait. A failing [[ ]] that is not the
# last line of a test fails nothing in bash 3.2, so tests use [ ] or functions.

# What shellcheck is told to leave: $ in single quotes is for the inner shell of
# talk's word `run`; variables are set in one file and used in another; and it
# takes what one test changes for lost to the next, which is what we want.

bats_require_minimum_version 1.5.0

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
export ROOT
LIMIT=${LIMIT:-20} # seconds that a wait may take on a busy machine

setup() { start_clean; }
teardown() { end_clean; }

start_clean() {
  server=''
  port=''
  complaints_allowed=''
  LOG=$BATS_TEST_TMPDIR/stdout
  ERRORS=$BATS_TEST_TMPDIR/stderr
  export LOG ERRORS
}

end_clean() {
  local code=0
  if [ -n "$server" ]; then
    if ! kill -0 "$server" 2>/dev/null; then
      echo 'the server has ended by itself'
      code=1
    fi
    kill -KILL "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  if [ -z "$complaints_allowed" ] && [ -s "$ERRORS" ]; then
    echo 'the server has written to stderr:'
    head -5 "$ERRORS"
    code=1
  fi
  return $code
}

fail() {
  echo "$@"
  return 1
}

equal() {
  [ "$1" = "$2" ] || fail "got '$1' and not '$2'"
}

# wait_until COMMAND...: until it succeeds.
wait_until() {
  local end=$((SECONDS + LIMIT))
  until "$@"; do
    [ $SECONDS -lt $end ] || fail "in vain: $*" || return 1
    sleep 0.01
  done
}

# ---- Starting and ending ---------------------------------------------------

# launch PROGRAM [ARGUMENT...]: in the background, without waiting for it. The
# descriptors of bats stay out of it, or bats would wait for the server.
launch() {
  # What an earlier server said would be taken for this one's. (Not a fifo.)
  [ -p "$LOG" ] || rm -f "$LOG" "$ERRORS"
  "$@" >"$LOG" 2>"$ERRORS" 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
  server=$!
  export server
}

started() {
  grep -q '^listening on' "$LOG" 2>/dev/null || ! kill -0 "$server" 2>/dev/null
}

# The server listens; sets port.
listening() {
  wait_until started || return 1
  port=$(sed -n '1s/^listening on 127\.0\.0\.1:\([0-9][0-9]*\)$/\1/p' "$LOG")
  export port
  [ -n "$port" ] || {
    echo 'no server listens:'
    cat "$LOG" "$ERRORS"
    return 1
  }
}

# The program of a step. An exercise has another one marked in its place.
program() { # STEP
  echo "${PROGRAM:-$ROOT/step$1}"
}

# start STEP [ARGUMENT...]: the server of this step, port 0 if nothing is said.
start() {
  local program
  program=$(program "$1")
  shift
  [ $# -gt 0 ] || set -- 0
  launch "$program" "$@"
  listening
}

# start_with_limit DESCRIPTORS STEP: at most so many descriptors
start_with_limit() {
  launch bash -c 'ulimit -S -n "$1" && exec "$2" 0' - "$1" "$(program "$2")"
  listening
}

# This process and those that it starts may have so many descriptors, or the
# test is skipped.
need_descriptors() {
  ulimit -S -n "$1" 2>/dev/null || skip "needs $1 descriptors (ulimit -n)"
}

is_over() {
  ! kill -0 "$server" 2>/dev/null
}

# The server ends; sets ended_with to its exit status. kill -0 succeeds for a
# zombie too, hence the wait in a shell of its own kind: bash has reaped it.
ended() {
  local pid=$server
  wait_until is_over || return 1
  server=''
  ended_with=0
  wait "$pid" || ended_with=$?
}

# How often Linux has closed a connection without TIME_WAIT, since it remembers no more
# of them than net.ipv4.tcp_max_tw_buckets: TCPTimeWaitOverflow in /proc/net/netstat.
forgotten_connections() {
  [ -r /proc/net/netstat ] || return 0
  awk '/^TcpExt: [A-Z]/ { n = split($0, name) }
    /^TcpExt: [0-9]/ { for (i = 2; i <= n; i++) if (name[i] == "TCPTimeWaitOverflow") print $i }' \
    /proc/net/netstat
}

# limited PROGRAM [ARGUMENT...]: for programs that should end at once.
limited() {
  "$ROOT/build/talk" alarm "$LIMIT" "$@"
}

# talk WORD...: see talk.c.
talk() {
  "$ROOT/build/talk" -t "$LIMIT" "$port" "$@"
}

# ---- The log ---------------------------------------------------------------

# Every descriptor is replaced by a letter, A for the first one that connects:
# which numbers are free is the business of the system.
normal_log() {
  awk '
    /^client [0-9]+ connected$/ {
      name[$2] = substr("ABCDEFGHIJKLMNOPQRSTUVWXYZ", ++n, 1)
    }
    /^client [0-9]+ / { sub(/[0-9]+/, name[$2] == "" ? "?" : name[$2]) }
    NR > 1 { print }
  ' "$LOG"
}
export -f normal_log

# log_is LINE...: after the first one, these are the lines of the log.
log_is() {
  local wanted end=$((SECONDS + LIMIT))
  wanted=$(printf '%s\n' "$@")
  until [ "$(normal_log)" = "$wanted" ]; do
    if [ $SECONDS -ge $end ]; then
      printf 'the log is:\n%s\nand not:\n%s\n' "$(normal_log)" "$wanted"
      return 1
    fi
    sleep 0.01
  done
}

# log_has NUMBER PATTERN: so many lines match.
log_has() {
  [ "$(grep -c -e "$2" "$LOG")" -eq "$1" ]
}

log_will_have() {
  wait_until log_has "$@" || {
    tail -5 "$LOG"
    return 1
  }
}

# in_order PATTERN...: each has a line in the log, each after the one before.
in_order() {
  local pattern line last=0
  for pattern; do
    line=$(normal_log | grep -n -e "$pattern" | head -1)
    [ "${line%%:*}0" -gt "${last}0" ] || {
      echo "'$pattern' is not there or not in order:"
      normal_log
      return 1
    }
    last=${line%%:*}
  done
}

# For `run` in a script of talk.
wait_for_line() {
  local state end=$((SECONDS + ${LIMIT:-20}))
  while [ $SECONDS -lt $end ]; do
    state=$(ps -o state= -p "$server")
    grep -q -e "$1" "$LOG" "$ERRORS" && return 0
    # It has ended, and had before this look: there comes no more.
    case $state in Z* | '') break ;; esac
    sleep 0.01
  done
  echo "no line like '$1'"
  return 1
}
export -f wait_for_line

# ---- Measuring -------------------------------------------------------------

# The processor time that the server has used, in microseconds. The tick of ps
# is mostly a hundredth of a second, so what is compared must be far above it.
cpu() {
  if [ -r "/proc/$server/schedstat" ]; then
    awk '{ printf "%d\n", $1 / 1000 }' "/proc/$server/schedstat"
  else
    ps -o time= -p "$server" | awk '{
      n = split($1, part, /[-:]/)
      for (i = 1; i <= n; i++) s = s * (i == 2 && n == 4 ? 24 : 60) + part[i]
      printf "%d\n", s * 1000000
    }'
  fi
}
export -f cpu

# In 300 ms in which nobody wants anything, a server that waits uses no
# time, and one that spins uses most of it (on a busy machine its share).
uses_no_cpu() {
  local before used
  before=$(cpu)
  sleep 0.3
  used=$(($(cpu) - before))
  [ $used -lt 50000 ] || {
    echo "used $used microseconds while nothing was to be done"
    return 1
  }
}

# It goes on using time, although nobody wants anything.
spins() {
  local before i
  before=$(cpu)
  for ((i = 0; i < 200; i++)); do
    [ $(($(cpu) - before)) -ge 200000 ] && return 0
    sleep 0.05
  done
  echo 'does not spin'
  return 1
}
export -f uses_no_cpu spins

# KiB in memory.
resident() {
  ps -o rss= -p "$server" | tr -d ' '
}
export -f resident

# Bytes that were sent to the server and that it has not read, over all of its
# connections: what waits in its receive buffers, and in the clients' send
# buffers. What moves from one to the other, or is there and not acknowledged
# yet, is counted twice or not at all: so it is counted until it stays the same.
# A server that has work and gets no processor is not done: it has to sleep.
unread() {
  local now last='' same=0
  while [ $same -lt 3 ]; do
    now="$(ps -o state= -p "$server") $(cpu) $(unread_now)"
    same=$((same + 1))
    [ "$now" = "$last" ] || same=0
    case $now in [RD]*) same=0 ;; esac
    last=$now
    sleep 0.05
  done
  echo "${last##* }"
}
export -f unread

unread_now() {
  if [ -r /proc/net/tcp ]; then
    awk -v port="$(printf ':%04X' "$port")" '
      function hex(text,   i, n) {
        for (i = 1; i <= length(text); i++)
          n = n * 16 + index("0123456789ABCDEF", substr(text, i, 1)) - 1
        return n
      }
      { split($5, queue, ":") }
      $4 == "01" && substr($2, 9) == port { n += hex(queue[2]) }
      $4 == "01" && substr($3, 9) == port { n += hex(queue[1]) }
      END { print n + 0 }
    ' /proc/net/tcp
  else
    netstat -an | awk -v port="[.:]$port\$" '
      $4 ~ port && $6 == "ESTABLISHED" { n += $2 }
      $5 ~ port && $6 == "ESTABLISHED" { n += $3 }
      END { print n + 0 }'
  fi
}
export -f unread_now

# The local addresses at which the server's port listens.
listens_at() {
  if [ -r /proc/net/tcp ]; then
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
      awk -v port="$(printf ':%04X' "$port")" '
        $4 == "0A" && substr($2, length($2) - 4) == port {
          print ($2 ~ /^0100007F:/ ? "127.0.0.1" : $2)
        }'
  else
    netstat -an | awk -v port="[.:]$port\$" '
      $4 ~ port && /LISTEN/ { sub(port, "", $4); print $4 }'
  fi
}

# ---- Stopping and continuing -----------------------------------------------

# While the server is halted, what clients do piles up in the kernel. So a test
# decides what one turn of the server finds.
halt() {
  local i
  kill -STOP "$server"
  for ((i = 0; i < 1000; i++)); do
    case $(ps -o state= -p "$server") in
    *T*) return 0 ;;
    *Z* | '') return 1 ;; # it has ended
    esac
    sleep 0.01
  done
  return 1
}

go_on() {
  kill -CONT "$server"
}
export -f halt go_on
