#!/bin/sh
# The exercises of TUTORIAL.md; `make` calls it.
#
#     sh tools/exercise.sh exercise-3.3    begin: a file of yours, and the task
#     sh tools/exercise.sh mark-3.3        what is right already, what is not yet
#     sh tools/exercise.sh hint-3.3        the next hint
#     sh tools/exercise.sh solution-3.3    one way to do it, after a first try
#     sh tools/exercise.sh marks           all that you have begun
#     sh tools/exercise.sh marks FOLDER    a class: a folder a student
#
# Of the environment: MINE, the folder of the student's files (exercises/mine),
# WORK, what is built (build/exercises/3.3), and CHECKS, a regular expression: those
# checks alone. A mark ends after MARK_LIMIT seconds (60). exercises/README.md says
# what a class is limited to.
# Exit status: 0 passed or done, 1 not yet, 2 a wrong call.
set -u
cd "$(dirname "$0")/.." || exit 2

CC=${CC:-cc}
CFLAGS=${CFLAGS:--std=gnu99 -O2 -g -Wall -Wextra}
MINE=${MINE:-exercises/mine}
MARK_LIMIT=${MARK_LIMIT:-60}

say_usage() {
  sed -n '4,9s/^# *//p' "$0" >&2
  exit 2
}

# What an exercise begins with: a server, one with a bug, or a form.
server_of() { # ID
  case $1 in
  bug*) sed -n 's,^+++ b/,,p' "exercises/$1/bug.patch" ;;
  *) echo 0"${1%.*}"-*/server.c ;;
  esac
}
is_form() { [ -f "exercises/$1/form.txt" ]; }
file_of() { # ID
  if is_form "$1"; then echo "$MINE/$1.txt"; else echo "$MINE/$1.c"; fi
}
print_start() { # ID
  if is_form "$1"; then
    cat "exercises/$1/form.txt"
  elif [ -f "exercises/$1/bug.patch" ]; then
    awk -f tools/patch.awk "exercises/$1/bug.patch" "$(server_of "$1")"
  else
    cat "$(server_of "$1")"
  fi
}

