# shellcheck shell=sh
# Step 3: the queue says who is ready; but the server sleeps in send().

story() {
  talk segment 1460 buffer 4096 sendbuffer 16384 \
    scene listener 'one knote, for the listener, and it is not ready' \
    next subscribe '-> fd @A READ: add' 'the first client: a knote for it' \
    A open 1 B open 1 C open 1 \
    scene knotes 'four knotes, and none is ready' \
    next event '<- fd @B READ' 'one event: nobody asked about A and C' \
    B send hello expect hello \
    next batch '= 2$' 'the story halted the server for a moment: two have sent meanwhile, one batch' \
    signal STOP A send hi C send hi signal CONT A expect hi C expect hi \
    A fill \
    scene full 'A sends and does not read: four buffers are full, and the server sleeps in send()' \
    B send hello \
    scene wait 'the knote of B is ready; the server does not ask' \
    next room '^send' 'A has read: send() is back' \
    A rest B expect hello A shut eof close B shut eof close C shut eof close \
    scene end 'all have gone'
}
