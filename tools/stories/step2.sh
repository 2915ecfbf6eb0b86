# shellcheck shell=sh
# Step 2: nobody waits for a client that is silent, and each turn asks about
# all; everybody waits for one that does not read.

story() {
  talk segment 1460 buffer 4096 sendbuffer 16384 A open 1 B open 1 C open 1 \
    scene all 'select() was asked about the listener and three clients' \
    next one 'select.*= 1 .read @B.' 'one of four can be read: now the server walks over all the bits' \
    B send hello expect hello \
    next two 'select.*= 2 ' 'the story halted the server for a moment: two have sent meanwhile' \
    signal STOP A send hi C send hi signal CONT A expect hi C expect hi \
    A fill \
    scene full 'A sends and does not read: four buffers are full, and the server sleeps in send()' \
    B send hello \
    scene wait 'B has sent 5 bytes; nobody asks for them' \
    next room 'send\(' 'A has read: send() is back' \
    A rest B expect hello A shut eof close B shut eof close C shut eof close \
    scene end 'all have gone'
}
