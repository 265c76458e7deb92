//! Settings of a network namespace that concern all its VRFs. What they were is remembered, and comes back when the
//! last VRF goes.

use crate::error::Error;
use crate::model::step::Step;
use crate::plan::memory::Memory;
use crate::sys::sysctl;

/// The steps that make these settings (a file below /proc/sys, and its value), and the one that remembers what was.
///
/// # Errors
/// The kernel has no such setting.
pub fn make(wanted: &[(&str, &str)]) -> Result<(Vec<Step>, Option<Step>), Error> {
    make_and_restore(wanted, &[])
}

/// The same, and others back to what they were.
///
/// # Errors
/// The kernel has no such setting.
pub fn make_and_restore(wanted: &[(&str, &str)], others: &[String]) -> Result<(Vec<Step>, Option<Step>), Error> {
    let mut memory = Memory::read();
    let mut steps = Vec::new();
    for key in others {
        steps.extend(memory.sysctls.remove(key).and_then(|value| step(key, &value)));
    }
    for (key, value) in wanted {
        let old = sysctl::read(key).ok_or_else(|| Error::NoSuchSetting(key.replace('/', ".")))?;
        if let Some(step) = step(key, value) {
            memory.sysctls.entry((*key).to_owned()).or_insert(old);
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
    let mut memory = Memory::read();
    let steps = std::mem::take(&mut memory.sysctls).iter().filter_map(|(key, value)| step(key, value)).collect();
    (steps, memory.step())
}

/// The same for one of them.
pub fn restore_one(key: &str) -> (Vec<Step>, Option<Step>) {
    let mut memory = Memory::read();
    let back = memory.sysctls.remove(key).and_then(|value| step(key, &value));
    (back.into_iter().collect(), memory.step())
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
}
