//! What `add --emulate` is tried in.

use super::Namespace;

pub const ADD: &str = "add blue --port eth1 --emulate";

/// A machine with two networks of the same addresses, each with a peer that answers.
pub struct Scene {
    pub machine: Namespace,
    pub peers: [Namespace; 2],
}

impl Scene {
    pub fn new() -> Self {
        let scene = Self { machine: Namespace::new(), peers: [Namespace::new(), Namespace::new()] };
        for (at, peer) in scene.peers.iter().enumerate() {
            let machine = &scene.machine;
            machine.ip(&format!("link add eth{at} type veth peer name far netns {}", peer.path()));
            machine.ip(&format!("link set eth{at} addrgenmode none up"));
            machine.ip(&format!("addr add 192.0.2.1/24 dev eth{at}"));
            machine.ip(&format!("addr add 2001:db8::1/64 dev eth{at} nodad"));
            peer.ip("link set far addrgenmode none up");
            peer.ip("addr add 192.0.2.2/24 dev far");
            peer.ip("addr add 2001:db8::2/64 dev far nodad");
            // Beyond the gateway, under the same address behind both.
            peer.ip("addr add 203.0.113.1/32 dev lo");
            peer.ip("addr add 2001:db8:1::1/128 dev lo");
        }
        // An address that no other interface has, and routes that somebody configured.
        scene.machine.ip("addr add 198.51.100.1/24 dev eth1");
        scene.peers[1].ip("addr add 198.51.100.2/24 dev far");
        scene.machine.ip("route add 203.0.113.0/24 via 198.51.100.2");
        scene.machine.ip("-6 route add 2001:db8:1::/48 via 2001:db8::2 dev eth1");
        scene.machine.ip("link property add dev eth1 altname enp0s1");
        scene.machine.write_sysctl("net/ipv4/conf/eth1/rp_filter", "1");
        let namespaces = [(&scene.machine, 2), (&scene.peers[0], 1), (&scene.peers[1], 1)];
        namespaces.into_iter().for_each(|(namespace, ports)| wait_for_addresses(namespace, ports));
        scene
    }

    /// All that `add` could change.
    pub fn state(&self) -> String {
        let machine = &self.machine;
        let routes = machine.ip("-j route show table all") + &machine.ip("-j -6 route show table all");
        let links = machine.ip("-j -d link show") + &machine.ip("-j addr show");
        machine.rules() + &routes + &links + &machine.sysctl("net/ipv4/conf/eth1/rp_filter")
    }

    /// Whether a ping gets through; `words` end in the address.
    pub fn pings(of: &Namespace, words: &str) -> bool {
        let mut ping = of.command("ping");
        ping.args(["-n", "-q", "-c", "1", "-W", "1"]).args(words.split(' ')).output().expect("ping").status.success()
    }
}

/// The kernel makes the route of an IPv6 address some time after the address.
fn wait_for_addresses(namespace: &Namespace, ports: usize) {
    while namespace.ip("-6 route show table local").matches("local 2001:db8::").count() < ports {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// The parts of a state, whatever their order.
pub fn sorted(state: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = state.split(['{', '}']).collect();
    parts.sort_unstable();
    parts
}
