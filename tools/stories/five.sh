# shellcheck shell=sh
# The story that is played on all five servers: A says something and is silent;
# B asks every 50 ms; C sends all it can and reads nothing; D comes late, sends
# much, half-closes, and reads after SIGTERM. Each runs by the clock, whatever
# becomes of the others.

# shellcheck disable=SC2034,SC2154 # for and from record.sh
case $name in step5*) arguments='0 800' ;; esac

# The kernel has room for what D sends in two halves, not for all that it sends then,
# by 32,000 bytes: five-servers.sh has measured it. Each waits while the server is
# halted, so that recv() takes much at once: step 4 and step 5 have read every byte of
# D when SIGTERM comes, and keep some.
story() {
  half=$(((${kernel_takes:?five-servers.sh measures it} - 32000) / 2))
  all=
  talk at 100 A open 1 put 5 drain 3300 &
  all="$all $!"
  talk at 300 B open 1 every 50 5 3100 &
  all="$all $!"
  talk segment 1460 buffer 4096 sendbuffer 16384 at 1200 C open 1 fill stay 2000 &
  all="$all $!"
  talk segment 536 buffer 4096 sendbuffer 200000 at 2100 \
    D signal STOP open 1 pour "$half" signal CONT \
    at 2300 signal STOP pour "$half" signal CONT \
    at 2500 signal STOP pour 64000 shut signal CONT at 2900 drain 500 &
  all="$all $!"
  talk at 2700 signal TERM
  # shellcheck disable=SC2086 # several numbers
  wait $all
}
