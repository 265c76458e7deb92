//! The ports of all VRFs, by which packets of users' sockets may leave.

use std::collections::HashSet;

use crate::model::link::Link;

/// Ports of VRFs, each with the index of its VRF, by the ports.
pub type Ports = Vec<(u32, u32)>;

/// All of them.
pub fn of(links: &[Link]) -> Ports {
    let vrfs: HashSet<u32> = links.iter().filter(|link| link.is_vrf()).map(|link| link.ifindex).collect();
    let ports = links.iter().filter_map(|link| Some((link.ifindex, link.master.filter(|vrf| vrfs.contains(vrf))?)));
    let mut ports: Ports = ports.collect();
    ports.sort_unstable();
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_stands_beside_its_vrf_and_one_of_a_bridge_nowhere() {
        let port = |ifindex, master| Link { master: Some(master), ..Link::plain(ifindex, "port", None) };
        let links = [Link::plain(7, "blue", Some(10)), Link::plain(8, "br0", None), port(9, 8), port(4, 7), port(3, 7)];
        assert_eq!(of(&links), [(3, 7), (4, 7)]);
    }
}
