# shellcheck shell=sh
# Step 4: what send() does not take is kept; READ goes off, WRITE on.

story() {
  talk segment 1460 buffer 4096 sendbuffer 16384 A open 1 B open 1 \
    scene knotes 'three knotes, and none is ready' \
    next short '^send.@A, ([0-9]+) bytes. = (?!\1)' 'send() took less than it was given' \
    next off '-> fd @A WRITE: add' 'READ of A goes off, WRITE on' \
    A fill \
    scene full 'four buffers are full; the server sleeps in kevent(), not in send()' \
    next served '<- fd @B READ: 5 bytes' 'B is served' \
    B send hello expect hello \
    scene meanwhile 'B has its echo; A is as it was' \
    next room '<- fd @A WRITE: room' 'A has read: there is room' \
    next on '-> fd @A READ: enable' 'all is sent: WRITE goes, READ is on again' \
    A rest \
    scene empty 'the buffers are empty' \
    A shut eof close B shut eof close \
    scene end 'all have gone'
}
