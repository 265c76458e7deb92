//! Two VRFs with a client each, behind which everything has the same addresses, and a firewall that translates red's flows
//! alone.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use super::super::vrfsetup;
use crate::harness::judge::{Running, root};
use crate::harness::world::{Domain, Kind, World};

/// The client of either VRF, and the machine's address towards it. Only red's is translated: nothing behind red knows of
/// it, and nothing behind blue would know what it became.
pub const CLIENT: [&str; 2] = ["10.0.0.2", "fd00::2"];
pub const TOWARDS: [&str; 2] = ["10.0.0.1", "fd00::1"];
/// A client of blue's, to which red knows the way, too.
pub const LEAKING: [&str; 2] = ["10.0.1.2", "fd00:1::2"];

pub const FIREWALL: &str = "table inet firewall {
    chain forward { type filter hook forward priority filter; ct state invalid counter drop; }
    chain out { type nat hook postrouting priority srcnat; oifname \"eth0\" masquerade; }
}
";

/// The recipe's commands that translate, for red's port.
fn recipe() -> impl Iterator<Item = String> {
    let page = include_str!("../../../../../docs/recipes.md");
    let recipe = page.split("\n## ").find(|recipe| recipe.contains("vrfsetup zones on")).expect("a recipe");
    let commands: Vec<&str> = recipe.lines().filter_map(|line| line.strip_prefix("# nft ")).collect();
    assert_eq!(commands.len(), 3, "{recipe}");
    commands.into_iter().map(|command| format!("nft {}", command.replace("eth2", "red0")))
}

/// The world, a client on a further port of either VRF, and a firewall that translates red's.
pub struct Scene {
    pub world: World,
    pub clients: [Running; 2],
}

/// Who starts flows: a client, or this machine.
type Ask = fn(&mut Scene, Domain, &str, [&str; 2], u32, u32) -> Running;

pub const VRFS: [Domain; 2] = [Domain::Blue, Domain::Red];

impl Scene {
    pub fn new() -> Self {
        let scene = Self::bare();
        nft(FIREWALL);
        recipe().for_each(|line| sh(&line));
        scene
    }

    fn bare() -> Self {
        let mut world = World::new(Kind::Vrfs).expect("a world");
        let clients = VRFS.map(|vrf| client(&mut world, vrf));
        for setting in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            sh(&format!("echo 1 > /proc/sys/net/{setting}"));
        }
        // What is forwarded over IPv6 asks for its neighbours from a link-local address, which the world's links lack.
        for port in ["blue0", "blue1", "red0", "red1"] {
            world.ip(&format!("addr add fe80::1/64 dev {port} nodad"));
        }
        let at_peer = |vrf: Domain, words: &str| {
            let words: Vec<&str> = words.split(' ').collect();
            sh(&world.at_peer(vrf, &words).join(" "));
        };
        VRFS.iter().for_each(|vrf| at_peer(*vrf, "ip addr add fe80::2/64 dev peer0 nodad"));
        at_peer(Domain::Blue, "ip route add 10.0.0.0/23 via 198.51.100.2");
        at_peer(Domain::Blue, "ip route add fd00::/31 via 2001:db8:1::2");
        // Of all its flows the kernel is to know, however slow this machine is, until they are looked at.
        sh("modprobe nf_conntrack");
        for setting in ["udp_timeout", "udp_timeout_stream"] {
            sh(&format!("echo 600 > /proc/sys/net/netfilter/nf_conntrack_{setting}"));
        }
        Self { world, clients }
    }

    /// The same where nobody translates anything, and both peers know the way back.
    pub fn without_nat() -> Self {
        let scene = Self::bare();
        let at_red = |words: &str| sh(&scene.world.at_peer(Domain::Red, &[words]).join(" "));
        at_red("ip route add 10.0.0.0/23 via 198.51.100.2");
        at_red("ip route add fd00::/31 via 2001:db8:1::2");
        scene
    }

    /// Starts so many flows (udp, tcp, open) from a client of this VRF.
    pub fn ask_from_client(&mut self, vrf: Domain, protocol: &str, pair: [&str; 2], first: u32, count: u32) -> Running {
        let namespace = format!("--net=/proc/{}/ns/net", self.clients[vrf as usize - 1].pid());
        self.flows(&["nsenter", &namespace], [protocol, "-"], pair, [first, count])
    }

    /// The same from this machine itself.
    pub fn ask_from_here(&mut self, vrf: Domain, protocol: &str, pair: [&str; 2], first: u32, count: u32) -> Running {
        self.flows(&[], [protocol, vrf.name()], pair, [first, count])
    }

    fn flows(&mut self, before: &[&str], how: [&str; 2], pair: [&str; 2], numbers: [u32; 2]) -> Running {
        let [first, count] = numbers.map(|number| number.to_string());
        self.world.start(&root([before, &["flows"], &how, &pair, &[&first, &count]].concat()))
    }

    /// Who answered them.
    #[track_caller]
    pub fn assert_answers(&mut self, mut flows: Running, vrf: Domain, answered: u32, silent: u32) {
        let verdict = flows.finish(&mut self.world);
        let of = |domain: Domain| if domain == vrf { answered } else { 0 };
        let said = format!("blue {} red {} default 0 none {silent}\n", of(Domain::Blue), of(Domain::Red));
        assert_eq!(verdict.text(), said, "{}", verdict.error_text());
    }

    /// The same flows at once in both VRFs, each of which its own domain answers.
    #[track_caller]
    pub fn both_are_answered(&mut self, ask: Ask, protocol: &str, pair: [&str; 2], count: u32) {
        let flows = VRFS.map(|vrf| ask(self, vrf, protocol, pair, 20_000, count));
        for (flows, vrf) in flows.into_iter().zip(VRFS) {
            self.assert_answers(flows, vrf, count, 0);
        }
    }

    pub fn end(mut self) {
        assert_eq!(insert_failed(), 0);
        vrfsetup(&mut self.world, 0, "zones off");
    }
}

