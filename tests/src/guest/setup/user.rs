//! `vrfsetup user`: every socket of a user is in its VRF, however its process was started and whatever it tries; nobody
//! else's is; and nothing stays when the user is taken out.

use std::process::Command;

use super::guest_tests;
use super::{json, nothing_to_do, take_out, vrfsetup};
use crate::harness::judge::{Order, Outcome, Verdict, root, user};
use crate::harness::wait;
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    a_users_sockets_are_in_its_vrf_however_they_were_started,
    no_move_of_a_user_gets_out,
    a_socket_that_has_lost_its_device_sends_in_the_vrf needs [MptcpBind],
    an_inner_vrfrun_of_root_wins_and_one_of_the_user_is_refused,
    without_its_vrf_a_user_has_no_network_and_follows_when_it_comes_back,
    a_port_that_others_put_into_the_vrf_is_closed_until_refreshed,
    the_last_user_takes_the_programs_along,
    a_change_of_users_is_undone_like_any_other,
}

/// In /etc/passwd this one is `user`.
pub(super) const ALICE: &[&str] = &["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"];
pub(super) const BOB: &[&str] = &["setpriv", "--reuid=1001", "--regid=1001", "--clear-groups"];
pub(super) const ASKS: &[&str] = &["on_use", "udp4", "sendto", "answer"];

/// A world that takes its users out again: they are the machine's, not the world's.
pub(super) struct Users(pub World);

const BOTH: &[&str] = &["1000", "1001"];

impl Drop for Users {
    fn drop(&mut self) {
        take_out(BOTH);
    }
}

pub(super) fn world() -> Users {
    // Those of a test that has failed.
    take_out(BOTH);
    Users(World::of_machine(Kind::Vrfs).expect("a world"))
}

/// A world where alice is in blue.
pub(super) fn with_alice() -> Users {
    let mut users = world();
    let verdict = vrfsetup(&mut users.0, 0, "user user blue");
    assert_eq!(verdict.text(), "changed:\n  vrfsetup user 1000 blue\n", "{verdict}");
    users
}

pub(super) fn as_alice(words: &[&str]) -> Order {
    root([ALICE, words].concat())
}

#[track_caller]
pub(super) fn assert_answers(world: &mut World, order: &Order, domain: Domain) {
    let verdict = world.judge(order);
    let text = verdict.text();
    assert!(text.contains(&format!("answer {}\n", domain.name())), "{order:?}\n{verdict}");
    let others = Domain::ALL.into_iter().filter(|other| *other != domain);
    assert_eq!(others.map(|other| verdict.packets(other)).sum::<u64>(), 0, "{order:?}\n{verdict}");
}

/// How many programs stand on the root cgroup, by bpf(2) itself: ingress, egress, create, bind, connect, sendmsg.
pub(super) fn programs(world: &mut World) -> u32 {
    let verdict = world.judge(&root(["python3", "-c", COUNTS]));
    verdict.text().trim().parse().unwrap_or_else(|error| panic!("{error}: {verdict}"))
}

