#!/usr/bin/env bats
# Step 4: never blocks. The functions are in common.bash.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see helper.bash
load common

STEP=4

@test "step 4: echoes text" { check_text; }
@test "step 4: echoes 1 byte to 256 KiB" { check_sizes; }
@test "step 4: 60 clients at once get their bytes" { check_many_at_once; }
@test "step 4: half-close: all bytes, then EOF" { check_half_close; }
@test "step 4: bytes that wait together with EOF" { check_bytes_before_the_end; }
@test "step 4: a client that reads last" { check_late_reader; }
@test "step 4: no message waits for a timer of TCP" { check_no_delay; }
@test "step 4: clients reset in the backlog" { check_reset_in_backlog; }
@test "step 4: a client reset while idle" { check_reset_when_idle; }
@test "step 4: clients reset in a transfer" { check_reset_in_transfer; }
@test "step 4: clients that close with bytes unread" { check_close_unread; }
@test "step 4: descriptors come back" { check_descriptors_come_back; }
@test "step 4: stopped and continued" { check_stop_and_continue; }
@test "step 4: the log" { check_log; }
@test "step 4: nobody reads the log any more" { check_log_reader_gone; }
@test "step 4: the port is in use" { check_port_in_use; }
@test "step 4: restarts on the same port at once" { check_restart; }
@test "step 4: listens on 127.0.0.1 only" { check_loopback_only; }
@test "step 4: more clients in one turn than it takes" { check_batch; }
@test "step 4: all kinds of clients in one turn" { check_mixed_batch; }
@test "step 4: partial writes" { check_partial_writes; }
@test "step 4: a client that does not read costs under 128 KiB" { check_bounded_memory; }
@test "step 4: an idle client costs at most 256 bytes" { check_cheap_idle_clients; }
@test "step 4: out of descriptors, the next is served when one leaves" { check_next_when_one_leaves; }
@test "step 4: out of descriptors, the server tries again by itself" { check_tries_again; }

# While its output waits a client is not read, so EOF comes after all of it.
@test "step 4: half-close with output pending" {
  start 4
  talk buffer 4096 A open 1 fill shut B open 1 echo 10 A rest eof B shut eof
}

@test "step 4: reset with output pending" {
  start 4
  talk buffer 4096 A open 5 fill B open 1 echo 10 A reset B echo 10 shut eof
  log_will_have 5 ' reset, '
}

@test "step 4: many clients with output pending" {
  start 4
  talk buffer 4096 A open 10 fill B open 1 echo 1000 A rest shut eof
}
