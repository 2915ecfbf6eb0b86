#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

now() { "$ROOT/build/talk" clock | awk '{ printf "%d\n", $1 * 1000 }'; }

state() {
  local line
  if [ -r "/proc/$server/stat" ]; then
    read -r line <"/proc/$server/stat"
    line=${line##*) }
  else
    line=$(ps -o state= -p "$server")
  fi
  echo "${line%"${line#?}"}"
}

# How it is between the first event of the timer and the end of the client. NetBSD
# refuses a timer of 0 ms, so there it is never dropped: twice its time is enough.
watch() {
  local running=0 looks=0
  wait_for_line '^<- timer 1: expired' || return 1
  while [ $(($(now) - from)) -lt 4000 ]; do
    case $(<"$LOG") in
    *' idle, '*)
      echo "dropped: $((($(now) - from) / 1000))"
      break
      ;;
    esac
    looks=$((looks + 1))
    [ "$(state)" != R ] || running=$((running + 1))
  done
  grep -q ' idle, ' "$LOG" || echo 'dropped: never'
  if [ $((running * 2)) -gt $looks ]; then echo 'meanwhile: spins'; else echo 'meanwhile: sleeps'; fi
}
export -f now state watch

measure() {
  local times fires from
  start_traced 0 2000
  from=$(now) # earlier than the client's own time
  export from
  talk A open 1 run watch || return 1
  times=$(sed -n 's/^-> timer 1: .*, \([0-9]*\) ms$/\1/p' "$ERRORS")
  fires=$(grep -c '^<- timer 1: expired' "$ERRORS")
  echo "first: $(echo "$times" | sed -n 1p)"
  echo "second: $(echo "$times" | sed -n 2p)"
  case $fires in 1) echo 'fires: once' ;; 2) echo 'fires: twice' ;; *) echo 'fires: many times' ;; esac
}
setup_file() { measured; }

how='./step5 9999 2000, changed, one nc, and top; then the trace: build/step5-trace of the change'

@test "for how long the timer is started first" { predicted first "$how"; }
@test "for how long it is started then" { predicted second "$how"; }
@test "how often it fires" { predicted fires "$how"; }
@test "when the client is dropped" { predicted dropped "$how"; }
@test "whether the server sleeps meanwhile" { predicted meanwhile "$how"; }
