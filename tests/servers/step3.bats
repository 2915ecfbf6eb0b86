#!/usr/bin/env bats
# Step 3: subscriptions with kevent(2).

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see lib/server.bash
load ../lib/server

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
