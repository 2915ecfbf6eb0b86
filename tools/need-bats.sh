#!/bin/sh
# Is there a bats? If not, says which command installs it; exit status 1.
#
#     sh tools/need-bats.sh 'The tests'
command -v bats >/dev/null 2>&1 && exit 0
{
  echo "$1 needs bats, which is not installed. This installs it:"
  case $(uname -s) in
  Darwin) echo '    brew install bats-core' ;;
  FreeBSD | DragonFly) echo '    pkg install bats-core' ;;
  OpenBSD) echo '    pkg_add bats' ;;
  NetBSD) echo '    pkgin install bats' ;;
  *) echo '    apt-get install bats     (or your system'\''s package of bats-core)' ;;
  esac
} >&2
exit 1
