//! A program's own ways out of the VRF: what `--strict` denies, and what it must leave alone. And io_uring, which only
//! a filter of its own can keep from making sockets.

use super::guest_tests;
use crate::harness::judge::{Order, Outcome, root, user};
use crate::harness::world::{Kind, World};

guest_tests! {
    strict_denies_rebinding_and_foreign_devices,
    strict_leaves_the_vrf_itself_alone,
    running_programs_follow_the_ports_of_the_vrf,
    vrfsetup_tells_running_programs_of_new_and_gone_ports,
    strict_refuses_a_table_that_is_not_sealed,
    a_ring_is_denied_its_sockets_and_nothing_else needs [UringFilter],
}

fn strict(words: &[&str]) -> Order {
    root([&["vrfrun", "--strict", "blue"], words].concat())
}

fn world() -> World {
    World::of_machine(Kind::Vrfs).expect("a world")
}

fn strict_denies_rebinding_and_foreign_devices() {
    let mut world = world();
    // The judge itself: under `ip vrf exec` the datagram leaves by the default domain.
    let without = root(["ip", "vrf", "exec", "blue", "escape", "send", "eth0", "192.0.2.80"]);
    goes(&mut world, &without, Outcome::Leak, "send eth0 ok\n");
    goes(&mut world, &strict(&["escape", "send", "eth0", "192.0.2.80"]), Outcome::Closed, "send eth0 EPERM\n");

    let denied = "name other EPERM\nname nothing EPERM\nname part EPERM\nname longer EPERM\nindex other EPERM\n\
        index nothing EPERM\n";
    let same = "name same ok\nname same-padded ok\nindex same ok\nbound blue\n";
    goes(&mut world, &strict(&["escape", "rebind", "red"]), Outcome::Closed, &format!("{denied}{same}"));
}

/// Where a command's packets went, and what it printed.
fn goes(world: &mut World, order: &Order, outcome: Outcome, stdout: &str) {
    let verdict = world.judge(order);
    assert_eq!((verdict.outcome, &*String::from_utf8_lossy(&verdict.stdout)), (outcome, stdout), "{verdict}");
}

fn strict_leaves_the_vrf_itself_alone() {
    let mut world = world();
    world.judge(&strict(&["curl", "-sS", "http://www.vrf.test/"])).assert_blue();
    world.judge(&strict(&["curl", "-sS", "-g", "http://[2001:db8::80]/"])).assert_blue();
    goes(&mut world, &strict(&["escape", "send", "blue0", "192.0.2.80"]), Outcome::Blue, "send blue0 ok\n");
    goes(&mut world, &strict(&["escape", "plain", "192.0.2.80"]), Outcome::Blue, "send plain ok\n");
    let options = "broadcast ok\nttl ok\nbig ok\nnone EINVAL\n";
    goes(&mut world, &strict(&["escape", "options"]), Outcome::Closed, options);

    // Delivery inside the VRF, to its own address, is what it is without --strict. The address is the VRF's alone:
    // while the local table comes first, one that the default domain has too is not the VRF's.
    world.ip("addr add 203.0.113.5/24 dev blue0");
    world.ip("addr add 2001:db8:9::5/64 dev blue0 nodad");
    for own in ["203.0.113.5", "2001:db8:9::5"] {
        let ping = ["ping", "-c1", "-W60", own];
        let plain = world.judge(&root([&["vrfrun", "-m", "bpf", "blue"][..], &ping].concat()));
        let verdict = world.judge(&strict(&ping));
        assert_eq!((plain.code, verdict.code), (0, 0), "{plain}\n{verdict}");
        assert_eq!(verdict.outcome, plain.outcome, "{plain}\n{verdict}");
    }
}

fn running_programs_follow_the_ports_of_the_vrf() {
    let mut world = world();
    let script = "mkfifo up; vrfrun -m bpf blue sh -c 'echo >up; until [ -e go ]; do sleep 0.1; done; escape plain 203.0.113.9' &
        read x <up
        ip link add late type dummy; ip link set late master blue up; ip addr add 203.0.113.1/24 dev late
        vrfrun -m bpf blue escape plain 203.0.113.9
        touch go; wait $!
        ip link set late nomaster; ip addr add 203.0.113.1/24 dev late 2>/dev/null
        vrfrun -m bpf blue escape send late 203.0.113.9";
    let directory = world.directory().to_owned();
    let verdict = world.judge(&root(["sh", "-c", &format!("cd {}; {script}", directory.display())]));
    assert_eq!(verdict.stdout, b"send plain ok\nsend plain ok\nsend late EPERM\n", "{verdict}");
}

fn vrfsetup_tells_running_programs_of_new_and_gone_ports() {
    let mut world = world();
    // The same program before and after: no other run of vrfrun could bring its list up to date.
    let script = "send() { escape send late 203.0.113.9; touch $1; until [ -e $2 ]; do sleep 0.1; done; }
        ip link add late type dummy; ip link set late up; ip addr add 203.0.113.1/24 dev late
        export -f send
        vrfrun -m bpf blue bash -c 'send 1 attached; send 2 detached; send 3 3' &
        wait_for() { until [ -e $1 ]; do sleep 0.1; done; }
        wait_for 1; vrfsetup attach blue late >&2; touch attached
        wait_for 2; vrfsetup detach late >&2; touch detached; wait $!";
    let directory = world.directory().to_owned();
    let verdict = world.judge(&root(["bash", "-c", &format!("cd {}; {script}", directory.display())]));
    assert_eq!(verdict.stdout, b"send late EPERM\nsend late ok\nsend late EPERM\n", "{verdict}");
}

fn strict_refuses_a_table_that_is_not_sealed() {
    let mut world = world();
    for family in ["-4", "-6"] {
        world.ip(&format!("{family} route flush table 10 type unicast root default"));
        world.ip(&format!("{family} route del unreachable default table 10"));
    }
    world.judge(&strict(&["true"])).assert_says(125, "--strict: packets of VRF 'blue' can leave by the default domain");
}

fn a_ring_is_denied_its_sockets_and_nothing_else() {
    let mut world = world();
    let expected = "nop ok\ninet EACCES\ninet6 EACCES\nchild's inet EACCES\n";
    for options in [&["preload"][..], &["seccomp"], &["preload", "--no-supervisor"]] {
        let words = [&["vrfrun", "-m"], options, &["blue", "uring_ops"]].concat();
        for order in [root(&words), user(&words)] {
            let verdict = world.judge(&order);
            assert_eq!(String::from_utf8_lossy(&verdict.stdout), expected, "{options:?}\n{verdict}");
        }
    }
}
