#!/usr/bin/env bash
# Plays the terminal sessions of a text, and compares what the programs print
# with what the text says that they print.
#
#     tests/text/sessions.sh TUTORIAL.md              all sessions
#     tests/text/sessions.sh TUTORIAL.md 3            the third one
#     tests/text/sessions.sh TUTORIAL.md 'Chapter 2'  those below a `# ` heading that
#                                               begins so
#     tests/text/sessions.sh -l TUTORIAL.md           lists them
#     tests/text/sessions.sh TUTORIAL.md '!Chapter'  those below all others
#
# A session is a fenced block with the info string `console`. Its lines begin
# with the number of a terminal, 1 to 9:
#
#     1$ ./step1                      this command is typed
#     1  listening on 127.0.0.1:9999  the next line that is printed there
#     1  accept(3) =                  or, unfinished, the line that the cursor
#                                     is in; it is printed again when finished
#     1  [...]                        any number of lines, none too
#     1  all bytes right: [...]       a line that goes on
#     2  ...                          for a while, nothing new is printed there
#     2> hello                        this is typed into the program
#     2^D                             end of input
#     1^C                             Ctrl-C
#     2 [exit 0]                      the command ends with this status, and has
#                                     printed nothing else
#
# Each session has its own servers, on free ports that are put in place of the
# ports in the text. A command has 256 descriptors, as in a terminal of macOS;
# one that needs more says so with `ulimit -n`. A command that is only `make` is
# waited for; what make prints, building a program, is not part of the session.
# The numbers of descriptors may differ from the text, one for one, and so may
# what tools/client.c measures. What a command prints after the last line for
# its terminal is not looked at.
#
# Exit status: 0 all is as the text says, 1 it is not, 2 wrong arguments, 3 a
# session could not be played here, and the others are right.
set -u
export LC_ALL=C
unset MAKEFLAGS MFLAGS MAKELEVEL # of the make that runs the tests

nl='
'
LIMIT=${TRANSCRIPT_LIMIT:-20} # seconds for a line to come
QUIET=0.2                     # seconds in which nothing is to come

usage() {
  echo 'usage: transcript [-l] FILE [NUMBER | HEADING]' >&2
  exit 2
}

list=''
if [ "${1-}" = -l ]; then
  list=1
  shift
fi
if [ $# -lt 1 ] || [ $# -gt 2 ] || [ ! -r "$1" ]; then
  usage
fi
text=$1
wanted=${2-}
cd "$(dirname "$0")/../.." || exit 2
root=$PWD
cd "$OLDPWD" || exit 2

# NUMBER LINE HEADING of each session: LINE is that of its first fence.
sessions() {
  awk '
    /^ *(```|~~~)/ {
      fenced = !fenced
      if (fenced && $0 ~ /^```console *$/)
        print ++n, NR, heading
      next
    }
    !fenced && /^# / { heading = substr($0, 3) }
  ' "$text"
}

# ---- One session -----------------------------------------------------------

# By terminal: the process; its command; what is to be done with the next line
# (empty, or skip); a line that is not finished; whether the text has shown it;
# the pairs of descriptors that have been seen, as ` TEXT=HERE`.
pid=() command=() skip=() partial=() shown=() pairs=() interrupted=()
# Pairs of ports, as ` TEXT=HERE`; the terminal whose server has yet to say it.
ports='' unsaid='' unsaid_at=''

