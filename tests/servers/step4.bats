#!/usr/bin/env bats
# Step 4: never blocks.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see lib/server.bash
load ../lib/server

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
