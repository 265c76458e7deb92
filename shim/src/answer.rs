//! From results to C's convention.

use crate::sys::Errno;

/// The value, or -1 with errno set. errno is left alone on success, as POSIX allows and careful programs expect.
#[inline(always)]
pub(crate) fn answer<T: From<i8>>(result: Result<T, Errno>) -> T {
    result.unwrap_or_else(|error| {
        // SAFETY: both libcs give the calling thread's own errno, always valid.
        unsafe { *libc::__errno_location() = error.0 };
        T::from(-1)
    })
}
