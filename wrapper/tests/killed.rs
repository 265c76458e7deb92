//! A supervisor that is killed while it works: whatever it was about to do, no call of its clients says that there is a
//! socket where there is none.

mod scene;

use scene::{EVERYBODY, play};

/// At so many moments, of which some are in the middle of handing over a socket.
const MOMENTS: u32 = 120;

fn no_call_lies(clients: u32) {
    let script = format!(
        "for moment in $(seq {MOMENTS}); do
            vrfrun -m seccomp --interface blue hammer {clients} $((moment * 37 % 2500)) || echo \"after $moment\"
        done"
    );
    for who in EVERYBODY {
        play(who, &script).prints("");
    }
}

#[test]
fn no_call_of_one_client_lies() {
    no_call_lies(1);
}

#[test]
fn no_call_of_many_clients_lies() {
    no_call_lies(8);
}
