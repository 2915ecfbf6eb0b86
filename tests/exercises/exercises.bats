#!/usr/bin/env bats
# The exercises are whole, and their tool does what exercises/README.md says.
# Whether a mark is right is proven by prove.sh, which .ci/run calls.

# shellcheck disable=SC2030,SC2031
bats_require_minimum_version 1.5.0
load ../lib/make

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)

setup_file() { make_quietly build/talk; }

setup() {
  cd "$ROOT" || return 1
  export MINE=$BATS_TEST_TMPDIR/mine WORK=$BATS_TEST_TMPDIR/work
  export LC_ALL=C
}

tool() { apart sh tools/exercise.sh "$@"; }

wrong() {
  echo "$*"
  failed=1
}

# What is wrong with one folder.
look_at() { # ID
  local folder=exercises/$1 file name count=0
  for file in mark.bats hints why.md; do
    [ -s "$folder/$file" ] || wrong "$folder/$file is missing"
  done
  [ "$(grep -c '^--$' "$folder/hints")" -ge 1 ] || wrong "$folder/hints has one hint only"
  tool "task-$1" | grep -q '[a-z]' || wrong "$1 has no task in TUTORIAL.md and no story.md"
  tool "start-$1" >"$BATS_TEST_TMPDIR/start" || wrong "$1 has nothing to begin with"
  for file in "$folder"/*.patch; do
    case $file in *\** | */bug.patch | */change.patch) continue ;; esac
    awk -f tools/patch.awk "$file" "$BATS_TEST_TMPDIR/start" >"$BATS_TEST_TMPDIR/new" ||
      wrong "$file does not apply"
    ! cmp -s "$BATS_TEST_TMPDIR/start" "$BATS_TEST_TMPDIR/new" || wrong "$file changes nothing"
  done
  for file in "$folder"/wrong-*; do
    count=$((count + 1))
    name=$(sed -n '1s/^# .* | //p' "$file")
    grep -qF "@test \"$name\" {" "$folder/mark.bats" ||
      wrong "$file: no check of mark.bats has the name '$name'"
  done
  [ $count -ge 3 ] || wrong "$folder has $count wrong ways; three are the least"
  if [ ! -f "$folder/form.txt" ] && [ ! -f "$folder/bug.patch" ]; then
    [ -f "$folder/solution.patch" ] || wrong "$folder/solution.patch is missing"
  fi
  for name in exercise mark hint solution; do
    grep -q "$name-$1\\( \\|\$\\)" exercises/make.mk || wrong "exercises/make.mk: no $name-$1"
  done
}

@test "exercises: each is whole" {
  local id failed=''
  for id in $(tool ids); do
    look_at "$id"
  done
  [ -z "$failed" ]
}

