#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark

@test "it compiles without a warning" { compiles_without_warning; }

# 16 descriptors, 20 clients; nobody leaves.
crowded() {
  complaints_allowed=1
  start_with_limit 16 "$STEP"
  talk A open 1 echo 1 B open 20 run 'wait_for_line "Too many open files"' \
    run '# let the turn end' "$@"
}
looks() {
  local i running=0
  for ((i = 0; i < 100; i++)); do
    case $(ps -o stat= -p "$server") in R*) running=$((running + 1)) ;; esac
  done
  [ $running -lt 50 ] || { echo "running in $running of 100 looks: it spins"; return 1; }
}
export -f looks

@test "out of descriptors it uses no processor" { crowded run looks; }

@test "out of descriptors, who is there is served at once" {
  crowded A ping 3 100 400
}

@test "when one leaves, the next is served" {
  complaints_allowed=1
  start_with_limit 16 "$STEP"
  talk A open 5 echo 1 B open 20 put 9 run 'wait_for_line "Too many open files"; grep -c connected "$LOG" >"$LOG.count"' A close \
    run 'for i in {1..100}; do
      [ $(grep -c connected "$LOG") -eq $(($(cat "$LOG.count") + 5)) ] && exit; sleep 0.05; done; exit 1'
}

few_tries() {
  local tries
  tries=$(grep -c 'accept(.*Too many open files' "$ERRORS")
  [ "$tries" -lt 20 ] || told '100 echoes, out of descriptors' 'less than 20 tries to accept' "$tries"
}
export -f few_tries
# Once when it is full, then once a second: not at every turn.
@test "out of descriptors it does not try at every turn" {
  complaints_allowed=1
  launch bash -c 'ulimit -S -n 40 && exec "$1" 0' - "$TRACED"
  listening
  # (When talk ends they leave, one after another, and it may try for each.)
  talk A open 1 echo 1 B open 50 run 'wait_for_line "step4: accept: "' A ping 100 10 1000 run few_tries
}

@test "the same when the system has no descriptor" {
  variant full '' -include "$BATS_TEST_DIRNAME/accept-fails.h" || return 1
  complaints_allowed=1
  start "$STEP"
  talk A open 1 echo 1 B open 1 run 'wait_for_line "accept: "' run looks A echo 1
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "nobody waits for a silent client, or for one that does not read" { serves_others_meanwhile; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "it sleeps while nobody wants anything" { sleeps_at_rest; }
@test "no memory is touched that is not its own" { is_sane_in_a_crowd; }
@test "clients that do not read leave no memory behind" { gives_memory_back; }
