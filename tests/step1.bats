#!/usr/bin/env bats
# Step 1: one client at a time. The functions are in common.bash.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see helper.bash
load common

STEP=1

@test "step 1: echoes text" { check_text; }
@test "step 1: echoes 1 byte to 256 KiB" { check_sizes; }
@test "step 1: 60 clients at once get their bytes" { check_many_at_once; }
@test "step 1: half-close: all bytes, then EOF" { check_half_close; }
@test "step 1: bytes that wait together with EOF" { check_bytes_before_the_end; }
@test "step 1: a client that reads last" { check_late_reader; }
@test "step 1: no message waits for a timer of TCP" { check_no_delay; }
@test "step 1: clients reset in the backlog" { check_reset_in_backlog; }
@test "step 1: a client reset while idle" { check_reset_when_idle; }
@test "step 1: clients reset in a transfer" { check_reset_in_transfer; }
@test "step 1: clients that close with bytes unread" { check_close_unread; }
@test "step 1: descriptors come back" { check_descriptors_come_back; }
@test "step 1: stopped and continued" { check_stop_and_continue; }
@test "step 1: the log" { check_log; }
@test "step 1: nobody reads the log any more" { check_log_reader_gone; }
@test "step 1: the port is in use" { check_port_in_use; }
@test "step 1: restarts on the same port at once" { check_restart; }
@test "step 1: listens on 127.0.0.1 only" { check_loopback_only; }

@test "step 1: clients are served in the order of their connections" {
  start 1
  talk A open 1 echo 1 B open 1 put 2 C open 1 put 3 D open 1 put 4 \
    D shut C shut B shut A shut eof B rest eof C rest eof D rest eof
  log_is 'client A connected' 'client A closed, 1 bytes echoed' \
    'client B connected' 'client B closed, 2 bytes echoed' \
    'client C connected' 'client C closed, 3 bytes echoed' \
    'client D connected' 'client D closed, 4 bytes echoed'
}
