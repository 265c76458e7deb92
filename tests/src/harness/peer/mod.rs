//! What stands at the far end of each routing domain: a process in a network namespace of its own
//! that answers HTTP, DNS and echo with its domain's name, tells the time, and counts every packet that reaches it.
//!
//! It is driven by lines on stdin (`go`, `take`) and ends with its parent: when stdin closes.

pub mod capture;
pub mod dns;
mod ntp;
pub mod serve;
pub mod wire;

use std::io::{self, BufRead, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use capture::Capture;
use nix::sched::{CloneFlags, unshare};
use serve::Served;

use crate::harness::world::plan;

/// The peer's story: enter a network namespace, wait for the link, put addresses on it, answer, and tell on request.
///
/// # Errors
/// When its namespace cannot be set up; the parent then sees its stdout close.
pub fn main(domain: &str) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    say(wire::READY.as_bytes())?;
    let mut lines = io::stdin().lock().lines();
    if lines.next().transpose()?.as_deref() != Some(wire::GO) {
        return Ok(());
    }
    configure()?;
    let capture = Capture::start()?;
    let served: Served = Arc::new(Mutex::new(Vec::new()));
    serve::start(domain, &served)?;
    say(wire::READY.as_bytes())?;
    for line in lines {
        if line? == wire::TAKE {
            let tally = capture.take(serve::take(&served))?;
            say(&serde_json::to_vec(&tally)?)?;
        }
    }
    Ok(())
}

fn say(line: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// The far end of the link and the service addresses, by `ip -batch`.
fn configure() -> io::Result<()> {
    let mut ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = ip.stdin.take() {
        stdin.write_all(plan::peer_side().as_bytes())?;
    }
    let status = ip.wait()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("ip -batch: {status}"))) }
}
