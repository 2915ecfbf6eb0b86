#!/usr/bin/env bats
# What several steps must do, or all of them: the same test against each, at
# the same time. The functions are in lib/checks.bash.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 # see lib/server.bash
load ../lib/checks

# each_of "STEP ..." COMMAND: the command once for each of the steps, in a shell
# of its own, with a server, a log and an end of its own. STEPS="4 5" in the
# environment: only for these.
each_of() {
  local step failed=0
  set -- "$(for step in $1; do
    case " ${STEPS:-$1} " in *" $step "*) echo "$step" ;; esac
  done)" "$2"
  [ -n "$1" ] || skip "not for step $STEPS"
  for step in $1; do
    mkdir "$BATS_TEST_TMPDIR/$step"
    (
      BATS_TEST_TMPDIR=$BATS_TEST_TMPDIR/$step
      STEP=$step
      start_clean
      skip() { echo "$1" >"$BATS_TEST_TMPDIR.skipped" && exit 0; }
      trap 'code=$?; end_clean || code=1; exit $code' EXIT
      "$2"
    ) >"$BATS_TEST_TMPDIR/$step.said" 2>&1 3>&- &
    eval "local job$step=$!"
  done
  for step in $1; do
    eval "wait \$job$step" || {
      failed=1
      echo "step $step:"
      cat "$BATS_TEST_TMPDIR/$step.said"
    }
  done
  [ $failed -eq 0 ] || return 1
  cat "$BATS_TEST_TMPDIR"/*.skipped 2>/dev/null >"$BATS_TEST_TMPDIR/skipped" || return 0
  skip "$(head -n 1 "$BATS_TEST_TMPDIR/skipped")"
}

# ---- steps 1 2 3 4 5 ----

@test "every step: echoes text" { each_of "1 2 3 4 5" check_text; }
@test "every step: echoes 1 byte to 256 KiB" { each_of "1 2 3 4 5" check_sizes; }
@test "every step: 60 clients at once get their bytes" { each_of "1 2 3 4 5" check_many_at_once; }
@test "every step: half-close: all bytes, then EOF" { each_of "1 2 3 4 5" check_half_close; }
@test "every step: bytes that wait together with EOF" { each_of "1 2 3 4 5" check_bytes_before_the_end; }
@test "every step: a client that reads last" { each_of "1 2 3 4 5" check_late_reader; }
@test "every step: no message waits for a timer of TCP" { each_of "1 2 3 4 5" check_no_delay; }
@test "every step: clients reset in the backlog" { each_of "1 2 3 4 5" check_reset_in_backlog; }
@test "every step: a client reset while idle" { each_of "1 2 3 4 5" check_reset_when_idle; }
@test "every step: clients reset in a transfer" { each_of "1 2 3 4 5" check_reset_in_transfer; }
@test "every step: clients that close with bytes unread" { each_of "1 2 3 4 5" check_close_unread; }
@test "every step: descriptors come back" { each_of "1 2 3 4 5" check_descriptors_come_back; }
@test "every step: stopped and continued" { each_of "1 2 3 4 5" check_stop_and_continue; }
@test "every step: the log" { each_of "1 2 3 4 5" check_log; }
@test "every step: nobody reads the log any more" { each_of "1 2 3 4 5" check_log_reader_gone; }
@test "every step: the port is in use" { each_of "1 2 3 4 5" check_port_in_use; }
@test "every step: restarts on the same port at once" { each_of "1 2 3 4 5" check_restart; }
@test "every step: listens on 127.0.0.1 only" { each_of "1 2 3 4 5" check_loopback_only; }

# ---- steps 2 3 4 5 ----

@test "steps 2 3 4 5: more clients in one turn than it takes" { each_of "2 3 4 5" check_batch; }
@test "steps 2 3 4 5: all kinds of clients in one turn" { each_of "2 3 4 5" check_mixed_batch; }

@test "steps 2 3 4 5: no processor time while idle" { each_of "2 3 4 5" check_idle_uses_no_cpu; }

# ---- steps 4 5 ----

@test "steps 4 5: partial writes" { each_of "4 5" check_partial_writes; }
@test "steps 4 5: a client that does not read costs under 128 KiB" { each_of "4 5" check_bounded_memory; }
@test "steps 4 5: an idle client costs at most 256 bytes" { each_of "4 5" check_cheap_idle_clients; }
@test "steps 4 5: out of descriptors, the next is served when one leaves" { each_of "4 5" check_next_when_one_leaves; }
@test "steps 4 5: out of descriptors, the server tries again by itself" { each_of "4 5" check_tries_again; }
