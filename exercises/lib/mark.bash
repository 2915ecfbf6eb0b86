# shellcheck shell=bash disable=SC2016,SC2030,SC2031,SC2034,SC2153,SC2154 # see server.bash
# What all mark.bats share. tools/exercise.sh has built the student's server:
#
#     PROGRAM    as it is; `start "$STEP"` starts it on a port of its own
#     TRACED     tells each system call on stderr, as step3-trace does
#     SANITIZED  ends with a report at the first wrong access
#     WORK       the folder: server.c, form.txt, compiler (what it said)
#
# A check that fails says in words what was done, expected and seen: `talk` says
# it by itself, else `told`. A right server comes far below any limit. After a first
# failure less is waited for: nobody shall wait for a minute to be told "not yet".

export LIMIT=${LIMIT:-8}
# Steps 1 to 4 have no timers, and what a solution may wait for by itself is a second or
# two: one that sleeps longer (ms), while a client waits, will not answer at all.
rest=2500
[ "${STEP:-5}" -lt 5 ] || rest=
load ../../tests/lib/checks

export ASAN_OPTIONS=hard_rss_limit_mb=1024:detect_leaks=0:exitcode=99

begin_check() {
  [ ! -e "$BATS_FILE_TMPDIR/not-yet" ] || LIMIT=2 rest=${rest:+400}
  start_clean
}
end_check() {
  note_failure
  end_clean
}
note_failure() { [ "${BATS_TEST_COMPLETED:-}" ] || : >"$BATS_FILE_TMPDIR/not-yet"; }
setup() { begin_check; }
teardown() { end_check; }

# told DID EXPECTED SEEN: what a check that fails has to say.
told() {
  echo "done:     $1"
  echo "expected: $2"
  echo "seen:     $3"
  return 1
}

# is SEEN EXPECTED DID: they are the same.
is() {
  [ "$1" = "$2" ] || told "$3" "$2" "${1:-nothing}"
}

