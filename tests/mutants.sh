#!/bin/sh
# Breaks the programs, one promise at a time, and sees that the tests notice.
#
#     sh tests/mutants.sh                    all of tests/mutants/*.patch, and the
#                                            bugs to find, exercises/bug*/bug.patch
#     sh tests/mutants.sh tests/mutants/early-timer.patch ...
#     FULL=1 sh tests/mutants.sh [...]       all tests of the servers and tools,
#                                            not only the one that is named
#
# The first line of a patch says which promise it breaks, and which test sees it:
#
#     # a time-out is never early | tests/servers/step5.bats: step 5: no client ...
#
# Each is planted in a copy of the tree (build/mutants); the test must become
# red there. It says so, and ends with a line that counts.
set -u
cd "$(dirname "$0")/.." || exit 1
[ $# -gt 0 ] || set -- tests/mutants/*.patch exercises/bug*/bug.patch
sh tools/need-bats.sh 'make mutants' || exit 1

tree=${TREE:-build/mutants}
rm -rf "$tree"
mkdir -p "$tree"
tar cf - 0[1-5]-* linux tools tests exercises/*.mk Makefile TUTORIAL.md README.md |
  (cd "$tree" && tar xf -)
unset MAKEFLAGS MFLAGS MAKELEVEL
in_tree() { (cd "$tree" && "$@"); }
build() { in_tree "${MAKE:-make}" -s all client talk programs >"$tree/make.log" 2>&1; }
build || { cat "$tree/make.log"; exit 1; }

# Which steps the patch touches: every-step.bats needs to try no others.
steps() {
  sed -n 's,^+++ b/0\([1-5]\)-.*,\1,p' "$1" | tr '\n' ' '
}

seen=0
missed=0
for patch; do
  name=$(basename "$patch" .patch)
  [ "$name" != bug ] || name=$(basename "$(dirname "$patch")")
  line=$(sed -n 's/^# .* | \(tests\/.*\)/\1/p;q' "$patch")
  file=${line%%: *}
  test=${line#*: }
  STEPS=$(steps "$patch")
  STEPS=${STEPS% }
  if [ -n "$STEPS" ]; then export STEPS; else unset STEPS; fi
  verdict=
  changed=$(sed -n 's,^+++ b/,,p' "$patch")
  if ! awk -f tools/patch.awk "$patch" "$changed" >"$tree/$changed"; then
    verdict='does not apply'
  elif ! build; then
    verdict='does not compile'
  elif [ -n "${FULL:-}" ]; then
    in_tree sh tests/run.sh tests/servers/*.bats tests/stress/*.bats \
      tests/tools/*.bats >"$tree/tap" 2>&1
    red=$(sed -n 's/^not ok [0-9]* //p' "$tree/tap" | sort -u | paste -s -d ';' -)
    [ -n "$red" ] || verdict='is not seen by any test'
  else
    # The name as a regular expression that matches nothing else.
    in_tree bats --tap -f "^$(printf '%s\n' "$test" | sed 's/[][()|*+?.^$\\{}]/\\&/g')\$" \
      "$file" >"$tree/tap" 2>&1
    red=$test
    grep -q '^not ok' "$tree/tap" || verdict="is not seen by $file: $test"
    grep -q '^1\.\.1$' "$tree/tap" || verdict="names no test: $file: $test"
  fi
  if [ -z "$verdict" ]; then
    seen=$((seen + 1))
    echo "ok $name: $red"
  else
    missed=$((missed + 1))
    echo "not ok $name $verdict"
    cp "$tree/tap" "$tree/$name.tap" 2>/dev/null
  fi
  cp "$changed" "$tree/$changed"
done
echo "$seen passed, $missed failed"
[ "$missed" -eq 0 ] && [ "$seen" -gt 0 ]
