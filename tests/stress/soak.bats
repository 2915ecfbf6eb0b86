#!/usr/bin/env bats
# Many connections, many clients at once, no descriptors left: nothing grows,
# nothing spins, and whoever can be served is. See soak.c. LONG=1 takes more.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see lib/server.bash
load ../lib/server

setup_file() {
  [ "$(uname -s)" = Linux ] || skip 'it is measured in /proc'
  make -C "$BATS_TEST_DIRNAME/../.." -f tests/Makefile build/soak build/fault-injector.so
}

plain() { # STEP
  ! grep -q -e __asan_init -e __tsan_init "$ROOT/step$1" ||
    skip 'a sanitizer is in the server, and its memory too'
}

descriptors() {
  find "/proc/$server/fd" -type l | wc -l
}

# KiB of its own, in memory: heap, stack, data.
memory() {
  awk '$1 == "RssAnon:" { print $2 }' "/proc/$server/status"
}
export -f descriptors memory

at_most() { # WHAT GOT LIMIT
  [ "$2" -le "$3" ] || fail "$1: $2, and not at most $3"
}
export -f fail at_most

# The processor time of an interval is under one percent of it; in this one a
# server looks once or twice whether there is a descriptor again.
rests() {
  local before used
  before=$(cpu)
  sleep 1.2
  used=$(($(cpu) - before))
  at_most 'microseconds used in 1.2 seconds' "$used" 12000
}
export -f rests

# ---- 20,000 connections in a row -------------------------------------------

leaves_nothing() { # STEP
  local n=20000 before_fd before_memory
  [ -z "${LONG:-}" ] || n=50000
  plain "$1"
  start "$1"
  "$ROOT/build/soak" row 1000 "$port"
  log_will_have 1000 ', 8 bytes echoed$'
  before_fd=$(descriptors)
  before_memory=$(memory)
  "$ROOT/build/soak" row "$n" "$port"
  log_will_have $((n + 1000)) ', 8 bytes echoed$'
  equal "$(descriptors)" "$before_fd"
  at_most 'KiB more than before' $(($(memory) - before_memory)) 128
}

@test "soak: step 1: 20,000 connections leave nothing behind" { leaves_nothing 1; }
@test "soak: step 2: 20,000 connections leave nothing behind" { leaves_nothing 2; }
@test "soak: step 3: 20,000 connections leave nothing behind" { leaves_nothing 3; }
@test "soak: step 4: 20,000 connections leave nothing behind" { leaves_nothing 4; }
@test "soak: step 5: 20,000 connections leave nothing behind" { leaves_nothing 5; }

# ---- clients that never read -----------------------------------------------

polite() {
  talk A open 5 echo 100000 shut eof
}
export -f talk polite
export LIMIT

endures_the_deaf() { # STEP
  plain "$1"
  need_descriptors 1200
  start "$1"
  polite
  before=$(memory)
  export before
  "$ROOT/build/soak" deaf 1000 "$port" "$server" \
    'at_most "KiB for 1000 clients" $(($(memory) - before)) 64000 && polite'
  # They are gone, and so is what was kept for them.
  log_will_have 1000 ' reset, '
  polite
}

@test "soak: step 4: 1,000 clients that never read" { endures_the_deaf 4; }
@test "soak: step 5: 1,000 clients that never read" { endures_the_deaf 5; }

# However much one sends.
endures_one() { # STEP
  local before
  plain "$1"
  start "$1"
  polite
  before=$(memory)
  run -0 talk buffer 4096 A open 1 fill count run memory
  echo "$output"
  [ "$(echo "$output" | awk 'NR == 1 { print $2 }')" -gt 1000000 ]
  at_most 'KiB for one client' \
    $(($(echo "$output" | awk 'NR == 2') - before)) 127
}

@test "soak: step 4: one peer that never reads costs under 128 KiB" { endures_one 4; }
@test "soak: step 5: one peer that never reads costs under 128 KiB" { endures_one 5; }

# ---- 10,000 clients --------------------------------------------------------

serves_ten_thousand() { # STEP
  plain "$1"
  need_descriptors 10200
  start "$1"
  talk A open 100 echo 10 close
  log_will_have 100 ' closed, '
  run -0 talk A open 100 echo 10 run memory B open 9900 echo 10 run memory \
    B echo 10 A echo 1000
  log_will_have 10100 ' connected$'
  bytes=$(echo "$output" | awk 'NR == 1 { n = $1 }
    NR == 2 { printf "%d\n", ($1 - n) * 1024 / 9900 }')
  echo "$bytes bytes for an idle client"
}

# The server's struct client and what the layer keeps for a descriptor.
serves_ten_thousand_cheaply() { # STEP
  serves_ten_thousand "$1"
  at_most 'bytes for an idle client' "$bytes" 256
}

@test "soak: step 3: 10,000 clients at once" { serves_ten_thousand 3; }
@test "soak: step 4: 10,000 clients at once, 256 bytes each" { serves_ten_thousand_cheaply 4; }
@test "soak: step 5: 10,000 clients at once, 256 bytes each" { serves_ten_thousand_cheaply 5; }

# ---- no descriptors --------------------------------------------------------

# Of its own: 20, and those that wait come in when others leave.
rests_at_emfile() { # STEP
  complaints_allowed=1
  plain "$1"
  start_with_limit 20 "$1"
  talk A open 5 echo 10 B open 30 put 7 run 'wait_for_line "accept: "' run rests \
    A echo 1000 shut eof B shut rest eof C open 5 echo 10 shut eof
}

# Of the system: the preload library lets every accept() fail from the sixth
# on, until the file goes.
rests_at_enfile() { # STEP
  complaints_allowed=1
  plain "$1"
  full=$BATS_TEST_TMPDIR/full
  export full
  : >"$full"
  launch env LD_PRELOAD="$ROOT/build/fault-injector.so" FAULT_CALL=accept FAULT_N=6 \
    FAULT_ERRNO=23 FAULT_WHILE="$full" "$ROOT/step$1" 0
  listening
  talk A open 5 echo 10 B open 30 put 7 run 'wait_for_line "accept: "' run rests \
    A echo 1000 B quiet 0 run 'rm "$full"' rest shut eof A shut eof \
    C open 5 echo 10 shut eof
  equal "$(grep -c 'accept: ' "$ERRORS")" 1
}

@test "soak: step 4: rests at EMFILE, and recovers" { rests_at_emfile 4; }
@test "soak: step 5: rests at EMFILE, and recovers" { rests_at_emfile 5; }
@test "soak: step 4: rests at ENFILE, and recovers" { rests_at_enfile 4; }
@test "soak: step 5: rests at ENFILE, and recovers" { rests_at_enfile 5; }
