//! Mechanism `seccomp`: a filter over `socket`, and the supervisor behind it; also what stands behind the shim.
//!
//! Holds the filter as a program (`filter`, pure), its installation (`install`), io_uring's own filter (`io_uring`), and
//! the supervisor: its life (`supervisor`) and its answers (`notify`), for which it finds out who calls (`callers`, by
//! `process` and `status`), acts as the caller (`identity`), and makes a socket (`create`) or looks at one (`rebind`); under
//! `--trace` it writes down what it sees (`trace`).
//! Knows nothing of the shim but its cookie.

pub mod callers;
pub mod create;
pub mod filter;
pub mod identity;
pub mod install;
pub mod io_uring;
pub mod notify;
pub mod process;
pub mod rebind;
pub mod status;
pub mod supervisor;
pub mod trace;

use filter::{Policy, Unbound};
pub use supervisor::Failure;
use supervisor::Order;
use trace::About;

use crate::bind::binding::{Guard, Request};
use crate::bind::verify;
use crate::error::unavailable::Unavailable;
use crate::options::Mechanism;
use crate::vrf::device::Device;

/// The supervisor alone.
pub fn bind(request: &Request) -> Result<Guard, Unavailable> {
    // What binds the supervisor's sockets elsewhere can be named only before they are its own affair.
    verify::is_bindable(request.device, None)?;
    supervise(request, None).map_err(|failure| match failure {
        Failure::NoListener(reason) | Failure::Refused(reason) => reason,
    })
}

/// A supervisor for what does not carry the cookie, where a socket of this process can be bound.
pub fn supervise(request: &Request, cookie: Option<u64>) -> Result<Guard, Failure> {
    let device = Some(request.device);
    let trace =
        request.options.trace.map(|format| About { format, by: Some(Mechanism::Preload.name()), device, cookie });
    let is_traced = trace.is_some();
    let policy = Policy { unbound: Unbound::Supervised, cookie, io_uring: io_uring::deny_sockets(), is_traced };
    supervisor::supervise(&Order { device, trace }, &policy)?;
    verify::is_supervised(request.device, cookie)?;
    Ok(Guard::Supervisor)
}

/// A supervisor that lets everything go on, and writes down what it sees: for sockets that something else binds.
pub fn watch(about: About) -> Result<(), Unavailable> {
    let policy = Policy { unbound: Unbound::Supervised, cookie: None, io_uring: true, is_traced: true };
    supervisor::supervise(&Order { device: None, trace: Some(about) }, &policy).map_err(|failure| match failure {
        Failure::NoListener(reason) => Unavailable::new(reason.why).hint("strace -f -e trace=socket,connect …"),
        Failure::Refused(reason) => reason,
    })
}

/// The gate: what does not carry the cookie is denied.
pub fn gate(device: &Device, cookie: u64) -> Result<(), Unavailable> {
    let policy =
        Policy { unbound: Unbound::Denied, cookie: Some(cookie), io_uring: io_uring::deny_sockets(), is_traced: false };
    install::install(&filter::assemble(&policy)).map_err(install::refused)?;
    verify::is_gated(device, cookie)
}
