//! The few words between a world and its peers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// To the peer: the link is in your namespace, set it up.
pub const GO: &str = "go";
/// From the peer: every service answers.
pub const READY: &str = "ready";
/// To the peer: tell what came since the last time.
pub const TAKE: &str = "take";

/// What reached a peer since it was last asked.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// IP packets by what they were: `udp 192.0.2.53 53`. Neighbour discovery and ARP are not here.
    pub flows: BTreeMap<String, u64>,
    /// Packets that the kernel could not show; a tally with any proves nothing.
    pub unseen: u64,
    /// Requests that were answered: `http /`, `dns www.vrf.test`, `echo`.
    pub served: Vec<String>,
}

impl Tally {
    /// All packets of the tally.
    pub fn packets(&self) -> u64 {
        self.flows.values().sum()
    }
}
