//! The handles to the three peers' processes.

use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub use crate::harness::peer::wire::Tally;
use crate::harness::peer::wire::{GO, READY, TAKE};
use crate::harness::world::Domain;

/// One domain's peer, in its own network namespace; ends with this value.
#[derive(Debug)]
pub struct Peer {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts the process in a new network namespace, where it waits for its link.
    pub fn start(domain: Domain) -> io::Result<Self> {
        let mut process =
            Command::new(program()?).arg(domain.name()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(orders), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let mut peer = Self { process, orders, answers: BufReader::new(answers) };
        // Only when it has spoken is it past unshare(2), and its pid one by which to name the namespace.
        peer.expect(READY)?;
        Ok(peer)
    }

    /// The process whose network namespace is the peer's.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The link is there: set it up and serve.
    pub fn go(&mut self) -> io::Result<()> {
        writeln!(self.orders, "{GO}")?;
        self.expect(READY)
    }

    /// What came since the last time.
    ///
    /// # Errors
    /// Also when the kernel dropped packets from the peer's view: such a count proves nothing.
    pub fn take(&mut self) -> io::Result<Tally> {
        writeln!(self.orders, "{TAKE}")?;
        let tally: Tally = serde_json::from_str(&self.line()?)?;
        if tally.unseen > 0 {
            return Err(io::Error::other(format!("{} packets were not seen by the peer", tally.unseen)));
        }
        Ok(tally)
    }

    fn expect(&mut self, word: &str) -> io::Result<()> {
        match self.line()?.trim_end() {
            line if line == word => Ok(()),
            line => Err(io::Error::other(format!("the peer said '{line}' instead of '{word}'"))),
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Fails only for a process that has ended, which is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `vrfpeer` lies beside this program; cargo puts a test one directory deeper.
fn program() -> io::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let directories = this.ancestors().skip(1).take(2);
    directories
        .map(|directory| directory.join("vrfpeer"))
        .find(|path| path.exists())
        .ok_or_else(|| io::Error::other("vrfpeer is not beside this program"))
}
