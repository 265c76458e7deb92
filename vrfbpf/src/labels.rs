//! Jumps to labels, for programs that may jump forward only: those of bpf(2) without loops, and filters of seccomp(2).
//!
//! A jump to a label that is nowhere, or in two places, is an error: it would otherwise be a jump to the next instruction.

use std::fmt::{self, Debug, Display, Formatter};

/// Where the labels of a program are, and which instructions jump to them.
#[derive(Debug)]
pub struct Labels<L> {
    places: Vec<(L, usize)>,
    jumps: Vec<(usize, L)>,
}

/// A label that is jumped to and stands nowhere, or more than once, or before the jump: a mistake of the program's author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLabel<L>(pub L);

impl<L: Debug> Display for BadLabel<L> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "a BPF program needs label {:?} exactly once and after the jump to it", self.0)
    }
}

impl<L: Debug> std::error::Error for BadLabel<L> {}

impl<L> Default for Labels<L> {
    fn default() -> Self {
        Self { places: Vec::new(), jumps: Vec::new() }
    }
}

impl<L: Copy + PartialEq> Labels<L> {
    /// The label stands before the instruction of this number.
    pub fn mark(&mut self, label: L, place: usize) {
        self.places.push((label, place));
    }

    /// The instruction of this number jumps to the label.
    pub fn jump(&mut self, from: usize, to: L) {
        self.jumps.push((from, to));
    }

    /// Whether any instruction jumps there.
    pub fn is_used(&self, label: L) -> bool {
        self.jumps.iter().any(|(_, other)| *other == label)
    }

    /// Each instruction that jumps, and how many instructions it skips.
    ///
    /// # Errors
    /// A label is missing, there twice, or before the jump: programs without loops load on every kernel.
    pub fn distances(&self) -> Result<Vec<(usize, usize)>, BadLabel<L>> {
        self.jumps.iter().map(|&(from, label)| Ok((from, self.distance(from, label)?))).collect()
    }

    fn distance(&self, from: usize, label: L) -> Result<usize, BadLabel<L>> {
        let mut places = self.places.iter().filter(|(other, _)| *other == label).map(|(_, place)| *place);
        match (places.next(), places.next()) {
            (Some(place), None) if place > from => Ok(place - from - 1),
            _ => Err(BadLabel(label)),
        }
    }
}
