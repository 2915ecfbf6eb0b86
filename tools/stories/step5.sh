# shellcheck shell=sh
# Step 5: one timer for all clients; a message moves its client to the end of
# the list; a timer's event in front of a batch; the clean stop.

# shellcheck disable=SC2034 # for record.sh
arguments='0 1000'

story() {
  talk segment 1460 buffer 4096 sendbuffer 16384 \
    next timer '-> timer 1: add' 'the first client starts the one timer' \
    A open 1 B open 1 C open 1 \
    scene list 'A has been silent longest: the timer is for A' \
    next moves '<- fd @A READ: 2 bytes' 'A speaks, and goes to the end of the list' \
    A send hi expect hi \
    scene moved 'now B has been silent longest; the timer was not touched' \
    next front '<- timer 1' 'the event of a timer in front of the batch: the time of all is up, but A and B have sent something' \
    signal STOP pause 1100 A send hi B send hi C close signal CONT B expect hi A expect hi \
    scene spared 'the events of A and B were answered before the timer: both stay' \
    next try '^recv.@A. = -1' 'the timer again: a last try with A, and nothing has come' \
    next idle '^close.@A' 'A was silent for 1000 ms: closed' \
    A eof B eof close A close \
    D open 1 fill \
    scene kept 'D does not read; the server keeps what send() did not take' \
    next signal '<- signal SIGTERM' 'SIGTERM comes as an event' \
    next listener '^close' 'first, no more clients' \
    signal TERM pause 50 \
    next shutdown '^shutdown' 'all that was read is sent: the server ends its side' \
    D end any close
}
