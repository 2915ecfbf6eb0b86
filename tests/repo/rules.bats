#!/usr/bin/env bats
# The rules of the numbered directories: each server is one file that stands
# alone, and differs from its predecessor only where its idea needs it.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see lib/server.bash
load ../lib/server

# changes OLD NEW LIST: the functions of both files that differ are those in
# the list, a line each: NAME, a colon, the reason. A difference without a line
# fails, and a line without a difference too.
changes() {
  local listed found
  listed=$(echo "$3" | sed -e '/^$/d' -e 's/^\([a-z_]*\): ..*/changed \1/' | sort)
  found=$(sh "$ROOT/tests/repo/compare-functions.sh" "$ROOT/$1/server.c" "$ROOT/$2/server.c" |
    sort)
  [ "$found" = "$listed" ] || {
    echo "$1 and $2: only in the list (<), only in the files (>):"
    diff <(echo "$listed") <(echo "$found")
  }
}

@test "rules: what step 2 changes" {
  changes 01-blocking 02-select '
check_descriptors: the number has to be below FD_SETSIZE, too
serve: answers one event of one client, instead of its whole life
main: a set of descriptors, and process_events() instead of accept and serve'
}

@test "rules: what step 3 changes" {
  changes 02-select 03-kqueue-basic '
check_descriptors: any number will do again
add_client: a struct for the client, and a subscription instead of a bit
process_events: one kevent() and a walk over events, not over bits
main: a queue instead of a set'
}

@test "rules: what step 4 changes" {
  changes 03-kqueue-basic 04-kqueue-nonblocking '
add_client: O_NONBLOCK
drop: frees what was kept, and a descriptor
readable: one recv(), one send(), and the rest is kept
handle: as many clients as wait, and EVFILT_WRITE
process_events: accepts again when a descriptor may be free
main: the listener is non-blocking'
}

@test "rules: what step 5 changes" {
  changes 04-kqueue-nonblocking 05-kqueue-timers '
add_client: joins the list
drop: leaves the list
stop_accepting: a timer ends the pause
readable: touches the client, reads on for the end while stopping
writable: touches the client, shuts down after the rest while stopping
handle: events of sockets only
process_events: timers and signals, after the walk over the batch
main: idle-ms, the signals, and an end of the loop'
}

@test "rules: the check of the rule sees a changed byte" {
  local dir=$BATS_TEST_TMPDIR
  sed 's/static void hang_up(int client,/static void hang_up(int  client,/' \
    "$ROOT/02-select/server.c" >"$dir/body.c"
  sed 's/^\/\* Sends it all, or/\/* Sends all, or/' "$ROOT/02-select/server.c" \
    >"$dir/comment.c"
  equal "$(sh "$ROOT/tests/repo/compare-functions.sh" "$ROOT/02-select/server.c" \
    "$dir/body.c")" 'changed hang_up'
  equal "$(sh "$ROOT/tests/repo/compare-functions.sh" "$ROOT/02-select/server.c" \
    "$dir/comment.c")" 'changed send_all'
  equal "$(sh "$ROOT/tests/repo/compare-functions.sh" "$ROOT/02-select/server.c" \
    "$ROOT/02-select/server.c")" ''
}

@test "rules: no conditionals and no headers of our own" {
  local dir
  for dir in "$ROOT"/0[1-5]-*; do
    # And the pictures of the step, with the texts that they are drawn from.
    equal "$(find "$dir" -type f ! -name '*.svg' ! -name '*.txt')" \
      "$dir/server.c"
    run -1 grep -n -e '^ *# *if' -e '^ *# *el' -e '^ *# *include *"' \
      "$dir/server.c"
  done
}

@test "rules: functions of at most 40 lines" {
  # From the line with the name to the brace that ends it, both counted.
  run -0 awk '
    /^[a-z].*\(/ && !/;$/ { start = FNR; name = $0 }
    /^}/ && start {
      if (FNR - start + 1 > 40)
        print FILENAME ": " name ": " FNR - start + 1
      start = 0
    }' "$ROOT"/0*/server.c
  equal "$output" ''
}

# One command, as the text says it, without warnings.
@test "rules: each server compiles alone" {
  local dir number=0
  cd "$ROOT"
  for dir in 0[1-5]-*; do
    number=$((number + 1))
    # shellcheck disable=SC2046 # several words on Linux, none elsewhere
    run -0 cc "$dir/server.c" -o "$BATS_TEST_TMPDIR/step$number" \
      $(sh linux/flags)
    equal "$output" ''
  done
}
