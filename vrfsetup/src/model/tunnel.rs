//! A tunnel whose outside is in a VRF: what a later run must know of it.

use serde::{Deserialize, Serialize};

use crate::model::device::Device;

/// One tunnel, by the name of its interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunnel {
    /// The VRF that its outer packets are in.
    pub vrf: String,
    /// The mark that they have; 0 where the tunnel names the VRF itself.
    pub mark: u32,
    /// The mark that they had before, 0 for none.
    pub was: u32,
    /// Of a tunnel that names the VRF itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named: Option<Named>,
}

/// What a tunnel that names a device for its outside had before the VRF.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The device of the default domain that it named; None for none.
    pub was: Option<Device>,
}
