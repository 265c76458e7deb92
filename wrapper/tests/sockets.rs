//! What a program's sockets are under the supervisor and the shim: bound, and otherwise exactly what it asked for.

mod scene;

use scene::{EVERYBODY, Who, play, root, user};

/// The supervisor makes every socket of a static program; the shim those of a dynamic one.
const WAYS: [(&str, &str); 3] = [("seccomp", "probe-static"), ("preload", "probe-static"), ("preload", "probe")];

/// Runs the probe in each way, as each user; everything must be as `expected` (`%` stands for a line per way).
#[track_caller]
fn each_way(ways: &str, expected: &str) {
    for who in EVERYBODY {
        for (mechanism, program) in WAYS {
            let seen = play(who, &format!("vrfrun -m {mechanism} --interface blue {program} {ways}"));
            assert_eq!(seen.stdout(), expected, "{who:?} {mechanism} {program}\n{seen}");
        }
    }
}

#[test]
fn the_probe_itself_tells_bound_from_unbound() {
    root("probe socket inet6 unix; probe-i386 socketcall socket")
        .prints("socket -\ninet6 -\nunix -\nsocketcall -\nsocket -\n");
}

#[test]
fn every_inet_socket_is_bound_and_no_other() {
    each_way("socket inet6 unix syscall", "socket blue\ninet6 blue\nunix -\nsyscall blue\n");
}

#[test]
fn close_on_exec_and_nonblocking_are_as_asked() {
    each_way("flags", "flags 0 00 blue\nflags 1 10 blue\nflags 2 01 blue\nflags 3 11 blue\n");
}

#[test]
fn wrong_arguments_get_the_kernels_own_errors() {
    each_way("badtype badprotocol", "badtype EINVAL\nbadprotocol EPROTONOSUPPORT\n");
}

#[test]
fn the_programs_own_limit_of_descriptors_counts() {
    each_way("emfile", "emfile EMFILE unbound 0\n");
}

#[test]
fn signals_interrupt_a_call_but_never_unbind_or_lose_a_socket() {
    each_way("storm", "storm unbound 0 other 0 leaked 0 all answered\n");
}

#[test]
fn the_i386_tables_are_covered() {
    let expected = "socket blue\nsocketcall blue\nsocketcall-unix -\nsocketcall-fault EACCES\nsocketcall-rds ENETUNREACH\n\
        socketcall-rxrpc ENETUNREACH\n";
    for who in EVERYBODY {
        for mechanism in ["seccomp", "preload"] {
            let ways = "socket socketcall socketcall-unix socketcall-fault socketcall-rds socketcall-rxrpc";
            let seen = play(who, &format!("vrfrun -m {mechanism} --interface blue probe-i386 {ways}"));
            assert_eq!(seen.stdout(), expected, "{who:?} {mechanism}\n{seen}");
        }
    }
}

/// socketcall hides what it asks for, so that the supervisor makes sockets of all families: its own capabilities, which are
/// none, are then those of a netlink socket. It fails, and lends nothing.
#[test]
fn a_netlink_socket_of_socketcall_has_no_capabilities() {
    let ways = "probe-i386 netlink socketcall-netlink";
    root(ways).prints("netlink done\nsocketcall-netlink done\n");
    root(&format!("vrfrun -m bpf --interface blue {ways}")).prints("netlink done\nsocketcall-netlink done\n");
    for mechanism in ["seccomp", "preload"] {
        let run = format!("vrfrun -m {mechanism} --interface blue {ways}");
        root(&run).prints("netlink done\nsocketcall-netlink EPERM\n");
        user(&run).prints("netlink EPERM\nsocketcall-netlink EPERM\n");
    }
}

#[test]
fn int_0x80_in_a_64_bit_program_is_covered_and_x32_is_closed() {
    each_way("int80 x32", "int80 blue\nx32 ENOSYS\n");
}

#[test]
fn a_raw_socket_needs_the_programs_own_capability() {
    for (mechanism, program) in WAYS {
        user(&format!("vrfrun -m {mechanism} --interface blue {program} raw")).prints("raw EPERM\n");
    }
    root("vrfrun -m preload --interface blue probe raw").prints("raw blue\n");
    root("vrfrun -m bpf --interface blue probe raw").prints("raw blue\n");
    // As for who comes to the supervisor: tests/credentials.rs.
    root("vrfrun -m seccomp --interface blue probe raw").prints("raw blue\n");
}

#[test]
fn mptcp_becomes_tcp_whose_one_socket_is_bound() {
    each_way("mptcp", "mptcp 6 blue\n");
}

/// SECURITY.md says so: no mechanism but the shim believes what a filter of the program's own says in the kernel's place.
#[test]
fn a_filter_that_lies_deceives_the_shim_alone() {
    for who in EVERYBODY {
        play(who, "vrfrun -m preload --interface blue probe deceived").prints("deceived -\n");
        play(who, "vrfrun -m preload --interface blue probe-static deceived").prints("deceived blue\n");
        play(who, "vrfrun -m seccomp --interface blue probe deceived").prints("deceived blue\n");
    }
    root("vrfrun -m bpf --interface blue probe deceived").prints("deceived blue\n");
}

