#!/usr/bin/env bats
# Step 3: subscriptions with kevent(2). The functions are in common.bash.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see helper.bash
load common

STEP=3

@test "step 3: echoes text" { check_text; }
@test "step 3: echoes 1 byte to 256 KiB" { check_sizes; }
@test "step 3: 60 clients at once get their bytes" { check_many_at_once; }
@test "step 3: half-close: all bytes, then EOF" { check_half_close; }
@test "step 3: bytes that wait together with EOF" { check_bytes_before_the_end; }
@test "step 3: a client that reads last" { check_late_reader; }
@test "step 3: no message waits for a timer of TCP" { check_no_delay; }
@test "step 3: clients reset in the backlog" { check_reset_in_backlog; }
@test "step 3: a client reset while idle" { check_reset_when_idle; }
@test "step 3: clients reset in a transfer" { check_reset_in_transfer; }
@test "step 3: clients that close with bytes unread" { check_close_unread; }
@test "step 3: descriptors come back" { check_descriptors_come_back; }
@test "step 3: stopped and continued" { check_stop_and_continue; }
@test "step 3: the log" { check_log; }
@test "step 3: nobody reads the log any more" { check_log_reader_gone; }
@test "step 3: the port is in use" { check_port_in_use; }
@test "step 3: restarts on the same port at once" { check_restart; }
@test "step 3: listens on 127.0.0.1 only" { check_loopback_only; }
@test "step 3: more clients in one turn than it takes" { check_batch; }
@test "step 3: all kinds of clients in one turn" { check_mixed_batch; }
@test "step 3: no processor time while idle" { check_idle_uses_no_cpu; }

@test "step 3: descriptors above FD_SETSIZE have totals of their own" {
  local size
  size=$("$ROOT/build/talk" limits)
  need_descriptors $((size + 400))
  start 3
  talk A open "$size" B open 100 C open 100 echo 10 B echo 20 C echo 30 \
    B shut eof C shut eof A echo 5 shut eof
  log_will_have "$size" ' closed, 5 bytes echoed'
  log_will_have 100 ' closed, 20 bytes echoed'
  log_will_have 100 ' closed, 40 bytes echoed'
}
