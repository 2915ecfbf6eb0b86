#!/usr/bin/env bats
# The benchmark's machinery: a tiny run goes through and leaves figures, and a
# server that is wrong makes it fail.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see lib/server.bash
load ../lib/server

setup() {
  [ "$(uname -s)" = Linux ] || skip 'measured against epoll, which is Linux'\''s'
  start_clean
}

# Make's own variables stay out, and with them the flags of another build.
build() {
  (
    unset MAKEFLAGS MFLAGS MAKELEVEL
    cd "$ROOT" && make -s all && make -s -f tests/Makefile "$@"
  )
}

# bench MODE ARGUMENT...: 50 echoes, or as many connections, 2 rounds
bench() {
  "$ROOT/build/load" "$1" -n 50 -r 2 "${@:2}"
}

@test "bench: a tiny run leaves all figures" {
  local dir=$BATS_TEST_TMPDIR/results key
  build build/load build/epoll
  run -0 sh "$ROOT/tests/bench/run.sh" tiny "$dir"
  for key in step{3,4,5}.ratio step{4,5}.ratio.50 fionread.ratio \
    cpu.{step2,step5,epoll}.{0,10} echoes.step{2,3,4,5}.{1x64,500x65536} \
    conn.ratio.step{3,4,5} mem.step{3,4,5} heap.step{4,5} flood.step4 \
    nagle.with nagle.without; do
    grep -Eq "^$key -?[0-9.]+\$" "$dir/summary.txt" || fail "no $key"
  done
  grep -q '^cores [1-9]' "$dir/machine.txt"
  # Every sample has all its columns.
  run -0 awk '$2 == "echo" && NF != 13' "$dir/raw.txt"
  equal "$output" ''
}

@test "bench: each line is a sample, and there is nothing to complain of" {
  build build/load build/epoll
  cd "$ROOT"
  run -0 --separate-stderr bench echo -b 70000 -c 3 step3:20='./step3 PORT' \
    step4='./step4 PORT' step5='./step5 PORT' epoll='build/epoll PORT'
  equal "$stderr" ''
  equal "${#lines[@]}" 8
  run -0 --separate-stderr bench connect step1='./step1 PORT' \
    epoll='build/epoll -l PORT'
  equal "$stderr" ''
  equal "${#lines[@]}" 4
}

# faulty NAME STATEMENT: the epoll server, with a fault before it sends.
faulty() {
  sed "s/^    for (ssize_t sent = 0;.*/    $2\n&/" \
    "$ROOT/tests/bench/epoll.c" >"$BATS_TEST_TMPDIR/$1.c"
  run -1 cmp -s "$ROOT/tests/bench/epoll.c" "$BATS_TEST_TMPDIR/$1.c"
  cc -std=gnu99 -o "$BATS_TEST_TMPDIR/$1" "$BATS_TEST_TMPDIR/$1.c"
}

@test "bench: a wrong server is found out" {
  local fault
  build build/load
  faulty right 'if (0) return;'
  faulty flip 'if (length > 50) buffer[50] ^= 4;'
  faulty twice 'if (length > 50) send(client, buffer, 1, 0);'
  faulty early 'if (length > 50) length = 0;'
  run -0 bench echo -b 100 right:3="$BATS_TEST_TMPDIR/right PORT"
  for fault in flip twice early; do
    run -1 bench echo -b 100 $fault="$BATS_TEST_TMPDIR/$fault PORT"
    run -1 bench connect -b 100 $fault="$BATS_TEST_TMPDIR/$fault PORT"
  done
  run -1 bench echo none="$BATS_TEST_TMPDIR/none PORT"
  [[ $output == *'none has ended: '* ]]
}

@test "bench: bad arguments" {
  build build/load
  run -2 "$ROOT/build/load"
  run -2 "$ROOT/build/load" fast a=b
  run -2 "$ROOT/build/load" echo
  run -2 "$ROOT/build/load" echo name
  run -2 "$ROOT/build/load" echo -n 0 a=b
  run -2 "$ROOT/build/load" echo a:-1=b
  run -2 sh "$ROOT/tests/bench/run.sh" slow
}
