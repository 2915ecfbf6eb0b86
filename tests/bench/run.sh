#!/bin/sh
# Measures the five servers side by side, and against a minimal epoll server
# where there is epoll. `make bench` calls it.
#
#     sh tests/bench/run.sh full|quick|tiny [DIRECTORY]
#
# full takes some minutes, quick under half a minute; tiny is for the test of
# this script: its figures mean nothing. Into DIRECTORY (build/bench) go
#
#     raw.txt      every sample; a part's first line names the columns
#     summary.txt  medians, as lines of KEY VALUE
#     machine.txt  where and when
#
# and a table to stdout. Best on a machine that does nothing else: the load
# before and after the run is in machine.txt.
set -u
cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C

mode=${1:-full}
results=${2:-build/bench}
case $mode in
full) rounds=9 starts=5 scale=1 idle='1 10 100 1000 10000' most=10000 ;;
quick) rounds=3 starts=1 scale=4 idle='1 10 100 1000' most=1000 ;;
tiny) rounds=1 starts=1 scale=100 idle='1 10' most=100 ;;
*) echo 'usage: sh tests/bench/run.sh full|quick|tiny [DIRECTORY]' >&2; exit 2 ;;
esac

work=build/bench
load=build/load
raw=$results/raw.txt
mkdir -p "$work" "$results" || exit 1
: >"$raw" || exit 1

say() { echo "bench: $*" >&2; }

skip() {
  say "skipped: $*"
  echo "# skipped: $*" >>"$raw"
}

# measure PART BENCH-ARGUMENT...: the samples go into raw.txt, after PART.
measure() {
  part=$1
  shift
  "$load" "$@" >"$work/samples" || { say "failed: $load $*"; exit 1; }
  sed "s/^/$part /" "$work/samples" >>"$raw"
}

header() { echo "# $*" >>"$raw"; }

# count N: echoes in a sample, fewer in a quick run.
count() { echo $(($1 / scale > 0 ? $1 / scale : 1)); }

# Step 5 would close idle clients after a minute.
step1='./step1 PORT'
step2='./step2 PORT'
step3='./step3 PORT'
step4='./step4 PORT'
step5='./step5 PORT 86400000'
epoll=''
[ "$(uname -s)" = Linux ] && epoll='build/epoll PORT'
[ -n "$epoll" ] || skip "the ratios to epoll, which is Linux's"

# What each idle client costs here: one descriptor of the server and one of us.
# shellcheck disable=SC3045 # POSIX has no -H, each sh that we know has
limit=$(ulimit -H -n)
if [ "$limit" != unlimited ] && [ "$limit" -lt $((most + 100)) ]; then
  skip "$most idle clients: no more than $limit descriptors (ulimit -H -n)"
  idle='1 10 100' most=100
fi

# Of the last 1, 5 and 15 minutes. The run itself is 1.
averages() {
  cut -d ' ' -f 1-3 /proc/loadavg 2>/dev/null ||
    uptime | sed 's/.*average[s]*: *//'
}

machine() {
  if [ -r /proc/cpuinfo ]; then
    sed -n 's/^model name[^:]*: */CPU /p' /proc/cpuinfo | sed 1q
    grep -q '^flags.* hypervisor' /proc/cpuinfo && echo 'virtual yes'
  else
    echo "CPU $(sysctl -n machdep.cpu.brand_string 2>/dev/null ||
      sysctl -n hw.model)"
  fi
  echo "cores $(getconf _NPROCESSORS_ONLN 2>/dev/null ||
    getconf NPROCESSORS_ONLN)"
  echo "kernel $(uname -srm)"
  echo "libc $(getconf GNU_LIBC_VERSION 2>/dev/null || echo "the system's")"
  echo "compiler $(${CC:-cc} --version 2>/dev/null | sed 1q)"
  echo "flags ${CFLAGS:--O2}"
  echo "descriptors $limit"
  echo "date $(date -u '+%Y-%m-%d %H:%M UTC')"
  echo "run $mode"
  echo "load-before $(averages)"
}
machine >"$results/machine.txt"

columns='mode server idle clients bytes start round count cpu_ns wall_ns'
columns="$columns median_ns p99_ns"

# ---- The ratio to epoll -----------------------------------------------------

header "part $columns"
say 'CPU per echo, and how much epoll needs'
for clients in 1 50; do
  set -- "step2=$step2" "step3=$step3" "step4=$step4" "step5=$step5"
  [ "$clients" -gt 1 ] || set -- "step1=$step1" "$@"
  [ -z "$epoll" ] || set -- "$@" "epoll=$epoll" \
    "fionread=build/epoll -f PORT"
  measure ratio echo -c $clients -n "$(count 5000)" -r $rounds -s $starts "$@"
