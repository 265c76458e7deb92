//! What names the VRF of a container that knows nothing of VRFs: vrfrun's agent and vrfsetup's hook read it.

/// The annotation (OCI runtime specification) whose value is the VRF's name.
pub const ANNOTATION: &str = "io.vrfrun.vrf";