/// SECURITY.md says so: what runs between the shim's two calls finds an unbound socket, which never gets to the program unbound.
#[test]
fn a_socket_is_unbound_until_the_shim_has_bound_it_and_by_no_other_mechanism() {
    for who in EVERYBODY {
        play(who, "vrfrun -m preload --interface blue between").prints("between -, afterwards EPERM\n");
        play(who, "vrfrun -m seccomp --interface blue between").prints("between none, afterwards made\n");
    }
    root("vrfrun -m bpf --interface blue between").prints("between none, afterwards made\n");
}

/// SECURITY.md says so: the cookie is where the shim reads it, and passes the filter in anybody's hands.
#[test]
fn who_reads_the_cookie_passes_the_filter() {
    let reader = "import ctypes, os, socket
cookie = int(os.environ['VRFSHIM'].split(':')[0], 16)
for sixth in 0, cookie:
    made = ctypes.CDLL('libc.so.6').syscall(41, 2, 1, 0, 0, 0, ctypes.c_uint64(sixth))
    print('denied' if made < 0 else socket.socket(fileno=made).getsockopt(1, 25, 16).rstrip(bytes(1)).decode() or '-')
";
    for who in EVERYBODY {
        for (options, expected) in [("", "blue\n-\n"), ("--no-supervisor", "denied\n-\n")] {
            let script = format!("vrfrun -m preload {options} --interface blue python3 -c \"{reader}\"");
            play(who, &script).prints(expected);
        }
    }
}

#[test]
fn datagram_sockets_name_the_device_in_their_options_too() {
    let shim = "udp blue tcp - udp6 blue\nunspec 0 blue blue\nunspec6 0 blue blue\n";
    let supervisor = "udp blue tcp - udp6 blue\nunspec 0 - blue\nunspec6 0 - blue\n";
    for who in EVERYBODY {
        play(who, "vrfrun -m preload --interface blue probe options").prints(shim);
        play(who, "vrfrun -m preload --interface blue probe-static options").prints(supervisor);
        play(who, "vrfrun -m seccomp --interface blue probe options").prints(supervisor);
    }
}

#[test]
fn a_device_that_is_made_again_by_its_name_is_found_again() {
    let again = "ip link del blue; ip link add blue index 999 type veth peer name far; ip link set blue up";
    for (mechanism, program) in WAYS {
        let script = format!(
            "vrfrun -m {mechanism} --interface blue sh -c '{program} options; {again}; {program} socket options' | tail -4"
        );
        let seen = root(&script);
        assert!(seen.stdout().starts_with("socket blue\nudp blue tcp - udp6 blue\n"), "{mechanism} {program}\n{seen}");
    }
}

#[test]
fn a_child_in_a_network_namespace_of_its_own_gets_its_own_sockets() {
    for mechanism in ["seccomp", "preload", "bpf"] {
        root(&format!("vrfrun -m {mechanism} --interface blue probe-static netns unshared"))
            .prints("netns own blue\nnetns own -\n");
    }
    for mechanism in ["seccomp", "preload"] {
        user(&format!("vrfrun -m {mechanism} --interface blue probe-static netns unshared"))
            .prints("netns own blue\nnetns own -\n");
    }
    // The shim looks for the device there, and finds none.
    for mechanism in ["preload", "preload --no-supervisor"] {
        root(&format!("vrfrun -m {mechanism} --interface blue unshare -n probe socket")).prints("socket ENODEV\n");
        let there = "ip link add blue type veth peer name other; probe socket; ip link del blue; probe socket";
        root(&format!("vrfrun -m {mechanism} --interface blue unshare -n sh -c '{there}'"))
            .prints("socket blue\nsocket ENODEV\n");
    }
}

#[test]
fn bpf_knows_a_device_by_its_index_and_the_others_by_its_name() {
    let script = "ip link set blue down; ip link set blue name green; $probe socket
        ip link set red down; ip link set red name blue; $probe socket";
    for (mechanism, program, expected) in [
        ("bpf", "probe", "socket green\nsocket green\n"),
        ("preload", "probe", "socket ENODEV\nsocket blue\n"),
        ("preload", "probe-static", "socket ENODEV\nsocket blue\n"),
        ("seccomp", "probe", "socket ENODEV\nsocket blue\n"),
    ] {
        root(&format!("probe={program} vrfrun -m {mechanism} --interface blue sh -c '{script}'")).prints(expected);
    }
}

#[test]
fn a_dynamic_programs_socket_is_its_own_users() {
    // As root the supervisor runs as root, the program as nobody.
    let as_nobody = |program| format!("vrfrun -m preload --interface -u nobody blue {program} owner");
    root(&as_nobody("probe")).prints("owner own blue\n");
    user("vrfrun -m preload --interface blue probe owner").prints("owner own blue\n");
}

#[test]
fn processes_of_another_user_are_served() {
    let seen =
        play(Who::Root, "vrfrun -m seccomp --interface blue setpriv --reuid 1234 --clear-groups probe-static socket");
    seen.prints("socket blue\n");
}

#[test]
fn a_cleared_environment_a_thread_and_a_script_change_nothing() {
    user("vrfrun -m preload --interface blue env -i /mnt/probe socket").prints("socket blue\n");
    user("vrfrun -m preload --interface blue sh -c 'probe socket; probe-static socket; probe-i386 socket'")
        .prints("socket blue\nsocket blue\nsocket blue\n");
}
