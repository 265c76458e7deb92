//! `vrfrun each`: the command in every VRF, at the same time.
//!
//! Holds the children and their pipes (`job`), the signals that end them (`signals`), how their output is shown
//! (`output`) and waits for its reader (`queue`), and the loop around all (`run`). May use what is below it; how a child becomes the command in its VRF it is
//! told by its caller.
#![forbid(unsafe_code)]

mod job;
mod output;
mod queue;
mod run;
mod signals;

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::error::Error;
use crate::options::{Each, Options};
use crate::sys::syscall::matches;
use crate::vrf::{list, netns};
use output::Output;

/// Runs the command in every VRF that is asked for; `start` becomes it in one, in a child. Returns the largest exit status.
pub fn each(options: &Options, each: &Each, start: impl Fn(&Options) -> i32) -> Result<i32, Error> {
    if let Some(name) = &options.netns {
        netns::enter(name)?;
    }
    let vrfs = chosen(list::names()?, each.pattern.as_deref())?;
    run::run(vrfs, each.jobs, Output::new(each.json), |vrf| start(&options.in_vrf(vrf)))
}

fn chosen(mut vrfs: Vec<OsString>, pattern: Option<&OsStr>) -> Result<Vec<OsString>, Error> {
    let c_string = |name: &OsStr| CString::new(name.as_bytes()).unwrap_or_default(); // neither can hold a NUL
    if let Some(pattern) = pattern.map(c_string) {
        vrfs.retain(|name| matches(&pattern, &c_string(name)));
    }
    if vrfs.is_empty() { Err(Error::NoVrfMatches(pattern.map(OsStr::to_owned))) } else { Ok(vrfs) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(pattern: &str) -> Option<Vec<OsString>> {
        chosen(["blue", "black", "red"].map(OsString::from).to_vec(), Some(OsStr::new(pattern))).ok()
    }

    #[test]
    fn a_pattern_is_that_of_a_shell_and_matches_whole_names() {
        assert_eq!(matching("bl*"), Some(vec!["blue".into(), "black".into()]));
        assert_eq!(matching("[!b]*"), Some(vec!["red".into()]));
        assert_eq!(matching("???"), Some(vec!["red".into()]));
        assert_eq!((matching("lu"), matching(""), matching("[")), (None, None, None));
    }

    #[test]
    fn where_there_is_no_vrf_nothing_is_run() {
        let refused = |pattern: Option<&str>| chosen(Vec::new(), pattern.map(OsStr::new)).unwrap_err();
        assert_eq!(refused(None).to_string(), "cannot run in every VRF: there is none here");
        assert_eq!(refused(Some("x\n")).to_string(), "cannot run in every VRF: no name matches 'x?'");
        assert_eq!(refused(None).exit_status(), 125);
    }
}
