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
#     # EV_CLEAR: accept() wakes | tests/kqueue/conformance/read-listener.c: read_...
#
# Each is planted in a copy of the tree (below build/mutants); the test must
# become red there. JOBS at once (2; with FULL 1). A line for each, and the last
# one counts. What the tests of one said is in build/mutants/NAME.tap.
set -u
cd "$(dirname "$0")/.." || exit 1
trees=${TREE:-build/mutants}
unset MAKEFLAGS MFLAGS MAKELEVEL
build() { # TREE
  (cd "$1" && "${MAKE:-make}" -s all client talk programs) >"$1.log" 2>&1
}

# The test's name as a regular expression that matches nothing else.
only() {
  echo "^$(printf '%s\n' "$1" | sed 's/[][()|*+?.^$\\{}]/\\&/g')\$"
}

# Plants one, and says what became of it.
plant() { # PATCH
  name=$(basename "$1" .patch)
  [ "$name" != bug ] || name=$(basename "$(dirname "$1")")
  tree=$trees/$name
  tap=$trees/$name.tap
  changed=$(sed -n 's,^+++ b/,,p' "$1")
  line=$(sed -n '1s/^# .* | \(tests\/.*\)/\1/p' "$1")
  file=${line%%: *}
  test=${line#*: }
  # Which step it touches: every-step.bats needs to try no others.
  if STEPS=$(expr "$changed" : '0\([1-5]\)-'); then export STEPS; else unset STEPS; fi
  cp -Rp "$trees/original" "$tree"
  if ! awk -f tools/patch.awk "$1" "$changed" >"$tree/$changed"; then
    verdict='does not apply'
  elif ! build "$tree"; then
    verdict='does not compile'
  elif [ -n "${FULL:-}" ]; then
    (cd "$tree" && sh tests/run.sh tests/servers/*.bats tests/stress/*.bats \
      tests/tools/client.bats tests/tools/trace.bats tests/kqueue/*.bats) >"$tap" 2>&1
    test=$(sed -n 's/^not ok [0-9]* //p' "$tap" | sort -u | paste -s -d ';' -)
    verdict=
    [ -n "$test" ] || verdict='is not seen by any test'
  else
    case $file in
    *.c) (cd "$tree" && grep -q "^TEST($test)" "$file" && build/kqueue_test "$test") ;;
    *) (cd "$tree" && bats --tap -f "$(only "$test")" "$file") ;;
    esac >"$tap" 2>&1
    verdict=
    grep -q '^not ok' "$tap" || verdict="is not seen by $file: $test"
    grep -q '^1\.\.1$' "$tap" || verdict="names no test: $file: $test"
  fi
  if [ -z "$verdict" ]; then echo "ok $name: $test"; else echo "not ok $name $verdict"; fi
  rm -rf "$tree"
}

if [ "${PLANT_ONE-}" ]; then
  plant "$1"
  exit
fi

if [ $# -eq 0 ]; then
  set -- tests/mutants/*.patch
  for bug in exercises/bug*/bug.patch; do [ ! -f "$bug" ] || set -- "$@" "$bug"; done
fi
sh tools/need-bats.sh 'make mutants' || exit 1
rm -rf "$trees"
mkdir -p "$trees/original"
tar cf - 0[1-5]-* linux tools tests exercises/*.mk Makefile TUTORIAL.md README.md |
  (cd "$trees/original" && tar xf -)
build "$trees/original" || {
  cat "$trees/original.log"
  exit 1
}
jobs=2
[ -z "${FULL:-}" ] || jobs=1
printf '%s\n' "$@" | PLANT_ONE=1 xargs -n 1 -P "${JOBS:-$jobs}" sh tests/mutants.sh |
  tee "$trees/results"
rm -rf "$trees/original"
seen=$(grep -c '^ok ' "$trees/results")
echo "$seen passed, $(($# - seen)) failed"
[ "$seen" -eq $# ]
