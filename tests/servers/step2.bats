#!/usr/bin/env bats
# Step 2: many clients with select(2).

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see lib/server.bash
load ../lib/server

# Descriptor FD_SETSIZE - 1 is the last one that has a bit.
@test "step 2: a descriptor of FD_SETSIZE or more is refused and logged" {
  local size
  complaints_allowed=1
  size=$("$ROOT/build/talk" limits)
  need_descriptors $((size + 200))
  start 2
  # B takes the last places, C surely comes too late.
  talk A open $((size - 20)) echo 10 B open 20 C open 5 eof \
    run 'wait_for_line "refused, 0 bytes echoed"' A echo 1000 B close \
    run 'wait_for_line "closed, 0 bytes echoed"' D open 1 echo 100 shut eof A shut eof
  log_will_have $((size - 20)) ' closed, 1010 bytes echoed'
  log_will_have 1 ' closed, 100 bytes echoed'
  # The last that is served and the first that is not.
  grep -q "^client $((size - 1)) closed," "$LOG"
  grep -q "^client $size refused, 0 bytes echoed\$" "$LOG"
  grep -q "^step2: client $size: select() takes only descriptors below $size\$" \
    "$ERRORS"
}

# What select() is asked for ends at the highest descriptor that is open, so a
# server that was once full does not walk over all bits for ever.
@test "step 2: the walk ends at the highest descriptor that is left" {
  complaints_allowed=1
  cat >"$BATS_TEST_TMPDIR/noted.h" <<'END'
#include <sys/types.h>
#include <sys/select.h>
#include <stdio.h>
static int noted(int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *t)
{
    fprintf(stderr, "%d\n", n);
    return select(n, r, w, e, t);
}
#define select noted
END
  cc -std=gnu99 -include "$BATS_TEST_TMPDIR/noted.h" -o "$BATS_TEST_TMPDIR/step2" \
    "$ROOT/02-select/server.c"
  launch "$BATS_TEST_TMPDIR/step2" 0
  listening
  talk A open 1 B open 50 echo 1 shut eof A echo 1
  log_will_have 51 ' closed, '
  # The listener and A.
  talk A open 1 echo 1
  wait_until log_has 52 ' closed, '
  [ "$(tail -n 1 "$ERRORS")" -lt 10 ] ||
    fail "select() is asked for $(tail -n 1 "$ERRORS") descriptors"
}
