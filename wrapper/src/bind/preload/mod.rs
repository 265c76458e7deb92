//! Mechanism `preload`: the shim in each process, and the filter behind it.
//!
//! Holds what the program's kind allows, and where the shim is (`shim`). May use `bind::seccomp` for what stands behind
//! the shim. Never runs a program that the shim cannot enter without a supervisor.

pub mod shim;

use std::ffi::OsString;

use vrfabi::environment::SHIM;

use crate::bind::binding::{Guard, Request};
use crate::bind::seccomp::{self, Failure};
use crate::bind::verify;
use crate::error::note;
use crate::error::unavailable::Unavailable;
use crate::program::elf::Kind;
use crate::sys::memory;
use crate::sys::syscall;

/// What binds a program that the shim cannot.
const WITHOUT_SHIM: &str = "vrfrun -m seccomp …, or -m bpf as root";

/// What nothing stands behind.
const UNGUARDED: &str = "warning: --unguarded: static and set-uid programs, own system calls, io_uring and cleared environments are not bound";

/// What the program needs to have the shim in it, and what stands behind the shim.
pub struct Preloaded {
    /// What was verified.
    pub guard: Guard,
    /// For the program's environment.
    pub variables: [(OsString, OsString); 2],
}

/// Finds the shim, and puts the filter behind it.
pub fn bind(request: &Request) -> Result<Preloaded, Unavailable> {
    let object = shim::find()?;
    let kind = request.kind();
    startable(&kind)?;
    changeable()?;
    verify::is_bindable(request.device, None)?;
    let Guarded { guard, cookie } = guard(request, &kind)?;
    let list = shim::preload_list(&shim::existing_list(), &object);
    let configuration = shim::configuration(cookie, request.device);
    Ok(Preloaded { guard, variables: [(shim::PRELOAD.into(), list), (SHIM.into(), configuration)] })
}

/// What stands behind the shim, and the cookie that passes it.
struct Guarded {
    guard: Guard,
    cookie: Option<u64>,
}

/// Puts the filter behind the shim, with a supervisor where there can be one.
fn guard(request: &Request, kind: &Kind) -> Result<Guarded, Unavailable> {
    if request.options.unguarded {
        enterable(kind)?;
        shim::check()?;
        note(&UNGUARDED);
        return Ok(Guarded { guard: Guard::None, cookie: None });
    }
    let cookie = cookie()?;
    let without = if request.options.no_supervisor {
        Unavailable::new("--no-supervisor").hint(WITHOUT_SHIM)
    } else {
        match seccomp::supervise(request, Some(cookie)) {
            Ok(guard) => return Ok(Guarded { guard, cookie: Some(cookie) }),
            Err(Failure::NoListener(reason)) if request.options.trace.is_some() => return Err(reason),
            Err(Failure::NoListener(reason)) => reason,
            Err(Failure::Refused(reason)) => return Err(reason),
        }
    };
    enterable(kind).map_err(|reason| reason.because(&without))?;
    seccomp::gate(request.device, cookie)?;
    Ok(Guarded { guard: Guard::Gate(without.why), cookie: Some(cookie) })
}

/// Without a supervisor, a program that the shim cannot enter would have all its sockets denied: say it at once.
pub fn enterable(kind: &Kind) -> Result<(), Unavailable> {
    let what = match kind {
        Kind::Static => "statically linked",
        Kind::Foreign => "of another architecture",
        Kind::Dynamic | Kind::Sanitized | Kind::Script(_) | Kind::Unknown => return Ok(()),
    };
    Err(Unavailable::new(format!("the program is {what}: the shim cannot enter it, and there is no supervisor"))
        .hint(WITHOUT_SHIM))
}

/// AddressSanitizer's runtime ends a program that starts with any object before it, unless it was told not to look.
fn startable(kind: &Kind) -> Result<(), Unavailable> {
    let is_lenient = || {
        let options = std::env::var_os("ASAN_OPTIONS").unwrap_or_default();
        options.to_string_lossy().contains("verify_asan_link_order=0")
    };
    if *kind != Kind::Sanitized || is_lenient() {
        return Ok(());
    }
    Err(Unavailable::new("the program is built with AddressSanitizer, which starts behind no preloaded object")
        .hint(WITHOUT_SHIM))
}

/// The shim redirects libc's own socket function, for which it needs memory that is written first and run then.
fn changeable() -> Result<(), Unavailable> {
    if memory::is_code_fixed() {
        let why = "the shim cannot redirect libc's sockets: new code is denied here (PR_SET_MDWE or MemoryDenyWriteExecute=, \
                   and memfd_create)";
        return Err(Unavailable::new(why).hint(WITHOUT_SHIM));
    }
    Ok(())
}

/// A random number of which neither half is zero: registers that nobody set often are.
fn cookie() -> Result<u64, Unavailable> {
    let number = syscall::random().map_err(|_| Unavailable::new("the kernel gave no random number"))?;
    Ok(number | 1 << 32 | 1)
}
