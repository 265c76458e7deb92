//! How this process began: read from its environment once, at the first socket or in the constructor, whichever comes
//! first — constructors of the program's other libraries run before ours and may open sockets.
//!
//! The answer is copied, since programs overwrite their environment (setproctitle) and change it. No lock: two threads
//! that come first together read the same environment and store the same answer.

use crate::environment::{self, Wanted};
use crate::name::Name;
use crate::names::{self, Slot};
use core::ffi::{CStr, c_char};
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicU64, Ordering};
use once_cell::race::OnceNonZeroUsize;

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

const LIBRARY: NonZeroUsize = NonZeroUsize::new(u32::MAX as usize).unwrap();
const CLOSED: NonZeroUsize = NonZeroUsize::new(u32::MAX as usize - 1).unwrap();

/// A slot of `names`, or one of the two above, which are no slots.
static START: OnceNonZeroUsize = OnceNonZeroUsize::new();

/// Written before START is published, with the same value by every thread that reads the environment.
static COOKIE: AtomicU64 = AtomicU64::new(0);

/// How the process began.
pub(crate) fn start() -> Start {
    match START.get_or_init(remember) {
        LIBRARY => Start::Library,
        word => Slot::from_word(word.get() as u32).and_then(Slot::name).map_or(Start::Closed, Start::Bound),
    }
}

/// The sixth argument for the system calls that make inet sockets; 0 without a filter.
pub(crate) fn cookie() -> u64 {
    START.get_or_init(remember);
    COOKIE.load(Ordering::Relaxed)
}

fn remember() -> NonZeroUsize {
    match environment::read(entries()) {
        Wanted::Nothing => LIBRARY,
        Wanted::Closed => CLOSED,
        Wanted::Bound { cookie, name } => {
            COOKIE.store(cookie, Ordering::Relaxed);
            let word = names::intern(name).map(Slot::to_word);
            word.and_then(|word| NonZeroUsize::new(word as usize)).unwrap_or(CLOSED)
        }
    }
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
