#!/usr/bin/env bats
# A class of 31 is marked: `make marks CLASS=...`. Run alone, by .ci/run: it takes
# the machine for a minute.

bats_require_minimum_version 1.5.0
load ../lib/make

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)

setup_file() { make_quietly build/talk; }

# student NAME: the folder of one, with the exercise 1.3 from stdin.
student() {
  mkdir -p "$class/$1"
  cat >"$class/$1/1.3.c"
}

# nasty NAME STATEMENTS: a server that does this before it serves.
nasty() {
  {
    printf '#include <signal.h>\n#include <stdio.h>\n#include <stdlib.h>\n'
    printf '#include <string.h>\n#include <unistd.h>\n'
    printf 'int main(void)\n{\n%s\nreturn 0; }\n' "$2"
  } | student "$1"
}

solved() { # PATCH
  awk -f tools/patch.awk "exercises/1.3/$1.patch" 01-blocking/server.c
}

# One line of the csv: what this student has of 1.3.
result() {
  awk -F, -v name="$1" '
    NR == 1 { for (i = 1; i <= NF; i++) if ($i == "1.3") column = i }
    $1 == name { print $column }' build/marks.csv
}

@test "a class: each costs its own mark alone" {
  cd "$ROOT" || return 1
  class=$BATS_TEST_TMPDIR/class
  local name total i wrong
  total=$(grep -c '^@test' exercises/1.3/mark.bats)
  for ((i = 1; i <= 12; i++)); do
    solved solution | student "right$i"
  done
  wrong=(exercises/1.3/wrong-*.patch)
  for ((i = 1; i <= 6; i++)); do
    solved "$(basename "${wrong[i % ${#wrong[@]}]}" .patch)" | student "wrong$i"
  done
  nasty hangs 'for (;;) pause();'
  nasty spins 'for (;;);'
  nasty forks 'for (;;) fork();'
  nasty forks-apart 'for (;;) if (fork() == 0) setsid();'
  nasty floods 'for (;;) puts("listening on 127.0.0.1:1");'
  nasty eats 'for (;;) { char *p = malloc(1 << 20); if (p) memset(p, 1, 1 << 20); }'
  nasty kills-parent 'kill(getppid(), SIGKILL); for (;;) pause();'
  nasty kills-group 'kill(0, SIGKILL); for (;;) pause();'
  [ "$(uname -s)" != Linux ] || nasty kills-all 'kill(-1, SIGKILL); for (;;) pause();'
  echo 'int main(void) { return x; }' | student no-compile
  : | student empty
  mkdir -p "$class/absent1" "$class/absent2"

  MARK_LIMIT=10 run -0 apart sh tools/class.sh "$class"
  [ "$(wc -l <build/marks.csv)" -gt 30 ]
  for ((i = 1; i <= 12; i++)); do
    [ "$(result "right$i")" = "$total/$total" ] || {
      echo "right$i: $(result "right$i")"
      cat "build/marks/right$i/1.3.said"
      return 1
    }
  done
  for name in wrong1 wrong2 wrong3 hangs spins forks forks-apart floods eats \
    kills-parent no-compile empty; do
    case $(result $name) in
      "$total/$total" | '' | -)
        echo "$name: $(result $name)"
        return 1
        ;;
    esac
  done
  [ "$(result absent1)" = - ]
  # Nobody's program is left.
  run -1 pgrep -f "$ROOT/build/marks/"
}
