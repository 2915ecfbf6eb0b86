#!/usr/bin/env bats
# What the servers built with tools/trace.h say about a short conversation. In
# it K stands for the queue, L for the listener, A for the client.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see lib/server.bash
load ../lib/server
load ../lib/make

setup_file() {
  make_quietly step1-trace step2-trace step3-trace step4-trace step5-trace
}

normal_trace() {
  awk '
    { line[NR] = $0 }
    /^kqueue\(\) = / { name[$3] = "K" }
    /^accept\([0-9]+\) = [0-9]/ {
      name[substr($1, 8, length($1) - 8)] = "L"
      name[$3] = "A"
    }
    function put(before, number, after) {
      return before (number in name ? name[number] : number) after
    }
    END {
      for (i = 1; i <= NR; i++) {
        text = line[i]
        if (match(text, /fd [0-9]+/))
          text = put(substr(text, 1, RSTART + 2),
            substr(text, RSTART + 3, RLENGTH - 3),
            substr(text, RSTART + RLENGTH))
        else if (match(text, /^[a-z]+\([0-9]+/)) {
          at = index(text, "(")
          text = put(substr(text, 1, at), substr(text, at + 1, RLENGTH - at),
            substr(text, RLENGTH + 1))
        }
        if (match(text, /^(accept\(L\)|dup\(L\)|kqueue\(\)) = [0-9]+$/))
          text = put(substr(text, 1, index(text, "=") + 1),
            substr(text, index(text, "=") + 2), "")
        if (text ~ /^select/) {
          n = split(text, part, " ")
          text = part[1]
          for (j = 2; j <= n; j++) {
            close_ = sub(/\)$/, "", part[j])
            if (part[j - 1] != "=")
              part[j] = put("", part[j], "")
            text = text " " part[j] (close_ ? ")" : "")
          }
        }
        sub(/ +$/, "", text)
        print text
      }
    }
  ' "$ERRORS"
}

trace_is() {
  [ "$(normal_trace)" = "$wanted" ]
}

# check_trace STEP, and on stdin what is wanted
check_trace() {
  complaints_allowed=1
  wanted=$(cat)
  launch "$ROOT/build/step$1-trace" 0
  listening
  talk A open 1 send hello expect hello shut eof
  wait_until trace_is || {
    printf 'the trace is:\n%s\n' "$(normal_trace)"
    return 1
  }
}

@test "trace: step 1" {
  check_trace 1 <<'END'
dup(L) = A
close(A) = 0
accept(L) = A
recv(A) = 5 bytes
send(A, 5 bytes) = 5
recv(A) = 0 (EOF)
close(A) = 0
accept(L) =
END
}

@test "trace: step 2" {
  check_trace 2 <<'END'
dup(L) = A
close(A) = 0
select(read L) = 1 (read L)
accept(L) = A
select(read L A) = 1 (read A)
recv(A) = 5 bytes
send(A, 5 bytes) = 5
select(read L A) = 1 (read A)
recv(A) = 0 (EOF)
close(A) = 0
select(read L) =
END
}

@test "trace: step 3" {
  check_trace 3 <<'END'
kqueue() = K
dup(L) = A
close(A) = 0
-> fd L READ: add, receipt asked
kevent(K) = 1
<- fd L READ: done (receipt)
kevent(K) = 1
<- fd L READ: 1 connection waiting
accept(L) = A
-> fd A READ: add, receipt asked
kevent(K) = 1
<- fd A READ: done (receipt)
kevent(K) = 1
<- fd A READ: 5 bytes to read
recv(A) = 5 bytes
send(A, 5 bytes) = 5
kevent(K) = 1
<- fd A READ: EOF
recv(A) = 0 (EOF)
close(A) = 0
kevent(K) =
END
}

@test "trace: step 4" {
  check_trace 4 <<'END'
kqueue() = K
dup(L) = A
close(A) = 0
-> fd L READ: add, receipt asked
kevent(K) = 1
<- fd L READ: done (receipt)
kevent(K) = 1
<- fd L READ: 1 connection waiting
accept(L) = A
-> fd A READ: add, receipt asked
kevent(K) = 1
<- fd A READ: done (receipt)
kevent(K) = 1
<- fd A READ: 5 bytes to read
recv(A) = 5 bytes
send(A, 5 bytes) = 5
kevent(K) = 1
<- fd A READ: EOF
recv(A) = 0 (EOF)
close(A) = 0
kevent(K) =
END
}

@test "trace: step 5" {
  check_trace 5 <<'END'
kqueue() = K
-> signal SIGINT: add, receipt asked
kevent(K) = 1
<- signal SIGINT: done (receipt)
-> signal SIGTERM: add, receipt asked
kevent(K) = 1
<- signal SIGTERM: done (receipt)
dup(L) = A
close(A) = 0
-> fd L READ: add, receipt asked
kevent(K) = 1
<- fd L READ: done (receipt)
kevent(K) = 1
<- fd L READ: 1 connection waiting
accept(L) = A
-> fd A READ: add, receipt asked
kevent(K) = 1
<- fd A READ: done (receipt)
-> timer 1: add, once, 60000 ms
kevent(K) = 0
kevent(K) = 1
<- fd A READ: 5 bytes to read
recv(A) = 5 bytes
send(A, 5 bytes) = 5
kevent(K) = 1
<- fd A READ: EOF
recv(A) = 0 (EOF)
close(A) = 0
kevent(K) =
END
}

# The size of the buffer: what waits, up to 64 KiB, comes with one recv(). Other
# systems than Linux let less wait.
@test "trace: one recv() takes all that waits, up to 64 KiB" {
  local step bytes=60000
  [ "$(uname -s)" = Linux ] || bytes=16000
  complaints_allowed=1
  for step in 1 2 3 4 5; do
    launch "$ROOT/build/step$step-trace" 0
    listening
    talk A open 1 echo 1 run halt put $bytes run go_on rest shut eof
    equal "$(grep -c '^recv([0-9]*) = '$bytes' bytes$' "$ERRORS")" 1
    kill -KILL "$server"
    ended
  done
}

# On loopback its absence is felt only now and then, so we look at the call.
@test "trace: TCP_NODELAY is set on each client" {
  local step=0 source
  complaints_allowed=1
  cat >"$BATS_TEST_TMPDIR/noted.h" <<'END'
#include <sys/types.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
static int noted(int fd, int level, int name, const void *value, socklen_t size)
{
    if (level == IPPROTO_TCP && name == TCP_NODELAY && *(const int *)value)
        fprintf(stderr, "TCP_NODELAY\n");
    return setsockopt(fd, level, name, value, size);
}
#define setsockopt noted
END
  cd "$ROOT"
  for source in 0[1-5]*/server.c; do
    step=$((step + 1))
    # shellcheck disable=SC2046 # several words on Linux, none elsewhere
    cc -std=gnu99 -include "$BATS_TEST_TMPDIR/noted.h" \
      $(sh linux/flags -c) -c -o "$BATS_TEST_TMPDIR/server.o" "$source"
    # shellcheck disable=SC2046
    cc -o "$BATS_TEST_TMPDIR/server$step" "$BATS_TEST_TMPDIR/server.o" \
      $(sh linux/flags)
    launch "$BATS_TEST_TMPDIR/server$step" 0
    listening
    talk A open 1 echo 1 close B open 1 echo 1 close
    equal "$(grep -c TCP_NODELAY "$ERRORS")" 2
    kill -KILL "$server"
    ended
  done
}
