//! Command lines of the kind that most are: a few options, VRF and COMMAND. clap takes a fifth of a start to read any line, so
//! these are read without it. It reads all others, and says what is wrong with them.

use std::ffi::OsString;
use std::mem;

use crate::cli::Cli;
use crate::cli::values::MechanismArg;

/// What clap would make of it; None where clap is to be asked.
pub fn read(args: &[OsString]) -> Option<Cli> {
    let (mut cli, mut mechanism) = (Cli::default(), None);
    let mut words = args.get(1..)?;
    loop {
        let (word, rest) = words.split_first()?;
        if !word.as_encoded_bytes().starts_with(b"-") {
            cli.mechanism = mechanism.unwrap_or_default();
            cli.argv = words.to_vec();
            return Some(cli);
        }
        words = match cli.flag(word.as_encoded_bytes()) {
            // Given twice, it is an error.
            Some(flag) => (!mem::replace(flag, true)).then_some(rest)?,
            None => {
                let (value, rest) = mechanism_in(word, rest).filter(|_| mechanism.is_none())?;
                mechanism = Some(value);
                rest
            }
        };
    }
}

impl Cli {
    /// Options that may stand beside all others of these.
    fn flag(&mut self, word: &[u8]) -> Option<&mut bool> {
        match word {
            b"-v" | b"--verbose" => Some(&mut self.verbose),
            b"--interface" => Some(&mut self.interface),
            b"--no-etc" => Some(&mut self.no_etc),
            b"--no-supervisor" => Some(&mut self.no_supervisor),
            b"--strict" => Some(&mut self.strict),
            _ => None,
        }
    }
}

/// The value of the option, and what stands behind it.
fn mechanism_in<'a>(option: &OsString, rest: &'a [OsString]) -> Option<(MechanismArg, &'a [OsString])> {
    let (value, rest) = rest.split_first().filter(|_| option == "-m" || option == "--mechanism")?;
    let value = match value.as_encoded_bytes() {
        b"auto" => MechanismArg::Auto,
        b"bpf" => MechanismArg::Bpf,
        b"preload" => MechanismArg::Preload,
        b"seccomp" => MechanismArg::Seccomp,
        _ => return None,
    };
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use proptest::collection::vec;

    use super::*;
    use crate::proptests;

    const WORDS: &[&str] = &[
        "-v",
        "--verbose",
        "--interface",
        "--no-etc",
        "--no-supervisor",
        "--strict",
        "-m",
        "--mechanism",
        "auto",
        "bpf",
        "preload",
        "seccomp",
        "blue",
        "each",
        "",
        "-",
        "--",
        "-vm",
        "-mbpf",
        "--mechanism=bpf",
        "--explain",
        "--keep-fds",
    ];

    fn line(words: &[&str]) -> Vec<OsString> {
        ["vrfrun"].iter().chain(words).map(OsString::from).collect()
    }

    #[test]
    fn clap_reads_the_same() {
        proptests::check(vec(proptest::sample::select(WORDS), 0..7), |words| {
            let line = line(&words);
            if let Some(quick) = read(&line) {
                let slow = Cli::try_parse_from(&line).map_err(|error| error.to_string());
                assert_eq!(slow.map(|cli| format!("{cli:?}")), Ok(format!("{quick:?}")), "{words:?}");
            }
        });
    }

    #[test]
    fn what_most_people_type_is_read_here() {
        for words in [
            &["blue", "curl", "-v", "--", "x"][..],
            &["-m", "bpf", "blue", "true"],
            &["-v", "--mechanism", "preload", "--no-supervisor", "--no-etc", "--interface", "eth0", "true"],
            &["--strict", "blue", "--", "-odd"],
        ] {
            assert!(read(&line(words)).is_some(), "{words:?}");
        }
        for words in
            [&["-h"][..], &["blue", "-h"], &["-v"], &["-v", "-v", "blue", "true"], &["-m", "bpf", "-m", "bpf", "blue"]]
        {
            assert_eq!(read(&line(words)).is_some(), words[0] == "blue", "{words:?}");
        }
        assert!(read(&[]).is_none());
    }
}
