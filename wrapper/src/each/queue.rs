//! What is to be shown waits here until the reader takes it. A piece is written when there is room for it: nothing waits
//! in write(2) while a signal comes, and a descriptor that never waits (O_NONBLOCK) gets all of it.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::libc::PIPE_BUF;
use nix::poll::{PollFd, PollFlags};
use nix::unistd::write;

use crate::sys::process::descriptor;

/// Where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    Stdout,
    Stderr,
}

impl To {
    fn descriptor(self) -> BorrowedFd<'static> {
        descriptor(match self {
            To::Stdout => 1,
            To::Stderr => 2,
        })
    }
}

/// All of it in one order: both may be the same pipe, and a line of the one does not begin within one of the other.
#[derive(Default)]
pub struct Queue {
    pieces: VecDeque<(To, Vec<u8>)>,
    /// Whose readers are not waited for any more.
    gone: Vec<To>,
}

impl Queue {
    /// Adds it at the end.
    pub fn push(&mut self, to: To, bytes: &[u8]) {
        if !self.gone.contains(&to) {
            self.pieces.extend(pieces(bytes).map(|piece| (to, piece.to_vec())));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// What tells that the first piece can be written, if there is one.
    pub fn source(&self) -> Option<PollFd<'static>> {
        self.pieces.front().map(|(to, _)| PollFd::new(to.descriptor(), PollFlags::POLLOUT))
    }

    /// Writes the first piece. An error is one of standard output: where standard error is closed, nobody is to see it.
    pub fn write(&mut self) -> nix::Result<()> {
        let Some((to, piece)) = self.pieces.front_mut() else { return Ok(()) };
        match write(to.descriptor(), piece) {
            Ok(length) if length < piece.len() => _ = piece.drain(..length),
            Ok(_) => _ = self.pieces.pop_front(),
            // Somebody else was faster.
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => {
                let to = *to;
                self.give_up(to);
                return if to == To::Stdout { Err(errno) } else { Ok(()) };
            }
        }
        Ok(())
    }

    /// Shows nothing more to this reader.
    pub fn give_up(&mut self, to: To) {
        self.gone.push(to);
        self.pieces.retain(|(other, _)| *other != to);
    }
}

/// What a pipe takes as a whole, and whole lines of it where they are not longer.
fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let most = &bytes[..bytes.len().min(PIPE_BUF)];
        let length = most.iter().rposition(|byte| *byte == b'\n').map_or(most.len(), |at| at + 1);
        let (piece, rest) = bytes.split_at(length);
        bytes = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_whole_lines_that_a_pipe_takes_at_once() {
        let lines = [vec![b'a'; PIPE_BUF - 2], b"\nb\nc\n".to_vec()].concat();
        assert_eq!(pieces(&lines).map(<[u8]>::len).collect::<Vec<_>>(), [PIPE_BUF - 1, 4]);
        let long = [vec![b'a'; 2 * PIPE_BUF + 1], b"\nb\n".to_vec()].concat();
        assert_eq!(pieces(&long).map(<[u8]>::len).collect::<Vec<_>>(), [PIPE_BUF, PIPE_BUF, 4]);
        assert_eq!(pieces(b"").count(), 0);
    }

    #[test]
    fn nothing_more_is_kept_for_a_reader_who_is_not_waited_for() {
        let mut queue = Queue::default();
        queue.push(To::Stdout, b"one\n");
        queue.push(To::Stderr, b"two\n");
        queue.give_up(To::Stdout);
        queue.push(To::Stdout, b"three\n");
        assert_eq!(queue.pieces, [(To::Stderr, b"two\n".to_vec())]);
    }
}
