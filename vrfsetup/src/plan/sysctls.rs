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
    let mut memory = Memory::read();
    let mut steps = Vec::new();
    for (key, value) in wanted {
        let old = sysctl::read(key).ok_or_else(|| Error::NoSuchSetting(key.replace('/', ".")))?;
        if let Some(step) = step(key, value) {
            memory.sysctls.entry((*key).to_owned()).or_insert(old);
            steps.push(step);
        }
    }
    Ok((steps, memory.step()))
}

/// The steps back to what was, and the one that forgets it.
pub fn restore() -> (Vec<Step>, Option<Step>) {
    let mut memory = Memory::read();
    let steps = std::mem::take(&mut memory.sysctls).iter().filter_map(|(key, value)| step(key, value)).collect();
    (steps, memory.step())
}

/// The step to this value; none if it holds already, or if there is no such setting.
fn step(key: &str, value: &str) -> Option<Step> {
    let from = sysctl::read(key)?;
    let value = sysctl::words(value);
    (from != value).then(|| Step::SetSysctl { key: key.to_owned(), from, to: value })
}
