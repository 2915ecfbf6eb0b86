#!/bin/sh
# One story on five servers, as a picture: plays tools/stories/five.sh against
# each of them, and draws what happened.
#
#     tools/five-servers.sh          draws five-servers.svg of five-servers.txt
#     tools/five-servers.sh -r       plays it first, and writes five-servers.txt
#     tools/five-servers.sh -r FOLDER    both files there; it needs, like the
#                                    others, build/step1-trace ... and build/talk
set -eu
tools=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$tools")
text=$tools/five-servers.txt
picture=$root/five-servers.svg

# So many bytes of an echo the kernel takes from step 4 for a client that reads
# nothing. On Linux it is more when earlier connections to this address went well
# (tcp_metrics, ip-tcp_metrics(8)), so it is measured, before each server.
kernel_takes() {
  rm -f "$build/log"
  "$root/build/step4-trace" 0 >"$build/log" 2>"$build/trace" &
  server=$!
  for _ in $(seq 100); do
    port=$(sed -n 's/^listening on .*://p' "$build/log" 2>/dev/null)
    [ -z "$port" ] || break
    sleep 0.1
  done
  "$root/build/talk" "$port" segment 536 buffer 4096 sendbuffer 200000 D open 1 fill
  kill "$server"
  wait "$server" || true
  awk '/^send\(/ && $NF + 0 > 0 { n += $NF } END { print n + 0 }' "$build/trace"
}

if [ "${1-}" = -r ]; then
  if [ $# -gt 1 ]; then
    text=$2/five-servers.txt
    picture=$2/five-servers.svg
  fi
  build=$(mktemp -d)
  trap 'rm -rf "$build"' EXIT
  trap 'exit 130' INT TERM
  {
    echo '# What happened when tools/stories/five.sh was played: by five-servers.sh.'
    for step in 1 2 3 4 5; do
      kernel_takes=$(kernel_takes)
      export kernel_takes
      # The pages and records go where the program seems to be.
      ln -s "$root/build/step$step-trace" "$build/step$step-trace"
      TALK=$root/build/talk sh "$tools/record.sh" -s "$tools/stories/five.sh" \
        "$build/step$step-trace" >&2
      awk -v step=$step -f "$tools/five-servers.awk" "$build/step$step.record"
    done
  } >"$build/five-servers.txt"
  mv "$build/five-servers.txt" "$text"
fi
awk -f "$tools/five-servers-picture.awk" "$text" | awk -f "$tools/draw.awk" \
  >"$picture"
