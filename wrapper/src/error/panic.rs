//! A bug in vrfrun: one line and its own exit status, instead of a signal that looks like the program's.

use std::panic::{PanicHookInfo, set_hook};

use super::{EXIT_OWN, note};

/// From now on a panic ends this process by `exit`, after a line on stderr.
pub fn report_as_failure(exit: fn(i32) -> !) {
    set_hook(Box::new(move |panic| {
        note(&format_args!("internal error: {}", what_and_where(panic)));
        exit(EXIT_OWN)
    }));
}

fn what_and_where(panic: &PanicHookInfo) -> String {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    let what = text.unwrap_or("unknown").replace('\n', " ");
    panic.location().map_or(what.clone(), |place| format!("{what} ({}:{})", place.file(), place.line()))
}
