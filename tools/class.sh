#!/bin/sh
# Marks a class: `make marks CLASS=folder`, which holds a folder a student.
#
#     sh tools/class.sh FOLDER
#
# Prints a table, students down, exercises across, and writes it to
# build/marks.csv: "5/6" are the checks passed, "-" is not there. What a student
# would have been told is in build/marks/STUDENT/ID.said.
#
# A file costs its own mark alone, whatever it does. What it may use:
#
#     time         MARK_LIMIT seconds a mark (60), and as much to compile
#     processes    128, those of the marker among them (on Linux; elsewhere what is
#                  left of the user's own limit)
#     memory       1 GiB a server; on macOS, where ulimit -v does nothing, none
#     log          64 MiB a file
#
# On Linux each mark runs in a pid namespace of its own (unshare(1)): it sees no
# process but its own, so it can end nothing else, and all of it ends with the
# mark. As root it runs as a user of its own, who can write nothing but its
# folder. Where unshare is not allowed, and elsewhere, its process group is ended
# and whatever runs its program; that is said once.
# JOBS marks run at once, 4 a processor.
set -u
cd "$(dirname "$0")/.." || exit 2
tree=$(pwd)

CC=${CC:-cc}
CFLAGS=${CFLAGS:--std=gnu99 -O2 -g -Wall -Wextra}
export CC CFLAGS
MARK_LIMIT=${MARK_LIMIT:-60}
export MARK_LIMIT

# How a mark is kept apart here: as root, as a user, or not at all.
kind_of_box() {
  if [ "$(uname -s)" != Linux ]; then
    echo none
  elif [ "$(id -u)" -eq 0 ] && unshare --pid --fork --mount-proc \
    setpriv --reuid=60000 --regid=60000 --clear-groups test -r Makefile 2>/dev/null; then
    echo root
  elif [ "$(id -u)" -ne 0 ] && unshare --user --map-root-user --pid --fork --mount-proc \
    true 2>/dev/null; then
    echo user
  else
    echo none
  fi
}

# One mark: mark_one BOX NUMBER STUDENT ID
mark_one() {
  box=$1 number=$2 student=$3 id=$4
  here=$tree/build/marks/$(basename "$student")
  # The files as they are now, where this mark may write.
  mkdir -p "$here/$id/mine"
  cp "$student/$id".* "$here/$id/mine/" 2>/dev/null || exit 0
  MINE=$here/$id/mine WORK=$here/$id/built
  export MINE WORK
  # bash, since sh need not know ulimit -u.
  # shellcheck disable=SC2016 # for the inner shell
  inner='ulimit -u "$1" && exec sh tools/exercise.sh "$2"'
  # As long as compiling and the checks may take together.
  limit=$((2 * MARK_LIMIT))
  case $box in
  root)
    user=$((60000 + number))
    chown -R "$user:$user" "$here/$id"
    timeout -s KILL $limit unshare --pid --fork --kill-child --mount-proc \
      setpriv --reuid=$user --regid=$user --clear-groups \
      bash -c "$inner" bash 128 "mark-$id"
    ;;
  user)
    timeout -s KILL $limit unshare --user --map-root-user --pid --fork --kill-child \
      --mount-proc bash -c "$inner" bash 128 "mark-$id"
    ;;
  none)
    sh tools/exercise.sh "mark-$id"
    ;;
  esac >"$here/$id.said" 2>&1 </dev/null
  [ -s "$WORK/result" ] || {
    # The marker was ended, or its time was up.
    mkdir -p "$WORK"
    echo "0 $(grep -c '^@test' "exercises/$id/mark.bats") the marker was ended" \
      >"$WORK/result"
  }
}

if [ "${CLASS_ONE-}" ]; then
  unset CLASS_ONE
  mark_one "$@"
  exit
fi

class=${1-}
[ -d "$class" ] || {
  echo "There is no folder $class: make marks CLASS=folder, a folder a student" >&2
  exit 2
}
class=$(cd "$class" && pwd)
sh tools/need-bats.sh 'make marks' || exit 2
rm -rf build/marks
mkdir -p build/marks
box=$(kind_of_box)
[ "$box" != none ] ||
  echo 'Marks are not kept apart from each other here: tools/class.sh says how far.' >&2

# What all marks share is built before they start, and not by them.
"${MAKE:-make}" -s build/talk && sh tools/exercise.sh layers || exit 1

ids=$(sh tools/exercise.sh ids)
processors=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
number=0
for student in "$class"/*/; do
  student=${student%/}
  for id in $ids; do
    [ -f "$student/$id.c" ] || [ -f "$student/$id.txt" ] || continue
    number=$((number + 1))
    printf '%s\n' "$box" "$number" "$student" "$id"
  done
done | tr '\n' '\0' |
  CLASS_ONE=1 xargs -0 -n 4 -P "${JOBS:-$((4 * processors))}" sh tools/class.sh

# Only exercises that somebody has begun have a column.
for student in "$class"/*/; do
  student=$(basename "$student")
  for id in $ids; do
    result=build/marks/$student/$id/built/result
    passed='' total=''
    [ ! -f "$result" ] || read -r passed total _ <"$result"
    echo "$student,$id,$passed,$total"
  done
done | awk -F, -v ids="$ids" '
  { if (!($1 in row)) { students[++n] = $1; row[$1] = 1 }
    if ($4 != "") { used[$2] = 1; cell[$1, $2] = $3 "/" $4 } }
  END {
    count = split(ids, id, " ")
    line = "student"
    for (i = 1; i <= count; i++) if (id[i] in used) line = line "," id[i]
    print line
    for (s = 1; s <= n; s++) {
      line = students[s]
      for (i = 1; i <= count; i++)
        if (id[i] in used)
          line = line "," ((students[s], id[i]) in cell ? cell[students[s], id[i]] : "-")
      print line
    }
  }' >build/marks.csv
awk -F, '
  { for (i = 1; i <= NF; i++) { cell[NR, i] = $i
      if (length($i) > width[i]) width[i] = length($i) } }
  END { for (r = 1; r <= NR; r++) { line = ""
      for (i = 1; i <= NF; i++) line = line sprintf("%-" (width[i] + 2) "s", cell[r, i])
      sub(/ +$/, "", line); print line } }' build/marks.csv
