//! A file of steps that outlives the run that makes them: one line of JSON for each thing that happened, in order. Next
//! to each step stands the command of ip(8) for it, for the reader.
//!
//! Lines are only ever added, so that whoever is killed leaves a file that tells how far it came.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::step::Step;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "most lines are steps, and none is kept")]
#[serde(rename_all = "lowercase")]
pub enum Entry<'a> {
    /// The first: the command that made the change.
    Change(String),
    /// A step that is about to be made.
    Step {
        /// What ip(8) would do for it.
        ip: String,
        step: Cow<'a, Step>,
    },
    /// The VRF of this step, counted from 0, has got this index.
    Made(usize, u32),
    /// The kernel refused this step.
    Refused(usize),
    /// All steps from this one on are undone.
    Undone(usize),
}

/// What a file tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub command: String,
    /// The steps that are not undone.
    pub steps: Vec<Step>,
    /// The places of those that were refused.
    pub refused: BTreeSet<usize>,
}

/// An open file.
pub struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// Begins one, in the place of what may be there.
    ///
    /// # Errors
    /// Those of open(2) and write(2).
    pub fn create(path: PathBuf, command: &str) -> io::Result<Self> {
        let _ = fs::remove_file(&path);
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
        let mut log = Self { path, file };
        match log.add([Entry::Change(command.to_owned())]) {
            Ok(()) => Ok(log),
            // A disk may have room for the file, and none for what is in it.
            Err(error) => log.remove().and(Err(error)),
        }
    }

    /// Goes on with one; None if it is not there.
    ///
    /// # Errors
    /// Those of open(2) and read(2).
    pub fn open(path: PathBuf) -> io::Result<Option<(Self, Content)>> {
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            answer => answer?,
        };
        let (content, length) = read(&bytes);
        let file = OpenOptions::new().append(true).open(&path)?;
        // A last line that was cut short stands for a step that was not made.
        file.set_len(length as u64)?;
        Ok(Some((Self { path, file }, content)))
    }

    /// What one tells, for who only looks; None if it is not there or may not be read.
    pub fn look(path: &Path) -> Option<Content> {
        fs::read(path).ok().map(|bytes| read(&bytes).0)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds lines, in one write.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn add<'a>(&mut self, entries: impl IntoIterator<Item = Entry<'a>>) -> io::Result<()> {
        let mut lines = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut lines, &entry)?;
            lines.push(b'\n');
        }
        self.file.write_all(&lines)
    }

    /// Waits until the disk has it.
    ///
    /// # Errors
    /// Those of fsync(2).
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()?;
        self.path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    }

    /// Gives it another name.
    ///
    /// # Errors
    /// Those of rename(2).
    pub fn rename(&mut self, path: PathBuf) -> io::Result<()> {
        fs::rename(&self.path, &path)?;
        self.path = path;
        Ok(())
    }

    /// Removes it.
    ///
    /// # Errors
    /// Those of unlink(2).
    pub fn remove(self) -> io::Result<()> {
        match fs::remove_file(self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            answer => answer,
        }
    }
}

/// What the lines tell up to the first that is none, and how long these are.
fn read(bytes: &[u8]) -> (Content, usize) {
    let (mut content, mut length) = (Content::default(), 0);
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let Some(entry) = line.strip_suffix(b"\n").and_then(|line| serde_json::from_slice(line).ok()) else { break };
        content.take(entry);
        length += line.len();
    }
    (content, length)
}

impl Content {
    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Change(command) => self.command = command,
            Entry::Step { step, .. } => self.steps.push(step.into_owned()),
            Entry::Made(at, index) => {
                if let Some(Step::AddVrf(device, _)) = self.steps.get_mut(at) {
                    device.ifindex = index;
                }
            }
            Entry::Refused(at) => self.refused.extend([at]),
            Entry::Undone(at) => self.steps.truncate(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::Address;
    use crate::model::device::Device;
    use crate::model::family::Family;
    use crate::model::route::Route;
    use crate::model::rule::Rule;

    fn line(entry: &Entry) -> Vec<u8> {
        [serde_json::to_vec(entry).unwrap(), b"\n".to_vec()].concat()
    }

    fn step(step: &Step) -> Vec<u8> {
        line(&Entry::Step { ip: step.to_string(), step: Cow::Borrowed(step) })
    }

    #[test]
    fn every_kind_of_step_comes_back_from_its_line() {
        let device = Device { ifindex: 7, name: "blue".into() };
        let all = [
            Step::AddRule(Rule::l3mdev_unreachable(Family::V6, 2000)),
            Step::DeleteVrf(device.clone(), 1001),
            Step::Enslave(device.clone(), device.clone()),
            Step::AddAddress(Address::loopback(&device, Family::V6)),
            Step::DeleteRoute(Route::seal(Family::V4, 1001)),
            Step::SetSysctl { key: "net/ipv4/ip_forward".into(), from: "0".into(), to: "1".into() },
            Step::WriteFile { path: "/etc/x".into(), from: None, to: Some("x".into()) },
        ];
        let text: Vec<u8> = all.iter().flat_map(step).collect();
        assert_eq!(read(&text), (Content { steps: all.to_vec(), ..Content::default() }, text.len()));
        let (cut, length) = read(&text[..text.len() - 9]);
        assert_eq!(cut.steps, all[..6]);
        assert!(text[..length].ends_with(b"\n") && length < text.len() - 9);
    }

    #[test]
    fn the_lines_tell_how_far_a_change_and_its_rollback_came() {
        let blue = |ifindex| Step::AddVrf(Device { ifindex, name: "blue".into() }, 10);
        let seal = Step::AddRoute(Route::seal(Family::V4, 10));
        let mut text = line(&Entry::Change("vrfsetup add blue".into()));
        text.extend([blue(0), seal.clone(), seal.clone()].iter().flat_map(step));
        text.extend(line(&Entry::Made(0, 7)));
        text.extend(line(&Entry::Refused(2)));
        let content = read(&text).0;
        assert_eq!(content.command, "vrfsetup add blue");
        assert_eq!(content.steps, [blue(7), seal.clone(), seal]);
        assert_eq!(content.refused, [2].into());
        text.extend(line(&Entry::Undone(1)));
        assert_eq!(read(&text).0.steps, [blue(7)]);
    }

    #[test]
    fn a_reader_finds_the_commands_of_ip() {
        let text = step(&Step::AddRoute(Route::seal(Family::V4, 10)));
        assert!(String::from_utf8(text).unwrap().contains("ip route add unreachable default table 10"));
    }
}
