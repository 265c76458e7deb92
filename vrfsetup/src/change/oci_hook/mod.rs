//! `vrfsetup oci-hook`: puts a container into the VRF that an annotation names, before the first program of its image runs.
//!
//! It is a hook of the OCI runtime specification, for the stage createRuntime: the container's first process is there and
//! in its cgroup, and waits. Where the hook fails, the runtime does not start the container.

mod place;
mod state;

use std::io::Read;
use std::path::Path;
use std::{fs, io};

use crate::change::cgroup::Cgroup;
use crate::change::unit;
use crate::error::Error;
use crate::sys::netlink::Kernel;
use crate::sys::{cgroup, run_dir};
use state::State;

/// Longer than any state: annotations may be long.
const LONGEST: u64 = 1 << 22;

/// Binds the container whose state is on `stdin`; one without the annotation is left alone.
///
/// # Errors
/// It cannot be bound, or nobody can tell; then it must not start. The caller says it to the system's log, too.
pub fn bind(kernel: &Kernel, stdin: impl Read) -> Result<(), Error> {
    bind_one(kernel, &read(stdin)?)
}

fn read(stdin: impl Read) -> Result<State, Error> {
    let mut text = String::new();
    let read = stdin.take(LONGEST).read_to_string(&mut text);
    read.map_err(|error: io::Error| Error::unreadable("the container's state on standard input")(error))?;
    State::parse(&text)
}

fn bind_one(kernel: &Kernel, state: &State) -> Result<(), Error> {
    let Some(vrf) = state.vrf() else { return Ok(()) };
    let cannot =
        |why: String| Error::CannotBind { what: format!("container '{}'", state.id), vrf: vrf.to_owned(), why };
    if !has_our_network(state.pid)? {
        return Err(cannot("it has a network of its own (--network host)".to_owned()));
    }
    let unreadable = || Error::unreadable(format!("the cgroup of container '{}'", state.id));
    let inner = cgroup::path_of(&state.pid.to_string()).map_err(unreadable())?;
    let Some(outer) = place::of_container(&inner, &state.id) else {
        return Err(cannot(format!("it has no cgroup of its own, but is in '{inner}'")));
    };
    // Nobody else may be in it: a first process that others cannot be told from is not the container's alone.
    if let Some(path) = shared(outer, state.pid).map_err(unreadable())? {
        return Err(cannot(format!("'{path}' has other processes")));
    }
    let bound = Cgroup::open(outer.to_owned())?.bind(kernel, vrf, "oci-hook")?;
    // This process ends in the container's cgroup, where its sockets are those of any program of the image.
    cgroup::join(&inner).map_err(unreadable())?;
    unit::verify_bound_to(&bound.device, vrf)
}

/// The cgroup, it or one below it, in which somebody else is than this process. One that cannot be looked at is an error,
/// whatever the reason: somebody may be there.
fn shared(path: &str, pid: u32) -> io::Result<Option<String>> {
    if cgroup::processes(path)?.iter().any(|other| *other != pid) {
        return Ok(Some(path.to_owned()));
    }
    for child in cgroup::children(path)? {
        if let Some(found) = shared(&child, pid)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// A device is another one in another network namespace.
fn has_our_network(pid: u32) -> Result<bool, Error> {
    use std::os::unix::fs::MetadataExt;
    let unreadable = |error: io::Error| Error::unreadable("the container's network namespace")(error);
    let theirs = fs::metadata(Path::new("/proc").join(pid.to_string()).join("ns/net")).map_err(unreadable)?.ino();
    Ok(theirs == run_dir::netns().map_err(unreadable)?)
}
