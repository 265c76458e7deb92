//! A supervisor that is stopped, traced or killed while a call waits for it, by whoever may: the call waits too, or fails. Nobody
//! else answers it.

mod scene;

use scene::{EVERYBODY, Who, play};

/// `$p` is the supervisor, `$c` its client, which makes one socket after `$go`; `waits` returns when the kernel shows the client
/// within that call (41).
const BEGIN: &str =
    "up=$(mktemp -u) go=$(mktemp -u) end=$(mktemp -u); mkfifo $up $go $end; trap 'rm -f $up $go $end' EXIT
    vrfrun -m seccomp --interface blue sh -c \"echo >$up; read x <$go; exec probe socket\" & c=$!; read x <$up
    for p in /proc/[0-9]*; do
        [ \"$(cat $p/comm 2>/dev/null)\" = 'vrfrun: sockets' ] || continue
        [ \"$(stat -Lc %i $p/net/dev)\" = \"$(stat -Lc %i /proc/self/net/dev)\" ] && found=${p#/proc/}; done
    p=${found:?there is no supervisor}
    waits() { call=; until [ \"$call\" = 41 ]; do read call rest </proc/$c/syscall; done; echo waits; }
    ";

#[test]
fn a_stopped_supervisors_calls_wait_for_it() {
    for who in EVERYBODY {
        let script = format!("{BEGIN}kill -STOP $p; echo >$go; waits; kill -CONT $p; wait $c");
        play(who, &script).prints("waits\nsocket blue\n");
    }
}

#[test]
fn a_call_that_waits_for_a_killed_supervisor_fails() {
    for who in EVERYBODY {
        let script = format!("{BEGIN}kill -STOP $p; echo >$go; waits; kill -KILL $p; wait $c");
        play(who, &script).prints("waits\nsocket ENOSYS\n");
    }
}

/// A tracer that ends silently lets it go on.
#[test]
fn a_traced_supervisors_calls_wait_for_its_tracer() {
    let tracer = "import ctypes, os, sys
p = int(sys.argv[1]); print('traced', ctypes.CDLL(None).ptrace(16, p, 0, 0), flush=True); os.waitpid(p, 0x40000000)
open(sys.argv[2], 'w').close(); open(sys.argv[3]).read()";
    let script = format!(
        "{BEGIN}python3 -c \"{tracer}\" $p $up $end & t=$!; read x <$up || :
         echo >$go; waits; echo >$end; wait $t; wait $c"
    );
    play(Who::Root, &script).prints("traced 0\nwaits\nsocket blue\n");
}
