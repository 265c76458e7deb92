//! The steps of a change that waits for `vrfsetup confirm`, one line of JSON each, in a file that outlives the run.
//!
//! Each step is written before it is made, so that a run that is killed leaves at most one line too many, and the
//! rollback takes "it is not there" for an answer. Who renames the file owns it: the confirmation or the rollback,
//! never both.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::model::step::Step;
use crate::sys::run_dir;

/// An open journal.
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Begins one for this network namespace.
    ///
    /// # Errors
    /// Another change waits for its confirmation (AlreadyExists), or the file cannot be made.
    pub fn begin() -> io::Result<Self> {
        run_dir::make_directory()?;
        let path = run_dir::path("pending")?;
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { path, file })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a step.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn add(&mut self, step: &Step) -> io::Result<()> {
        let mut line = serde_json::to_vec(step)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }

    /// Ends it: there is nothing to confirm.
    pub fn discard(self) {
        // One that stays is rolled back in vain, which does no harm.
        let _ = fs::remove_file(self.path);
    }
}

/// Takes the journal of this network namespace away, whoever comes first; false if there is none.
///
/// # Errors
/// Those of rename(2).
pub fn confirm() -> io::Result<bool> {
    let path = run_dir::path("pending")?;
    let taken = path.with_extension("confirmed");
    match fs::rename(&path, &taken) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        answer => answer.and_then(|()| fs::remove_file(taken)).map(|()| true),
    }
}

/// Whether a change of this network namespace waits for its confirmation.
pub fn is_pending() -> bool {
    run_dir::path("pending").is_ok_and(|path| path.exists())
}

/// Takes the journal away and reads its steps; None if it was confirmed.
///
/// # Errors
/// Those of the file system.
pub fn claim(path: &Path) -> io::Result<Option<Vec<Step>>> {
    let taken = path.with_extension("rollback");
    match fs::rename(path, &taken) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        answer => answer?,
    }
    let steps = steps(&fs::read(&taken)?);
    fs::remove_file(taken)?;
    Ok(Some(steps))
}

/// A last line that was cut short stands for a step that was not made.
fn steps(journal: &[u8]) -> Vec<Step> {
    journal.split(|&byte| byte == b'\n').map_while(|line| serde_json::from_slice(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::Device;
    use crate::model::family::Family;
    use crate::model::route::Route;
    use crate::model::rule::Rule;

    #[test]
    fn every_kind_of_step_comes_back_from_its_line() {
        let device = Device { ifindex: 7, name: "blue".into() };
        let all = [
            Step::AddRule(Rule::l3mdev_unreachable(Family::V6, 2000)),
            Step::DeleteVrf(device.clone(), 1001),
            Step::Enslave(device.clone(), device.clone()),
            Step::AddAddress(crate::model::address::Address::loopback(&device, Family::V6)),
            Step::DeleteRoute(Route::seal(Family::V4, 1001)),
            Step::SetSysctl { key: "net/ipv4/ip_forward".into(), from: "0".into(), to: "1".into() },
            Step::WriteFile { path: "/etc/x".into(), from: None, to: Some("x".into()) },
        ];
        let mut text = Vec::new();
        for step in &all {
            text.extend(serde_json::to_vec(step).unwrap());
            text.push(b'\n');
        }
        assert_eq!(steps(&text), all);
        assert_eq!(steps(&text[..text.len() - 9]), all[..6]);
    }
}
