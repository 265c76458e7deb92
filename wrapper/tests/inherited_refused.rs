//! Descriptors that the program inherits and that are refused, and what makes or hides some: other network namespaces, families
//! that no VRF holds, MPTCP, io_uring, a foreign /proc, security modules; `--strict`.

mod scene;

use scene::given::{CONNECTING, LISTENER, MECHANISMS, given};
use scene::{Seen, Who};

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

#[test]
fn a_connection_in_progress_is_refused() {
    let seen = given(Who::Root, CONNECTING, "--interface blue echo ran", "print(device(s))");
    seen.prints("status 125\n-\n");
    assert!(seen.stderr().contains("it is a connection in progress outside it"), "{seen}");
}
