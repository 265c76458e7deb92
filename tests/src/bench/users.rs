//! What `vrfsetup user` costs those who are no such user: their sockets are made and used beside its programs.

use std::io;

use super::sockets::nanoseconds;
use super::tell;
use super::timing::quiet;

/// What is done, and how often.
const WORK: [(&str, &[&str], u32); 4] = [
    ("socket", &["bench_socket", "bare", "best"], 20_000),
    ("connect", &["bench_use", "connect"], 5_000),
    ("sendto", &["bench_use", "sendto"], 5_000),
    ("tcp", &["bench_use", "tcp"], 500),
];

/// Measures it as root, before and beside a user in the VRF.
pub fn measure() -> io::Result<()> {
    // What is the first of its kind costs more than those behind it.
    WORK.iter().try_for_each(|(_, words, count)| nanoseconds(words, *count).map(drop))?;
    all("before")?;
    let change = |words: &[&str]| match quiet(words)?.status()?.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{words:?} failed"))),
    };
    change(&["vrfsetup", "user", "4711", "blue"])?;
    let measured = all("beside");
    change(&["vrfsetup", "user", "--remove", "4711"])?;
    measured
}

fn all(when: &str) -> io::Result<()> {
    WORK.iter().try_for_each(|(what, words, count)| {
        tell(&format!("users.{what}.{when}"), nanoseconds(words, *count)?);
        Ok(())
    })
}