done

# ---- Idle clients -----------------------------------------------------------

say "beside up to $most idle clients"
set -- "step1=$step1"
for n in 0 $idle; do
  [ "$n" -gt 1000 ] || set -- "$@" "step2:$n=$step2"
  set -- "$@" "step3:$n=$step3" "step4:$n=$step4" "step5:$n=$step5"
  [ -z "$epoll" ] || set -- "$@" "epoll:$n=$epoll"
done
measure idle echo -n "$(count 2000)" -r $((rounds + 2)) "$@"

# ---- Active clients ---------------------------------------------------------

for clients in 1 50 500; do
  for bytes in 64 4096 65536; do
    say "$clients client(s), messages of $bytes bytes"
    set -- "step2=$step2" "step3=$step3" "step4=$step4" "step5=$step5"
    [ $clients -gt 1 ] || set -- "step1=$step1" "$@"
    [ -z "$epoll" ] || set -- "$@" "epoll=$epoll"
    n=4000
    [ $bytes -lt 65536 ] || n=1500
    measure load echo -c $clients -b $bytes -n "$(count $n)" -r $rounds "$@"
  done
done

# ---- Connections ------------------------------------------------------------

say 'connections'
set -- "step1=$step1" "step2=$step2" "step3=$step3" "step4=$step4" \
  "step5=$step5"
[ -z "$epoll" ] || set -- "$@" "epoll=$epoll" "epoll-log=build/epoll -l PORT"
measure connect connect -n "$(count 1000)" -r $rounds -s $starts "$@"

# ---- Memory -----------------------------------------------------------------

say 'memory'
header 'part mode server idle start resident_kib private_kib'
small=1000
[ $most -gt 1000 ] || small=$most
measure memory memory -n 100 -s $starts "step2:$small=$step2" \
  "step3:$most=$step3" "step4:$most=$step4" "step5:$most=$step5"
header 'part mode server start sent_bytes before_kib after_kib'
measure flood flood -b 65536 -n 100 -s $starts "step2=$step2" \
  "step3=$step3" "step4=$step4" "step5=$step5"

# ---- System calls -----------------------------------------------------------

# calls NAME COMMAND: those of 2000 echoes less those of 1000, so that what a
# connection costs does not count.
calls() {
  name=$1
  shift
  for n in 1000 2000; do
    "$load" syscalls -n $n "$name=strace -I 2 -c -f -o $work/strace $*" || exit 1
    echo "syscalls strace $name $n" \
      "$(awk '$1 + 0 >= 0 && $4 ~ /^[0-9]+$/ && $NF != "total" { n += $4 }
        END { print n + 0 }' "$work/strace")" >>"$raw"
  done
}

if strace -c -o "$work/strace" true 2>/dev/null; then
  say 'system calls'
  header 'part mode server echoes calls'
  calls step1 "$step1"
  calls step2 "$step2"
  calls step3 "$step3"
  calls step4 "$step4"
  calls step5 "$step5"
  [ -z "$epoll" ] || calls epoll "$epoll"
else
  skip 'system calls: no strace, or it may not trace'
fi

# ---- Without TCP_NODELAY, through a small buffer ----------------------------

say 'a small buffer without TCP_NODELAY'
sed -e 's/^static char buffer\[.*\];$/static char buffer[1024];/' \
  -e 's/setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on)/on - 1/' \
  04-kqueue-nonblocking/server.c >"$work/nagle.c"
if [ "$(diff 04-kqueue-nonblocking/server.c "$work/nagle.c" |
  grep -c '^>')" -ne 2 ]; then
  say 'cannot make the variant of step 4: its buffer or option has moved'
  exit 1
fi
# shellcheck disable=SC2046,SC2086 # several words
${CC:-cc} ${CFLAGS:--O2} -o "$work/nagle" "$work/nagle.c" \
  $(sh linux/flags) || exit 1
header "part $columns"
measure nagle echo -b 4096 -n "$(count 20)" -r $rounds \
  "nagle=$work/nagle PORT"
measure nagle echo -b 4096 -n "$(count 4000)" -r $rounds "step4=$step4"

echo "load-after $(averages)" >>"$results/machine.txt"

awk -v summary="$results/summary.txt" -f tests/bench/report.awk "$raw" ||
  exit 1
echo
sed 's/^/# /' "$results/machine.txt"
echo "# samples: $raw, medians: $results/summary.txt"