/// The same without a world.
pub(super) fn programs_here() -> String {
    let output = Command::new("python3").args(["-c", COUNTS]).output().expect("python3");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const COUNTS: &str = "import ctypes, os, struct
root = [line.split()[4] for line in open('/proc/self/mountinfo') if ' - cgroup2 ' in line][0]
fd, total = os.open(root, os.O_RDONLY), 0
for hook in (0, 1, 2, 8, 9, 10, 11, 14, 15):
    ids = ctypes.create_string_buffer(256)
    attr = ctypes.create_string_buffer(struct.pack('IIIIQII', fd, hook, 0, 0, ctypes.addressof(ids), 64, 0), 32)
    assert ctypes.CDLL(None, use_errno=True).syscall(321, 16, attr, 32) == 0, os.strerror(ctypes.get_errno())
    total += struct.unpack('IIIIQII', attr.raw)[5]
print(total)";

fn a_users_sockets_are_in_its_vrf_however_they_were_started() {
    let mut users = world();
    let world = &mut users.0;
    let ways: [Order; 6] = [
        user(ASKS),
        as_alice(ASKS),
        root(["su", "user", "-c", "on_use udp4 sendto answer"]),
        // As cron does it: a daemon of root's forks, becomes the user, and runs a shell in a session of its own.
        root([
            "sh",
            "-c",
            "setsid -w setpriv --reuid=1000 --regid=1000 --init-groups sh -c 'on_use udp4 sendto answer'",
        ]),
        as_alice(&["on_use", "tcp4", "connect", "answer"]),
        as_alice(&["on_use", "tcp6", "connect", "answer"]),
    ];
    ways.iter().for_each(|way| assert_answers(world, way, Domain::Default));
    vrfsetup(world, 0, "user user blue");
    ways.iter().for_each(|way| assert_answers(world, way, Domain::Blue));
    // The name service of the C library, which no program can do anything about.
    world.judge(&as_alice(&["getent", "ahostsv4", "www.vrf.test"])).assert_in_blue();
    let listed = json(&vrfsetup(world, 0, "user -j"));
    let ifindex = &world.ip_json("link show blue")[0]["ifindex"];
    assert_eq!(
        (&listed[0]["user"], &listed[0]["uid"], &listed[0]["vrf"]),
        (&"user".into(), &1000.into(), &"blue".into())
    );
    assert_eq!(&listed[0]["ifindex"], ifindex);
    vrfsetup(world, 0, "user --remove user");
    ways.iter().for_each(|way| assert_answers(world, way, Domain::Default));
}

impl Verdict {
    #[track_caller]
    fn assert_in_blue(&self) {
        assert_eq!((self.code, self.outcome), (0, Outcome::Blue), "{self}");
    }
}

fn no_move_of_a_user_gets_out() {
    let mut users = world();
    let world = &mut users.0;
    let moves = [
        "udp4 connect unspec sendto sendto",
        "udp4 connect unspec connect send",
        "udp4 connect unspec bind sendto",
        "udp6 connect unspec sendto sendto",
        "udp6 connect unspec connect send",
        "tcp4 connect unspec connect",
        "tcp6 connect unspec connect",
        "mptcp4 connect",
        "smc4 connect",
    ];
    let script = moves.map(|moves| format!("on_use {moves}")).join("; ");
    let attack = as_alice(&["sh", "-c", &script]);
    let outside = world.judge(&attack).packets(Domain::Default);
    assert!(outside >= 8, "the judge: {outside}");
    vrfsetup(world, 0, "user user blue");
    let verdict = world.judge(&attack);
    assert_eq!(verdict.outcome, Outcome::Blue, "{verdict}");
    // A user namespace makes nobody else of her, and a set-user-ID program neither.
    let inner = world.judge(&as_alice(&["unshare", "-Ur", "sh", "-c", &script]));
    assert_eq!(inner.outcome, Outcome::Blue, "{inner}");
    let set_uid = "cp $(command -v on_use) as_root; chmod 4755 as_root; exec \"$@\"";
    let directory = world.directory().to_owned();
    let program = directory.join("as_root").display().to_string();
    let script = format!("cd {}; {set_uid}", directory.display());
    let words = [&["sh", "-c", &script, "sh"][..], ALICE, &[&program, "udp4", "sendto", "answer"]].concat();
    assert_answers(world, &root(words), Domain::Blue);
}

fn a_socket_that_has_lost_its_device_sends_in_the_vrf() {
    let mut users = with_alice();
    let verdict = users.0.judge(&as_alice(&["on_use", "udp4", "connect", "unspec", "sendto", "sendto", "answer"]));
    assert!(verdict.text().contains("answer blue\nbound blue"), "{verdict}");
}

fn an_inner_vrfrun_of_root_wins_and_one_of_the_user_is_refused() {
    let mut users = with_alice();
    let world = &mut users.0;
    assert_answers(world, &root([&["vrfrun", "-m", "bpf", "-u", "1000", "red"], ASKS].concat()), Domain::Red);
    // Behind vrfrun, whose programs stay with its cgroup: before 5.11 all of root's count as its locked memory, of which
    // there are 64 KiB here.
    assert_answers(world, &root([&["ip", "vrf", "exec", "red"], ALICE, ASKS].concat()), Domain::Red);
    assert_answers(world, &root([&["ip", "vrf", "exec", "blue"], ASKS].concat()), Domain::Blue);
    // Bound once, a socket is bound again by nobody without CAP_NET_RAW.
    for way in [&["-m", "preload"][..], &["-m", "seccomp"], &[]] {
        let verdict = world.judge(&user([&["vrfrun"], way, &["red"], ASKS].concat()));
        assert_eq!((verdict.code, verdict.outcome), (125, Outcome::Closed), "{way:?}\n{verdict}");
        assert!(verdict.error_text().contains("'blue'"), "{way:?}\n{verdict}");
    }
    world.judge(&user([&["vrfrun", "default"], ASKS].concat())).assert_says(125, "'blue'");
    // Nor does root take her out by hand: her sockets would be in two domains.
    let script = "setpriv --reuid=1000 --regid=1000 --clear-groups sleep 1000 & \
                  until grep -q 'Uid:.1000' /proc/$!/status; do sleep 0.05; done; \
                  vrfsetup move default $!; status=$?; kill $!; exit $status";
    let moved = world.judge(&root(["sh", "-c", script]));
    assert!(moved.code == 1 && moved.text().contains("'vrfsetup user' holds its user in 'blue'"), "{moved}");
}

/// Deleted by `ip`, which tells nobody, and made again with another index.
fn without_its_vrf_a_user_has_no_network_and_follows_when_it_comes_back() {
    let mut users = with_alice();
    let world = &mut users.0;
    let tries = as_alice(&[
        "sh",
        "-c",
        "on_use udp4 sendto; on_use tcp4 connect; on_use udp4 connect unspec sendto sendto; on_use udp6 connect unspec connect send",
    ]);
    let refused = vrfsetup(world, 1, "del blue");
    assert!(refused.error_text().contains("all sockets of its users would fail: user"), "{refused}");
    assert!(refused.error_text().contains("hint: vrfsetup user --remove user"), "{refused}");
    world.ip("link del blue");
    assert_eq!(world.judge(&tries).outcome, Outcome::Closed);
    // Another device of this name is not the VRF.
    world.ip("link add blue type dummy");
    world.ip("link set blue up");
    vrfsetup(world, 0, "user --refresh");
    assert_eq!(json(&vrfsetup(world, 0, "user -j"))[0]["ifindex"], serde_json::Value::Null);
    assert_eq!(world.judge(&tries).outcome, Outcome::Closed);
    world.ip("link del blue");
    make_blue_again(world);
    assert_eq!(world.judge(&tries).outcome, Outcome::Closed);
    vrfsetup(world, 0, "user --refresh");
    nothing_to_do(world, "user --refresh");
    assert_answers(world, &as_alice(ASKS), Domain::Blue);
    // vrfsetup itself needs no telling.
    vrfsetup(world, 0, "del --force blue");
    assert_eq!(world.judge(&tries).outcome, Outcome::Closed);
    vrfsetup(world, 0, "add blue --table 10");
    vrfsetup(world, 0, "attach blue blue0");
    world.ip("route replace default via 198.51.100.1 dev blue0 table 10 metric 7");
    assert_answers(world, &as_alice(ASKS), Domain::Blue);
}

/// A port that `ip` takes out or puts in tells nobody.
fn a_port_that_others_put_into_the_vrf_is_closed_until_refreshed() {
    let mut users = with_alice();
    let world = &mut users.0;
    let told = |world: &mut World| {
        let all = json(&vrfsetup(world, 3, "doctor -j"));
        let found = all.as_array().expect("findings").iter().find(|found| found["finding"] == "user-ports").cloned();
        found.map(|found| found["what"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(told(world), None);
    world.ip("link set blue0 nomaster");
    vrfsetup(world, 0, "user --refresh");
    world.ip("link set blue0 master blue");
    world.ip("route replace default via 198.51.100.1 dev blue0 table 10 metric 7");
    assert_eq!(world.judge(&as_alice(ASKS)).outcome, Outcome::Closed);
    assert!(told(world).is_some_and(|what| what.ends_with(": blue0")));
    vrfsetup(world, 0, "user --refresh");
    assert_answers(world, &as_alice(ASKS), Domain::Blue);
    assert_eq!(told(world), None);
}

fn make_blue_again(world: &World) {
    world.ip("link add blue type vrf table 10");
    world.ip("link set blue up");
    world.ip("link set blue0 master blue");
    world.ip("route add default via 198.51.100.1 dev blue0 table 10 metric 7");
}

fn the_last_user_takes_the_programs_along() {
    let mut users = world();
    let world = &mut users.0;
    let before = programs(world);
    let script = "vrfsetup user 1000 blue & vrfsetup user 1001 red & wait %1 && wait %2";
    let verdict = world.judge(&root(["sh", "-c", script]));
    assert_eq!(verdict.code, 0, "{verdict}");
    assert_eq!(programs(world), before + 9, "one program at each hook");
    assert_answers(world, &as_alice(ASKS), Domain::Blue);
    assert_answers(world, &root([BOB, ASKS].concat()), Domain::Red);
    nothing_to_do(world, "user 1000 blue");
    vrfsetup(world, 0, "user 1000 red");
    assert_answers(world, &as_alice(ASKS), Domain::Red);
    vrfsetup(world, 0, "user --remove 1000");
    assert_eq!(programs(world), before + 9, "the other user has them still");
    vrfsetup(world, 0, "user --remove 1001");
    nothing_to_do(world, "user --remove 1001");
    assert_eq!((programs(world), vrfsetup(world, 0, "user").text().as_str()), (before, ""));
}

fn a_change_of_users_is_undone_like_any_other() {
    let mut users = world();
    let world = &mut users.0;
    let before = programs(world);
    vrfsetup(world, 0, "user user blue");
    vrfsetup(world, 0, "user user red");
    vrfsetup(world, 0, "rollback");
    assert_answers(world, &as_alice(ASKS), Domain::Blue);
    vrfsetup(world, 0, "user --remove user");
    vrfsetup(world, 0, "rollback");
    assert_answers(world, &as_alice(ASKS), Domain::Blue);
    vrfsetup(world, 0, "user --remove user");
    vrfsetup(world, 0, "user user blue --confirm 600");
    assert_answers(world, &as_alice(ASKS), Domain::Blue);
    vrfsetup(world, 0, "rollback");
    assert_answers(world, &as_alice(ASKS), Domain::Default);
    vrfsetup(world, 0, "user user blue --confirm 1").assert_says(0, "");
    wait::until(|| vrfsetup(world, 0, "user").text(), String::is_empty);
    assert_answers(world, &as_alice(ASKS), Domain::Default);
    assert_eq!(programs(world), before);
}
