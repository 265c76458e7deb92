//! A tunnel whose outside is in a VRF: what a later run must know of it.

use serde::{Deserialize, Serialize};

/// One tunnel, by the name of its interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunnel {
    /// The VRF that its outer packets are in.
    pub vrf: String,
    /// The mark that they have.
    pub mark: u32,
    /// The mark that they had before, 0 for none.
    pub was: u32,
}
