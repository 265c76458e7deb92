//! Sockets that somebody prepares and hands to vrfrun, and what they are afterwards.

use super::{Seen, Who, play_after};

const SETTING: &str = "mount -t tmpfs tmpfs /srv; chmod 777 /srv; ip addr add 198.51.100.2/24 dev lo";

/// Prepares sockets in Python (`give`), becomes vrfrun with these words, and prints what Python sees afterwards (`then`)
/// in a process that still has the sockets.
pub fn given(who: Who, give: &str, words: &str, then: &str) -> Seen {
    let script = format!(
        "cat >/srv/give.py <<'END'
import os, socket, subprocess, sys
def device(s): return s.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).split(b'\\0')[0].decode() or '-'
def keep(s, fd): os.dup2(s.fileno(), fd)
{give}
run = subprocess.run(['vrfrun', *sys.argv[1:]], close_fds=False, pass_fds=())
print('status', run.returncode, flush=True)
{then}
END
         exec python3 /srv/give.py {words}"
    );
    play_after(SETTING, who, &script)
}

pub const LISTENER: &str = "
l = socket.create_server(('198.51.100.2', 0)); keep(l, 30)
def client():
    c = socket.create_connection(l.getsockname()); c.sendall(b'hello'); return c
";

pub const MECHANISMS: [(Who, &str); 4] =
    [(Who::Root, "-m bpf"), (Who::Root, "-m preload"), (Who::User, "-m preload"), (Who::User, "-m seccomp")];

/// As descriptor 30, to somebody who does not answer.
pub const CONNECTING: &str = "
s = socket.socket(); s.setblocking(False)
subprocess.run('ip addr add 203.0.113.2/24 dev red; ip neigh add 203.0.113.9 lladdr 02:00:00:00:00:09 dev red', shell=True)
s.connect_ex(('203.0.113.9', 80)); keep(s, 30)";
