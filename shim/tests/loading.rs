//! Loading the object under difficulties: other libraries, kernels and sandboxes that forbid what it would like to do.

mod namespace;
mod product;

use namespace::DEVICES;
use product::{compile, shared_object, source};
use std::path::{Path, PathBuf};
use std::process::Output;

const ORDER: &str = "VRFSHIM=0123456789abcdef:blue";

fn probe(options: &[&str], name: &str) -> PathBuf {
    compile("cc", &source("probe.c"), name, &[&["-pthread"], options].concat())
}

/// `confine WORD env LD_PRELOAD=… VRFSHIM=… probe WAYS…`
fn confined(restriction: &str, ways: &[&str]) -> Output {
    let mut command = namespace::command(DEVICES, compile("cc", &source("confine.c"), "confine", &[]));
    command.arg(restriction).arg("env").arg(ORDER).arg(format!("LD_PRELOAD={}", shared_object().display()));
    namespace::run(command.arg(probe(&[], "probe-confined")).args(ways))
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn libc_is_redirected_where_only_one_of_the_two_ways_is_open() {
    for restriction in ["memfd", "write", "mdwe"] {
        let output = confined(restriction, &["socket", "__socket"]);
        assert_eq!(output.status.code(), Some(0), "{restriction}: {output:?}");
        assert_eq!(text(&output.stdout), "socket blue\n__socket blue\n", "{restriction}");
    }
}

#[test]
fn where_libc_cannot_be_redirected_the_program_does_not_start() {
    let output = confined("both", &["socket"]);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    let why = "vrfrun: cannot bind this program's sockets: libc's socket function cannot be redirected\n";
    assert_eq!((text(&output.stderr), text(&output.stdout)), (why, ""));
}

#[test]
fn a_kernel_that_says_bound_and_does_not_bind_is_found_out() {
    let output = confined("lie", &["socket"]);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    let why = "vrfrun: cannot bind this program's sockets: a socket that libc made is not in the VRF\n";
    assert_eq!((text(&output.stderr), text(&output.stdout)), (why, ""));
}

#[test]
fn the_gate_lets_our_calls_through_and_no_other() {
    let output = confined("gate", &["socket", "inet6", "__socket", "syscall", "raw", "unix"]);
    let ours = "socket blue\ninet6 blue\n__socket blue\nsyscall blue\n";
    assert_eq!(text(&output.stdout), format!("{ours}raw Network is unreachable\nunix -\n"));
}

/// A VRF that is deleted while a shell runs must not keep it from starting `ip` or `ls`.
#[test]
fn a_program_starts_though_its_device_is_gone() {
    let mut command = namespace::command("true", "env");
    command.arg(ORDER).arg(format!("LD_PRELOAD={}", shared_object().display()));
    let output = namespace::run(command.arg(probe(&[], "probe-alone")).args(["unix", "socket"]));
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    assert_eq!(text(&output.stdout), "unix -\nsocket No such device\n");
}

fn preloading(list: &str, program: &Path) -> String {
    let mut command = namespace::command(DEVICES, "env");
    namespace::stdout(command.arg(ORDER).arg(format!("LD_PRELOAD={list}")).arg(program).arg("socket"))
}

#[test]
fn sockets_of_constructors_that_run_before_ours_are_bound() {
    let library = compile("cc", &source("early.c"), "libearly.so", &["-shared", "-fPIC"]);
    let program = probe(&["-Wl,--no-as-needed", library.to_str().unwrap()], "probe-early");
    assert_eq!(preloading(shared_object().to_str().unwrap(), &program), "early blue\nsocket blue\n");
}

#[test]
fn another_preloaded_library_keeps_its_place_before_or_behind_ours() {
    let foreign = compile("cc", &source("foreign.c"), "libforeign.so", &["-shared", "-fPIC"]);
    let (foreign, ours) = (foreign.to_str().unwrap(), shared_object());
    let program = probe(&[], "probe-foreign");
    assert_eq!(preloading(&format!("{foreign}:{}", ours.display()), &program), "foreign\nsocket blue\n");
    assert_eq!(preloading(&format!("{}:{foreign}", ours.display()), &program), "socket blue\n");
}

/// vrfrun's children inherit the order, also those that link the library statically and cannot be preloaded.
#[test]
fn a_static_program_that_links_the_library_obeys_the_order() {
    let archive = product::directory().join("libvrfshim.a");
    for compiler in ["cc -static", "musl-gcc -static"] {
        let options = ["-pthread", "-u", "vrf_set", archive.to_str().unwrap()];
        let program = compile(compiler, &source("probe.c"), &format!("probe {compiler}").replace(' ', "-"), &options);
        let mut command = namespace::command(DEVICES, "env");
        command.args([ORDER, "LD_PRELOAD=/libvrfshim.so"]).arg(program).args(["socket", "__socket", "thread"]);
        assert_eq!(namespace::stdout(&mut command), "socket blue\n__socket blue\nthread blue\n", "{compiler}");
    }
}

/// Two links, `blue` and the default route `home`; the name server is behind both, and the kernel's own counters tell
/// by which one the questions went.
#[test]
fn the_questions_that_libc_asks_the_dns_leave_by_the_device() {
    let setup = "
        ip link add blue type veth peer name far; ip link add home type veth peer name away
        for link in blue far home away; do
            echo 1 > /proc/sys/net/ipv6/conf/$link/disable_ipv6; ip link set $link arp off up
        done
        ip address add 10.9.1.1/24 dev blue; ip address add 10.9.2.1/24 dev home
        ip route add default dev home; ip route add default dev blue metric 100
        mount -t tmpfs none /mnt; echo 'nameserver 10.9.9.9' > /mnt/resolv.conf; echo 'options timeout:1' >> /mnt/resolv.conf
        mount --bind /mnt/resolv.conf /etc/resolv.conf; echo 'hosts: dns' > /mnt/nsswitch.conf
        mount --bind /mnt/nsswitch.conf /etc/nsswitch.conf";
    let counted = "\"$@\"; for link in blue home; do cat /sys/class/net/$link/statistics/tx_packets; done";
    let ask = |environment: &[&str], program: &Path| -> Vec<u32> {
        let mut command = namespace::command(setup, "sh");
        // /sys shows the network namespace it was mounted in.
        command.args(["-c", &format!("mount -t sysfs none /sys; {counted}"), "sh", "env"]).args(environment);
        let said = namespace::stdout(command.arg(program).arg("name.test"));
        said.lines().map(|line| line.parse().unwrap()).collect()
    };
    let preload = format!("LD_PRELOAD={}", shared_object().display());
    for (compiler, name) in [("cc", "resolve"), ("musl-gcc", "resolve-musl")] {
        let program = compile(compiler, &source("resolve.c"), name, &[]);
        let bound = ask(&[ORDER, &preload], &program);
        assert!(bound[0] >= 2 && bound[1] == 0, "{name}: blue, home: {bound:?}");
        let plain = ask(&[], &program);
        assert!(plain[0] == 0 && plain[1] >= 2, "{name} by itself: blue, home: {plain:?}");
    }
}
