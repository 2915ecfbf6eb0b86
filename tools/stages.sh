#!/bin/sh
# Builds the stages of TUTORIAL.md; `make` calls it.
#
#     sh tools/stages.sh step4.2          build/stages/4.2.c and ./step4.2
#     sh tools/stages.sh step4.2-trace    build/step4.2-trace, which prints calls
#     sh tools/stages.sh stages           all stages, and a list of them
#
# TEXT=ch4.md takes another text, of which the first chapter may be any: it
# begins with the server of the chapter before. `stages` also compares the last
# stage of each chapter with its server. tools/stages.awk says what a text looks
# like. Exit status: 0, or 1 and what is wrong on stderr.
# shellcheck disable=SC2046,SC2086 # several words in CC, CFLAGS and the flags
set -u
cd "$(dirname "$0")/.." || exit 1

text=${TEXT:-TUTORIAL.md}
CC=${CC:-cc}
CFLAGS=${CFLAGS:--std=gnu99 -O2 -g -Wall -Wextra}
wanted=${1-}

case $wanted in
stages) last='' ;;
step*.*)
  last=${wanted#step}
  last=${last%-trace}
  ;;
*)
  echo "usage: $0 stages | stepN.M | stepN.M-trace" >&2
  exit 1
  ;;
esac

mkdir -p build/stages
new=build/stages/new.$$
trap 'rm -rf "$new"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$new" || exit 1
awk -f tools/stages.awk -v servers="$(echo 0[1-5]-*/server.c)" \
  -v last="$last" -v folder="$new" "$text" >"$new/list" || exit 1

# Puts a file in its place at once, for whoever runs or builds it just now.
compile() { # FILE COMPILER ARGUMENT...
  output=$1
  shift
  "$@" -o "$output.$$" && mv -f "$output.$$" "$output"
}

# older FILE PATH...: there is no FILE, or one of the others is newer.
older() {
  [ -f "$1" ] && [ -z "$(find "$@" -newer "$1")" ] && return 1
  return 0
}

# kqueue for Linux, compiled once for all stages, its modules joined in one file.
layer=build/stages/kqueue.o
layer() {
  case $(sh linux/flags) in '') return 0 ;; esac
  older $layer linux || return 0
  compile $layer $CC $CFLAGS $(sh linux/flags -c) -r -nostdlib linux/*.c
}

# Builds a program from the source of a stage, if it is older than what it is
# made of. The source is replaced only if it is not the same.
build() { # STAGE PROGRAM
  source=build/stages/$1.c
  cmp -s "$new/$1.c" "$source" || cp "$new/$1.c" "$source" || return 1
  older "$2" "$source" tools linux || return 0
  flags=$(sh linux/flags -c)
  libraries=${flags:+-pthread $layer}
  case $2 in
  *-trace)
    layer && compile "$2.o" $CC $CFLAGS $flags -include tools/record.h -c "$source" &&
      compile "$2" $CC $CFLAGS "$2.o" -pthread $libraries
    ;;
  *)
    case $1 in
    [12].*) compile "$2" $CC $CFLAGS "$source" ;;
    *) layer && compile "$2" $CC $CFLAGS $flags "$source" $libraries ;;
    esac
    ;;
  esac
}

case $wanted in
*-trace) build "$last" "build/$wanted" ;;
step*) build "$last" "$wanted" ;;
*)
  status=0
  previous=''
  # Says whether the last stage of a chapter is its server.
  compare() {
    [ -n "$previous" ] || return 0
    cmp "$new/$previous.c" 0"${previous%.*}"-*/server.c >&2 || status=1
  }
  while read -r stage added removed heading; do
    [ "${stage%.*}" = "${previous%.*}" ] || compare
    previous=$stage
    build "$stage" "step$stage" || exit 1
    printf 'step%s  +%-3d -%-3d %s\n' "$stage" "$added" "$removed" "$heading"
  done <"$new/list"
  compare
  exit $status
  ;;
esac
