//! Which VRF a new socket of the calling thread belongs to: the thread's own choice, else the process's, else what the
//! process began with.

use crate::arch;
use crate::name::Name;
use crate::names::Slot;
use crate::start::{self, Start};
use core::sync::atomic::{AtomicU32, Ordering};

/// What happens to a new inet socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    /// It stays as the kernel made it.
    Plain,
    /// It is refused.
    Closed,
    /// It is bound to this device.
    To(Name),
}

static PROCESS: AtomicU32 = AtomicU32::new(0);

/// What happens to an inet socket that the calling thread makes now.
#[inline]
pub(crate) fn binding() -> Binding {
    let chosen = Slot::from_word(thread().load(Ordering::Relaxed));
    match chosen.or_else(|| Slot::from_word(PROCESS.load(Ordering::Acquire))) {
        Some(slot) => slot.name().map_or(Binding::Closed, Binding::To),
        None => match start::start() {
            Start::Library => Binding::Plain,
            Start::Closed => Binding::Closed,
            Start::Bound(name) => Binding::To(name),
        },
    }
}

/// Chooses for all threads that have no choice of their own; None takes the choice back.
pub(crate) fn set_process(slot: Option<Slot>) {
    PROCESS.store(slot.map_or(0, Slot::to_word), Ordering::Release);
}

/// Chooses for the calling thread; None takes the choice back.
pub(crate) fn set_thread(slot: Option<Slot>) {
    thread().store(slot.map_or(0, Slot::to_word), Ordering::Relaxed);
}

fn thread<'a>() -> &'a AtomicU32 {
    // SAFETY: the word lives as long as its thread, no caller keeps the reference, and only its own thread uses it.
    unsafe { &*arch::thread_word() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::intern;

    #[test]
    fn a_threads_own_choice_goes_before_the_processs_and_ends_with_it() {
        let [blue, red] = [b"c-blue" as &[u8], b"c-red"].map(|name| Name::new(name).unwrap());
        set_process(intern(blue));
        assert_eq!(binding(), Binding::To(blue));
        set_thread(intern(red));
        assert_eq!(binding(), Binding::To(red));
        let other = std::thread::spawn(binding).join().unwrap();
        assert_eq!(other, Binding::To(blue), "a new thread has no choice of its own");
        set_thread(None);
        assert_eq!(binding(), Binding::To(blue));
        set_process(None);
        assert_eq!(binding(), Binding::Plain);
    }
}
