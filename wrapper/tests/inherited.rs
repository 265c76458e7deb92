//! Sockets that the program inherits and that are bound: queues of listeners, what a datagram socket named before, and what
//! is undone when the program does not start.

mod scene;

use scene::Who;
use scene::given::{LISTENER, MECHANISMS, given};

/// As the program: takes what waits within half a second, and says where it is.
const ACCEPT: &str = "python3 -c 'import socket, select
l = socket.socket(fileno=30); r, _, _ = select.select([l], [], [], 0.5)
print(\"waiting\" if r else \"nothing waits\", bool(l.getsockopt(1, 30)), l.getblocking())'";

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
        let said = "vrfrun: warning: closed 2 connections that waited at descriptor 30 when it was bound to 'blue'\n\
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
            let seen = given(who, &give, &words, "l.settimeout(60); print(device(l), l.accept()[0].recv(9))");
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
