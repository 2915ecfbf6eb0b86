#!/usr/bin/env bats
# shellcheck disable=SC2001,SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2154,SC2317 # as in lib/mark.bash
load ../lib/mark


@test "it compiles without a warning" { compiles_without_warning; }

@test "2,000 clients at once" {
  need_descriptors 2200
  start "$STEP"
  talk A open 2000 put 100 rest shut eof
}

@test "each has its own total, whoever leaves" {
  start "$STEP"
  talk A open 1 echo 10 B open 1 echo 200 C open 1 echo 3000 D open 1 echo 40000 \
    A close run 'wait_for_line ", 10 bytes"' D echo 1 B close run 'wait_for_line ", 200 bytes"' C echo 1 \
    C close run 'wait_for_line ", 3001 bytes"' D close run 'wait_for_line ", 40001 bytes"'
}

@test "many leave in one turn, others send: nobody is forgotten" {
  start "$STEP"
  talk A open 20 echo 1 B open 20 echo 1 C open 20 echo 1 run halt A close B put 10 C reset D open 5 put 3 \
    run go_on B rest D rest B shut eof D shut eof
  log_will_have 20 ' closed, 11 bytes'
  log_will_have 5 ' closed, 3 bytes'
}

# poll() fails with EINVAL when its array is longer than the limit of descriptors.
@test "300 come and go, and the array does not grow" {
  start_with_limit 40 "$STEP"
  talk A open 10 echo 1 shut eof close B open 10 echo 1 reset C open 10 echo 1 close D open 10 echo 1 close \
    E open 10 echo 1 close F open 10 echo 1 close G open 10 echo 1 close H open 10 echo 1 shut eof
}

@test "each client gets exactly its bytes" { echoes_all; }
@test "clients that reset do no harm" { survives_resets; }
@test "nobody waits for a silent client" { serves_others_meanwhile; }
@test "each client gives its descriptor back" { gives_descriptors_back; }
@test "it sleeps while nobody wants anything" { sleeps_at_rest; }
@test "it survives being stopped and continued" { survives_stop_and_continue; }
@test "no memory is touched that is not its own" { is_sane_in_a_crowd; }
