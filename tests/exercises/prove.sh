#!/bin/sh
# Proves the marks of the exercises: what is unsolved fails, the solution and all
# other right ways pass, each wrong way fails in the check that its first line names.
#
#     sh tests/exercises/prove.sh [-n TIMES] [-b] [-q] [-j JOBS] [ID[/NAME]...]
#
# A right one is marked -n times in a row (1), a wrong one too, -j of them at once
# (4); -b: two busy loops run beside them; -q: a wrong one is marked by its check
# alone. Prints a line for each and ends with a line that counts. What a failing mark
# said is in build/proof/ID/NAME/said.
set -u
cd "$(dirname "$0")/../.." || exit 2
times=1
busy=
quick=
jobs=4
while getopts n:bqj: option; do
  case $option in
  n) times=$OPTARG ;;
  b) busy=1 ;;
  q) quick=1 ;;
  j) jobs=$OPTARG ;;
  *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
# shellcheck disable=SC2046 # words
[ $# -gt 0 ] || set -- $(sh tools/exercise.sh ids)
unset MAKEFLAGS MFLAGS MAKELEVEL
"${MAKE:-make}" -s build/talk || exit 1
proof=build/proof
mkdir -p "$proof"

# Marks one file as a student's: prove ID NAME FILE pass|fail [CHECK]
prove_one() {
  id=$1 name=$2 file=$3 expected=$4 check=${5-}
  here=$proof/$id/$name
  mkdir -p "$here/mine"
  case $file in
  *.txt) cp "$file" "$here/mine/$id.txt" ;;
  *) cp "$file" "$here/mine/$id.c" ;;
  esac
  CHECKS=
  [ -z "$quick" ] || [ -z "$check" ] ||
    CHECKS="^$(printf '%s\n' "$check" | sed 's/[][()|*+?.^$\\{}]/\\&/g')\$"
  export CHECKS
  round=1
  while [ "$round" -le "$times" ]; do
    MINE=$here/mine WORK=$here/work sh tools/exercise.sh "mark-$id" >"$here/said" 2>&1
    status=$?
    cp "$here/said" "$here/said.$round"
    wrong=
    case $expected in
    pass) [ $status -eq 0 ] || wrong='does not pass' ;;
    fail)
      [ $status -eq 1 ] || wrong='is not refused'
      [ -z "$check" ] || grep -qxF "  not yet  $check" "$here/said" ||
        wrong="${wrong:+$wrong, }not in the check '$check'"
      ;;
    esac
    [ -z "$wrong" ] || {
      echo "not ok $id $name: $wrong (round $round)"
      head -n 12 "$here/said" | cut -c 1-160 | sed 's/^/    /'
      return 0
    }
    round=$((round + 1))
  done
  echo "ok $id $name: $expected${check:+: $check}"
}

# One line a file to mark: ID NAME FILE pass|fail CHECK
list() { # ID
  folder=exercises/$1
  here=$proof/$1
  rm -rf "$here"
  mkdir -p "$here"
  kind=c
  [ ! -f "$folder/form.txt" ] || kind=txt
  sh tools/exercise.sh "start-$1" >"$here/unsolved.$kind"
  echo "$1 unsolved $here/unsolved.$kind fail"
  if [ $kind = txt ]; then
    for form in "$folder"/right-*.txt "$folder"/wrong-*.txt; do
      name=$(basename "$form" .txt)
      case $name in
      right-\* | wrong-\*) ;;
      right-*) echo "$1 $name $form pass" ;;
      *) echo "$1 $name $form fail $(sed -n '1s/^#.* | //p' "$form")" ;;
      esac
    done
    return
  fi
  for patch in "$folder"/solution.patch "$folder"/right-*.patch "$folder"/wrong-*.patch; do
    name=$(basename "$patch" .patch)
    [ -f "$patch" ] || continue
    awk -f tools/patch.awk "$patch" "$here/unsolved.c" >"$here/$name.c" || {
      echo "$1 $name /dev/null pass"
      continue
    }
    case $name in
    wrong-*) echo "$1 $name $here/$name.c fail $(sed -n '1s/^#.* | //p' "$patch")" ;;
    *) echo "$1 $name $here/$name.c pass" ;;
    esac
  done
  # A bug is mended by the server that it was planted in.
  [ ! -f "$folder/bug.patch" ] ||
    echo "$1 solution $(sed -n 's,^+++ b/,,p' "$folder/bug.patch") pass"
}

if [ "${PROVE_ONE-}" ]; then
  prove_one "$@"
  exit
fi
for wanted; do
  list "${wanted%%/*}" | awk -v name="${wanted#*/}" -v id="${wanted%%/*}" \
    'name == id || $2 == name'
done >"$proof/list"
pids=
if [ "$busy" ]; then
  for _ in 1 2; do
    # They end when this process is gone, whatever ended it.
    sh -c 'while kill -0 "$1" 2>/dev/null; do
      i=0
      while [ $i -lt 50000 ]; do i=$((i + 1)); done
    done' - $$ &
    pids="$pids $!"
  done
  # shellcheck disable=SC2064,SC2086 # now
  trap "kill $pids 2>/dev/null" EXIT
fi
# The name of a check is one argument.
export times proof
awk '{ check = ""; for (i = 5; i <= NF; i++) check = check (i > 5 ? " " : "") $i
       printf "%s\n%s\n%s\n%s\n%s\n", $1, $2, $3, $4, check }' "$proof/list" |
  tr '\n' '\0' | PROVE_ONE=1 xargs -0 -n 5 -P "$jobs" sh tests/exercises/prove.sh -n "$times" ${quick:+-q} \
  | tee "$proof/results"
passed=$(grep -c '^ok ' "$proof/results")
failed=$(($(wc -l <"$proof/list") - passed))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
