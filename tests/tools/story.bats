#!/usr/bin/env bats
# One story on five servers: the picture says what a run says.

bats_require_minimum_version 1.5.0
load ../lib/make

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)

setup_file() {
  make_quietly build/talk step1-trace step2-trace step3-trace step4-trace step5-trace
}

facts() {
  grep '^fact ' "$1"
}

@test "five servers: a new run has the facts of the picture" {
  sh "$ROOT/tools/five-servers.sh" -r "$BATS_TEST_TMPDIR"
  [ "$(facts "$ROOT/tools/five-servers.txt" | wc -l)" -eq 25 ]
  diff <(facts "$ROOT/tools/five-servers.txt") <(facts "$BATS_TEST_TMPDIR/five-servers.txt")
}

@test "five servers: the picture is drawn from its text" {
  cd "$ROOT"
  awk -f tools/five-servers-picture.awk tools/five-servers.txt |
    awk -f tools/draw.awk | cmp - five-servers.svg
}
