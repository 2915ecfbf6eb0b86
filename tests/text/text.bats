#!/usr/bin/env bats
# The text holds what it says: code, terminal sessions, figures, links, the
# behaviour matrix and the pictures. How to write each of them stands at the
# top of tests/text/sessions.sh and of the files in tests/text/.

bats_require_minimum_version 1.5.0
load ../lib/make

export LC_ALL=C

setup_file() {
  # Built here, so that nothing is left for the sessions to build: what they
  # make, and all stages, which blocks.awk looks at.
  # shellcheck disable=SC2046 # targets
  make_quietly client talk stages $(sed -n 's/^[1-9]$ make \([-.a-z0-9]*\).*/\1/p' \
    "$BATS_TEST_DIRNAME/../../TUTORIAL.md")
}

setup() {
  cd "$BATS_TEST_DIRNAME/../.." || return 1
}

# play FILE HEADING: the terminal sessions of a chapter. Where one cannot be
# played the others are, and then the test is skipped.
play() {
  local status=0
  tests/text/sessions.sh "$1" "$2" >"$BATS_TEST_TMPDIR/played" 2>&1 || status=$?
  if [ "$status" -eq 3 ]; then
    skip "$(sed -n 's/^ *skipped: //p' "$BATS_TEST_TMPDIR/played" | sort -u)"
  fi
  cat "$BATS_TEST_TMPDIR/played"
  return "$status"
}

check() {
  local program=$1
  shift
  awk -f "tests/text/$program.awk" "$@"
}

@test "tutorial: blocks of code that can be followed and typed" {
  check blocks TUTORIAL.md
}

@test "tutorial: sessions of chapter 1" { play TUTORIAL.md 'Chapter 1:'; }
@test "tutorial: sessions of chapter 2" { play TUTORIAL.md 'Chapter 2:'; }
@test "tutorial: sessions of chapter 3" { play TUTORIAL.md 'Chapter 3:'; }
@test "tutorial: sessions of chapter 4" { play TUTORIAL.md 'Chapter 4:'; }
@test "tutorial: sessions of chapter 5" { play TUTORIAL.md 'Chapter 5:'; }
@test "tutorial: sessions before and after the chapters" { play TUTORIAL.md '!Chapter [1-5]:'; }

@test "tutorial: figures are those that were measured" {
  local summary=tests/bench/results/summary.txt
  if [ -r "$summary" ]; then
    check figures "$summary" TUTORIAL.md README.md
  else
    check figures TUTORIAL.md README.md
  fi
}

@test "tutorial: links lead somewhere" {
  check links TUTORIAL.md README.md
}

@test "tutorial: the behaviour matrix is that of its tests" {
  check matrix tests/servers/matrix.bats TUTORIAL.md
}

# Their letters are of 12 and more: wider, they are too small on a phone.
@test "tutorial: no picture is wider than 480" {
  local picture width
  for picture in five-servers.svg 0[1-5]-*/*.svg tests/bench/cost.svg; do
    width=$(sed -n 's/.*viewBox="0 0 \([0-9]*\) .*/\1/p' "$picture")
    [ "$width" -le 480 ] || {
      echo "$picture is $width wide"
      return 1
    }
  done
}

@test "tutorial: the pictures are drawn from their texts" {
  local picture
  sh tools/draw.sh "$BATS_TEST_TMPDIR"
  for picture in 0[1-5]-*/*.svg; do
    cmp "$picture" "$BATS_TEST_TMPDIR/${picture##*/}" || {
      echo "$picture is not what its text says: run tools/draw.sh"
      return 1
    }
  done
}
