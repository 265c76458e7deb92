//! The lists of ports that `vrfrun -m bpf` keeps: who changes the ports of a VRF brings them up to date, so that
//! programs that run already may send by a new port, and no longer by one that has left.

use std::collections::BTreeMap;
use std::io;

use nix::errno::Errno;
use vrfbpf::List;

use crate::model::step::Step;
use crate::sys::netlink::{Kernel, KernelError};
use crate::sys::run_dir;

/// The VRFs, by index and name, whose ports these steps change.
pub fn touched<'a>(steps: impl IntoIterator<Item = &'a Step>) -> BTreeMap<u32, String> {
    let vrf_of = |step: &Step| match step {
        Step::Enslave(_, vrf) | Step::Release(_, vrf) => Some((vrf.ifindex, vrf.name.clone())),
        _ => None,
    };
    steps.into_iter().filter_map(vrf_of).collect()
}

/// Brings the lists of these VRFs up to date; what could not be done, as notes.
pub fn refresh(kernel: &Kernel, vrfs: &BTreeMap<u32, String>) -> Vec<String> {
    // Thousands of VRFs may have changed, and lists are rare. Nobody can say whether there are any without
    // CAP_SYS_ADMIN; a kernel that cannot be asked cannot have them.
    if vrfs.is_empty() || matches!(List::is_any(), Ok(false) | Err(Errno::EPERM | Errno::ENOSYS | Errno::EINVAL)) {
        return Vec::new();
    }
    let failed = |name: &str, why: String| {
        format!("running 'vrfrun -m bpf {name}' programs do not see the new ports ({why}); the next run fixes it")
    };
    let outcome = |(&vrf, name): (&u32, &String)| refresh_one(kernel, vrf).err().map(|error| failed(name, error));
    vrfs.iter().filter_map(outcome).collect()
}

fn refresh_one(kernel: &Kernel, vrf: u32) -> Result<(), String> {
    let netns = run_dir::netns().map_err(|error| error.to_string())?;
    let lists = List::all_of(vrf, netns).map_err(text)?;
    if lists.is_empty() {
        return Ok(());
    }
    let links = kernel.links().map_err(|refusal| refusal.to_string())?;
    let ports = links.iter().filter(|link| link.master == Some(vrf)).map(|link| link.ifindex);
    let devices: Vec<u32> = std::iter::once(vrf).chain(ports).collect();
    lists.iter().try_for_each(|list| list.write(&devices).map(drop)).map_err(text)
}

fn text(errno: Errno) -> String {
    KernelError::from_io(&io::Error::from(errno)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::Device;

    #[test]
    fn each_vrf_whose_ports_change_is_named_once() {
        let device = |ifindex, name: &str| Device { ifindex, name: name.to_owned() };
        let steps = [
            Step::SetUp(device(7, "blue")),
            Step::Enslave(device(3, "eth1"), device(7, "blue")),
            Step::Enslave(device(4, "eth2"), device(7, "blue")),
            Step::Release(device(5, "eth3"), device(8, "red")),
        ];
        assert_eq!(touched(&steps), BTreeMap::from([(7, "blue".to_owned()), (8, "red".to_owned())]));
    }
}