# The text's paragraph that begins with the number in bold, up to the next.
print_task() { # ID
  if [ -f "exercises/$1/story.md" ]; then
    cat "exercises/$1/story.md"
  else
    awk -v id="**$1 " '
      /^```/ { if (on) print; fence = !fence; next }
      !fence && (/^#/ || /^\*\*[0-9]\.[0-9] /) { on = index($0, id) == 1 }
      on { print }' TUTORIAL.md
  fi
}

begin() { # ID
  file=$(file_of "$1")
  mkdir -p "$MINE" || exit 2
  if [ -e "$file" ]; then
    echo "$file is there already and stays as it is."
  else
    print_start "$1" >"$file.new" && mv "$file.new" "$file" || exit 2
    if is_form "$1"; then from='a form'; else from=$(server_of "$1"); fi
    echo "$file is yours; it begins as $from."
  fi
  echo
  print_task "$1"
  echo "When you are ready: make mark-$1. A hint: make hint-$1."
}

hint() { # ID
  mkdir -p "$MINE" || exit 2
  given=$(cat "$MINE/.hints-$1" 2>/dev/null || echo 0)
  awk -v wanted=$((given + 1)) '
    BEGIN { n = 1 }
    $0 == "--" { n++; next }
    n == wanted { print }
    END { exit n < wanted }' "exercises/$1/hints" || {
    echo "That was the last hint. After a first try: make solution-$1"
    return 0
  }
  echo $((given + 1)) >"$MINE/.hints-$1"
}

solution() { # ID
  [ -e "$MINE/.tried-$1" ] || {
    echo "First try it yourself: make mark-$1. Then this tells." >&2
    exit 1
  }
  cat "exercises/$1/why.md"
  if is_form "$1"; then
    echo
    echo 'On this machine, just now:'
    prepare "$1" "$(file_of "$1")" && TRUTH=$work/truth run_checks "$1" >/dev/null
    sed 's/^/    /' "$work/truth"
  elif [ -f "exercises/$1/bug.patch" ]; then
    print_start "$1" >"${TMPDIR:-/tmp}/start.$$"
    diff -u "${TMPDIR:-/tmp}/start.$$" "$(server_of "$1")"
    rm -f "${TMPDIR:-/tmp}/start.$$"
  else
    cat "exercises/$1/solution.patch"
  fi
}

# ---- Marking -----------------------------------------------------------------

# kqueue for Linux, compiled once for all marks, with these flags.
layer() { # NAME FLAGS
  [ -n "$(sh linux/flags)" ] || return 0
  mkdir -p build/exercises/layer
  out=build/exercises/layer/$1.o
  [ -f "$out" ] && [ -z "$(find linux -newer "$out")" ] || {
    # shellcheck disable=SC2046,SC2086 # several words
    $CC $CFLAGS $2 $(sh linux/flags -c) -r -nostdlib -o "$out.$$" linux/*.c &&
      mv -f "$out.$$" "$out"
  } || return 1
  echo "$out"
}

sanitizers='-O1 -fsanitize=address,undefined -fno-sanitize-recover=all'

# Builds what is marked three times: as it is, with each call told, sanitized.
# All have the name that the server has in the text.
build() { # ID SOURCE
  step=$(server_of "$1")
  step=step$(expr "$step" : '0\([1-5]\)')
  mkdir -p "$work/plain" "$work/trace" "$work/sanitized"
  plain=$(layer plain '') && sane=$(layer sanitized "$sanitizers") || return 1
  flags=$(sh linux/flags -c)
  # shellcheck disable=SC2086 # several words
  {
    $CC $CFLAGS $flags -o "$work/plain/$step" "$2" $plain -pthread &&
      $CC $CFLAGS $flags -include tools/record.h -c -o "$work/trace/$step.o" "$2" &&
      $CC $CFLAGS -o "$work/trace/$step" "$work/trace/$step.o" $plain -pthread &&
      $CC $CFLAGS $sanitizers $flags -o "$work/sanitized/$step" "$2" $sane -pthread
  } >"$work/compiler" 2>&1
}

# Copies what is marked, so that an editor that saves meanwhile changes nothing.
prepare() { # ID FILE
  work=${WORK:-build/exercises/$1}
  rm -rf "$work"
  mkdir -p "$work/tmp" || exit 2
  work=$(cd "$work" && pwd)
  "${MAKE:-make}" -s build/talk >"$work/compiler" 2>&1 || return 1
  if is_form "$1"; then
    cp "$2" "$work/form.txt" || exit 2
    if [ -f "exercises/$1/change.patch" ]; then
      awk -f tools/patch.awk "exercises/$1/change.patch" "$(server_of "$1")"
    else
      cat "$(server_of "$1")"
    fi >"$work/server.c" && build "$1" "$work/server.c"
  else
    cp "$2" "$work/server.c" && build "$1" "$work/server.c"
  fi
}

# Ends what runs a program of this mark, found by the path of the program.
end_all() {
  for _ in 1 2 3; do
    ps -A -o pid= -o args= | awk -v work="$work/" '
      index($2, work) == 1 { print $1 }' | while read -r pid; do
      kill -KILL "$pid" 2>/dev/null
    done
  done
}

# Runs mark.bats, for MARK_LIMIT seconds, and ends what it has left.
run_checks() { # ID
  step=$(server_of "$1")
  step=step$(expr "$step" : '0\([1-5]\)')
  (
    unset MAKEFLAGS MFLAGS MAKELEVEL
    PROGRAM=$work/plain/$step TRACED=$work/trace/$step \
      SANITIZED=$work/sanitized/$step STEP=${step#step} WORK=$work \
      TRUTH=${TRUTH:-$work/truth} BATS_TMPDIR=$work/tmp TMPDIR=$work/tmp \
      bash exercises/lib/limited.bash "$MARK_LIMIT" "$work/tap" \
      bats --tap ${CHECKS:+-f "$CHECKS"} "exercises/$1/mark.bats"
  ) 2>/dev/null
  end_all
}

mark() { # ID
  file=$(file_of "$1")
  [ -f "$file" ] || {
    echo "There is no $file yet: make exercise-$1 begins it." >&2
    exit 1
  }
  # shellcheck disable=SC2046 # one or two words
  sh tools/need-bats.sh "make mark-$1" || exit 2
  : >"$MINE/.tried-$1"
  total=$(grep -c '^@test' "exercises/$1/mark.bats")
  if ! prepare "$1" "$file"; then
    echo "  not yet  it compiles"
    head -n 20 "$work/compiler" | sed "s|$work/server.c|$file|; s/^/           /"
    echo "0 $total it does not compile" >"$work/result"
    echo "$1 not yet: 0 of $total"
    return 1
  fi
  run_checks "$1"
  awk -v id="$1" -v total="$total" -v result="$work/result" \
    -f exercises/lib/report.awk "$work/tap"
}

# ---- Tables ------------------------------------------------------------------

all_ids() {
  for folder in exercises/[1-5].* exercises/bug[1-9] exercises/bug[1-9][0-9]; do
    [ ! -f "$folder/mark.bats" ] || echo "${folder#exercises/}"
  done
}

my_marks() {
  sh tools/need-bats.sh 'make marks' || exit 2
  for id in $(all_ids); do
    if [ ! -f "$(file_of "$id")" ]; then
      echo "$id not begun"
    else
      sh tools/exercise.sh "mark-$id" </dev/null | tail -n 1
    fi
  done
}

wanted=${1-}
case $wanted in
marks)
  if [ -n "${2-}" ]; then exec sh tools/class.sh "$2"; fi
  my_marks
  exit
  ;;
ids)
  all_ids
  exit
  ;;
layers)
  layer plain '' >/dev/null && layer sanitized "$sanitizers" >/dev/null
  exit
  ;;
start-* | task-* | file-* | exercise-* | mark-* | hint-* | solution-*) ;;
*) say_usage ;;
esac
id=${wanted#*-}
[ -f "exercises/$id/mark.bats" ] || {
  echo "There is no exercise $id. There are: $(all_ids | paste -s -d ' ' -)" >&2
  exit 2
}
case $wanted in
start-*) print_start "$id" ;;
task-*) print_task "$id" ;;
file-*) file_of "$id" ;;
exercise-*) begin "$id" ;;
mark-*) mark "$id" ;;
hint-*) hint "$id" ;;
solution-*) solution "$id" ;;
esac
