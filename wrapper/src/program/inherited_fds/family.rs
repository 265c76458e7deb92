//! What the family of an inherited socket is to a VRF. Pure. A family that is not known is taken for one that reaches a
//! network: what is not named here, nobody has looked at.

use vrfabi::socket::AF_SMC;

/// Families whose sockets stay in this machine.
const LOCAL: [libc::c_int; 4] = [libc::AF_UNIX, libc::AF_NETLINK, libc::AF_KEY, libc::AF_ALG];
/// Families that send packets past any VRF, or lead into the network by another way than IP, and how they are called; the
/// rest are called by their number.
const NAMES: [(libc::c_int, &str); 10] = [
    (libc::AF_PACKET, "AF_PACKET"),
    (libc::AF_XDP, "AF_XDP"),
    (libc::AF_TIPC, "AF_TIPC"),
    (libc::AF_VSOCK, "AF_VSOCK"),
    (libc::AF_RDS, "AF_RDS"),
    (libc::AF_RXRPC, "AF_RXRPC"),
    (libc::AF_CAN, "AF_CAN"),
    (libc::AF_BLUETOOTH, "AF_BLUETOOTH"),
    (libc::AF_LLC, "AF_LLC"),
    (libc::AF_PPPOX, "AF_PPPOX"),
];

/// A family, as a VRF sees it.
#[derive(Debug, PartialEq, Eq)]
pub enum Family {
    /// A VRF holds its sockets.
    Inet,
    /// Its sockets have others inside, by which they send.
    Smc,
    /// Its sockets reach no network.
    Local,
    /// Its sockets are in no VRF: what one is called.
    Other(String),
}

impl Family {
    /// By its number.
    pub fn of(number: libc::c_int) -> Self {
        match number {
            libc::AF_INET | libc::AF_INET6 => Self::Inet,
            AF_SMC => Self::Smc,
            _ if LOCAL.contains(&number) => Self::Local,
            _ => Self::Other(match NAMES.iter().find(|(family, _)| *family == number) {
                Some((_, name)) => format!("an {name} socket"),
                None => format!("a socket of address family {number}"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_stay_here_is_local() {
        let of = |wanted: &dyn Fn(&Family) -> bool| (1..64).filter(|n| wanted(&Family::of(*n))).collect::<Vec<_>>();
        assert_eq!(of(&|family| *family == Family::Local), [1, 15, 16, 38]); // AF_UNIX, AF_KEY, AF_NETLINK, AF_ALG
        assert_eq!(of(&|family| *family == Family::Inet), [2, 10]);
        assert_eq!(of(&|family| *family == Family::Smc), [43]);
    }

    #[test]
    fn the_rest_have_names_or_numbers() {
        assert_eq!(Family::of(libc::AF_PPPOX), Family::Other("an AF_PPPOX socket".into()));
        assert_eq!(Family::of(41), Family::Other("a socket of address family 41".into())); // AF_KCM
    }
}
