//! Waiting for what another program does in its own time.

use std::fmt::Debug;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longer than the slowest host needs: met only by what never comes.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// Looks until `is_so`, and returns what it saw then.
///
/// # Panics
/// With what it saw last, after [`PATIENCE`].
#[track_caller]
pub fn until<T: Debug>(mut look: impl FnMut() -> T, is_so: impl Fn(&T) -> bool) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = look();
        if is_so(&seen) {
            return seen;
        }
        assert!(Instant::now() < deadline, "it never came; seen last: {seen:#?}");
        sleep(Duration::from_millis(100));
    }
}
