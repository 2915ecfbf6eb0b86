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

# record STORY NAME STEP: the record is build/NAME.record, beside where the program
# seems to be.
record() {
  ln -s "$root/build/step$3-trace" "$build/$2-trace"
  TALK=$root/build/talk sh "$tools/record.sh" -s "$1" "$build/$2-trace" >&2
}

# So many bytes of an echo the kernel takes from step 4 for a client as D in five.sh.
# On Linux it is more when earlier connections to this address went well: it keeps
# their metrics (ip-tcp_metrics(8)). So it is measured, before each server.
kernel_takes() { # NAME
  echo 'story() { talk segment 536 buffer 4096 sendbuffer 200000 D open 1 fill; }' \
    >"$build/fill.sh"
  record "$build/fill.sh" "$1" 4
  awk '$2 == "words" && $3 ~ /^send/ && $NF + 0 > 0 { n += $NF }
    END { print n + 0 }' "$build/$1.record"
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
      kernel_takes=$(kernel_takes "before$step")
      export kernel_takes
      record "$tools/stories/five.sh" "step$step" "$step"
      awk -v step=$step -f "$tools/five-servers.awk" "$build/step$step.record"
    done
  } >"$build/five-servers.txt"
  mv "$build/five-servers.txt" "$text"
fi
awk -f "$tools/five-servers-picture.awk" "$text" | awk -f "$tools/draw.awk" \
  >"$picture"