trouble() { # MESSAGE [MORE]: the line at hand does not come true
  local t
  echo
  echo "$text:$number: $1"
  [ $# -lt 2 ] || printf '%s\n' "$2"
  for t in 1 2 3 4 5 6 7 8 9; do
    [ -n "${command[t]-}" ] || continue
    remains $t
    [ -n "$rest" ] || continue
    echo "not yet seen of terminal $t, which runs \`${command[t]}\`:"
    printf '%s\n' "$rest" | head -n 20
  done
  exit 1
}

# Sets line to the next one that terminal $1 has finished.
fetch() {
  line=''
  if IFS= read -r line <&$((50 + $1)); then
    line=${partial[$1]}$line
    partial[$1]='' shown[$1]=''
    if [ -n "$unsaid" ] && [ "$unsaid_at" = "$1" ] &&
      [[ $line =~ ^listening\ on\ 127\.0\.0\.1:([0-9]+)$ ]]; then
      ports="$ports $unsaid=${BASH_REMATCH[1]}"
      unsaid=''
    fi
    return 0
  fi
  [ -z "$line" ] || shown[$1]=''
  partial[$1]=${partial[$1]}$line
  return 1
}

# Sets rest to all that terminal $1 has printed and the text has not shown.
remains() {
  rest=''
  while fetch "$1"; do
    to_text "$line"
    rest="$rest${rest:+$nl}$1  $line"
  done
  [ -z "${partial[$1]}" ] || [ -n "${shown[$1]}" ] ||
    rest="$rest${rest:+$nl}$1  ${partial[$1]}"
}

# Sets all to the pairs of ports. Where no server of the session is at 9999, that
# is port 1, at which nobody listens.
with_9999() {
  all=$ports
  case "$all " in *' 9999='*) ;; *) all="$all 9999=1" ;; esac
}

# Sets line to $1 with the ports of the text.
to_text() {
  local pair
  line=$1
  with_9999
  for pair in $all; do
    line=${line//127.0.0.1:${pair#*=}/127.0.0.1:${pair%=*}}
    line=${line//127.0.0.1 ${pair#*=}/127.0.0.1 ${pair%=*}}
  done
}

descriptor='^(.*[^A-Za-z])?(client |fd |kqueue\(\) = |accept\([0-9]+\) = |accept\(|kevent\(|recv\(|send\(|shutdown\(|close\()([0-9]+)(.*)$'
figure='^(.*[^0-9.#])[0-9]+([.][0-9]+)?(.*)$'

# Sets plain to $1 with # for each number that may differ, and fds to those of
# them that are descriptors.
simplify() {
  local word before=''
  plain=${1%"${1##*[! ]}"} fds=''
  case $plain in
    'select('*)
      line=$plain plain=''
      for word in $line; do
        if [[ $word =~ ^([0-9]+)(\)?)$ ]] && [ "$before" != = ]; then
          fds="$fds ${BASH_REMATCH[1]}"
          word="#${BASH_REMATCH[2]}"
        fi
        before=$word
        plain="$plain $word"
      done
      ;;
    *'all bytes right: '*)
      before=${plain%%all bytes right: *}
      plain=${plain#"$before"}
      while [[ $plain =~ $figure ]]; do
        plain="${BASH_REMATCH[1]}#${BASH_REMATCH[3]}"
      done
      plain=$before$plain
      ;;
    *)
      while [[ $plain =~ $descriptor ]]; do
        plain="${BASH_REMATCH[1]}${BASH_REMATCH[2]}#${BASH_REMATCH[4]}"
        fds="${BASH_REMATCH[3]} $fds"
      done
      ;;
  esac
}

# same TERMINAL TEXT HERE: the same line, but for what may differ.
same() {
  local text_plain text_fds fd new=${pairs[$1]}
  to_text "$3"
  simplify "$line"
  text_plain=$plain text_fds=$fds
  simplify "${2% \[...\]}"
  if [ "$2" = "${2% \[...\]}" ]; then
    [ "$plain" = "$text_plain" ] || return 1
  else
    [[ $text_plain == "$plain"* ]] || return 1
  fi
  # shellcheck disable=SC2086 # numbers
  set -- "$1" $text_fds
  for fd in $fds; do
    case "$new " in
      *" $fd=$2 "*) ;;
      *" $fd="* | *"=$2 "*) return 1 ;;
      *) new="$new $fd=$2" ;;
    esac
    shift
    set -- "$terminal" "${@:2}"
  done
  pairs[terminal]=$new
}

over() {
  ! kill -0 "${pid[$1]}" 2>/dev/null
}

