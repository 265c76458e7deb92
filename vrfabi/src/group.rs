//! The group by which a user of `vrfsetup user --allow-default` leaves its VRF: vrfsetup tells the kernel its number, vrfrun
//! names it to who is not in it.

/// Its name. A process of such a user whose real group it is has its sockets in the default domain.
pub const DEFAULT_DOMAIN: &str = "vrf-default";