# As in tests/lib/server.bash, and says what was done if it does not come true.
talk() {
  local said word words=''
  said=$(SERVER_PID=$server "$ROOT/build/talk" -t "$LIMIT" ${rest:+-r "$rest"} "$port" "$@" \
    2>&1 3>&-) || {
    [ ${#said} -le 1000 ] || said="${said:0:200} ... ${said: -700}"
    said="$said $(grep -m 3 -e 'ERROR: .*Sanitizer' -e 'runtime error' -e 'server\.c:' "$ERRORS" || true)"
    for word; do
      [ ${#word} -le 300 ] || word="${word:0:20}... (${#word} bytes)"
      words+=" ${word//$'\n'/\\n}"
    done
    told "build/talk PORT$words" 'that all of it comes true (tools/talk.c explains the words)' "$said"
    return
  }
  [ -z "$said" ] || echo "$said"
}

# Halts it while it sleeps, so that one turn finds all that is done meanwhile.
halt_asleep() { settles && halt; }
export -f halt_asleep

# A server that eats memory is ended at 1 GiB, where the system can do that.
launch_limited() {
  launch bash -c 'ulimit -S -v 1048576 2>/dev/null; exec "$@"' - "$@"
}

# start_traced [ARGUMENT...], start_sanitized [ARGUMENT...]
start_traced() {
  complaints_allowed=1
  [ $# -gt 0 ] || set -- 0
  launch_limited "$TRACED" "$@"
  listening
}
start_sanitized() {
  complaints_allowed=1
  [ $# -gt 0 ] || set -- 0
  launch "$SANITIZED" "$@"
  listening
}

# The sanitizers have said nothing, and the server is there.
is_sane() {
  ! grep -q -e 'Sanitizer' -e 'runtime error' "$ERRORS" || {
    told 'the server was built with -fsanitize=address,undefined' 'no report' \
      "$(grep -m 3 -e 'ERROR' -e 'runtime error' -e 'server\.c:' "$ERRORS" || true)"
    return
  }
  kill -0 "$server" 2>/dev/null || told 'clients came and went' 'the server serves on' \
    'it has ended'
}

# The student's server with a change that makes something certain: variant NAME SED
# FLAG... builds it, and PROGRAM is that from now on. SED must change something.
variant() {
  local source=$BATS_TEST_TMPDIR/$1.c program=$BATS_TEST_TMPDIR/$1/${PROGRAM##*/} layer
  sed -e "$2" "$WORK/server.c" >"$source"
  [ -z "$2" ] || ! cmp -s "$source" "$WORK/server.c" ||
    fail "the marker looks for a line that is not there any more: $2" || return 1
  shift 2
  mkdir -p "${program%/*}"
  # As tools/exercise.sh does it: the layer is compiled already, without FLAG.
  layer=$ROOT/build/exercises/layer/plain.o
  [ -f "$layer" ] || layer=''
  # shellcheck disable=SC2046,SC2086 # several words
  (cd "$ROOT" && ${CC:-cc} ${CFLAGS:--std=gnu99} $(sh linux/flags -c) "$@" -c -o "$program.o" "$source" &&
    ${CC:-cc} -o "$program" "$program.o" $layer -pthread) || return 1
  PROGRAM=$program
}

# compiled NAME plain|trace|sanitized FLAG...: the student's server, compiled with FLAG
# (one is `-include a header that makes something certain`), as WORK/NAME/stepN. In
# setup_file, since it takes a second.
compiled() {
  local program=$WORK/$1/${PROGRAM##*/} layer=plain trace='' sanitizers=''
  case $2 in
  trace) trace='-include tools/trace.h' ;;
  sanitized)
    sanitizers='-O1 -fsanitize=address,undefined -fno-sanitize-recover=all'
    layer=sanitized
    ;;
  esac
  layer=$ROOT/build/exercises/layer/$layer.o
  [ -f "$layer" ] || layer=''
  mkdir -p "${program%/*}"
  # shellcheck disable=SC2046,SC2086 # several words
  (shift 2 && cd "$ROOT" && ${CC:-cc} ${CFLAGS:--std=gnu99 -g} $sanitizers $(sh linux/flags -c) \
    $trace "$@" -c -o "$program.o" "$WORK/server.c" &&
    ${CC:-cc} $sanitizers -o "$program" "$program.o" $layer -pthread)
}

# start_compiled NAME [DESCRIPTORS]: with at most so many
start_compiled() {
  complaints_allowed=1
  launch bash -c '[ -z "$2" ] || ulimit -S -n "$2"; exec "$1" 0' - \
    "$WORK/$1/${PROGRAM##*/}" "${2-}"
  listening
}

# ---- What is asked of every server -------------------------------------------

compiles_without_warning() {
  [ ! -s "$WORK/compiler" ] || told "$CC $CFLAGS" 'no warning' "$(head -n 8 "$WORK/compiler")"
}

# All bytes, in order, whatever the size; the end after the last one.
echoes_all() {
  start "$STEP"
  talk A open 1 echo 1 echo 12 echo 65535 echo 65537 put 200000 shut rest eof \
    B open 20 put 5000 shut rest eof C open 1 shut eof
}

# Clients of all kinds leave, at rest and with bytes on the way; served after it.
survives_resets() {
  start "$STEP"
  talk A open 1 echo 10 reset buffer 4096 B open 1 fill reset \
    C open 1 pour 100000 close D open 1 echo 70000 shut eof
}

# For steps 2 to 5: nobody waits for one that says nothing; in steps 4 and 5 not for
# one that does not read either, while it is full and after it.
serves_others_meanwhile() {
  start "$STEP"
  talk S open 1 A open 1 echo 5 B open 1 echo 7000 C open 10 echo 100 A echo 1 shut eof \
    B echo 1 shut eof
  [ "$STEP" -lt 4 ] || talk buffer 4096 S open 2 fill A open 3 echo 5 echo 70000 B open 1 echo 1 \
    shut eof A shut eof S rest
}

# Open descriptors of the server.
descriptors() {
  if [ -d "/proc/$server/fd" ]; then
    set -- "/proc/$server/fd/"*
    echo $#
  else
    lsof -a -p "$server" -d '0-99999' 2>/dev/null | grep -c -v COMMAND
  fi
}
export -f descriptors

# At most: the first count may come between the line in the log and its close().
has_descriptors() { [ "$(descriptors)" -le "$1" ]; }

# Each client that leaves, in whatever way, gives its descriptor back.
gives_descriptors_back() {
  [ -d /proc/self/fd ] || command -v lsof >/dev/null || skip 'needs /proc or lsof'
  local before i
  local -a all=()
  start "$STEP"
  talk A open 1 echo 1 shut eof
  wait_until grep -q ' closed, ' "$LOG"
  before=$(descriptors)
  for ((i = 0; i < 10; i++)); do
    all+=(A open 1 echo 3 close B open 1 echo 3 shut eof close C open 1 echo 3 reset)
  done
  talk "${all[@]}"
  wait_until has_descriptors "$before" >/dev/null ||
    told '30 clients came and left: closed, half-closed, reset' \
      "$before descriptors, as before" "$(descriptors)"
}

# While nobody wants anything it sleeps. A spin is seen by its state, not by its
# time, of which a busy machine gives it a share only.
sleeps() { # WHEN
  if [ -r "/proc/$server/stat" ]; then
    local i line running=0 never
    exec {never}<> <(:) # nothing ever comes: read -t sleeps, and forks no process
    for ((i = 0; i < 100; i++)); do
      read -r line <"/proc/$server/stat"
      case ${line##*) } in R*) running=$((running + 1)) ;; esac
      read -r -t 0.003 -u "$never" || true
    done
    exec {never}<&-
    [ $running -lt 50 ] || told "$1" 'the server sleeps' \
      "it was running in $running of 100 looks: it spins"
  else
    uses_no_cpu
  fi
}
export -f told sleeps
# Until the server has done what it can do and sleeps, not one that spins for ever:
# three looks are the same.
settles() {
  local now last='' same=0 end=$((SECONDS + 5)) never
  [ -r /proc/self/schedstat ] || { unread >/dev/null; return; }
  exec {never}<> <(:)
  while [ $same -lt 3 ]; do
    [ $SECONDS -lt $end ] || fail 'the server does not come to rest' || return
    read -r now 2>/dev/null <"/proc/$server/stat" || now=') Z'
    case ${now##*) } in
    Z*) fail 'the server has ended' || return ;;
    [RD]*) last='' ;;
    esac
    read -r now <"/proc/$server/schedstat"
    same=$((same + 1))
    [ "$now" = "$last" ] || same=0
    last=$now
    read -r -t 0.01 -u "$never" || true
  done
  exec {never}<&-
}
# once_at_rest COMMAND: it succeeds, at the latest when the server has nothing left to do.
once_at_rest() {
  [ -r /proc/self/schedstat ] || { wait_until "$@" >/dev/null; return; }
  "$@" || { settles >/dev/null && "$@"; }
}
export -f sleeps settles told fail
# (When talk ends, its clients leave: so it looks while they are there.)
sleeps_at_rest() {
  start "$STEP"
  talk A open 5 echo 1000 B open 1 echo 70000 shut eof C open 1 echo 1 reset \
    run 'sleeps "two clients have left, five are connected and silent"'
  sleeps 'all clients have left'
}

# Stopped and continued, in its sleep and at work: some calls fail with EINTR.
survives_stop_and_continue() {
  start "$STEP"
  talk run 'halt; go_on' A open 1 run 'halt; go_on' echo 100000 \
    run 'halt; go_on' shut eof B open 1 echo 1 run 'halt; go_on' shut eof
}

# A mixed batch in one turn, with the sanitizers.
is_sane_in_a_crowd() {
  start_sanitized
  talk A open 9 put 100 rest run halt A put 3000 B open 9 put 70000 shut \
    run go_on A rest B rest eof A put 9 shut rest eof \
    C open 9 echo 10 run halt C put 9 reset D open 9 put 9 run go_on D rest shut eof
  is_sane
}
# The same where one client is served at a time.
is_sane_one_by_one() {
  start_sanitized
  talk A open 1 echo 100 shut eof B open 1 echo 70000 reset C open 1 put 200000 shut rest eof
  is_sane
}

# For steps 4 and 5: clients that do not read, again and again, leave no memory. What
# malloc() gives back to the system is chance, but what it has for one dozen is enough
# for the next. (A busy server has not taken all that it can when `fill` ends.)
gives_memory_back() {
  local full after
  start "$STEP"
  run -0 talk buffer 4096 A open 12 fill run settles fill run settles fill \
    run 'settles && resident' reset B open 1 echo 1 shut eof
  full=$output
  for _ in 1 2 3 4; do
    talk buffer 4096 A open 12 fill reset B open 1 echo 1 shut eof
  done
  after=$(resident)
  [ $((after - full)) -lt 700 ] ||
    told '12 clients that do not read came and were reset, five times' \
      "no more memory than when the first twelve were there, $full KiB" "$after KiB"
}

# As it, for what is kept of every client, which is small: 10,000 of them show it.
clients_leave_no_memory() {
  local before after i many='open 200 echo 1 reset'
  start "$STEP"
  # shellcheck disable=SC2086 # words
  talk A $many B $many C open 1 echo 1 shut eof
  before=$(resident)
  for ((i = 0; i < 10; i++)); do
    # shellcheck disable=SC2086 # words
    talk A $many B $many C $many D $many E $many F open 1 echo 1 shut eof
  done
  after=$(resident)
  [ $((after - before)) -lt 300 ] ||
    told '10,000 clients came and left, 200 at a time' \
      "no more memory than after the first 400, $before KiB" "$after KiB"
}

# ---- Predictions -------------------------------------------------------------

# The form and the truth have lines "key: answer". In mark.bats:
#
#     measure() { ...; echo "events: $n"; }
#     setup_file() { measured; }
#     @test "how many events" { predicted events 'make ... and count'; }
#
# `measure` runs the server on this machine, each time; nothing is stored.
measured() {
  BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR
  start_clean
  complaints_allowed=1
  local status=0
  measure >"$TRUTH" || status=1
  [ -z "$server" ] || {
    kill -CONT "$server" 2>/dev/null
    end_clean
  } || true
  [ $status -eq 0 ] || {
    echo 'this machine could not be measured:'
    cat "$TRUTH"
    return 1
  }
}

# Without regard to capitals, commas, quotes, brackets, spaces, and a unit behind.
answer_in() { # FILE KEY
  sed -n "s/^ *$2: *//p" "$1" | head -n 1 | tr 'A-Z,;"()`!\r' 'a-z        ' |
    awk '{ $1 = $1; sub(/[ .]+$/, ""); sub(/ (bytes?|times?|seconds?|s)$/, ""); sub(/^evfilt_/, ""); print }'
}

# predicted KEY HOW: the form says what was measured; HOW lets one see it.
predicted() {
  local mine truth
  mine=$(answer_in "$WORK/form.txt" "$1")
  truth=$(answer_in "$TRUTH" "$1")
  [ -n "$truth" ] || fail "the marker measured no '$1'" || return 1
  [ -n "$mine" ] || fail "no answer behind '$1:' yet" || return 1
  [ "$mine" = "$truth" ] || told "$2" "(you) $mine" 'something else: do it, and look'
}
