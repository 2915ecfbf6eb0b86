# shellcheck shell=bash
# make_quietly TARGET...: in a setup_file(), a make of its own, not a part of
# the one that runs the tests; what it says is shown only when it fails.
make_quietly() {
  (
    unset MAKEFLAGS MFLAGS MAKELEVEL
    cd "$BATS_TEST_DIRNAME/../.." && "${MAKE:-make}" "$@"
  ) >"$BATS_FILE_TMPDIR/make" 2>&1 || {
    cat "$BATS_FILE_TMPDIR/make"
    return 1
  }
}

# apart COMMAND...: for what runs a bats of its own, which shall know nothing of
# this one.
apart() {
  local name clean=()
  while read -r name; do clean+=(-u "$name"); done < <(compgen -v BATS_)
  # bats has put its own folder in front.
  env "${clean[@]}" PATH="${PATH#*/libexec/bats-core:}" "$@"
}
