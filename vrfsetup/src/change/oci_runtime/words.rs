//! What is asked of runc: its command, and where the container's bundle is. Pure.
//!
//! What cannot be understood is refused: a command that is overlooked would make a container outside its VRF.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What it is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    /// Err: what cannot be understood.
    pub asked: Result<Asked, String>,
    /// Where runc's messages go.
    pub log: Option<PathBuf>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// A container, from what is in this directory.
    Create { bundle: PathBuf },
    /// The same, from a checkpoint.
    Restore { bundle: PathBuf },
    /// Nothing that makes one.
    Other,
}

/// Options before the command that have a value; runc(8) and crun(1).
const WITH_VALUE: [&str; 7] =
    ["--root", "--log", "--log-format", "--log-level", "--criu", "--rootless", "--cgroup-manager"];
/// Those that have none.
const ALONE: [&str; 7] = ["--debug", "--systemd-cgroup", "--help", "-h", "--version", "-v", "-V"];

/// Reads runc's arguments. An option before the command that is not known is refused: whether the next word is its value
/// or the command nobody can tell.
pub fn parse(arguments: &[OsString]) -> Words {
    let mut log = None;
    Words { asked: asked(arguments, &mut log), log }
}

fn asked(arguments: &[OsString], log: &mut Option<PathBuf>) -> Result<Asked, String> {
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let (name, value) = split(word);
        if WITH_VALUE.iter().any(|known| name == *known) {
            let value = value.or_else(|| words.next().map(OsString::as_os_str));
            let value = value.ok_or_else(|| format!("option '{}' has no value", word.to_string_lossy()))?;
            if name == "--log" {
                *log = Some(PathBuf::from(value));
            }
        } else if word.as_bytes().starts_with(b"-") {
            if !ALONE.iter().any(|known| name == *known) {
                return Err(format!("unknown option '{}' before runc's command", word.to_string_lossy()));
            }
        } else {
            let bundle = || bundle(words.as_slice());
            return Ok(match word.as_bytes() {
                b"create" | b"run" => Asked::Create { bundle: bundle()? },
                b"restore" => Asked::Restore { bundle: bundle()? },
                _ => Asked::Other,
            });
        }
    }
    Ok(Asked::Other)
}

/// The directory that the last option names, as in runc; without one it is this. runc takes one dash for two, crun what an
/// option begins with for the whole: what the two would read in different ways is refused.
fn bundle(rest: &[OsString]) -> Result<PathBuf, String> {
    let mut bundle = PathBuf::from(".");
    let mut words = rest.iter().take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        let (name, value) = split(word);
        let joined = word.as_bytes().strip_prefix(b"-b").filter(|rest| !rest.is_empty() && rest[0] != b'=');
        if is_long(name, "bundle", 1) || name == "-b" {
            let value = value.or_else(|| words.next().map(OsString::as_os_str));
            bundle = value.ok_or("option '--bundle' has no value")?.into();
        } else if name == "-bundle" {
            return Err("option '-bundle' may be '--bundle' or '-b undle'".to_owned());
        } else if let Some(joined) = joined {
            bundle = OsStr::from_bytes(joined).into();
        } else if is_long(name, "config", 4) || word.as_bytes().starts_with(b"-f") {
            return Err("option '--config' would use another configuration than the bundle's".to_owned());
        }
    }
    Ok(bundle)
}

/// Whether it is this option, or its first letters, of which at least so many.
fn is_long(name: &OsStr, option: &str, least: usize) -> bool {
    let given = name.as_bytes().strip_prefix(b"--").unwrap_or_default();
    given.len() >= least && option.as_bytes().starts_with(given)
}

/// `--name=value`, or a name alone.
fn split(word: &OsStr) -> (&OsStr, Option<&OsStr>) {
    match word.as_bytes().iter().position(|byte| *byte == b'=') {
        Some(at) if word.as_bytes().starts_with(b"-") => {
            (OsStr::from_bytes(&word.as_bytes()[..at]), Some(OsStr::from_bytes(&word.as_bytes()[at + 1..])))
        }
        _ => (word, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Words {
        parse(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    fn asked(line: &str) -> Asked {
        parse_line(line).asked.unwrap()
    }

    #[test]
    fn what_makes_a_container_is_seen_as_callers_write_it() {
        let made = |bundle: &str| Asked::Create { bundle: bundle.into() };
        for (line, expected) in [
            // containerd's, podman's, and by hand.
            ("--root /run/x --log /l --log-format json create --bundle /b --pid-file /p --console-socket /c id", "/b"),
            ("--log-level error --systemd-cgroup create --bundle /b --pid-file /p id", "/b"),
            ("--root=/run --debug run -b /b id", "/b"),
            ("run -b=/b id", "/b"),
            ("run -b/b id", "/b"),
            ("create --b /b id", "/b"),
            ("create --b=/b id", "/b"),
            ("create --bun /b id", "/b"),
            ("--root create run --bundle=/b create", "/b"),
            ("create --bundle /a --bundle /b id", "/b"),
            ("run id", "."),
            ("run -- --bundle", "."),
        ] {
            assert_eq!(asked(line), made(expected), "{line}");
        }
        assert_eq!(asked("restore --bundle /b id"), Asked::Restore { bundle: "/b".into() });
        assert_eq!(parse_line("--log /l --root /r state x").log, Some("/l".into()));
    }

    #[test]
    fn everything_else_is_runcs_own_affair() {
        for line in ["", "--version", "-h", "--root /r start create", "exec id create", "delete -f run", "state run"] {
            assert_eq!(asked(line), Asked::Other, "{line}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for line in [
            "--new create id",
            "-root /r create id",
            "--root",
            "create --bundle",
            "create -bundle /b id",
            "create -bundle=/b id",
            "create --config x id",
            "create --conf x id",
            "create -fx id",
            "-x create id",
        ] {
            assert!(parse_line(line).asked.is_err(), "{line}");
        }
    }
}
