# Runs a command for at most so many seconds, its output in a file.
#
#     bash exercises/lib/limited.bash SECONDS OUTPUT COMMAND...
#
# The command is the leader of a process group (bash makes one for each job with
# `set -m`, where dash needs a terminal for it), so all that stays in it is ended
# when the time is up. Exit status: the command's.
set -m
limit=$1 output=$2
shift 2
# 64 MiB a file, in units of 1024 bytes.
ulimit -f 65536
"$@" >"$output" 2>&1 </dev/null &
command=$!
{
  sleep "$limit"
  echo "# the time is up: $limit seconds" >>"$output"
  kill -KILL -- -$command
} >/dev/null 2>&1 </dev/null &
clock=$!
wait $command 2>/dev/null
status=$?
kill -KILL -- -$clock 2>/dev/null
exit $status
