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
