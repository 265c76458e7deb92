//! How the output of the commands is shown: line by line behind the VRF's name, or as one JSON object for each VRF.

use serde_json::json;

use crate::each::job::{End, Job};
use crate::each::queue::{Queue, To};
use crate::error::text;

/// Shows it.
#[derive(Clone, Copy, Debug)]
pub enum Output {
    /// As it comes, in whole lines.
    Lines,
    /// At the end of each command.
    Json,
}

impl Output {
    /// As it was asked for.
    pub fn new(json: bool) -> Self {
        if json { Output::Json } else { Output::Lines }
    }

    /// Shows what is complete of what a command has said so far.
    pub fn progress(self, job: &mut Job, queue: &mut Queue) {
        match self {
            Output::Lines => show(job, queue, complete),
            Output::Json => {}
        }
    }

    /// Shows the rest, after its end.
    pub fn end(self, job: &mut Job, end: &End, queue: &mut Queue) {
        match self {
            Output::Lines => show(job, queue, <[u8]>::len),
            Output::Json => queue.push(To::Stdout, format!("{}\n", object(job, end)).as_bytes()),
        }
    }
}

/// Shows as much of both streams as `length` says.
fn show(job: &mut Job, queue: &mut Queue, length: fn(&[u8]) -> usize) {
    let name = text(&job.vrf);
    queue.push(To::Stderr, &prefixed(&name, &take(&mut job.stderr.bytes, length)));
    queue.push(To::Stdout, &prefixed(&name, &take(&mut job.stdout.bytes, length)));
}

fn take(bytes: &mut Vec<u8>, length: fn(&[u8]) -> usize) -> Vec<u8> {
    bytes.drain(..length(bytes)).collect()
}

/// The length of all complete lines.
fn complete(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}

/// Each line with the name before it, and the end of a line after the last one.
fn prefixed(name: &str, lines: &[u8]) -> Vec<u8> {
    let line = |line: &[u8]| [name.as_bytes(), b": ", line.strip_suffix(b"\n").unwrap_or(line), b"\n"].concat();
    lines.split_inclusive(|byte| *byte == b'\n').flat_map(line).collect()
}

fn object(job: &Job, end: &End) -> serde_json::Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    json!({
        "vrf": job.vrf.to_string_lossy(),
        "status": end.status,
        "seconds": (end.took.as_secs_f64() * 1000.0).round() / 1000.0,
        "stdout": text(&job.stdout.bytes),
        "stderr": text(&job.stderr.bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_when_it_is_complete() {
        let mut bytes = b"one\n\ntw".to_vec();
        assert_eq!(take(&mut bytes, complete), b"one\n\n");
        assert_eq!((take(&mut bytes, complete), bytes.as_slice()), (Vec::new(), &b"tw"[..]));
        assert_eq!((take(&mut bytes, <[u8]>::len), bytes.len()), (b"tw".to_vec(), 0));
    }

    #[test]
    fn each_line_has_the_name_before_it_and_bytes_stay_bytes() {
        assert_eq!(prefixed("red", b"a\n\n\xff\r\nlast"), b"red: a\nred: \nred: \xff\r\nred: last\n");
        assert_eq!(prefixed("red", b""), b"");
    }
}
