//! What becomes of a socket, by what it is and by the device that it is bound to. Pure.

use std::collections::BTreeSet;

use crate::model::link::Link;
use crate::plan::system::System;

/// Where sockets are to be.
pub struct Target<'a> {
    /// The VRF; None for the default domain.
    pub vrf: Option<Link>,
    /// For the default domain: the VRFs that the processes were found in. Where they were in none, an earlier run may have
    /// been killed, and any VRF is left.
    pub leaves: BTreeSet<u32>,
    /// The interfaces of this network namespace.
    pub links: &'a System,
}

/// What a socket is to a move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It talks to nobody in particular: an unconnected datagram, ping or raw socket.
    Free,
    /// A TCP listener: it stays if its port is in use in the other domain.
    Listener,
    /// A TCP socket with a port that does not listen: it stays if it still has the port.
    Bound,
    /// It has a peer, or asks for one.
    Connection,
    /// Binding it would not move it; why.
    Fixed(String),
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is there, or its program's own affair.
    Leave,
    /// It is bound to the device, or unbound.
    Rebind,
    /// It can be closed only.
    Close,
    /// It stays; why.
    Stay(String),
}

/// Where a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Where {
    /// In the wanted domain.
    Here,
    /// In another one.
    There,
    /// By its program's own wish at an interface of another domain.
    Apart(String),
}

impl Target<'_> {
    /// Decides.
    pub fn decide(&self, kind: &Kind, ifindex: u32) -> Decision {
        match (self.place_of(ifindex), kind) {
            (Where::Here, _) => Decision::Leave,
            (Where::Apart(name), _) => Decision::Stay(format!("its program has bound it to '{name}'")),
            (Where::There, Kind::Fixed(why)) => Decision::Stay(why.clone()),
            (Where::There, Kind::Connection) => Decision::Close,
            (Where::There, Kind::Free | Kind::Listener | Kind::Bound) => Decision::Rebind,
        }
    }

    /// Where a socket is that is bound to the device of this index, 0 for none.
    fn place_of(&self, ifindex: u32) -> Where {
        let link = self.links.link_by_index(ifindex);
        match (&self.vrf, link) {
            (Some(vrf), _) if ifindex == vrf.ifindex => Where::Here,
            (Some(vrf), Some(link)) if link.master == Some(vrf.ifindex) => Where::Here,
            (Some(_), Some(link)) if !link.is_vrf() => Where::Apart(link.name.clone()),
            // Unbound, in another VRF, or bound to a device that is gone: nothing leaves by it.
            (Some(_), _) => Where::There,
            (None, _) if ifindex == 0 => Where::Here,
            (None, Some(link)) if !link.is_vrf() => Where::Here,
            (None, Some(_)) if !self.leaves.is_empty() && !self.leaves.contains(&ifindex) => Where::Here,
            (None, _) => Where::There,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETH0: u32 = 2;
    const BLUE: u32 = 3;
    const BLUE0: u32 = 4;
    const RED: u32 = 5;
    const GONE: u32 = 9;

    fn link(ifindex: u32, name: &str, table: Option<u32>, master: Option<u32>) -> Link {
        Link { master, ..Link::plain(ifindex, name, table) }
    }

    fn system() -> System {
        let links = vec![
            link(ETH0, "eth0", None, None),
            link(BLUE, "blue", Some(10), None),
            link(BLUE0, "blue0", None, Some(BLUE)),
            link(RED, "red", Some(20), None),
        ];
        System::new(links, Vec::new())
    }

    #[test]
    fn into_a_vrf_comes_what_is_unbound_elsewhere_or_nowhere() {
        let links = system();
        let target = Target { vrf: links.link("blue").cloned(), leaves: BTreeSet::new(), links: &links };
        for (ifindex, expected) in [
            (0, Decision::Rebind),
            (RED, Decision::Rebind),
            (GONE, Decision::Rebind),
            (BLUE, Decision::Leave),
            (BLUE0, Decision::Leave),
            (ETH0, Decision::Stay("its program has bound it to 'eth0'".into())),
        ] {
            assert_eq!(target.decide(&Kind::Free, ifindex), expected, "{ifindex}");
        }
        assert_eq!(target.decide(&Kind::Connection, 0), Decision::Close);
        assert_eq!(target.decide(&Kind::Connection, BLUE), Decision::Leave);
        assert_eq!(target.decide(&Kind::Fixed("x".into()), RED), Decision::Stay("x".into()));
    }

    #[test]
    fn out_of_a_vrf_comes_what_is_in_that_one_only() {
        let links = system();
        let target = |leaves: &[u32]| Target { vrf: None, leaves: leaves.iter().copied().collect(), links: &links };
        for (leaves, ifindex, expected) in [
            (&[BLUE][..], BLUE, Decision::Rebind),
            (&[BLUE], RED, Decision::Leave),
            (&[BLUE], ETH0, Decision::Leave),
            (&[BLUE], BLUE0, Decision::Leave),
            (&[BLUE], 0, Decision::Leave),
            (&[BLUE], GONE, Decision::Rebind),
            // An earlier run may have been killed behind the cgroup.
            (&[], BLUE, Decision::Rebind),
            (&[], RED, Decision::Rebind),
        ] {
            assert_eq!(target(leaves).decide(&Kind::Free, ifindex), expected, "{leaves:?} {ifindex}");
        }
    }
}
