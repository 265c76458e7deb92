//! What a run writes on the cgroup that it made, so that the next one need not load and attach anything: the ids of the
//! programs and of the list of ports, in the extended attribute `trusted.vrfrun`. Only CAP_SYS_ADMIN writes and reads it.
//!
//! It is a note, no proof: the kernel is asked whether these very programs are still attached.

use std::os::fd::AsFd;

use crate::attachment;
use crate::ports::List;
use crate::set::attribute;
use crate::set::gaps::{Gaps, Place};

const ATTRIBUTE: &std::ffi::CStr = c"trusted.vrfrun";
/// Changes when the programs do: a cgroup of an older vrfrun is not taken over.
const VERSION: &str = "1";
/// Stands before a record whose cgroup is being given up: nobody takes it for one, and the programs can still be found.
const GIVEN_UP: &str = "given up ";
/// Longer than any record: a version and eleven numbers.
const LONGEST: usize = 256;

/// The record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The list of ports.
    pub ports: u32,
    /// The program at each place, 0 where there is none.
    pub programs: [u32; Place::ALL.len()],
    /// Why there is none.
    pub gaps: Gaps,
}

impl Record {
    /// Reads it; None if there is none that we understand.
    pub fn read(cgroup: impl AsFd) -> Option<Self> {
        Self::parse(&text_on(cgroup)?)
    }

    /// That of a cgroup that is being given up, or was when its run was killed.
    pub fn read_given_up(cgroup: impl AsFd) -> Option<Self> {
        Self::parse(text_on(cgroup)?.strip_prefix(GIVEN_UP)?)
    }

    /// Says that the cgroup is being given up.
    pub(crate) fn give_up(&self, cgroup: impl AsFd) -> nix::Result<()> {
        attribute::set(cgroup, ATTRIBUTE, format!("{GIVEN_UP}{}", self.text()).as_bytes())
    }

    /// Writes it.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_ADMIN; else as setxattr(2).
    pub fn write(&self, cgroup: impl AsFd) -> nix::Result<()> {
        attribute::set(cgroup, ATTRIBUTE, self.text().as_bytes())
    }

    /// Removes it.
    pub(crate) fn remove(cgroup: impl AsFd) -> nix::Result<()> {
        attribute::remove(cgroup, ATTRIBUTE)
    }

    /// The index of the device that the cgroup is bound to, and the network namespace of the device, by the last 32 bits of
    /// its inode (CAP_SYS_ADMIN).
    ///
    /// # Errors
    /// ENOENT where the list of ports is gone; EPERM without the capability; else as bpf(2).
    pub fn device(&self) -> nix::Result<(u32, u32)> {
        List::owner_of(self.ports)
    }

    /// Whether no program was attached: the kernel refused each that was to be.
    pub fn is_empty(&self) -> bool {
        self.programs.iter().all(|id| *id == 0)
    }

    /// Whether every program is attached to the cgroup still. An administrator may have detached or replaced any of them,
    /// and each one missing lets something out that a new socket would not show.
    pub fn is_attached(&self, cgroup: impl AsFd) -> bool {
        Place::ALL.iter().all(|place| {
            let (id, hook) = (self.programs[*place as usize], place.hook());
            let is_there = |hook| attachment::attached(hook, &cgroup).is_ok_and(|ids| ids.contains(&id));
            id == 0 || hook.is_none_or(is_there)
        })
    }

    fn text(&self) -> String {
        let places = self.programs.iter().zip(self.gaps.errors());
        let numbers = places.map(|(id, error)| if error == 0 { i64::from(*id) } else { -i64::from(error) });
        let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
        format!("{VERSION} {} {}", self.ports, numbers.join(" "))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        if words.next() != Some(VERSION) {
            return None;
        }
        let ports = words.next()?.parse().ok()?;
        let numbers = words.map(|word| word.parse().ok()).collect::<Option<Vec<i64>>>()?;
        let errors: Vec<i32> = numbers.iter().map(|number| -(*number).min(0) as i32).collect();
        let programs: Vec<u32> = numbers.iter().map(|number| (*number).max(0) as u32).collect();
        Some(Self { ports, programs: programs.try_into().ok()?, gaps: Gaps::from_errors(&errors)? })
    }
}

fn text_on(cgroup: impl AsFd) -> Option<String> {
    let mut text = [0; LONGEST];
    let length = attribute::get(cgroup, ATTRIBUTE, &mut text).ok()?;
    std::str::from_utf8(&text[..length]).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    fn record() -> Record {
        let mut gaps = Gaps::default();
        gaps.add(Place::Bind6, Errno::EINVAL);
        Record { ports: 12, programs: [0, 21, 22, 23, 0, 25, 26, 27, 28, 29], gaps }
    }

    #[test]
    fn a_record_is_read_back() {
        assert_eq!(record().text(), "1 12 0 21 22 23 -22 25 26 27 28 29");
        assert_eq!(Record::parse(&record().text()), Some(record()));
    }

    #[test]
    fn another_vrfruns_record_is_none() {
        assert_eq!(Record::parse(&format!("{GIVEN_UP}{}", record().text())), None);
        for text in ["", "2 12 0 21 22 23 -22 25 26 27 28 29", "1 12 0 21", "1 x 0 21 22 23 -22 25 26 27 28 29"] {
            assert_eq!(Record::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_longest_record_fits() {
        let most = Record { ports: u32::MAX, programs: [u32::MAX; 10], gaps: Gaps::default() };
        assert!(GIVEN_UP.len() + most.text().len() <= LONGEST);
    }
}
