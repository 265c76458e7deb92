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
    /// Those of them that belong to TCP connections which began before the peer was last asked: what a program
    /// that has ended left to the kernel.
    #[serde(default)]
    pub late: BTreeMap<String, u64>,
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

    /// The same without those of earlier connections.
    pub fn own(mut self) -> Self {
        for (flow, late) in std::mem::take(&mut self.late) {
            if let Some(count) = self.flows.get_mut(&flow) {
                *count = count.saturating_sub(late);
            }
        }
        self.flows.retain(|_, count| *count > 0);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_earlier_connections_can_be_left_out() {
        let count = |flow: &str, packets| BTreeMap::from([(flow.to_owned(), packets)]);
        let mut tally = Tally { flows: count("tcp 192.0.2.80 80", 3), ..Tally::default() };
        tally.late = count("tcp 192.0.2.80 80", 1);
        assert_eq!(tally.clone().own().packets(), 2);
        tally.late = count("tcp 192.0.2.80 80", 3);
        assert!(tally.own().flows.is_empty());
    }
}
