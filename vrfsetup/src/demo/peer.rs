//! One of the two networks: a process in a network namespace of its own that routes and answers for every address.

use std::io::{self, BufRead, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};

use super::probe::DISCARD;

/// The hidden verb by which the demonstration starts it.
pub const PEER: &str = "__demo-peer";

/// Waits for the link, answers with its name until its standard input ends.
///
/// # Errors
/// Those of the set-up.
pub fn serve(name: &str) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    tell("ready")?;
    let mut lines = io::stdin().lock();
    lines.read_line(&mut String::new())?;
    for command in [
        "link set lo up",
        "addr add 198.51.100.1/24 dev eth0",
        "link set eth0 up",
        // Every address is its own.
        "route add local 192.0.2.0/24 dev lo",
        "route add local 203.0.113.0/24 dev lo",
        "route add local 198.18.0.0/15 dev lo",
    ] {
        let status = Command::new("ip").args(command.split_whitespace()).stdin(Stdio::null()).status()?;
        if !status.success() {
            return Err(io::Error::other(format!("ip {command}: {status}")));
        }
    }
    let listener = TcpListener::bind("0.0.0.0:80")?;
    let name = name.to_owned();
    thread::spawn(move || listener.incoming().flatten().for_each(|client| drop(answer(client, &name))));
    let discard = UdpSocket::bind(("0.0.0.0", DISCARD))?;
    thread::spawn(move || while discard.recv(&mut [0; 64]).and_then(|_| tell("datagram")).is_ok() {});
    tell("ready")?;
    lines.read_to_end(&mut Vec::new()).map(drop)
}

/// One line for the sandbox.
fn tell(word: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(format!("{word}\n").as_bytes())?;
    stdout.flush()
}

fn answer(mut client: TcpStream, name: &str) -> io::Result<()> {
    client.set_read_timeout(Some(Duration::from_secs(2)))?;
    let _ = client.read(&mut [0; 1024])?;
    let answer = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{name}\n", name.len() + 1);
    client.write_all(answer.as_bytes())
}
