//! One interface (`ip -d link`), as far as VRFs go.

use crate::model::device::Device;

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub ifindex: u32,
    pub name: String,
    /// IFF_* bits.
    pub flags: u32,
    /// The maximum packet size.
    pub mtu: u32,
    /// IF_OPER_* (RFC 2863).
    pub operstate: u8,
    /// The index of the VRF, bridge or bond that it is a port of.
    pub master: Option<u32>,
    /// The index of the interface below it (of a VLAN, a macvlan, a tunnel), if that is in this network namespace.
    pub lower: Option<u32>,
    /// Whether it is bound to another network namespace: a tunnel's outer packets are in the one that it was made in.
    pub is_of_elsewhere: bool,
    /// Its other names (5.5).
    pub altnames: Vec<String>,
    /// The kind (`vrf`, `veth`…); None for a physical interface.
    pub kind: Option<String>,
    /// The routing table, if it is a VRF.
    pub table: Option<u32>,
}

/// The kinds of tunnels whose device below, which is that of their outer packets, the kernel changes while they are up. VTI is
/// none of them: whatever device it names, it sends by the default domain, or by the VRF that it is a port of.
const CHANGED_WHILE_UP: [&str; 9] =
    ["gre", "gretap", "ipip", "sit", "erspan", "ip6gre", "ip6gretap", "ip6tnl", "ip6erspan"];

/// Whether `ip link change` gives a tunnel of this kind another device for its outer packets.
pub fn changes_its_outside(kind: &str) -> bool {
    CHANGED_WHILE_UP.contains(&kind)
}

impl Link {
    /// One that is down, a VRF if it has a table.
    #[cfg(test)]
    pub fn plain(ifindex: u32, name: &str, table: Option<u32>) -> Self {
        let kind = table.map(|_| "vrf".to_owned());
        let (name, altnames) = (name.to_owned(), Vec::new());
        Self {
            ifindex,
            name,
            flags: 0,
            mtu: 1500,
            operstate: 6,
            master: None,
            lower: None,
            is_of_elsewhere: false,
            altnames,
            kind,
            table,
        }
    }

    /// Whether it is administratively up.
    pub fn is_up(&self) -> bool {
        self.flags & libc::IFF_UP as u32 != 0
    }

    /// Whether it is the machine's loopback.
    pub fn is_loopback(&self) -> bool {
        self.flags & libc::IFF_LOOPBACK as u32 != 0
    }

    /// Whether it is a VRF.
    pub fn is_vrf(&self) -> bool {
        self.table.is_some()
    }

    /// Whether the kernel takes it down and up with the interface below it.
    pub fn goes_down_with_lower(&self) -> bool {
        self.lower.is_some() && self.kind.as_deref() == Some("vlan")
    }

    /// Whether it is a tunnel whose device below is that of its outer packets, and which stays when that goes.
    pub fn names_its_outside(&self) -> bool {
        self.kind.as_deref().is_some_and(|kind| changes_its_outside(kind) || kind == "xfrm")
    }

    /// Whether its outer packets are sent by the device below it, with which a VXLAN goes.
    pub fn has_outside_below(&self) -> bool {
        self.names_its_outside() || self.kind.as_deref() == Some("vxlan")
    }

    /// What steps call it by.
    pub fn device(&self) -> Device {
        Device { ifindex: self.ifindex, name: self.name.clone() }
    }

    /// The flags by the names of `ip -j link`, in its order.
    pub fn flag_names(&self) -> Vec<&'static str> {
        const NAMES: [(u32, &str); 17] = [
            (1 << 3, "LOOPBACK"),
            (1 << 1, "BROADCAST"),
            (1 << 4, "POINTOPOINT"),
            (1 << 12, "MULTICAST"),
            (1 << 7, "NOARP"),
            (1 << 9, "ALLMULTI"),
            (1 << 8, "PROMISC"),
            (1 << 10, "MASTER"),
            (1 << 11, "SLAVE"),
            (1 << 2, "DEBUG"),
            (1 << 15, "DYNAMIC"),
            (1 << 13, "PORTSEL"),
            (1 << 5, "NOTRAILERS"),
            (1 << 0, "UP"),
            (1 << 16, "LOWER_UP"),
            (1 << 17, "DORMANT"),
            (1 << 18, "ECHO"),
        ];
        let set = NAMES.iter().filter(|(bit, _)| self.flags & bit != 0).map(|(_, name)| *name);
        let no_carrier = self.is_up() && self.flags & libc::IFF_RUNNING as u32 == 0;
        no_carrier.then_some("NO-CARRIER").into_iter().chain(set).collect()
    }

    /// The operational state by the name of `ip -j link`.
    pub fn operstate_name(&self) -> &'static str {
        match self.operstate {
            1 => "NOTPRESENT",
            2 => "DOWN",
            3 => "LOWERLAYERDOWN",
            4 => "TESTING",
            5 => "DORMANT",
            6 => "UP",
            _ => "UNKNOWN",
        }
    }
}
