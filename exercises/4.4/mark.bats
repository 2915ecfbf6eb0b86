#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

# Servers with small send buffers, so that output has to be kept: one traced, one
# sanitized, and one with a kevent() that has no memory for some changes.
setup_file() {
  local small='-include exercises/lib/small-buffers.h' faulty='-include exercises/4.4/faulty-kevent.h'
  # shellcheck disable=SC2086 # two words each
  compiled small-trace trace $small && compiled small sanitized $small &&
    compiled faulty sanitized $small $faulty
  compiled still plain -include exercises/lib/still.h
}

# Of the trace, from the first event on: what calls returned neither events nor that
# they were interrupted or timed out.
calls() {
  awk '
    function over() { if (begun && open && !events) { idle++; if (!example) example = line } }
    /^kevent\(/ {
      over()
      line = changes $0
      changes = ""
      events = 0
      open = NF > 2 && !/= -1/ && !/time-out/
      next
    }
    /^->/ { changes = changes $0 "; " }
    /^<-/ && !/receipt/ { events++; begun = 1 }
    END {
      over()
      if (idle) print idle " calls only made changes, as this one: " example
      else print begun ? "each call waits" : "no event at all"
    }' "$ERRORS"
}

@test "it compiles without a warning" { compiles_without_warning; }

@test "one kevent() a turn: each call waits" {
  start_compiled small-trace
  talk run settles run halt buffer 4096 A open 100 run go_on run settles run halt A put 20000 run go_on \
    run settles A rest B open 1 echo 10 A echo 10 shut eof B put 20000 run settles reset
  is "$(calls)" 'each call waits' '100 clients came in one turn, and had output kept in another; the trace of kevent()'
}

@test "hundreds of changes in one turn" {
  local many=256
  [ "$(uname -s)" = Linux ] || many=100
  start_compiled small
  talk buffer 4096 A open 200 echo 1 run settles run halt A put 20000 B open $many put 10 run go_on \
    B rest A rest echo 10000 B echo 10 A shut eof B shut eof
  is_sane
}

@test "what was taken before an interruption is not handed over again" {
  start_compiled small
  talk run settles run 'halt; go_on' buffer 4096 A open 3 put 20000 run settles run 'halt; go_on' \
    run settles A rest run settles run 'halt; go_on' run settles run 'halt; go_on' run settles \
    A echo 100 put 20000 shut rest eof
  is "$(grep -c ' closed, 40100 bytes' "$LOG")" 3 \
    'three clients sent 40100 bytes each; the server was stopped and continued between their turns'
}

refused_once() {
  is_sane
  is "$(grep -c ' refused, ' "$LOG")" 1 "$1"
}

@test "a client that cannot be subscribed to is refused, the others are served" {
  FAILS=add start_compiled faulty
  talk A open 1 echo 10 B open 1 end any C open 3 echo 10 A echo 10 shut eof C shut eof
  refused_once 'the second client cannot be added: ENOMEM'
}

@test "a client with two changes that fail is refused once" {
  FAILS=keep start_compiled faulty
  talk buffer 4096 A open 1 echo 1 B open 3 echo 1 run settles run halt A put 30000 B put 20000 run go_on \
    A end any B rest C open 2 echo 30000 B echo 10 shut eof C shut eof
  refused_once 'neither READ: disable nor WRITE: add of the first client succeeds: ENOMEM'
}

@test "what fails in a full list is refused, the others are served" {
  local many=200
  FAILS=late start_compiled faulty
  talk buffer 4096 A open $many echo 1 run settles run halt A put 20000 B open 100 put 10 run go_on \
    B rest A shut end any B echo 10 shut eof
  refused_once 'WRITE: add of one of 200 clients fails: ENOMEM'
  is "$(grep -c ' closed, 20001 bytes' "$LOG")" 199 'WRITE: add of one of 200 clients fails; the others read it all'
}

@test "clients that have left leave no memory" {
  gives_memory_back
  end_clean
  clients_leave_no_memory
}

@test "out of descriptors it sleeps, and goes on when a client leaves" {
  [ "$(uname -s)" != Darwin ] || skip 'accept() drops the connection on macOS'
  start_compiled still 20
  talk A open 8 echo 1 B open 8 run 'wait_for_line accept:' run settles \
    run 'sleeps "more clients have come than there are descriptors"' A close B echo 10 shut eof
  kill -0 "$server" && end_clean
  # Nobody leaves: it tries again now and then, and hands that over with the wait, too.
  start_compiled small-trace 20
  talk A open 8 echo 1 B open 12 run 'wait_for_line accept:' run "wait_until tries_again '$ERRORS'"
  is "$(calls)" 'each call waits' 'more clients have come than there are descriptors; the trace of kevent()'
}
# accept() has failed, and once more after a second in which nothing has happened.
tries_again() { [ "$(grep -c '^accept.* = -1' "$1")" -ge 2 ]; }
export -f tries_again wait_until

@test "no reset or stop does harm, and all bytes and descriptors come back" {
  echoes_all
  end_clean
  gives_descriptors_back
  end_clean
  survives_resets
  end_clean
  survives_stop_and_continue
  end_clean
  is_sane_in_a_crowd
}

@test "it sleeps while nobody wants anything" {
  sleeps_at_rest
  end_clean
  start_compiled small
  talk buffer 4096 A open 3 put 20000 B open 1 fill run settles run 'sleeps "four clients have output kept"' \
    A rest B rest run 'sleeps "they have read it all"' A shut eof
}