# Terminal $1 prints $2 next.
expect() {
  local end=$((SECONDS + LIMIT)) last='' ended=''
  while :; do
    if fetch "$1"; then
      last=$line
      same "$1" "$2" "$last" && break
      [ -z "${skip[$1]}" ] || continue
      to_text "$last"
      trouble "terminal $1 prints something else:" \
        "-$1  $2$nl+$1  $line"
    fi
    if [ -n "${partial[$1]}" ] && same "$1" "$2" "${partial[$1]}"; then
      # The cursor rests here, or the line is just being printed.
      last=${partial[$1]}
      sleep 0.05
      fetch "$1" || [ "$last" != "${partial[$1]}" ] || {
        shown[$1]=1
        break
      }
      [ -n "${partial[$1]}" ] && continue
      same "$1" "$2" "$line" && break
      last=$line
      trouble "terminal $1 prints something else:" \
        "-$1  $2$nl+$1  $last"
    fi
    if [ -n "$ended" ]; then
      trouble "terminal $1 does not print this line, and \`${command[$1]}\` has ended${last:+; the last line was:}" \
        "${last:+$1  $last}"
    elif over "$1"; then
      ended=1 # and look once more
      continue
    elif [ $SECONDS -ge $end ]; then
      trouble "terminal $1 does not print this line${last:+; the last line was:}" \
        "${last:+$1  $last}"
    fi
    sleep 0.01
  done
  skip[$1]=''
}

# Waits for the end of the command in terminal $1, and sets status.
finish() {
  local end=$((SECONDS + LIMIT))
  until over "$1"; do
    [ $SECONDS -lt $end ] ||
      trouble "\`${command[$1]}\` in terminal $1 does not end"
    sleep 0.01
  done
  status=0
  wait "${pid[$1]}" 2>/dev/null || status=$?
  [ $status -ne 143 ] || [ "$interrupt" = INT ] || status=130
  remains "$1"
  if [ -n "$rest" ] && [ -z "${skip[$1]}" ]; then
    # What Ctrl-C cuts off needs no mention.
    if [ -z "${interrupted[$1]}" ] || [ "$rest" != "$1  ${partial[$1]}" ]; then
      trouble "terminal $1 prints more than stands here:" "$rest"
    fi
  fi
  partial[$1]='' skip[$1]=''
}

# The port that the newest server took, when it says so.
learn_port() {
  local end=$((SECONDS + LIMIT)) port
  [ -n "$unsaid" ] || return 0
  while :; do
    port=$(sed -n 's/^listening on 127\.0\.0\.1:\([0-9]*\)$/\1/p' \
      "$work/out$unsaid_at" | tail -n 1)
    [ -z "$port" ] || break
    if over "$unsaid_at" || [ $SECONDS -ge $end ]; then
      trouble "the server in terminal $unsaid_at does not listen"
    fi
    sleep 0.01
  done
  ports="$ports $unsaid=$port"
  unsaid=''
}

