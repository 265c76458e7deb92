//! Sockets that the program inherits, and what makes or hides some: queues of listeners, other network namespaces, families
//! that no VRF holds, io_uring, a foreign /proc; `--strict`; and what is undone when the program does not start.

mod scene;

use scene::{Seen, Who, play_after};

const SETTING: &str = "mount -t tmpfs tmpfs /srv; chmod 777 /srv; ip addr add 198.51.100.2/24 dev lo";

/// Prepares sockets in Python (`give`), becomes vrfrun with these words, and prints what Python sees afterwards (`then`)
/// in a process that still has the sockets.
fn given(who: Who, give: &str, words: &str, then: &str) -> Seen {
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

const LISTENER: &str = "
l = socket.create_server(('198.51.100.2', 0)); keep(l, 30)
def client():
    c = socket.create_connection(l.getsockname()); c.sendall(b'hello'); return c
";
/// As the program: takes what waits within half a second, and says where it is.
const ACCEPT: &str = "python3 -c 'import socket, select
l = socket.socket(fileno=30); r, _, _ = select.select([l], [], [], 0.5)
print(\"waiting\" if r else \"nothing waits\", bool(l.getsockopt(1, 30)), l.getblocking())'";

const MECHANISMS: [(Who, &str); 4] =
    [(Who::Root, "-m bpf"), (Who::Root, "-m preload"), (Who::User, "-m preload"), (Who::User, "-m seccomp")];

#[test]
fn a_connection_that_waits_at_a_listener_is_closed_and_said() {
    for (who, mechanism) in MECHANISMS {
        let give = format!("{LISTENER}\nclients = [client(), client()]\n");
        let then = "
for c in clients:
    try: print(c.recv(9) or 'closed')
    except OSError as e: print(type(e).__name__)
print(device(l))";
        let seen = given(who, &give, &format!("{mechanism} --interface blue {ACCEPT}"), then);
        let reset = "ConnectionResetError\n";
        seen.prints(&format!("nothing waits True True\nstatus 0\n{reset}{reset}blue\n"));
        let said = "vrfrun: warning: closed 2 connections that waited at descriptor 30, from before it was bound to 'blue'\n\
                    hint: vrfsetup unit blue NAME.socket";
        assert!(seen.stderr().contains(said), "{seen}");
        // The judge itself: left alone, the program gets them.
        let kept = given(who, &give, &format!("{mechanism} --keep-fds --interface blue {ACCEPT}"), "");
        kept.prints("waiting True True\nstatus 0\n");
    }
}

#[test]
fn a_listener_at_which_nobody_waits_is_bound_silently_and_stays_as_it_was() {
    for blocking in ["True", "False"] {
        let give = format!("{LISTENER}\nl.setblocking({blocking})\n");
        let seen = given(Who::Root, &give, "-m bpf --interface blue true", "print(device(l), l.getblocking())");
        seen.prints(&format!("status 0\nblue {blocking}\n"));
        assert_eq!(seen.stderr(), "", "{seen}");
        let give = format!("{give}\nc = client()\n");
        let then = "import fcntl; print(not fcntl.fcntl(l, fcntl.F_GETFL) & os.O_NONBLOCK)";
        given(Who::Root, &give, "-m bpf --interface blue true", then).prints(&format!("status 0\n{blocking}\n"));
    }
}

/// Makes `s` in a network namespace of its own, in which a `blue` stands at the same index.
const FOREIGN: &str = "
import ctypes
own = os.open('/proc/self/ns/net', os.O_RDONLY); index = socket.if_nametoindex('blue')
assert ctypes.CDLL(None).unshare(0x40000000) == 0
subprocess.run(['ip', 'link', 'add', 'blue', 'index', str(index), 'type', 'veth', 'peer', 'far'], check=True)
s = socket.socket()
BIND
keep(s, 30)
assert ctypes.CDLL(None).setns(own, 0) == 0
";

#[test]
fn a_socket_of_another_network_namespace_is_neither_bound_nor_believed() {
    let bind = "s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'blue')";
    for (bind, device) in [("", "-"), (bind, "blue")] {
        for mechanism in ["-m bpf", "-m preload", "-m seccomp"] {
            let give = FOREIGN.replace("BIND", bind);
            let words = format!("{mechanism} --interface blue echo ran");
            let seen = given(Who::Root, &give, &words, "print(device(s))");
            seen.prints(&format!("status 125\n{device}\n"));
            let said = "cannot take descriptor 30 into 'blue': it is a socket of another network namespace";
            assert!(seen.stderr().contains(said), "{seen}");
        }
        let kept = given(Who::Root, &FOREIGN.replace("BIND", bind), "--keep-fds --interface blue echo ran", "");
        kept.prints("ran\nstatus 0\n");
    }
}

#[test]
fn strict_takes_no_inherited_socket() {
    let bound = "s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'blue'); keep(s, 30)";
    for give in [LISTENER, bound] {
        let seen = given(Who::Root, give, "--strict --interface blue echo ran", "");
        seen.prints("status 125\n");
        let said =
            "vrfrun: cannot take descriptor 30 into 'blue': it is an inherited socket, and --strict takes none\n";
        assert!(seen.stderr().contains(said), "{seen}");
    }
    let others = "keep(socket.socket(socket.AF_UNIX), 30); keep(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW), 31)";
    given(Who::Root, others, "--strict --interface blue echo ran", "").prints("ran\nstatus 0\n");
    let closed = format!("{LISTENER}\nos.set_inheritable(30, False)\n");
    given(Who::Root, &closed, "--strict --interface blue echo ran", "").prints("ran\nstatus 0\n");
}

#[test]
fn a_socket_that_no_vrf_holds_is_named_and_refused_by_strict() {
    let give = "keep(socket.socket(socket.AF_PACKET, socket.SOCK_RAW), 30)";
    for mechanism in ["-m bpf", "-m preload", "-m seccomp"] {
        let seen = given(Who::Root, give, &format!("{mechanism} --interface blue echo ran"), "");
        seen.prints("ran\nstatus 0\n");
        let said =
            "vrfrun: warning: descriptor 30 is an AF_PACKET socket, which no VRF holds: the program gets it as it is\n";
        assert_eq!(seen.stderr(), said, "{seen}");
    }
    let seen = given(Who::Root, give, "--strict --interface blue echo ran", "");
    seen.prints("status 125\n");
    assert!(seen.stderr().contains("it is an AF_PACKET socket, and --strict takes none"), "{seen}");
}

/// As descriptor 30, to somebody who does not answer.
const CONNECTING: &str = "
s = socket.socket(); s.setblocking(False)
subprocess.run('ip addr add 203.0.113.2/24 dev red; ip neigh add 203.0.113.9 lladdr 02:00:00:00:00:09 dev red', shell=True)
s.connect_ex(('203.0.113.9', 80)); keep(s, 30)";

#[test]
fn a_connection_in_progress_is_refused() {
    let seen = given(Who::Root, CONNECTING, "--interface blue echo ran", "print(device(s))");
    seen.prints("status 125\n-\n");
    assert!(seen.stderr().contains("it is a connection in progress outside it"), "{seen}");
}

/// What cannot run: a script whose interpreter is missing, a program whose dynamic linker is, and a script of a script.
const BROKEN: &str = "
def write(name, text):
    open(name, 'w').write(text); os.chmod(name, 0o755)
write('/srv/orphan', '#!/no/such\\n'); write('/srv/second', '#!/srv/orphan\\n')
data = open('/bin/true', 'rb').read().replace(b'/lib64/ld-linux', b'/lib64/no-linux')
open('/srv/unlinked', 'wb').write(data); os.chmod('/srv/unlinked', 0o755)
";

#[test]
fn a_program_that_does_not_start_leaves_the_sockets_as_they_were() {
    for (who, mechanism) in MECHANISMS {
        for program in ["/srv/orphan", "/srv/second", "/srv/unlinked"] {
            let give = format!("{LISTENER}\nc = client()\n{BROKEN}");
            let words = format!("{mechanism} --interface blue {program}");
            let seen = given(who, &give, &words, "l.settimeout(5); print(device(l), l.accept()[0].recv(9))");
            seen.prints("status 126\n- b'hello'\n");
            assert!(seen.stderr().contains(&format!("cannot run '{program}': No such file")), "{seen}");
        }
    }
}

/// A file that is open for writing: known only when the kernel says so, after the sockets were bound.
const BUSY: &str = "
import shutil
shutil.copy('/bin/true', '/srv/busy'); os.chmod('/srv/busy', 0o755); busy = open('/srv/busy', 'r+b')";

#[test]
fn what_only_the_kernel_can_tell_is_undone_or_said() {
    let give = format!("{LISTENER}{BUSY}");
    for mechanism in ["-m bpf", "-m preload", "-m seccomp"] {
        let seen = given(Who::Root, &give, &format!("{mechanism} --interface blue /srv/busy"), "print(device(l))");
        seen.prints("status 126\n-\n");
        assert_eq!(seen.stderr(), "vrfrun: cannot run '/srv/busy': Text file busy\n", "{seen}");
    }
    // To unbind takes CAP_NET_RAW.
    for mechanism in ["-m preload", "-m seccomp"] {
        let seen = given(Who::User, &give, &format!("{mechanism} --interface blue /srv/busy"), "print(device(l))");
        seen.prints("status 126\nblue\n");
        let said = "vrfrun: warning: inherited descriptor 30 stays bound to 'blue': Operation not permitted\n\
                    vrfrun: cannot run '/srv/busy': Text file busy\n";
        assert_eq!(seen.stderr(), said, "{seen}");
    }
}

/// Datagram sockets that were told to send by `red`, one of them bound to `blue`; and what they say of themselves, in the
/// order of IP_UNICAST_IF, IPV6_UNICAST_IF and IPV6_MULTICAST_IF.
const DATAGRAMS: &str = "
red = socket.if_nametoindex('red')
def told(family):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.setsockopt(0, 50, red.to_bytes(4, 'big')); s.setsockopt(0, 32, socket.inet_aton('198.51.100.2'))
    if family == socket.AF_INET6:
        s.setsockopt(41, 76, red.to_bytes(4, 'big')); s.setsockopt(41, 17, red)
    return s
d, e, f = told(socket.AF_INET), told(socket.AF_INET6), told(socket.AF_INET6)
f.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'blue')
for number, s in enumerate((d, e, f)): keep(s, 30 + number)
def name(value, order): return socket.if_indextoname(int.from_bytes(value, order)) if any(value) else '-'
def named(s):
    words = [device(s), name(s.getsockopt(0, 50, 4), 'big')]
    if s.family == socket.AF_INET6:
        words += [name(s.getsockopt(41, 76, 4), 'big'), name(s.getsockopt(41, 17, 4), sys.byteorder)]
    return ' '.join(words)
def all(): print(named(d)); print(named(e)); print(named(f)); print(socket.inet_ntoa(d.getsockopt(0, 32, 4)))
";

#[test]
fn a_datagram_socket_names_the_vrf_for_when_it_is_unbound() {
    for (who, mechanism) in MECHANISMS {
        let seen = given(who, DATAGRAMS, &format!("{mechanism} --interface blue true"), "all()");
        // Who may not unbind it cannot name the VRF in this one option of a socket that is bound already.
        let (left, said) = match who {
            Who::Root => ("blue blue blue blue", ""),
            Who::User => (
                "blue red red blue",
                "vrfrun: warning: inherited descriptor 32 leaves 'blue' after connect(AF_UNSPEC): \
                 to name it in IPV6_UNICAST_IF takes CAP_NET_RAW\n",
            ),
        };
        seen.prints(&format!("status 0\nblue blue\nblue blue blue blue\n{left}\n0.0.0.0\n"));
        assert_eq!(seen.stderr(), said, "{seen}");
    }
}

#[test]
fn what_a_datagram_socket_named_before_is_restored() {
    let give = format!("{DATAGRAMS}{BUSY}");
    for mechanism in ["-m bpf", "-m preload", "-m seccomp"] {
        let seen = given(Who::Root, &give, &format!("{mechanism} --interface blue /srv/busy"), "all()");
        seen.prints("status 126\n- red\n- red red red\nblue red red red\n198.51.100.2\n");
        assert_eq!(seen.stderr(), "vrfrun: cannot run '/srv/busy': Text file busy\n", "{seen}");
    }
}

/// As inetd(8) hands one over, at three descriptors at once.
#[test]
fn a_socket_of_several_descriptors_is_restored_too() {
    let datagrams = format!("{DATAGRAMS}\nfor s in (d, e, f): keep(s, s.fileno() + 20); keep(s, s.fileno() + 40)");
    let listener = format!("{LISTENER}\nkeep(l, 31); keep(l, 32)");
    for mechanism in ["-m bpf", "-m preload", "-m seccomp"] {
        let words = format!("{mechanism} --interface blue /srv/busy");
        let seen = given(Who::Root, &format!("{listener}{BUSY}"), &words, "print(device(l))");
        seen.prints("status 126\n-\n");
        let seen = given(Who::Root, &format!("{datagrams}{BUSY}"), &words, "all()");
        seen.prints("status 126\n- red\n- red red red\nblue red red red\n198.51.100.2\n");
        assert_eq!(seen.stderr(), "vrfrun: cannot run '/srv/busy': Text file busy\n", "{seen}");
    }
}

/// An instance that io_uring_setup(2) has made before any filter.
const RING: &str = "
import ctypes
ring = ctypes.CDLL(None).syscall(425, 8, ctypes.create_string_buffer(120)); assert ring >= 0
os.dup2(ring, 30)
";

#[test]
fn an_io_uring_instance_is_refused() {
    let more = [(Who::Root, "--strict"), (Who::User, "-m preload --unguarded")];
    for (who, mechanism) in MECHANISMS.into_iter().chain(more) {
        let seen = given(who, RING, &format!("{mechanism} --interface blue echo ran"), "");
        seen.prints("status 125\n");
        let said = "it is an io_uring instance, which makes sockets outside it\n";
        assert!(seen.stderr().starts_with(&format!("vrfrun: cannot take descriptor 30 into 'blue': {said}")), "{seen}");
    }
    given(Who::User, RING, "--keep-fds --interface blue echo ran", "").prints("ran\nstatus 0\n");
    let closed = format!("{RING}\nos.set_inheritable(30, False)\n");
    given(Who::User, &closed, "--interface blue echo ran", "").prints("ran\nstatus 0\n");
}

/// A connection from outside, and a /proc before vrfrun that shows other descriptors.
const OTHER_PROC: &str = r#"
l = socket.create_server(('198.51.100.2', 0)); c = socket.create_connection(l.getsockname()); keep(c, 30)
plain = subprocess.run
subprocess.run = lambda words, **more: plain(['sh', '-c', 'BEFORE; exec "$@"', 'sh', *words], **more)
"#;

#[test]
fn a_proc_that_shows_other_descriptors_is_not_believed() {
    let not_own = "/proc/self/fd is not this process's";
    for (before, why) in [
        ("mount -t tmpfs tmpfs /proc; mkdir -p /proc/self/fd", not_own),
        ("mount -t tmpfs tmpfs /proc; mkdir /proc/self; ln -s /dev /proc/self/fd", not_own),
        ("mount --bind /proc/$PPID /proc/$$", not_own),
        ("umount -l /proc", "cannot read /proc/self/fd: No such file or directory"),
    ] {
        for mechanism in ["-m preload --no-supervisor", "-m preload --unguarded"] {
            let words = format!("{mechanism} --no-etc --interface blue echo ran");
            let seen = given(Who::Root, &OTHER_PROC.replace("BEFORE", before), &words, "");
            seen.prints("status 125\n");
            let said = format!("vrfrun: cannot look at inherited descriptors: {why}\nhint: mount -t proc proc /proc");
            assert!(seen.stderr().starts_with(&said), "{before}: {seen}");
        }
    }
    // That of a pid namespace above shows them as they are.
    let above = OTHER_PROC.replace("['sh'", "['unshare', '-p', '--fork', 'sh'").replace("BEFORE; ", "");
    let seen = given(Who::Root, &above, "-m preload --interface blue echo ran", "");
    seen.prints("status 125\n");
    assert!(seen.stderr().contains("it is an established connection outside it"), "{seen}");
}

/// What a security module answers for a descriptor that the program may not have: the calls of vrfrun that fail so.
fn withheld(give: &str, call: &str, then: &str) -> Seen {
    let give = format!(
        "{give}
plain = subprocess.run
strace = ['strace', '-qq', '-o', '/srv/trace', '-e', 'signal=none', '-e', 'inject={call}']
subprocess.run = lambda words, **more: plain([*strace, *words], **more)"
    );
    given(Who::Root, &give, "-m preload --interface blue echo ran", then)
}

/// Once with a socket that may be bound, and once with one that may not.
#[test]
fn what_a_security_module_withholds_is_refused() {
    let said = "vrfrun: cannot take descriptor 30 into 'blue': it is nothing that can be looked at: Permission denied\n\
                hint: close it, or leave it as it is with --keep-fds\n";
    let mut refused = 0;
    for first in 1..=8 {
        let call = format!("getsockopt:error=EACCES:when={first}+");
        for give in [LISTENER, CONNECTING] {
            let seen = withheld(give, &call, "");
            assert!(seen.stdout().ends_with("status 125\n") && !seen.stdout().contains("ran"), "{call}: {seen}");
            refused += usize::from(seen.stderr() == said);
        }
        // One call alone, as no module does: what is not looked at is not taken for harmless.
        let seen = withheld(CONNECTING, &call.replace('+', ""), "");
        assert!(seen.stdout().ends_with("status 125\n") && !seen.stdout().contains("ran"), "{call}: {seen}");
    }
    assert!(refused > 8, "{refused}");
    let seen = withheld(LISTENER, "getpeername:error=EACCES", "print(device(l))");
    seen.prints("status 125\n-\n");
}

#[test]
fn an_mptcp_socket_is_refused_bound_or_not() {
    let bound = "m.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'blue')";
    for (bind, device) in [("", "-"), (bound, "blue")] {
        let give = format!("m = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262); keep(m, 30)\n{bind}");
        for (who, mechanism) in MECHANISMS {
            let seen = given(who, &give, &format!("{mechanism} --interface blue true"), "print(device(m))");
            seen.prints(&format!("status 125\n{device}\n"));
            assert!(seen.stderr().contains("descriptor 30") && seen.stderr().contains("an MPTCP socket"), "{seen}");
        }
    }
}
