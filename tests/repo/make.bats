#!/usr/bin/env bats
# The Makefile, in a clean copy of the tree, with each make that is here.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # see lib/server.bash
load ../lib/server

# The files that git has or would take; without git, all but what was built.
copy_tree() {
  tree=$BATS_TEST_TMPDIR/tree
  mkdir "$tree"
  if git -C "$ROOT" rev-parse --git-dir >/dev/null 2>&1; then
    (cd "$ROOT" && git ls-files -co --exclude-standard |
      while IFS= read -r file; do
        [ ! -f "$file" ] || echo "$file"
      done | xargs tar cf -) | (cd "$tree" && tar xf -)
  else
    cp -R "$ROOT/." "$tree"
    (cd "$tree" && rm -rf build step[1-5] step[1-5].*)
  fi
}

list() {
  (cd "$tree" && find . -type f -o -type l | sort)
}

# A bats that runs nothing and says that all is well: what counts here is what
# make does before it.
fake_bats() {
  mkdir -p "$BATS_TEST_TMPDIR/fake"
  cat >"$BATS_TEST_TMPDIR/fake/bats" <<'END'
#!/bin/sh
echo 1..1
echo 'ok 1 matrix: a row: step1: yes'
END
  chmod +x "$BATS_TEST_TMPDIR/fake/bats"
  PATH=$BATS_TEST_TMPDIR/fake:$PATH
}

# Prints a PATH with everything that tests/run.sh needs before it finds no bats.
path_without_bats() {
  local tool bin=$BATS_TEST_TMPDIR/no-bats
  mkdir -p "$bin"
  for tool in sh dirname uname mkdir; do
    ln -sf "$(command -v $tool)" "$bin/$tool"
  done
  echo "$bin"
}

# Not optimised, since only building is tested; but without any warning.
in_tree() {
  (
    unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOBJDIR
    cd "$tree" && "$make" CFLAGS='-std=gnu99 -Wall -Wextra -Werror' "$@"
  )
}

test_without_bats() {
  local program
  program=$(command -v "$make")
  (
    unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOBJDIR
    cd "$tree" && env PATH="$(path_without_bats)" "$program" test
  )
}

# Each target, one after another; none puts a file where it should not.
check_targets() {
  local target before
  copy_tree
  fake_bats
  before=$(list)

  in_tree step3
  [ -x "$tree/step3" ]
  [ ! -e "$tree/step2" ]
  in_tree
  in_tree all
  for target in 1 2 3 4 5; do
    [ -x "$tree/step$target" ]
  done
  in_tree step2.1
  [ -x "$tree/step2.1" ]
  for target in step1-trace step2-trace step3-trace step4-trace step5-trace \
    client step3.1-trace; do
    in_tree "$target"
    [ -x "$tree/build/$target" ]
  done
  run -0 in_tree test
  case $output in *' passed, 0 failed'*) ;; *) fail "$output" ;; esac
  for target in talk soak bad-server; do
    [ -x "$tree/build/$target" ]
  done
  run -0 in_tree matrix
  case $output in *'| a row | yes | - |'*) ;; *) fail "$output" ;; esac
  run -0 in_tree help
  # They take minutes: only what they would do.
  run -0 in_tree -n bench bench-quick

  # All is built, so make needs no more than a shell, and finds no bats.
  run ! test_without_bats
  case $output in *install*) ;; *) fail "$output" ;; esac

  # Nothing is built twice.
  run -0 in_tree all client step3-trace
  case $output in *server.c* | *client.c*) fail "$output" ;; esac
  equal "$(list | grep -v -e '^\./build/' -e '^\./step[1-5][.0-9]*$')" "$before"
  in_tree clean
  equal "$(list)" "$before"
  [ ! -e "$tree/build" ]
}

@test "make: all targets with GNU make" {
  for make in gmake make; do
    case $("$make" --version 2>/dev/null) in
      GNU*) check_targets
        return 0
        ;;
    esac
  done
  skip 'GNU make is not installed'
}

@test "make: all targets with bmake" {
  # On the BSDs it is make itself.
  for make in bmake make; do
    command -v "$make" >/dev/null || continue
    case $("$make" --version 2>/dev/null) in
      GNU*) ;;
      *) check_targets
        return 0
        ;;
    esac
  done
  skip 'bmake is not installed'
}

# What the four makes that count do not understand in the same way.
@test "make: a Makefile for every make" {
  run -1 grep -n -e '^\(if\|else\|endif\|define\|\.if\|\.for\|\.include\)' \
    -e '%' -e '\$[<^>?]' -e '\$(shell' -e '\$(wildcard' \
    -e '^[^$]*[:!?+]=' "$ROOT/Makefile" "$ROOT/tests/Makefile" "$ROOT/exercises/make.mk"
}

@test "make: help names each target of its own" {
  local target
  make="make"
  tree=$ROOT
  run -0 in_tree help
  for target in step1 step5 step3.2 stages step3-trace client matrix bench test \
    clean; do
    case $output in *"make $target "* | *"... $target "*) ;; *) fail "$target" ;; esac
  done
}

@test "make: test and matrix without bats say how to install it" {
  local tool
  for tool in tests/run.sh tests/servers/matrix.sh; do
    run -1 --separate-stderr env PATH="$(path_without_bats)" sh "$ROOT/$tool"
    equal "$output" ''
    case $stderr in
      *'needs bats'*install* | *'need bats'*install* | *pkg_add\ bats*) ;;
      *) fail "$stderr" ;;
    esac
  done
}

@test "make: test fails when a test fails" {
  copy_tree
  mkdir "$BATS_TEST_TMPDIR/bin"
  # A failed test, one that was skipped, one that did not run.
  cat >"$BATS_TEST_TMPDIR/bin/bats" <<'END'
#!/bin/sh
printf '1..4\nok 1 a\nnot ok 2 b\nok 3 c # skip no d\n'
exit 1
END
  chmod +x "$BATS_TEST_TMPDIR/bin/bats"
  PATH=$BATS_TEST_TMPDIR/bin:$PATH run -1 sh "$tree/tests/run.sh" tests/servers/arguments.bats
  case $output in *'1 passed, 2 failed, 1 skipped') ;; *) fail "$output" ;; esac
  PATH=$BATS_TEST_TMPDIR/bin:$PATH run -1 sh "$tree/tests/servers/matrix.sh"
}

@test "make: the matrix shows a failed and a skipped cell" {
  copy_tree
  mkdir "$BATS_TEST_TMPDIR/bin"
  cat >"$BATS_TEST_TMPDIR/bin/bats" <<'END'
#!/bin/sh
cat <<TAP
1..4
ok 1 matrix: one: two: step1: no
not ok 2 matrix: one: two: step2: yes
ok 3 matrix: one: two: step5: yes # skip it is Monday
ok 4 matrix: three: step3: yes
TAP
exit 1
END
  chmod +x "$BATS_TEST_TMPDIR/bin/bats"
  PATH=$BATS_TEST_TMPDIR/bin:$PATH run -1 --separate-stderr \
    sh "$tree/tests/servers/matrix.sh"
  equal "$output" '| behaviour | 1 | 2 | 3 | 4 | 5 |
|---|---|---|---|---|---|
| one: two | no | FAILED | - | - | skipped |
| three | - | - | yes | - | - |'
}