# Sets here to the port in place of the text's $1, to 0 if there is none.
port_here() {
  local pair
  here=0
  for pair in $ports; do
    [ "${pair%=*}" != "$1" ] || here=${pair#*=}
  done
}

server="^(.*[ &;])?(exec )?(\./step[1-5][.0-9]*|build/step[1-5][.0-9]*-trace)( [0-9]+)?([ '\"&|;<>].*)?\$"
plain_rest="^ *(['\"&|;<>]|\$)"
word9999='^(.*[^0-9])?9999([^0-9].*)?$'

# Sets line to the command $2 of terminal $1 with the ports that it gets here.
to_here() {
  local rest port
  line=$2
  learn_port
  if [[ $line =~ $server ]]; then
    port=${BASH_REMATCH[4]# } rest=${BASH_REMATCH[5]}
    # A port that no server would take stays, and so do other arguments.
    [ -n "$port" ] || [[ $rest =~ $plain_rest ]] || return 0
    [[ $line =~ $server ]]
    port=${port:-9999}
    [ "$port" -ge 1024 ] && [ "$port" -le 65535 ] || return 0
    port_here "$port"
    [ "$here" -ne 0 ] || unsaid=$port unsaid_at=$1
    local exec=''
    # As if typed in a shell: no other process in between.
    case ${BASH_REMATCH[1]}$rest in
      *[\'\"]* | *[\&\;] | *'& '[!\&]*) ;;
      '' | *'&& ' | *'; ') exec='exec ' ;;
    esac
    line="${BASH_REMATCH[1]}${BASH_REMATCH[2]:-$exec}${BASH_REMATCH[3]} $here$rest"
    return 0
  fi
  [[ $line != build/client* ]] || [[ $line =~ [\ ][0-9]{4,5}$ ]] ||
    line="$line 9999"
  with_9999
  local pair
  for pair in $all; do
    port=${word9999//9999/${pair%=*}}
    rest=$line line=''
    while [[ $rest =~ $port ]]; do
      line="${pair#*=}${BASH_REMATCH[2]}$line"
      rest=${BASH_REMATCH[1]}
    done
    line=$rest$line
  done
}

# For the commands: no output of make that differs from system to system, and
# an nc that tells the server of the end of its input. Plain nc does so on
# macOS; others want an option, which the reader can do without, by Ctrl-C.
# shellcheck disable=SC2016 # for the inner shell
prelude='
make() {
  case $1 in
    step* | client | talk | build/*)
      command make "$@" >"$work/make$terminal" 2>&1 ||
        { cat "$work/make$terminal"; return 2; }
      ;;
    *) command make "$@" ;;
  esac
}
nc() {
  [ "$1" != -N ] || shift
  command nc $nc_option "$@"
}
cd "$root" || exit 126
'

begin() { # TERMINAL COMMAND
  local t=$1
  if [ -n "${command[t]-}" ]; then
    [ -n "${interrupted[t]}" ] || over "$t" ||
      [ "${closed[t]}" ] || trouble "\`${command[t]}\` in terminal $t has not ended"
    finish "$t"
    [ $status -eq 0 ] || [ -n "${interrupted[t]}" ] || [ -n "${told[t]}" ] ||
      trouble "\`${command[t]}\` in terminal $t has ended with status $status"
  else
    : >"$work/out$t"
    eval "exec 5$t<\"\$work/out\$t\""
  fi
  rm -f "$work/in$t"
  mkfifo "$work/in$t"
  # Opened for both, it does not wait for the other side.
  eval "exec 4$t<>\"\$work/in\$t\""
  command[t]=$2 skip[t]='' partial[t]='' shown[t]='' pairs[t]=''
  interrupted[t]='' told[t]='' closed[t]=''
  to_here "$t" "$2"
  # Job control makes the command a process group, to which Ctrl-C goes.
  set -m
  (
    exec <"$work/in$t" >>"$work/out$t" 2>&1
    exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- 11>&- 12>&- 13>&- 14>&- 15>&- \
      41>&- 42>&- 43>&- 44>&- 45>&- 46>&- 47>&- 48>&- 49>&- 51>&- 52>&- 53>&- \
      54>&- 55>&- 56>&- 57>&- 58>&- 59>&-
    export terminal work root nc_option
    exec bash -c "$prelude$line"
  ) &
  pid[t]=$!
  set +m
  if [[ $2 == make* ]] && [[ $2 != *'&&'* ]]; then
    skip[t]=1
    finish "$t"
    [ $status -eq 0 ] ||
      trouble "\`$2\` ends with status $status" "$(tail -n 20 "$work/out$t")"
    told[t]=1
  fi
}

end_of_input() {
  eval "exec 4$1>&-"
  closed[$1]=1
}

# shellcheck disable=SC2317 # called by a trap
end_all() {
  local p
  for p in ${pid[@]+"${pid[@]}"}; do
    kill -KILL -- "-$p" 2>/dev/null
    wait "$p" 2>/dev/null
  done
}

played='^([1-9])(\$ (.+)|> ?(.*)|\^([CD])| \[exit ([0-9]+)\]|  ([^ ].*|[ ]+[^ ].*))?$'

play() { # LINE-OF-FENCE
  local body
  number=$1
  while IFS= read -r body; do
    number=$((number + 1))
    case $body in '```'*) break ;; '') continue ;; esac
    [[ $body =~ $played ]] ||
      trouble 'a line that means nothing in a session:' "$body"
    terminal=${BASH_REMATCH[1]}
    local m=("${BASH_REMATCH[@]}")
    case ${body#?} in
      '$'*) ;;
      *)
        [ -n "${command[terminal]-}" ] ||
          trouble "terminal $terminal has no command yet"
        ;;
    esac
    case ${body#?} in
      '$ '*) begin "$terminal" "${m[3]}" ;;
      '>'*)
        [ -z "${closed[terminal]}" ] || trouble 'typed after the end of input'
        printf '%s\n' "${m[4]}" >&$((40 + terminal))
        ;;
      '^D') end_of_input "$terminal" ;;
      '^C')
        interrupted[terminal]=1
        kill "-$interrupt" -- "-${pid[terminal]}" 2>/dev/null ||
          trouble "\`${command[terminal]}\` has ended already"
        ;;
      ' [exit '*)
        finish "$terminal"
        told[terminal]=1
        [ $status -eq "${m[6]}" ] ||
          trouble "\`${command[terminal]}\` ends with status $status:" \
            "-$terminal [exit ${m[6]}]$nl+$terminal [exit $status]"
        ;;
      '  [...]') skip[terminal]=1 ;;
      '  ...')
        sleep $QUIET
        remains "$terminal"
        [ -z "$rest" ] || trouble "terminal $terminal does print something:" \
          "-$terminal  ...$nl+${rest//$nl/$nl+}"
        ;;
      *) expect "$terminal" "${m[7]-}" ;;
    esac
    printf '    %s\n' "$body"
  done < <(tail -n +$((number + 1)) "$text")
}

# What this session needs and is not here, in words.
missing() { # LINE-OF-FENCE
  local limit hard body
  hard=$(ulimit -H -n)
  body=$(tail -n +$(($1 + 1)) "$text" | sed '/^```/,$d')
  if [[ $nl$body =~ ${nl}[1-9]'$ '(.*[^a-z])?nc\  ]] && ! command -v nc >/dev/null; then
    echo 'nc is not installed'
  fi
  limit=$(printf '%s\n' "$body" | sed -n 's/.*ulimit -n \([0-9]*\).*/\1/p' | sort -n | tail -n 1)
  if [ -n "$limit" ] && [ "$hard" != unlimited ] && [ "$limit" -gt "$hard" ]; then
    echo "needs $limit descriptors, and may have $hard (ulimit -H -n)"
  fi
}

session() { # LINE-OF-FENCE: in a process of its own
  local reason
  reason=$(missing "$1")
  if [ -n "$reason" ]; then
    echo "    skipped: $reason"
    return 3
  fi
  work=$(mktemp -d "${TMPDIR:-/tmp}/transcript.XXXXXX") || return 2
  trap 'end_all; rm -rf "$work"' EXIT
  trap 'exit 1' HUP INT TERM
  ulimit -S -n 256
  play "$1"
}

# In a shell that was started with SIGINT ignored, so is it in all commands.
interrupt=INT
case $(trap -p INT) in *"''"*) interrupt=TERM ;; esac

nc_option=''
case $(nc -h 2>&1) in
  *-N*[Ss]hutdown*) nc_option=-N ;;
  *'-q secs'*) nc_option='-q 0' ;;
esac

result=0
found=''
# shellcheck disable=SC2254 # patterns, on purpose
chosen() { # NUMBER HEADING
  case $wanted in
    '') ;;
    '!'*) case $2 in ${wanted#!}*) return 1 ;; esac ;;
    *[!0-9]*) case $2 in $wanted*) ;; *) return 1 ;; esac ;;
    *) [ "$1" -eq "$wanted" ] ;;
  esac
}

while read -r n at heading; do
  chosen "$n" "$heading" || continue
  found=1
  if [ -n "$list" ]; then
    echo "$n $text:$at $heading"
    continue
  fi
  echo "$text:$at: session $n"
  (session "$at") </dev/null
  case $? in
    0) ;;
    3) [ $result -ne 0 ] || result=3 ;;
    *) result=1 ;;
  esac
done < <(sessions)
if [ -z "$found" ] && [ -n "$wanted" ]; then
  echo "$text: no session '$wanted'" >&2
  exit 2
fi
exit $result
