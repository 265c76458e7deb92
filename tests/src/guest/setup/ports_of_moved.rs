//! Interfaces that change their domain with a TCP listener bound to them, whose port may be in use where they go.

use super::guest_tests;
use super::moving::start;
use super::ports_in_use::{GREETS, inside};
use super::vrfsetup;
use crate::harness::judge::{Running, root};
use crate::harness::world::{Kind, World};

guest_tests! {
    an_interface_with_a_listener_whose_port_is_in_use_there_stays,
    a_listener_that_comes_back_or_has_its_port_alone_keeps_nobody,
    a_rollback_asks_as_well_and_so_does_who_is_in_a_vrf,
}

const INTO: &str = "attach blue blue0";
const OUT: &str = "detach blue0";

fn world() -> World {
    let mut world = World::of_machine(Kind::Bare).expect("a world");
    vrfsetup(&mut world, 0, "add blue --table 10");
    world
}

/// At a port of which no other test leaves a connection, that the kernel would keep for a minute.
fn greets() -> String {
    GREETS.replace("4011", "4021")
}

/// A listener that is bound to blue0 before it has its port.
fn bound(world: &mut World) -> Running {
    start(world, &greets().replace("s = ", BOUND))
}

const BOUND: &str = "
S.socket.bind_ = S.socket.bind
def bind(self, address): self.setsockopt(S.SOL_SOCKET, S.SO_BINDTODEVICE, b'blue0'); self.bind_(address)
S.socket.bind = bind
s = ";

fn end(world: &mut World, mut running: Running) {
    running.terminate();
    running.finish(world);
}

/// And nothing is changed.
#[track_caller]
fn refused(world: &mut World, words: &str, domain: &str) {
    let links = |world: &mut World| world.judge(&root(["ip", "-o", "link", "show"])).text();
    let before = links(world);
    let said = vrfsetup(world, 1, words).error_text();
    let why = format!("at 0.0.0.0:4021, bound to 'blue0', has a port that is in use in {domain},");
    assert!(said.contains(&why), "{said}");
    assert_eq!(links(world), before);
}

fn an_interface_with_a_listener_whose_port_is_in_use_there_stays() {
    let mut world = world();
    let ours = bound(&mut world);
    let mut theirs = world.start(&inside("blue", &greets()));
    theirs.wait_for("up");
    let declared = world.directory().join("vrf.toml");
    std::fs::write(&declared, "[rules]\nfix = false\n[vrf.blue]\ntable = 10\nports = ['blue0']\n").expect("a file");
    for words in [INTO.to_owned(), "add blue --port blue0".to_owned(), format!("apply {}", declared.display())] {
        refused(&mut world, &words, "'blue'");
    }
    vrfsetup(&mut world, 3, &format!("apply {} --force --dry-run", declared.display()));
    end(&mut world, theirs);
    end(&mut world, ours);
    // The same of one that blue has, on its way out.
    vrfsetup(&mut world, 0, INTO);
    let (ours, theirs) = (bound(&mut world), start(&mut world, &greets()));
    for words in [OUT, "del blue"] {
        refused(&mut world, words, "the default domain");
    }
    end(&mut world, theirs);
    vrfsetup(&mut world, 0, OUT);
    end(&mut world, ours);
}

fn a_listener_that_comes_back_or_has_its_port_alone_keeps_nobody() {
    let mut world = world();
    world.ip("addr add fe80::7/64 dev blue0 nodad");
    let ours = bound(&mut world);
    // Its address makes it one of the interface, and it can have it nowhere else.
    let local = "s = S.socket(S.AF_INET6); s.bind(('fe80::7', 4022, 0, S.if_nametoindex('blue0'))); s.listen()\n";
    let at_link = start(&mut world, &greets().replace("s = S.create_server(('0.0.0.0', 4021)); ", local));
    for _ in 0..2 {
        vrfsetup(&mut world, 0, INTO);
        vrfsetup(&mut world, 0, OUT);
    }
    end(&mut world, ours);
    end(&mut world, at_link);
}

fn a_rollback_asks_as_well_and_so_does_who_is_in_a_vrf() {
    let mut world = world();
    vrfsetup(&mut world, 0, INTO);
    let (ours, theirs) = (bound(&mut world), start(&mut world, &greets()));
    let said = vrfsetup(&mut world, 1, "rollback").error_text();
    assert!(said.contains("in use in the default domain"), "{said}");
    // The programs of its cgroup bind what vrfsetup would try with.
    let inside = ["vrfrun", "-m", "bpf", "blue", "vrfsetup", "detach", "blue0"];
    world.judge(&root(inside)).assert_says(1, "in use in the default domain");
    end(&mut world, theirs);
    let detached = world.judge(&root(inside));
    assert_eq!(detached.code, 0, "{detached}");
    vrfsetup(&mut world, 0, "rollback");
    vrfsetup(&mut world, 0, OUT);
    end(&mut world, ours);
}
