#!/bin/sh
# Runs the tests, all or the files named, and ends with a line that counts.
#
#     sh tests/run.sh                            tests/*/*.bats
#     sh tests/run.sh tests/servers/step3.bats   one file
#
# Several files run at once, since most tests wait most of the time. What each
# prints (TAP, with the output of a failed test below its line) is shown as it
# comes, and kept in build/tap/.
set -u
cd "$(dirname "$0")/.." || exit 1

sh tools/need-bats.sh 'make test' || exit 1

# Three are run alone, by .ci/run: the player's tests, in a browser, take as long as
# all others, the story on five servers runs by the clock, and marking a class takes
# the whole machine.
if [ $# -eq 0 ]; then
  # Those that take longest first, so that none is left alone at the end.
  for name in text/stages servers/step5 servers/errors stress/soak repo/make \
    stress/faults text/text kqueue/conformance; do
    set -- "$@" "tests/$name.bats"
  done
  for file in tests/*/*.bats; do
    case " $* $file" in
      *" $file "*) ;;
      *tests/tools/player.bats | *tests/tools/story.bats | *tests/exercises/class.bats) ;;
      *) set -- "$@" "$file" ;;
    esac
  done
fi
rm -rf build/tap
mkdir -p build/tap
# A run that dies on the way leaves a plan that its results do not fill.
# shellcheck disable=SC2016 # expanded by the inner shell
printf '%s\n' "$@" | xargs -n 1 -P 6 sh -c '
  { bats --tap --print-output-on-failure "$1" 2>&1 || echo "# $1: exit status $?"; } |
    tee "build/tap/${1##*/}.tap"' sh

count() {
  cat build/tap/*.tap | grep -c "$1"
}

planned=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' build/tap/*.tap |
  awk '{ n += $1 } END { print n + 0 }')
failed=$(count '^not ok')
skipped=$(count '^ok .* # skip')
passed=$(($(count '^ok') - skipped))
# What was planned and did not run has failed, and so has a file without a plan.
missing=$((planned - passed - failed - skipped))
[ "$missing" -gt 0 ] && failed=$((failed + missing))
for file; do
  grep -q '^1\.\.' "build/tap/${file##*/}.tap" && continue
  echo "$file did not run"
  failed=$((failed + 1))
done
[ "$failed" -eq 0 ] || grep -h '^not ok' build/tap/*.tap

summary="$passed passed, $failed failed"
[ "$skipped" -gt 0 ] && summary="$summary, $skipped skipped"
echo "$summary"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