/// A network namespace with a link to a further port of the VRF.
fn client(world: &mut World, vrf: Domain) -> Running {
    let mut client = world.start(&root(["unshare", "-n", "sh", "-c", "ip link set lo up; echo up; exec sleep 900"]));
    client.wait_for("up");
    let (vrf, port, pid) = (vrf.name(), format!("{}1", vrf.name()), client.pid());
    world.ip(&format!("link add {port} type veth peer name client0 netns {pid}"));
    world.ip(&format!("link set {port} addrgenmode none"));
    world.ip(&format!("link set {port} master {vrf}"));
    world.ip(&format!("link set {port} up"));
    world.ip(&format!("addr add {}/24 dev {port}", TOWARDS[0]));
    world.ip(&format!("addr add {}/64 dev {port} nodad", TOWARDS[1]));
    let inside = [
        "link set client0 addrgenmode none".to_owned(),
        "link set client0 up".to_owned(),
        format!("addr add {}/24 dev client0", CLIENT[0]),
        format!("addr add {}/64 dev client0 nodad", CLIENT[1]),
        format!("route add default via {}", TOWARDS[0]),
        format!("route add default via {}", TOWARDS[1]),
    ];
    for words in inside {
        sh(&format!("nsenter --net=/proc/{pid}/ns/net ip {words}"));
    }
    client
}

#[track_caller]
pub fn sh(script: &str) {
    assert!(Command::new("sh").args(["-c", script]).status().expect("sh").success(), "{script}");
}

#[track_caller]
pub fn nft(script: &str) {
    let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().expect("nft");
    nft.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("rules");
    assert!(nft.wait().expect("nft").success(), "{script}");
}

/// The rules of others and ours, without numbers that count.
pub fn ruleset() -> String {
    let output = Command::new("nft").args(["-s", "list", "ruleset"]).output().expect("nft");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// How many flows conntrack had to drop because another had their addresses, over all processors.
pub fn insert_failed() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/net/stat/nf_conntrack").expect("conntrack's numbers");
    let mut lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let head = lines.next().expect("a head");
    let at = head.iter().position(|name| *name == "insert_failed").expect("insert_failed");
    lines.map(|line| u64::from_str_radix(line[at], 16).expect("a number")).sum()
}

/// Whether flows that begin here have a zone, by what vrfsetup says of this kernel.
pub fn switch_on(world: &mut World) -> bool {
    let verdict = vrfsetup(world, 0, "zones on");
    let is_old = verdict.text().contains("before Linux 5.15");
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
    assert_eq!(is_old, release.starts_with("5.10."), "{release}: {verdict}");
    !is_old
}

/// The zone of each interface in prerouting, as nft has it.
fn zones() -> BTreeSet<String> {
    let all = ruleset();
    let map = all.split("iifname map {").nth(1).and_then(|rest| rest.split('}').next()).unwrap_or_default();
    map.split(',').map(|entry| entry.split_whitespace().collect::<String>()).collect()
}

#[track_caller]
pub fn assert_zones(wanted: &[&str]) {
    let wanted: BTreeSet<String> = wanted.iter().map(|zone| (*zone).to_owned()).collect();
    assert_eq!(zones(), wanted);
}

/// The connections that the kernel knows, as far as they have these words.
pub fn tracked(words: &str) -> Vec<String> {
    let text = std::fs::read_to_string("/proc/thread-self/net/nf_conntrack").expect("conntrack's table");
    text.lines().filter(|line| line.contains(words)).map(str::to_owned).collect()
}

/// How many flows the kernel tracks at most, until it goes. The setting is the machine's, in its own network namespace alone.
pub struct Room(String);

const MOST: &str = "nsenter --net=/proc/1/ns/net sysctl -n net.netfilter.nf_conntrack_max";

impl Room {
    pub fn make(most: u32) -> Self {
        let before = Command::new("sh").args(["-c", MOST]).output().expect("sysctl");
        set_most(&most.to_string());
        Self(String::from_utf8(before.stdout).expect("a number").trim().to_owned())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        set_most(&self.0);
    }
}

fn set_most(most: &str) {
    sh(&format!("{}={most} >/dev/null", MOST.replace(" -n", " -w")));
}
