//! Memory that lies in the program itself and is handed out one piece behind the other. What is given back is free again if it
//! was the last piece: so what a loop takes and gives back stays where it is, and the rest is gone. It is no more than this,
//! however long the process lives.
#![forbid(unsafe_code)]

use std::alloc::Layout;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::atomic::{AtomicU8, AtomicUsize};

/// More than a start takes, with the room that it has for answers of the kernel; a page that nobody writes is none.
const SIZE: usize = 256 * 1024;

/// The memory, and how much of it is taken. Each piece has one owner: `taken` changes by compare and exchange only, which
/// releases what is given back and acquires what is handed out. So whatever the last owner did to a piece has happened before the
/// next one has it. The bytes are atomic for the compiler alone, which then lets a shared arena hand out memory to be written.
#[repr(align(64))]
pub struct Arena {
    memory: [AtomicU8; SIZE],
    taken: AtomicUsize,
}

impl Arena {
    /// With nothing taken.
    pub const fn empty() -> Self {
        Self { memory: [const { AtomicU8::new(0) }; SIZE], taken: AtomicUsize::new(0) }
    }

    /// The next piece; None if there is no room.
    pub fn take(&self, layout: Layout) -> Option<*mut u8> {
        let base = self.base();
        let mut taken = self.taken.load(Relaxed);
        loop {
            let start = (base + taken).checked_next_multiple_of(layout.align())? - base;
            let end = start.checked_add(layout.size()).filter(|end| *end <= SIZE)?;
            match self.taken.compare_exchange_weak(taken, end, Acquire, Relaxed) {
                Ok(_) => return Some(self.start().wrapping_add(start)),
                Err(other) => taken = other,
            }
        }
    }

    /// Whether this piece is of here.
    pub fn holds(&self, piece: *mut u8) -> bool {
        piece.addr().wrapping_sub(self.base()) < SIZE
    }

    /// Makes the last piece longer or shorter. False: it would have to be elsewhere. Any other can become shorter only, which
    /// nobody has something of.
    pub fn resize(&self, piece: *mut u8, old: usize, new: usize) -> bool {
        let start = piece.addr() - self.base();
        let is_changed =
            start + new <= SIZE && self.taken.compare_exchange(start + old, start + new, AcqRel, Relaxed).is_ok();
        is_changed || new <= old
    }

    fn start(&self) -> *mut u8 {
        self.memory.as_ptr().cast_mut().cast()
    }

    fn base(&self) -> usize {
        self.start().addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn pieces_are_aligned_and_do_not_overlap() {
        let arena = Arena::empty();
        let mut end = arena.base();
        for (size, align) in [(1, 1), (8, 8), (3, 1), (100, 64), (1, 2), (4096, 4096)] {
            let piece = arena.take(bytes(size, align)).unwrap().addr();
            assert!(piece >= end && piece % align == 0, "{size} bytes on {align}");
            end = piece + size;
        }
    }

    #[test]
    fn the_last_piece_grows_in_its_place_and_is_free_again() {
        let arena = Arena::empty();
        let (first, last) = (arena.take(bytes(10, 1)).unwrap(), arena.take(bytes(10, 1)).unwrap());
        assert!(!arena.resize(first, 10, 11) && arena.resize(first, 10, 9));
        assert!(arena.resize(last, 10, 1000) && arena.resize(last, 1000, 20));
        assert!(!arena.resize(last, 20, SIZE) && arena.resize(last, 20, 0));
        assert_eq!(arena.take(bytes(1, 1)), Some(last));
    }

    #[test]
    fn what_has_no_room_is_not_there() {
        let arena = Arena::empty();
        assert_eq!(arena.take(bytes(SIZE + 1, 1)), None);
        assert!(
            arena
                .take(bytes(SIZE, 1))
                .is_some_and(|piece| arena.holds(piece) && arena.holds(piece.wrapping_add(SIZE - 1)))
        );
        assert_eq!((arena.take(bytes(1, 1)), arena.holds(arena.start().wrapping_add(SIZE))), (None, false));
    }
}
