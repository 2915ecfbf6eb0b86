#!/usr/bin/env bats
# README's commands are those that the workflow runs on each system.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see lib/server.bash
load ../lib/server

# A line each: what is indented and begins with a setup, or stands in the table.
commands() {
  sed -n -e 's/^    \(s=.*\)/\1/p' -e 's/^|.*| `\(.*\)` |$/\1/p' "$ROOT/README.md"
}

@test "readme: the workflow runs each of its commands" {
  local command count=0
  while IFS= read -r command; do
    count=$((count + 1))
    grep -qF "$command" "$ROOT/.github/workflows/ci.yml" ||
      fail "not in the workflow: $command"
  done < <(commands)
  equal "$count" 6
}

# On a bare Debian there is no sudo, elsewhere one is not root.
@test "readme: with sudo and without" {
  local command
  mkdir "$BATS_TEST_TMPDIR/bin" "$BATS_TEST_TMPDIR/sudo"
  for command in apt-get make ./step3; do
    mkdir -p "$BATS_TEST_TMPDIR/bin/$(dirname $command)"
    printf '#!/bin/sh\necho "$(basename "$0") $*"\n' \
      >"$BATS_TEST_TMPDIR/bin/$command"
    chmod +x "$BATS_TEST_TMPDIR/bin/$command"
  done
  for command in sh basename; do
    ln -s "$(command -v $command)" "$BATS_TEST_TMPDIR/bin/$command"
  done
  printf '#!/bin/sh\necho "as root: $*"\n' >"$BATS_TEST_TMPDIR/sudo/sudo"
  chmod +x "$BATS_TEST_TMPDIR/sudo/sudo"
  command=$(commands | head -n 1)
  cd "$BATS_TEST_TMPDIR/bin"
  PATH=$PWD run -0 sh -c "$command"
  equal "${lines[1]}" 'apt-get install -y gcc libc6-dev make netcat-openbsd'
  equal "${lines[2]} ${lines[3]}" 'make step3 step3 '
  PATH=$PWD:$BATS_TEST_TMPDIR/sudo run -0 sh -c "$command"
  equal "${lines[1]}" \
    'as root: apt-get install -y gcc libc6-dev make netcat-openbsd'
}
