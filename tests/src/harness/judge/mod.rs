//! Runs a command in the world and says, from the packets alone, in which domain it was.

mod order;
mod running;
mod verdict;

pub use order::{Order, USER, root, user};
pub use running::Running;
pub use verdict::{Outcome, Verdict};

use crate::harness::world::World;

impl World {
    /// Runs a command to its end and judges it.
    ///
    /// # Panics
    /// When it cannot be started, does not end in time, or the packets could not be counted.
    pub fn judge(&mut self, order: &Order) -> Verdict {
        self.start(order).finish(self)
    }

    /// Starts a command and returns while it runs.
    ///
    /// # Panics
    /// When it cannot be started or earlier packets could not be counted.
    pub fn start(&mut self, order: &Order) -> Running {
        // What an earlier command left on its way is not this one's.
        self.take().unwrap_or_else(|error| panic!("before {:?}: {error}", order.words));
        Running::spawn(self, order).unwrap_or_else(|error| panic!("cannot run {:?}: {error}", order.words))
    }
}
