#!/bin/sh
# Records a server and makes a page of the record, to be stepped through in a
# browser: one file, which needs nothing else.
#
#     tools/record.sh build/step4-trace              plays tools/stories/step4.sh
#     tools/record.sh build/step4-trace 9999 [...]   until Ctrl-C, with these
#                                                    arguments of the server
#     tools/record.sh -s STORY build/step4-trace     plays another story
#
# The page of build/step4-trace is build/step4.html, the record is beside it,
# build/step4.record: a text, whose lines tools/record.h and tools/talk.c
# explain.
#
# A story is a file that defines story(), and perhaps $arguments, those of the
# server. story() calls talk, which is tools/talk.c with the port of the server.
# step4.2 has the story of step4.
set -eu
tools=$(cd "$(dirname "$0")" && pwd)

usage() {
  echo "usage: $0 build/stepN-trace [port [more arguments of the server]]" >&2
  exit 2
}

chosen=
if [ "${1-}" = -s ]; then
  [ $# -eq 3 ] || usage
  chosen=$2
  shift 2
fi
[ $# -ge 1 ] || usage
program=$1
shift
case $program in */*) ;; *) program=./$program ;; esac
[ -x "$program" ] || {
  echo "$0: no program $program; make step4-trace builds one" >&2
  exit 2
}
name=$(basename "$program" -trace)
build=$(dirname "$program")
talk=${TALK:-$build/talk}
[ -x "$talk" ] || {
  echo "$0: no program $talk; make $talk builds it" >&2
  exit 2
}

# What make or another caller has open goes to nobody: the server gets the same
# numbers as in the text.
exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-

work=$(mktemp -d)
server=
trap 'kill -KILL $server 2>/dev/null || true; rm -rf "$work"' EXIT
# More than one shell knows; a program that is killed by Ctrl-C ends this too.
trap 'exit 130' INT TERM
RECORD_START=$("$talk" clock)
SERVER_RECORD=$work/server
export RECORD_START SERVER_RECORD

# The status that the server ended with, in words.
ended() {
  if [ "$1" -gt 128 ]; then
    echo "killed by signal $(($1 - 128))"
  else
    echo "exit status $1"
  fi
}

talk() {
  RECORD=$(mktemp "$work/talk.XXXXXX") "$talk" "$port" "$@"
}

# Starts the server, tells the story, and ends both.
play() {
  arguments=0 # a story sets others
  # shellcheck source=/dev/null # one of stories/
  . "$1"
  # shellcheck disable=SC2086 # several arguments
  RECORD=$SERVER_RECORD "$program" $arguments >"$work/log" &
  server=$!
  until grep -q '^listening on' "$work/log"; do
    kill -0 "$server" || exit 1
    sleep 0.02
  done
  port=$(sed -n 's/^listening on .*://p' "$work/log")
  SERVER_PID=$server
  export SERVER_PID
  story
  kill -TERM "$server" 2>/dev/null || true
  status=0
  wait "$server" 2>/dev/null || status=$?
  server=
}

if [ $# -eq 0 ]; then
  story=${chosen:-$tools/stories/${name%%.*}.sh}
  [ -f "$story" ] || {
    echo "$0: no story $story; give a port, and talk to the server" >&2
    exit 2
  }
  case $story in */*) ;; *) story=./$story ;; esac
  play "$story"
else
  echo "recording; Ctrl-C ends it"
  trap : INT # for this shell; the server gets what it would get
  status=0
  RECORD=$SERVER_RECORD "$program" "$@" || status=$?
  trap 'exit 130' INT
fi
[ -s "$SERVER_RECORD" ] || exit 1

# All lines in the order of time; sort -s keeps that of one program.
{
  cat "$work/server" "$work"/talk.* 2>/dev/null || true
  # The last line of the server may have been cut off: then it has no newline.
  echo
} | sed '/^[0-9.]* [a-z]/!d' | sort -s -n -k 1,1 >"$work/sorted"
last=$("$talk" clock)
awk -v last="$last" -v start="$RECORD_START" -v how="$(ended "$status")" '
  { print }
  END { printf "%.6f ended %s\n", last - start, how }
' "$work/sorted" >"$build/$name.record"

source=$(sed -n '1,20s/^[0-9.]* source //p' "$build/$name.record")
[ -f "$source" ] || source=$tools/../$source
[ -f "$source" ] || {
  echo "$0: no source $source of $program" >&2
  exit 1
}
awk -v source="$source" -v record="$build/$name.record" -v name="$name" \
  -v player="$tools/player" -f "$tools/player/page.awk" \
  "$tools/player/player.html" >"$work/page"
mv "$work/page" "$build/$name.html"
echo "$build/$name.html"
