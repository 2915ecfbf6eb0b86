#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

# Servers with small send buffers, one traced, one sanitized: a few thousand bytes make a block.
setup_file() {
  local small='-include exercises/lib/small-buffers.h'
  # shellcheck disable=SC2086 # two words
  compiled small-trace trace $small && compiled small sanitized $small
  compiled still plain -include exercises/lib/still.h
  compiled pieces trace -include exercises/4.5/recv-pieces.h
}

# What the trace says of the blocks of each client. A block begins with recv(), and
# ends with the send() that takes the last of it.
blocks() {
  awk '
    function wrong(text) { if (!said++) print text }
    function left(fd) { return last[fd] - first[fd] }
    /^recv\([0-9]+\) = [1-9]/ {
      fd = $1; gsub(/[^0-9]/, "", fd)
      size[fd, last[fd]++] = $3
      if (left(fd) > most) most = left(fd)
      if (left(fd) > 4) wrong("one more was read with four blocks kept")
    }
    /^recv\([0-9]+\) = 0/ { fd = $1; gsub(/[^0-9]/, "", fd); ended[fd] = 1 }
    /^send\([0-9]+, .* = [1-9][0-9]*$/ {
      fd = $1; gsub(/[^0-9]/, "", fd)
      for (n = $NF; n > 0 && left(fd) > 0; ) {
        take = n < size[fd, first[fd]] ? n : size[fd, first[fd]]
        n -= take
        if ((size[fd, first[fd]] -= take) == 0) delete size[fd, first[fd]++]
      }
    }
    /^(accept\([0-9]+\) = [0-9]|close)/ { fd = /^accept/ ? $NF : $1; gsub(/[^0-9]/, "", fd); first[fd] = last[fd] = off[fd] = ended[fd] = 0 }
    /^->/ { changes++ }
    /^kevent/ {
      for (fd in off)
        if (changes == 0 && off[fd] && !ended[fd] && left(fd) == 1)
          wrong("reading stayed off with one block left")
      changes = 0
    }
    /^-> fd [0-9]+ READ: / {
      fd = $3
      if (/disable|delete/ && !off[fd]) {
        off[fd] = 1
        if (ended[fd]) next
        offs++
        if (left(fd) != 4) wrong("reading was turned off with " left(fd) " blocks kept")
      } else if (/enable|add/ && off[fd]) {
        off[fd] = 0
        if (left(fd) > 1) wrong("reading was turned on with " left(fd) " blocks left")
      }
    }
    END {
      if (offs == 0) wrong("reading was never turned off; most blocks kept: " most + 0)
      if (!said) print "as it should be"
    }' "$ERRORS"
}

@test "it compiles without a warning" { compiles_without_warning; }

@test "reading goes off at the fourth block, on when one is left" {
  start_compiled small-trace
  talk buffer 4096 A open 3 echo 300000 B open 1 put 60000 run settles put 3000 run settles \
    put 3000 run settles put 3000 run settles put 3000 run settles rest echo 300000 shut eof A shut eof
  is "$(blocks)" 'as it should be' 'clients sent much and took it slowly; the trace of recv(), send() and kevent()'
}

@test "each byte comes in order while clients send and read at once" {
  start_compiled small
  talk A open 5 echo 500000 buffer 4096 B open 3 echo 200000 put 50000 run settles put 50000 shut rest eof \
    A echo 1 shut eof
}

@test "an end that comes while blocks are kept waits for them" {
  start_compiled small
  talk buffer 4096 A open 2 put 50000 run settles shut run settles D open 1 echo 10 B open 1 put 60000 run settles \
    put 100 run settles put 100 shut C open 1 pour 400000 shut run settles A rest eof B rest eof C rest eof D echo 10 shut eof
  wait_until counts_all >/dev/null ||
    told 'clients got 50000, 50000, 60200 and 20 bytes, most of them from blocks' \
      'a line "client N closed, ... bytes echoed" with each number' "$(grep ' closed, ' "$LOG")"
}
counts_all() {
  [ "$(grep -c -e ' closed, 50000 bytes' -e ' closed, 60200 bytes' -e ' closed, 20 bytes' "$LOG")" -eq 4 ]
}

@test "it sleeps while blocks are kept" {
  start_compiled small
  talk buffer 4096 A open 1 put 60000 run settles put 100 run settles \
    run 'sleeps "two blocks are kept, and the client reads nothing"' \
    shut B open 1 fill run settles \
    run 'sleeps "that client has ended its sending; another sends and never reads"' \
    C open 1 echo 10 shut eof A rest eof B rest shut eof
}

@test "a reset while blocks are kept closes the client once" {
  start_compiled small
  talk buffer 4096 A open 5 put 60000 run settles put 100 run settles run halt A reset \
    B open 3 put 10 run go_on B rest A open 2 fill reset run settles C open 2 put 60000 run settles run halt \
    C put 100 shut reset run go_on B echo 10 shut eof
  is_sane
  wait_until all_gone >/dev/null ||
    told '12 clients came, and left in their ways' '12 lines "client N closed" or "client N reset"' "$(cat "$LOG")"
}
all_gone() { [ "$(grep -c -e ' closed, ' -e ' reset, ' "$LOG")" -eq 12 ]; }

@test "four blocks a client, and no more memory" {
  local before after
  start "$STEP"
  talk buffer 4096 A open 1 fill rest shut eof
  before=$(resident)
  run -0 talk buffer 4096 A open 3 fill run resident rest shut eof
  [ $((output - before)) -lt $((3 * 320 + 100)) ] ||
    told 'three clients sent all they could and read nothing' \
      "less than 320 KiB for each, from $before KiB on" "$output KiB"
  end_clean
  gives_memory_back
  end_clean
  clients_leave_no_memory
}

@test "out of descriptors, one that leaves makes room for one that waits" {
  [ "$(uname -s)" != Darwin ] || skip 'accept() drops the connection on macOS'
  start_compiled still 16
  talk A open 4 echo 1 B open 20 run settles run 'sleeps "it is out of descriptors"' A reset C open 1 B close \
    C echo 1 shut eof
}

@test "one that sends much leaves the others their turn" {
  start_compiled pieces
  talk A open 1 echo 1 run settles run halt A put 30000 run go_on A rest shut eof
  is "$(most_at_once)" 'few' '30000 bytes of a client wait, recv() returns 1000; the trace of recv() and kevent()'
}
most_at_once() {
  awk '/^kevent/ { n = 0 }
    /^recv\([0-9]+\) = [1-9]/ && ++n > most { most = n }
    END { print (most > 12 ? most " recv() before the next kevent()" : "few") }' "$ERRORS"
}

@test "no reset or stop does harm, and all bytes and descriptors come back" {
  echoes_all
  end_clean
  gives_descriptors_back
  end_clean
  survives_resets
  end_clean
  survives_stop_and_continue
}

@test "it sleeps while nobody wants anything" {
  start_compiled small
  talk buffer 4096 A open 5 echo 30000 B open 1 echo 70000 shut eof C open 1 echo 30000 reset \
    run 'sleeps "five clients have got all that they sent, and are silent"'
  end_clean
  sleeps_at_rest
}
