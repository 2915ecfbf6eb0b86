#!/usr/bin/env bats
# Step 1: one client at a time.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see lib/server.bash
load ../lib/server

@test "step 1: clients are served in the order of their connections" {
  start 1
  talk A open 1 echo 1 B open 1 put 2 C open 1 put 3 D open 1 put 4 \
    D shut C shut B shut A shut eof B rest eof C rest eof D rest eof
  log_is 'client A connected' 'client A closed, 1 bytes echoed' \
    'client B connected' 'client B closed, 2 bytes echoed' \
    'client C connected' 'client C closed, 3 bytes echoed' \
    'client D connected' 'client D closed, 4 bytes echoed'
}
