#!/bin/sh
# Runs tests against servers that are recorded: a recorded server must behave as
# one that is not.
#
#     tests/tools/recorded.sh [FILE.bats ...]    the steps' own tests, if none
set -eu
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- tests/servers/step[1-5].bats tests/servers/every-step.bats

# In a copy, so that step1 ... step5 here stay what they are.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
trap 'exit 130' INT TERM
git ls-files | tar cf - -T - | tar xf - -C "$copy"
cd "$copy"
make -s all client talk programs step1-trace step2-trace step3-trace \
  step4-trace step5-trace >/dev/null
mkdir real
for step in 1 2 3 4 5; do
  # Its messages begin with its name.
  mv build/step$step-trace real/step$step
  printf '#!/bin/sh\nRECORD=%s/record.$$ exec %s/real/step%d "$@"\n' \
    "$copy" "$copy" $step >step$step
  chmod +x step$step
  # make must not build it again.
  touch -t 203001010000 step$step
done
sh tests/run.sh "$@"
# They were recorded, and not in vain.
ls record.* >/dev/null
