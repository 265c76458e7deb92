//! The names this process ever bound to, each stored once and never moved or freed.
//!
//! A thread's choice of VRF is then one word that is read and written atomically: a socket call that races with
//! `vrf_set()` sees the old name or the new one, never half of each. Without locks, so that signal handlers and forked
//! children may use it; the price is that two threads that store the same new name at once may store it twice.

use crate::name::Name;
use core::num::NonZeroU32;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

/// More VRFs than one process will name. They stand in .bss: a page costs memory once it is written.
const CAPACITY: usize = 1024;

const FREE: u8 = 0;
const CLAIMED: u8 = 1;
const READY: u8 = 2;

struct Entry {
    state: AtomicU8,
    /// The index that the device had when it was last asked for; 0 if never. One that is made again gets another.
    index: AtomicU32,
    words: [AtomicU64; 2],
}

static TABLE: [Entry; CAPACITY] = [const {
    Entry { state: AtomicU8::new(FREE), index: AtomicU32::new(0), words: [AtomicU64::new(0), AtomicU64::new(0)] }
}; CAPACITY];

/// Stands for a stored name; never zero, so that zero can mean "none" where slots are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(NonZeroU32);

impl Slot {
    /// The number under which [`Slot::from_word`] finds it again.
    pub(crate) fn to_word(self) -> u32 {
        self.0.get()
    }

    /// The slot of a word that is zero or came from [`Slot::to_word`].
    pub(crate) fn from_word(word: u32) -> Option<Self> {
        NonZeroU32::new(word).map(Self)
    }

    /// The name that is stored here.
    pub(crate) fn name(self) -> Option<Name> {
        TABLE.get(self.0.get() as usize - 1)?.name()
    }
}

/// Stores a name, or finds it where it is; None when the table is full.
pub(crate) fn intern(name: Name) -> Option<Slot> {
    let at = TABLE.iter().position(|entry| entry.holds(name) || entry.claim(name))?;
    Slot::from_word(at as u32 + 1)
}

/// Where the index of the device with this name is remembered, if the name is stored.
pub(crate) fn index(name: &Name) -> Option<&'static AtomicU32> {
    let words = name.to_words();
    // No name is all zeros, as a free entry is; one that is being written has no such name yet, or all of it.
    let has_it = |entry: &&Entry| entry.words.each_ref().map(|word| word.load(Ordering::Relaxed)) == words;
    TABLE.iter().find(has_it).map(|entry| &entry.index)
}

impl Entry {
    fn name(&self) -> Option<Name> {
        (self.state.load(Ordering::Acquire) == READY)
            .then(|| Name::from_words([self.words[0].load(Ordering::Relaxed), self.words[1].load(Ordering::Relaxed)]))
    }

    fn holds(&self, name: Name) -> bool {
        self.name() == Some(name)
    }

    fn claim(&self, name: Name) -> bool {
        let won = self.state.compare_exchange(FREE, CLAIMED, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if won {
            let [low, high] = name.to_words();
            self.words[0].store(low, Ordering::Relaxed);
            self.words[1].store(high, Ordering::Relaxed);
            self.state.store(READY, Ordering::Release);
        }
        won
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_name_is_found_where_it_was_stored() {
        let blue = intern(name("blue")).unwrap();
        let red = intern(name("red")).unwrap();
        assert_ne!(blue, red);
        assert_eq!(intern(name("blue")), Some(blue));
        assert_eq!((blue.name(), red.name()), (Some(name("blue")), Some(name("red"))));
    }

    #[test]
    fn words_that_stand_for_nothing_have_no_name() {
        assert_eq!(Slot::from_word(0), None);
        assert_eq!(Slot::from_word(u32::MAX).unwrap().name(), None);
        assert_eq!(Slot::from_word(CAPACITY as u32).unwrap().name(), None, "the last slot is free in this test");
    }

    #[test]
    fn threads_that_store_the_same_names_at_once_read_their_own_back() {
        let store = |thread: usize| {
            for round in 0..16 {
                let wanted = name(&format!("race{}", (round + thread) % 16));
                assert_eq!(intern(wanted).unwrap().name(), Some(wanted));
            }
        };
        std::thread::scope(|all| (0..8).for_each(|thread| drop(all.spawn(move || store(thread)))));
    }
}