@test "exercises: make has a target for each, and for no other" {
  local verb
  for verb in exercise mark hint solution; do
    [ "$(tool ids | sort)" = "$(tr -s "[:space:]\\\\" "\\n" <exercises/make.mk | sed -n "s/^$verb-//p" | sort)" ]
  done
}

@test "exercises: each has a task in the text, and each task has its marks" {
  [ "$(tool ids | grep -v bug | sort)" = "$(sed -n 's/^\*\*\([1-5]\.[0-9]\) .*/\1/p' TUTORIAL.md | sort)" ]
}

@test "exercises: no answer stands in what a student is given" {
  # A task that begins says nothing of the solution's code.
  run -0 tool exercise-1.3
  [[ $output != *sin_port* ]]
}

@test "exercises: one begins, and nothing is written over" {
  run -0 tool exercise-1.3
  [[ $output == *"$MINE/1.3.c is yours"*'**1.3 '*'make mark-1.3'* ]]
  cmp "$MINE/1.3.c" 01-blocking/server.c
  echo mine >"$MINE/1.3.c"
  run -0 tool exercise-1.3
  [[ $output == *'stays as it is'* ]]
  [ "$(cat "$MINE/1.3.c")" = mine ]
}

@test "exercises: hints come one by one" {
  local first
  run -0 tool hint-1.1
  first=$output
  run -0 tool hint-1.1
  [ "$output" != "$first" ]
  [ -n "$output" ]
  while [[ $output != 'That was the last hint.'* ]]; do run -0 tool hint-1.1; done
}

@test "exercises: no solution before a first try" {
  run -1 tool solution-1.1
  [[ $output == *'make mark-1.1'* ]]
  tool exercise-1.1 >/dev/null
  run -1 tool mark-1.1
  run -0 tool solution-1.1
  [[ $output == *'On this machine'*'recv: '[0-9]* ]]
}

@test "exercises: a mark says what is right, and what is not yet" {
  mkdir -p "$MINE"
  cp exercises/1.1/right-commas.txt "$MINE/1.1.txt"
  run -0 tool mark-1.1
  [[ $output == *'  ok       how many times recv() returns'*'1.1 passed' ]]
  cp exercises/1.1/wrong-no-end.txt "$MINE/1.1.txt"
  run -1 tool mark-1.1
  [[ $output == *'  not yet  how many times recv() returns'*'done: '*'1.1 not yet: '*' of '* ]]
}

@test "exercises: without a file, and with a wrong name" {
  run -1 tool mark-1.1
  [[ $output == *'make exercise-1.1'* ]]
  run -2 tool mark-9.9
  [[ $output == *'no exercise 9.9'*' 1.2 '* ]]
  run -2 tool something
}

@test "exercises: what does not compile is told with its line" {
  mkdir -p "$MINE"
  echo 'int main(void) { return x; }' >"$MINE/1.3.c"
  run -1 tool mark-1.3
  [[ $output == *"$MINE/1.3.c:1:"*'1.3 not yet: 0 of '* ]]
}

# It ignores signals, leaves its process group, and its child does the same.
@test "exercises: what hangs is ended, all of it" {
  mkdir -p "$MINE"
  cat >"$MINE/1.3.c" <<'END'
#include <signal.h>
#include <unistd.h>
int main(void)
{
    signal(SIGTERM, SIG_IGN);
    fork();
    setsid();
    for (;;)
        pause();
}
END
  MARK_LIMIT=2 run -1 tool mark-1.3
  [[ $output == *'the time is up: 2 seconds'*'1.3 not yet: '* ]]
  run -1 pgrep -f "$WORK/"
}

# `ulimit -v` cannot be had with a sanitizer, which reserves terabytes.
@test "exercises: a sanitized server that eats memory is ended at 1 GiB" {
  [ "$(uname -s)" = Linux ] || skip 'the sanitizer looks at memory on Linux'
  mkdir -p "$MINE"
  awk '{ print }
    /^int main/ { main = 1 }
    main && /^\{/ {
      main = 0
      print "    for (int i = 0; i < 1536; i++) {"
      print "        memset(malloc(1 << 20), 1, 1 << 20);"
      print "        usleep(1000);"
      print "    }"
    }' 03-kqueue-basic/server.c >"$MINE/3.3.c"
  CHECKS='no memory is touched' run -1 tool mark-3.3
  [[ $output == *'not yet  no memory is touched'* ]]
}

@test "exercises: without bats, the command that installs it" {
  local name path=$BATS_TEST_TMPDIR/path
  mkdir -p "$MINE" "$path"
  cp exercises/1.1/right-commas.txt "$MINE/1.1.txt"
  for name in sh dirname sed uname grep cat mkdir; do
    ln -s "$(command -v $name)" "$path/$name"
  done
  PATH=$path run -2 "$(command -v sh)" tools/exercise.sh mark-1.1
  [[ $output == *'needs bats'*'install'* || $output == *'pkg_add bats'* ]]
}

@test "exercises: a table of one's own marks" {
  mkdir -p "$MINE"
  cp exercises/1.1/right-commas.txt "$MINE/1.1.txt"
  unset WORK
  run -0 tool marks
  [[ $output == *'1.1 passed'*'1.2 not begun'* ]]
}
