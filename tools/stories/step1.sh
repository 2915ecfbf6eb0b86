# shellcheck shell=sh
# Step 1: who connects while another is served waits in the backlog, and so do
# the bytes. See record.sh for what a story may use.

story() {
  talk scene nobody 'nobody is there: the server sleeps in accept()' \
    A open 1 send hello expect hello \
    scene idle 'A has its echo and is silent: the server sleeps in recv()' \
    B open 1 send hi \
    scene backlog 'B is connected, has sent 2 bytes, and is not accepted' \
    next end 'EOF' 'A has ended: recv() is back, with 0 bytes' \
    A shut eof close \
    B expect hi \
    scene turn 'B has had its turn: the server sleeps in recv() again, now for B' \
    B shut eof close \
    scene again 'the server sleeps in accept() again'
}
