//! How this process began: read from its environment once, at the first socket or in the constructor, whichever comes
//! first — constructors of the program's other libraries run before ours and may open sockets.
//!
//! The answer is copied, since programs overwrite their environment (setproctitle) and change it. No lock: two threads
//! that come first together read the same environment and store the same answer. (once_cell::race does this too, but
//! any crate in the same build that turns its std feature on would bring std's panic handler in here.)

use crate::environment::{self, Wanted};
use crate::name::Name;
use crate::names::{self, Slot};
use core::ffi::{CStr, c_char};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How the process began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Linked, not preloaded: sockets stay as they are until the program says otherwise.
    Library,
    /// Preloaded without a device: inet sockets are refused.
    Closed,
    /// Preloaded by vrfrun for this device.
    Bound(Name),
}

const UNREAD: u32 = 0;
const LIBRARY: u32 = u32::MAX;
const CLOSED: u32 = u32::MAX - 1;

/// The word of a slot of `names`, or one of the three above, which are no slots.
static START: AtomicU32 = AtomicU32::new(UNREAD);

/// Written before START is published, with the same value by every thread that reads the environment.
static COOKIE: AtomicU64 = AtomicU64::new(0);

/// How the process began.
pub(crate) fn start() -> Start {
    match word() {
        LIBRARY => Start::Library,
        word => Slot::from_word(word).and_then(Slot::name).map_or(Start::Closed, Start::Bound),
    }
}

/// The sixth argument for the system calls that make inet sockets; 0 without a filter.
pub(crate) fn cookie() -> u64 {
    word();
    COOKIE.load(Ordering::Relaxed)
}

#[inline]
fn word() -> u32 {
    match START.load(Ordering::Acquire) {
        UNREAD => remember(),
        word => word,
    }
}

#[cold]
fn remember() -> u32 {
    let wanted = if is_privileged() { Wanted::Nothing } else { environment::read(entries()) };
    let word = match wanted {
        Wanted::Nothing => LIBRARY,
        Wanted::Closed => CLOSED,
        Wanted::Bound { cookie, name } => {
            COOKIE.store(cookie, Ordering::Relaxed);
            names::intern(name).map_or(CLOSED, Slot::to_word)
        }
    };
    START.store(word, Ordering::Release);
    word
}

/// Whether this is a set-uid program or one with file capabilities: it does not take orders from its caller's
/// environment, as with every LD_ variable. It was not preloaded either, but may have linked the library.
fn is_privileged() -> bool {
    // SAFETY: reads what the kernel gave the process at its start.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

fn entries() -> impl Iterator<Item = &'static [u8]> {
    unsafe extern "C" {
        // Not the constructor's envp: musl calls constructors without arguments.
        static environ: *const *const c_char;
    }
    // SAFETY: libc has set it before any code of a shared object runs.
    let mut at = unsafe { environ };
    core::iter::from_fn(move || {
        // SAFETY: environ is null or an array of C strings that a null ends, as in every C program.
        let entry = unsafe { if at.is_null() || (*at).is_null() { None } else { Some(CStr::from_ptr(*at)) } }?;
        at = at.wrapping_add(1);
        Some(entry.to_bytes())
    })
}
