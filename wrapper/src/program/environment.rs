//! What the program finds in its environment beyond what vrfrun was given.

use std::ffi::OsString;

use vrfabi::environment::VRF;

use crate::sys::process;
use crate::vrf::device::Device;

/// The index of the VRF device: systemd.exec(5) names this variable at `BindNetworkInterface=`, and no nss-resolve reads it.
const RESOLVE_IFINDEX: &str = "SYSTEMD_NSS_RESOLVE_IFINDEX";
/// Have nss-resolve say that systemd-resolved is to ask nobody, and not to tell what it has heard outside (systemd 250). For a
/// port of the VRF it would ask by UDP in the VRF, but unbound, so that it gets no answer, and then by TCP outside.
const RESOLVE_NOTHING: [&str; 2] = ["SYSTEMD_NSS_RESOLVE_NETWORK", "SYSTEMD_NSS_RESOLVE_CACHE"];

/// Variables to set, or to take away.
#[derive(Debug, Default)]
pub struct Environment(Vec<(OsString, Option<OsString>)>);

impl Environment {
    /// What each program in a VRF gets.
    pub fn of(device: &Device) -> Self {
        let mut environment = Self::default();
        environment.set(VRF, device.vrf().to_owned());
        environment.set(RESOLVE_IFINDEX, device.ifindex.to_string());
        RESOLVE_NOTHING.iter().for_each(|name| environment.set(name, "0"));
        environment
    }

    /// What a program outside any VRF must not find: an outer run's variables.
    pub fn of_default() -> Self {
        let mut environment = Self::default();
        environment.remove(VRF);
        environment.remove(RESOLVE_IFINDEX);
        RESOLVE_NOTHING.iter().for_each(|name| environment.remove(name));
        environment
    }

    /// Adds a variable.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.0.push((name.into(), Some(value.into())));
    }

    /// Takes a variable away.
    pub fn remove(&mut self, name: &str) {
        self.0.push((name.into(), None));
    }

    /// Adds several.
    pub fn extend(&mut self, variables: impl Iterator<Item = (OsString, OsString)>) {
        self.0.extend(variables.map(|(name, value)| (name, Some(value))));
    }

    /// Changes them in this process; everything else in its environment stays byte for byte.
    pub fn apply(&self) {
        for (name, value) in &self.0 {
            process::set_variable(name, value.as_ref());
        }
    }
}
