//! Settings of a network namespace that concern all its VRFs. What they were is remembered, and comes back when the
//! last VRF goes.

use nix::net::if_::{if_indextoname, if_nametoindex};

use crate::error::Error;
use crate::model::step::Step;
use crate::plan::memory::Memory;
use crate::sys::sysctl;

/// The steps that make these settings (a file below /proc/sys, and its value), and the one that remembers what was.
///
/// # Errors
/// The kernel has no such setting.
pub fn make(wanted: &[(&str, &str)]) -> Result<(Vec<Step>, Option<Step>), Error> {
    make_and_restore(Memory::read(), wanted, &[])
}

/// The same, and others back to what they were, with what else is to be remembered.
///
/// # Errors
/// The kernel has no such setting.
pub fn make_and_restore(
    memory: Memory,
    wanted: &[(&str, &str)],
    others: &[String],
) -> Result<(Vec<Step>, Option<Step>), Error> {
    let mut memory = followed(memory, name_of);
    let mut steps = Vec::new();
    for key in others {
        steps.extend(forget(&mut memory, key).and_then(|value| step(key, &value)));
    }
    for (key, value) in wanted {
        let old = sysctl::read(key).ok_or_else(|| Error::NoSuchSetting(sysctl::name_of(key)))?;
        if let Some(step) = step(key, value) {
            memory.sysctls.entry((*key).to_owned()).or_insert(old);
            memory.interfaces.extend(ifindex(key).map(|ifindex| ((*key).to_owned(), ifindex)));
            steps.push(step);
        }
    }
    Ok((steps, memory.step()))
}

/// Whether this kernel has the setting.
pub fn exists(key: &str) -> bool {
    sysctl::read(key).is_some()
}

/// Whether the setting comes with one of these devices, which are VRFs yet to be made, or with the first VRF.
pub fn comes_with(key: &str, vrfs: &[&str]) -> bool {
    let module = key.starts_with("net/vrf/") && !vrfs.is_empty();
    module || device(key).is_some_and(|device| vrfs.contains(&device))
}

/// The device of `net/ipv4/conf/DEVICE/rp_filter`.
pub fn device(key: &str) -> Option<&str> {
    let parts: Vec<&str> = key.split('/').collect();
    match parts[..] {
        ["net", "ipv4" | "ipv6", "conf" | "neigh", device, _] => Some(device),
        _ => None,
    }
}

/// The steps of settings that are not there yet, for a preview.
pub fn preview(wanted: &[(String, String)]) -> impl Iterator<Item = Step> + '_ {
    wanted.iter().map(|(key, to)| Step::SetSysctl { key: key.clone(), from: String::new(), to: to.clone() })
}

/// The steps back to what was, and the one that forgets it.
pub fn restore() -> (Vec<Step>, Option<Step>) {
    let mut memory = followed(Memory::read(), name_of);
    memory.interfaces.clear();
    memory.altnames.clear();
    let steps = std::mem::take(&mut memory.sysctls).iter().filter_map(|(key, value)| step(key, value)).collect();
    (steps, memory.step())
}

/// The same for one of them, with what else is to be remembered.
pub fn restore_one(memory: Memory, key: &str) -> (Vec<Step>, Option<Step>) {
    let mut memory = followed(memory, name_of);
    let back = forget(&mut memory, key).and_then(|value| step(key, &value));
    (back.into_iter().collect(), memory.step())
}

fn forget(memory: &mut Memory, key: &str) -> Option<String> {
    memory.interfaces.remove(key);
    memory.sysctls.remove(key)
}

/// The memory by the names that interfaces have now; without the settings of those that are gone.
fn followed(mut memory: Memory, name_of: impl Fn(u32) -> Option<String>) -> Memory {
    let interfaces = std::mem::take(&mut memory.interfaces);
    for (key, value) in std::mem::take(&mut memory.sysctls) {
        let Some(&ifindex) = interfaces.get(&key) else {
            memory.sysctls.insert(key, value);
            continue;
        };
        if let Some(key) = name_of(ifindex).and_then(|name| of_device(&key, &name)) {
            memory.interfaces.insert(key.clone(), ifindex);
            memory.sysctls.insert(key, value);
        }
    }
    memory
}

fn name_of(ifindex: u32) -> Option<String> {
    if_indextoname(ifindex).ok()?.into_string().ok()
}

fn ifindex(key: &str) -> Option<u32> {
    if_nametoindex(device(key)?).ok()
}

/// The same setting of another device.
fn of_device(key: &str, device: &str) -> Option<String> {
    let mut parts: Vec<&str> = key.split('/').collect();
    *parts.get_mut(3)? = device;
    Some(parts.join("/"))
}

/// The step to this value; none if it holds already, or if there is no such setting.
fn step(key: &str, value: &str) -> Option<Step> {
    let from = sysctl::read(key)?;
    let value = sysctl::words(value);
    (from != value).then(|| Step::SetSysctl { key: key.to_owned(), from, to: value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_a_vrf_come_with_it() {
        assert!(comes_with("net/vrf/strict_mode", &["blue"]) && !comes_with("net/vrf/strict_mode", &[]));
        assert!(comes_with("net/ipv4/conf/blue/rp_filter", &["blue"]));
        assert!(!comes_with("net/ipv4/conf/red/rp_filter", &["blue"]));
        assert!(!comes_with("net/ipv4/ip_forward", &["blue"]));
    }

    #[test]
    fn what_is_remembered_of_an_interface_goes_with_its_index() {
        let memory = |entries: &[(&str, &str, Option<u32>)]| Memory {
            sysctls: entries.iter().map(|(key, value, _)| ((*key).to_owned(), (*value).to_owned())).collect(),
            interfaces: entries.iter().filter_map(|(key, _, at)| Some(((*key).to_owned(), (*at)?))).collect(),
            ..Memory::default()
        };
        let (one, two) = ("net/ipv4/conf/eth1/rp_filter", "net/ipv4/conf/eth0.7/rp_filter");
        let general = ("net/ipv4/tcp_l3mdev_accept", "0", None);
        let before = memory(&[(one, "1", Some(3)), (two, "2", Some(4)), general]);
        // They swapped names.
        let name_of = |ifindex| Some(if ifindex == 3 { "eth0.7" } else { "eth1" }.to_owned());
        assert_eq!(followed(before.clone(), name_of), memory(&[(two, "1", Some(3)), (one, "2", Some(4)), general]));
        let is_left = |ifindex| (ifindex == 4).then(|| "eth0.7".to_owned());
        assert_eq!(followed(before, is_left), memory(&[(two, "2", Some(4)), general]));
    }
}
