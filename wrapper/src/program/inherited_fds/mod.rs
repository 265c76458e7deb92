//! Sockets that the program will inherit. Of those that a VRF holds, the ones made by socket activation are bound before
//! the program starts; what already talks to someone outside the VRF, or is of another network namespace, is refused, and so
//! is io_uring.
//!
//! Holds the list of descriptors (`descriptors`) and what becomes of each (`view`), also by its family (`family`), by who has
//! its port in the VRF (`port`) and by who shares it (`shared`). Looks at descriptors, not into them: a
//! socket in an epoll instance, or on its way through an AF_UNIX socket, is not seen.

mod descriptors;
mod family;
mod port;
mod shared;
mod view;

use std::cell::OnceCell;
use std::os::fd::RawFd;

use nix::errno::Errno;

use crate::error::{Error, note, text};
use crate::program::accept_queue;
use crate::sys::interface_option::Former;
use crate::sys::process::descriptor;
use crate::vrf::device::Device;
use descriptors::Descriptors;
use view::{Fate, View};

/// Sockets that are to be bound: inherited, inet, unbound or without all their options, and without a peer.
#[derive(Debug, Default)]
pub struct Inherited(Vec<RawFd>);

/// Looks at every descriptor that exec will keep. Changes nothing.
pub fn look(device: &Device, is_strict: bool) -> Result<Inherited, Error> {
    let descriptors = Descriptors::open()?;
    let numbers = descriptors.numbers()?;
    let view = View { device, is_strict, descriptors: &descriptors, netns: OnceCell::new() };
    let mut unbound = Vec::new();
    for fd in numbers {
        match view.judge(fd) {
            Fate::Nothing => {}
            Fate::Bind => unbound.push(fd),
            Fate::Warn(what) => note(&format_args!(
                "warning: descriptor {fd} is {what}, which no VRF holds: the program gets it as it is"
            )),
            Fate::Refuse(what) => {
                return Err(Error::ForeignDescriptor { fd, what, device: device.name.clone(), is_strict });
            }
        }
    }
    let (fd, why) = match shared::with_others(&unbound) {
        Ok(None) => return Ok(Inherited(unbound)),
        Ok(Some(fd)) => (fd, "which another process listens at too".to_owned()),
        Err((fd, errno)) => (fd, format!("and who else listens at it cannot be told ({})", errno.desc())),
    };
    let what = format!("a listener whose port may be shared (SO_REUSEPORT), {why}");
    Err(Error::ForeignDescriptor { fd, what, device: device.name.clone(), is_strict })
}

impl Inherited {
    /// Whether there is none to bind.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Binds them, and closes the connections that wait in their queues. The sockets are shared with whoever handed
    /// them over, so this comes last.
    pub fn bind(self, device: &Device) -> Result<Bound, Error> {
        let mut bound = Bound { sockets: Vec::new(), device: Some(device.clone()) };
        for fd in self.0 {
            if let Err(errno) = bound.add(fd, device) {
                bound.undo();
                return Err(Error::kernel(format!("bind inherited descriptor {fd}"))(errno));
            }
        }
        for (fd, _) in &bound.sockets {
            if let Err(errno) = accept_queue::close_waiting(*fd, device) {
                bound.undo();
                return Err(Error::kernel(format!("close what waits at inherited descriptor {fd}"))(errno));
            }
        }
        Ok(bound)
    }
}

/// Inherited sockets that this run has bound, and what they were before.
#[derive(Debug, Default)]
pub struct Bound {
    sockets: Vec<(RawFd, Former)>,
    device: Option<Device>,
}

impl Bound {
    /// Its options name the VRF too, for once `connect(AF_UNSPEC)` has taken the binding: no hook of BPF looks at a socket that
    /// was made elsewhere.
    fn add(&mut self, fd: RawFd, device: &Device) -> nix::Result<()> {
        let (socket, former) = (descriptor(fd), Former::of(&descriptor(fd))?);
        let outcome = former.bind(&socket, device.name_bytes());
        let was_bound = former.is_bound();
        self.sockets.push((fd, former)); // some of it may be done
        match outcome {
            Err(Errno::EPERM) if was_bound => {
                let why = "to name it in IPV6_UNICAST_IF takes CAP_NET_RAW";
                let device = text(&device.name);
                note(&format_args!(
                    "warning: inherited descriptor {fd} leaves '{device}' after connect(AF_UNSPEC): {why}"
                ));
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// The program did not start: undoes it, for others use the sockets. To unbind one takes CAP_NET_RAW. The last comes first:
    /// a socket that has two descriptors was bound already when its second one was looked at.
    pub fn undo(&self) {
        let Some(device) = &self.device else { return };
        for (fd, former) in self.sockets.iter().rev() {
            if let Err(errno) = former.restore(&descriptor(*fd), device.name_bytes()) {
                let (device, why) = (text(&device.name), errno.desc());
                note(&format_args!("warning: inherited descriptor {fd} stays bound to '{device}': {why}"));
            }
        }
    }
}
