#!/usr/bin/env bats
# Step 2: many clients with select(2). The functions are in common.bash.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see helper.bash
load common

STEP=2

@test "step 2: echoes text" { check_text; }
@test "step 2: echoes 1 byte to 256 KiB" { check_sizes; }
@test "step 2: 60 clients at once get their bytes" { check_many_at_once; }
@test "step 2: half-close: all bytes, then EOF" { check_half_close; }
@test "step 2: bytes that wait together with EOF" { check_bytes_before_the_end; }
@test "step 2: a client that reads last" { check_late_reader; }
@test "step 2: no message waits for a timer of TCP" { check_no_delay; }
@test "step 2: clients reset in the backlog" { check_reset_in_backlog; }
@test "step 2: a client reset while idle" { check_reset_when_idle; }
@test "step 2: clients reset in a transfer" { check_reset_in_transfer; }
@test "step 2: clients that close with bytes unread" { check_close_unread; }
@test "step 2: descriptors come back" { check_descriptors_come_back; }
@test "step 2: stopped and continued" { check_stop_and_continue; }
@test "step 2: the log" { check_log; }
@test "step 2: nobody reads the log any more" { check_log_reader_gone; }
@test "step 2: the port is in use" { check_port_in_use; }
@test "step 2: restarts on the same port at once" { check_restart; }
@test "step 2: listens on 127.0.0.1 only" { check_loopback_only; }
@test "step 2: more clients in one turn than it takes" { check_batch; }
@test "step 2: all kinds of clients in one turn" { check_mixed_batch; }
@test "step 2: no processor time while idle" { check_idle_uses_no_cpu; }

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
