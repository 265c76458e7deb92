//! `vrfsetup watch` with real VRFs: each change, by `ip` and by vrfsetup, has its line and no other.

use std::time::{Duration, Instant};

use super::guest_tests;
use super::vrfsetup;
use crate::harness::judge::{Running, root};
use crate::harness::world::{Kind, World};

guest_tests! {
    each_change_has_its_line needs [Once],
    // On the oldest kernel, which is the only one with this feature.
    each_change_has_its_line_on_an_old_kernel needs [RandomAddresses],
    two_thousand_vrfs_at_once_are_all_told needs [Once],
}

/// Only a watch that says too little meets it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running watch, and how many of its lines have been looked at.
struct Watch {
    running: Running,
    seen: usize,
}

impl Watch {
    fn start(world: &mut World) -> Self {
        let mut running = world.start(&root(["vrfsetup", "watch", "--initial"]));
        // The last of what is there.
        running.wait_for("rule added (ipv6) 32766: from all lookup main\n");
        let seen = lines(&mut running).len();
        Self { running, seen }
    }

    /// These lines come next, in whatever order the change made them.
    #[track_caller]
    fn says(&mut self, expected: &[&str]) {
        self.says_with(expected, None);
    }

    /// The same, of a change that makes such a rule for a moment: a look in between sees it, and a later one that it is gone.
    #[track_caller]
    fn says_with(&mut self, expected: &[&str], passing: Option<&str>) {
        let deadline = Instant::now() + PATIENCE;
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        loop {
            let new = lines(&mut self.running).split_off(self.seen);
            let count = new.len();
            let is_passing = |line: &String| passing.is_some_and(|rule| line.ends_with(rule));
            let (passed, mut told): (Vec<_>, Vec<_>) = new.into_iter().partition(is_passing);
            let added = passed.iter().filter(|line| line.starts_with("rule added")).count();
            let is_over = told.len() >= expected.len() && passed.len() == 2 * added;
            if is_over || Instant::now() >= deadline {
                self.seen += count;
                told.sort();
                assert_eq!(told, expected);
                assert_eq!(passed.len(), 2 * added, "{passed:?}");
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it; it has nothing more to say.
    #[track_caller]
    fn end(mut self, world: &mut World) {
        self.running.terminate();
        let verdict = self.running.finish(world);
        assert_eq!((verdict.code, verdict.error_text().as_str()), (0, ""), "{verdict}");
        assert_eq!(verdict.text().lines().count(), self.seen, "{verdict}");
    }
}

fn lines(running: &mut Running) -> Vec<String> {
    let text = String::from_utf8_lossy(&running.output()).into_owned();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(str::to_owned).collect()
}

fn each_change_has_its_line() {
    let mut world = World::new(Kind::Bare).expect("a world");
    let mut watch = Watch::start(&mut world);
    by_ip(&world, &mut watch);
    seals_by_ip(&world, &mut watch);
    world.ip("link set blue down");
    watch.says(&["vrf blue down"]);
    world.ip("link del blue");
    watch.says(&["vrf blue deleted, table 10"]);
    by_vrfsetup(&mut world, &mut watch);
    watch.end(&mut world);
}

fn each_change_has_its_line_on_an_old_kernel() {
    each_change_has_its_line();
}

/// VRFs, ports, rules. The first VRF of a network namespace comes with the l3mdev rules.
fn by_ip(world: &World, watch: &mut Watch) {
    world.ip("link add blue type vrf table 10");
    watch.says(&[
        "vrf blue added, table 10",
        "rule added (ipv4) 1000: from all l3mdev",
        "rule added (ipv6) 1000: from all l3mdev",
    ]);
    world.ip("link set blue name green");
    watch.says(&["vrf blue renamed to green"]);
    world.ip("link set green name blue");
    watch.says(&["vrf green renamed to blue"]);
    world.ip("link set blue up");
    watch.says(&["vrf blue up"]);
    world.ip("link set blue0 down");
    world.ip("link set blue0 master blue");
    watch.says(&["port blue0 attached to blue"]);
    world.ip("link set blue0 name blue9");
    watch.says(&["port blue0 renamed to blue9"]);
    world.ip("link set blue9 name blue0");
    watch.says(&["port blue9 renamed to blue0"]);
    world.ip("link set blue0 nomaster");
    watch.says(&["port blue0 detached from blue"]);
    world.ip("rule add pref 2000 from 192.0.2.0/24 lookup 10");
    watch.says(&["rule added (ipv4) 2000: from 192.0.2.0/24 lookup 10"]);
    world.ip("rule del pref 2000");
    watch.says(&["rule deleted (ipv4) 2000: from 192.0.2.0/24 lookup 10"]);
    // What is no VRF's, and what is another network namespace's.
    world.ip("link set red0 mtu 1400");
    world.ip("route add unreachable 203.0.113.0/24 table 10");
    world.ip("route add unreachable default metric 7 table 11");
    world.ip("route del unreachable default metric 7 table 11");
    let elsewhere = std::process::Command::new("unshare")
        .args(["-n", "sh", "-c", "ip link add ghost type vrf table 9 && ip link set ghost up"])
        .status();
    assert!(elsewhere.expect("unshare").success());
    world.ip("link set blue down");
    watch.says(&["vrf blue down"]);
    world.ip("link set blue up");
    watch.says(&["vrf blue up"]);
}

/// By routes, of which the kernel does not report all that go, and by a rule.
fn seals_by_ip(world: &World, watch: &mut Watch) {
    for (family, flag) in [("ipv4", "-4"), ("ipv6", "-6")] {
        let [sealed, unsealed] = ["sealed", "unsealed"].map(|what| format!("vrf blue {what} ({family})"));
        world.ip(&format!("{flag} route add unreachable default metric 4278198272 table 10"));
        watch.says(&[&sealed]);
        world.ip(&format!("{flag} route del unreachable default metric 4278198272 table 10"));
        watch.says(&[&unsealed]);
        world.ip(&format!("{flag} rule add pref 2000 l3mdev unreachable"));
        let rule = |what: &str| format!("rule {what} ({family}) 2000: from all l3mdev unreachable");
        watch.says(&[&rule("added"), &sealed]);
        world.ip(&format!("{flag} rule del pref 2000"));
        watch.says(&[&rule("deleted"), &unsealed]);
        // Routes that go with their nexthop object.
        world.ip(&format!("{flag} nexthop add id 7 blackhole"));
        world.ip(&format!("{flag} route add default nhid 7 table 10"));
        watch.says(&[&sealed]);
        world.ip(&format!("{flag} nexthop del id 7"));
        watch.says(&[&unsealed]);
    }
    // And with their source address, and with their link.
    world.ip("addr add 203.0.113.1/32 dev blue");
    world.ip("link set red0 up");
    for (route, end) in [
        ("default dev red0 src 203.0.113.1 table 10", "addr del 203.0.113.1/32 dev blue"),
        ("default dev red0 table 10", "link set red0 down"),
    ] {
        world.ip(&format!("route add {route}"));
        watch.says(&["vrf blue sealed (ipv4)"]);
        world.ip(end);
        assert_eq!(world.ip_json("route show table 10 default"), serde_json::json!([]), "{end}");
        watch.says(&["vrf blue unsealed (ipv4)"]);
    }
}

fn by_vrfsetup(world: &mut World, watch: &mut Watch) {
    vrfsetup(world, 0, "add blue --table 10 --port blue0");
    watch.says(&[
        "vrf blue added, table 10",
        "vrf blue up",
        "vrf blue sealed (ipv4)",
        "vrf blue sealed (ipv6)",
        "port blue0 attached to blue",
    ]);
    vrfsetup(world, 0, "detach blue0");
    watch.says(&["port blue0 detached from blue"]);
    vrfsetup(world, 0, "rules fix");
    let rules = |what: &str, rules: &[&str]| -> Vec<String> {
        let of = |family| rules.iter().map(move |rule| format!("rule {what} ({family}) 0: from all {rule}"));
        of("ipv4").chain(of("ipv6")).collect()
    };
    let (local, l3mdev) = ("lookup local", ["l3mdev", "l3mdev unreachable"]);
    let fixed = [rules("added", &l3mdev), rules("added", &[local]), rules("deleted", &[local])].concat();
    // The local rule moves by way of another preference, so that there always is one.
    watch.says_with(&fixed.iter().map(String::as_str).collect::<Vec<_>>(), Some(" 1: from all lookup local"));
    // A VRF that is up comes down before it goes, which a look between the two would see.
    world.ip("link set blue down");
    watch.says(&["vrf blue down"]);
    vrfsetup(world, 0, "del blue");
    watch.says(&["vrf blue deleted, table 10"]);
}

fn two_thousand_vrfs_at_once_are_all_told() {
    const VRFS: u32 = 2000;
    let mut world = World::new(Kind::Bare).expect("a world");
    let mut watch = Watch::start(&mut world);
    let script: String = (1..=VRFS).map(|at| format!("link add v{at} type vrf table {}\n", 10_000 + at)).collect();
    let file = world.directory().join("links");
    std::fs::write(&file, script).expect("a script");
    world.ip(&format!("-batch {}", file.display()));
    world.ip("rule add pref 7 lookup 7");
    watch.running.wait_for("rule added (ipv4) 7: from all lookup 7\n");
    let told = lines(&mut watch.running).split_off(watch.seen);
    watch.seen += told.len();
    // That much may overflow, and then it says so.
    let mut told: Vec<&String> = told.iter().filter(|line| line.starts_with("vrf ")).collect();
    let mut expected: Vec<String> = (1..=VRFS).map(|at| format!("vrf v{at} added, table {}", 10_000 + at)).collect();
    told.sort();
    expected.sort();
    assert!(told.iter().copied().eq(&expected), "{} of {VRFS}: {:?}", told.len(), told.first());
    watch.end(&mut world);
}
