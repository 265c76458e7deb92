//! Containers with a network of their own, whose bridge is a port of the VRF, as docs/recipes.md has it: routed and masked
//! (NAT) in the VRF or not at all.

use std::fs;
use std::process::Command;

use super::containers::Image;
use super::guest_tests;
use super::oci_hook::{Podman, fetch, image, is_blue, is_closed};
use crate::harness::judge::{Verdict, root};
use crate::harness::world::plan::WEB6;
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    a_container_on_a_bridge_in_the_vrf_is_in_the_vrf needs [Once],
    without_a_way_through_the_vrf_such_a_container_has_none needs [Once],
}

const PAGE: &str = include_str!("../../../../docs/recipes.md");

/// The lines of the page.
fn lines() -> Vec<&'static str> {
    let (_, recipe) = PAGE.split_once("\n## A container with a network of its own in a VRF\n").expect("the recipe");
    let recipe = recipe.split_once("```\n\n").expect("its end").0;
    recipe.lines().filter_map(|line| line.strip_prefix("# ")).collect()
}

/// What netavark sets and leaves.
struct Left(Vec<(&'static str, String)>);

impl Left {
    const SETTINGS: [&str; 2] = ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"];

    fn new() -> Self {
        Self(Self::SETTINGS.map(|path| (path, fs::read_to_string(path).expect("a setting"))).into())
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        for (path, value) in &self.0 {
            let _ = fs::write(path, value);
        }
        let _ = Command::new("nft").args(["flush", "ruleset"]).status();
    }
}

/// podman, with networks of its own.
struct Host<'a> {
    world: &'a mut World,
    podman: &'a Podman<'a>,
    image: &'a Image,
}

/// Gives a test its machine, and takes away what containers have left there.
fn on_a_host(test: impl FnOnce(&mut Host)) {
    let _left = Left::new();
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let image = image(&world);
    let podman = Podman::new(&world, &image, "crun", "cgroupfs");
    fs::create_dir(world.directory().join("networks")).expect("a directory");
    test(&mut Host { world: &mut world, podman: &podman, image: &image });
}

impl Host<'_> {
    /// A command of podman's.
    fn podman(&mut self, words: &str) -> Verdict {
        let networks = self.world.directory().join("networks").display().to_string();
        self.podman.judge(self.world, &format!("--network-config-dir {networks} {words}"))
    }

    #[track_caller]
    fn must(&mut self, words: &str) {
        let verdict = self.podman(words);
        assert_eq!(verdict.code, 0, "{verdict}");
    }

    /// Types the page's lines but for the last; the bridge's name.
    fn prepare(&mut self) -> String {
        let mut lines = lines();
        lines.pop();
        let own = self.podman.own().join(" ");
        let networks = self.world.directory().join("networks").display().to_string();
        let podman = format!("podman() {{ command {own} --network-config-dir {networks} \"$@\"; }}");
        let script = format!("{podman}\n{}\necho $br", lines.join("\n"));
        let verdict = self.world.judge(&root(["sh", "-euc", &script]));
        assert_eq!(verdict.code, 0, "{verdict}");
        verdict.text().lines().last().expect("a name").to_owned()
    }

    /// The page's last line, with a program of the image's.
    fn run(&mut self, options: &str, program: &str) -> Verdict {
        let last = lines().pop().and_then(|line| line.strip_prefix("podman run ")).expect("a container");
        let words = last.strip_suffix("debian apt-get update").expect("its program");
        let image = self.image.root.display().to_string();
        self.podman(&format!("run --log-driver none {options} {words} --rootfs {image} {program}"))
    }

    fn ip(&self, words: &str) {
        self.world.ip(words);
    }
}

fn a_container_on_a_bridge_in_the_vrf_is_in_the_vrf() {
    on_a_host(is_in_the_vrf);
}

fn without_a_way_through_the_vrf_such_a_container_has_none() {
    on_a_host(has_no_other_way);
}

fn is_in_the_vrf(host: &mut Host) {
    // Elsewhere it is where everybody is, by the same NAT.
    host.must("network create --disable-dns --subnet 10.89.8.0/24 outside");
    let image = host.image.root.display().to_string();
    let open = host.podman(&format!("run --log-driver none --rm --network outside --rootfs {image} {}", fetch()));
    assert_eq!((open.code, open.answers.as_slice()), (0, [Domain::Default].as_slice()), "{open}");
    let bridge = host.prepare();
    is_blue(&host.run("--rm", &fetch()));
    is_blue(&host.run("--rm", &format!("/bin/busybox wget -qO- http://[{WEB6}]/")));
    // By name, which is asked there as well.
    is_blue(&host.run("--rm", "/bin/resolve_musl"));
    is_blue(&host.run("--rm --user 33 --cap-drop all", "/bin/go_client"));
    let pinged = host.run("--rm --cap-add net_raw", "/bin/busybox ping -c 1 192.0.2.80");
    assert!(pinged.code == 0 && pinged.packets(Domain::Blue) > 0, "{pinged}");
    assert_eq!(pinged.packets(Domain::Default) + pinged.packets(Domain::Red), 0, "{pinged}");
    let started = host.run("-d --name held", "/bin/busybox sleep 10000");
    assert_eq!(started.code, 0, "{started}");
    is_blue(&host.podman(&format!("exec held {}", fetch())));
    host.must("restart -t 0 held");
    is_blue(&host.podman(&format!("exec held {}", fetch())));
    host.must("rm -f -t 0 held");
    let bridge = &host.world.ip_json(&format!("link show {bridge}"))[0];
    assert_eq!(bridge["master"], "blue", "{bridge}");
    host.must("network rm inblue");
    host.must("network rm outside");
}

fn has_no_other_way(host: &mut Host) {
    let bridge = host.prepare();
    let started = host.run("-d --name held", "/bin/busybox sleep 10000");
    assert_eq!(started.code, 0, "{started}");
    let ask = format!("exec held /bin/busybox timeout 5 {}", fetch());
    let ask6 = format!("exec held /bin/busybox timeout 5 /bin/busybox wget -qO- http://[{WEB6}]/");
    is_blue(&host.podman(&format!("exec held {}", fetch())));
    host.ip("route del default table 10");
    host.ip("-6 route del default table 10");
    [&ask, &ask6].into_iter().for_each(|ask| is_closed(&host.podman(ask)));
    // Its ports are then in the default domain, which has a way.
    host.ip("link del blue");
    [&ask, &ask6].into_iter().for_each(|ask| is_closed(&host.podman(ask)));
    let again = host.podman("restart -t 0 held");
    assert_eq!(again.code, 0, "{again}");
    is_closed(&host.podman(&ask));
    // What closes it is the page's rule.
    host.ip(&format!("rule del iif {bridge} pref 32000"));
    let open = host.podman(&format!("exec held {}", fetch()));
    assert_eq!(open.answers.as_slice(), [Domain::Default].as_slice(), "{open}");
    host.must("rm -f -t 0 held");
    host.must("network rm inblue");
}
