//! A run of this program that tries something in its own process, and ends in time: nothing that it waits for holds a boot up.

use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longer than a machine under load takes for it.
const LONGEST: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(2);

/// What came of it.
#[derive(Debug)]
pub struct Ended {
    /// Whether its exit status was 0.
    pub is_success: bool,
    /// What it wrote to standard error.
    pub said: String,
}

/// Runs this program with these arguments.
///
/// # Errors
/// It could not be started, or did not end in time (ETIMEDOUT).
pub fn run(arguments: &[&str]) -> io::Result<Ended> {
    run_within(Command::new("/proc/self/exe").args(arguments), LONGEST)
}

/// Runs another program, which gets no variable of the environment: somebody else may have made that.
///
/// # Errors
/// As [`run`].
pub fn run_other(program: &Path, arguments: &[&str]) -> io::Result<Ended> {
    run_within(Command::new(program).args(arguments).env_clear(), LONGEST)
}

fn run_within(command: &mut Command, longest: Duration) -> io::Result<Ended> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ended { is_success: status.success(), said: said(&mut child) });
        }
        if begun.elapsed() >= longest {
            // One that cannot die yet is left to the kernel: waiting for it would be what this is against.
            let _ = child.kill();
            return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT));
        }
        sleep(PAUSE);
    }
}

/// One line: less than a pipe holds.
fn said(child: &mut Child) -> String {
    let mut text = Vec::new();
    let _ = child.stderr.take().map(|stderr| stderr.take(1 << 16).read_to_end(&mut text));
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, longest: Duration) -> io::Result<Ended> {
        run_within(Command::new("sh").args(["-c", script]), longest)
    }

    #[test]
    fn what_a_trial_says_and_how_it_ends_is_told() {
        let ended = shell("echo no >&2; exit 3", LONGEST).unwrap();
        assert_eq!((ended.is_success, ended.said.as_str()), (false, "no\n"));
        assert!(shell("exit 0", LONGEST).unwrap().is_success);
    }

    #[test]
    fn a_trial_that_does_not_end_is_ended() {
        let begun = Instant::now();
        let error = shell("exec sleep 1000", Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ETIMEDOUT));
        assert!(begun.elapsed() < Duration::from_secs(500));
    }
}
