//! The short way through a plain command line: options with nothing to be said against them, then VRF and COMMAND. clap takes
//! longer over it than all else that a start needs in this process; what is not plain is clap's, and so are help, errors and
//! everything that could contradict itself. A test holds the two against each other.

use std::ffi::{OsStr, OsString};

use crate::cli::{Cli, MechanismArg};

/// The same as clap's answer, or None: ask clap.
pub fn parse(args: &[OsString]) -> Option<Cli> {
    let mut plain = Plain::default();
    let mut words = args.get(1..)?.iter();
    loop {
        let word = words.as_slice().first()?;
        if !word.as_encoded_bytes().starts_with(b"-") {
            break;
        }
        plain.option(words.next()?, || words.next())?;
    }
    // One of those that clap holds against others is no contradiction.
    (plain.touchy < 2).then_some(Cli { argv: words.cloned().collect(), ..plain.cli })
}

/// What has been read so far. An option that is not named here is clap's, so that a new one needs no line in this file.
#[derive(Default)]
struct Plain {
    cli: Cli,
    seen: Vec<OsString>,
    /// How many options there were that do not go with every other.
    touchy: u8,
}

impl Plain {
    /// One option, with its value as the next word.
    fn option<'a>(&mut self, word: &OsString, value: impl FnOnce() -> Option<&'a OsString>) -> Option<()> {
        let value = || value().filter(|value| is_plain(value));
        let cli = &mut self.cli;
        match word.to_str()? {
            "-m" | "--mechanism" => cli.mechanism = mechanism(value()?)?,
            "-n" | "--netns" => cli.netns = Some(value()?.clone()),
            "-u" | "--user" => cli.user = Some(value()?.clone()),
            "-v" | "--verbose" => cli.verbose = true,
            "--interface" => cli.interface = true,
            _ => return self.touchy(word, value),
        }
        self.once(word)
    }

    fn touchy<'a>(&mut self, word: &OsString, value: impl FnOnce() -> Option<&'a OsString>) -> Option<()> {
        self.touchy += 1;
        let cli = &mut self.cli;
        match word.to_str()? {
            "--resolv-conf" => cli.resolv_conf = Some(value()?.into()),
            "--dns" => cli.dns.push(value()?.to_str()?.parse().ok()?),
            "--no-etc" => cli.no_etc = true,
            "--keep-fds" => cli.keep_fds = true,
            "--strict" => cli.strict = true,
            "--no-supervisor" => cli.no_supervisor = true,
            "--unguarded" => cli.unguarded = true,
            _ => return None,
        }
        self.once(word)
    }

    /// By its first letter: a long option and its short form are one.
    fn once(&mut self, word: &OsString) -> Option<()> {
        let is_again = self.seen.iter().any(|seen| is_same(seen, word));
        self.seen.push(word.clone());
        (!is_again).then_some(())
    }
}

/// No option begins like another that has a short form, but for `--no-…` beside `-n`.
fn is_same(one: &OsStr, other: &OsStr) -> bool {
    let short = |word: &OsStr| match word.as_encoded_bytes() {
        [b'-', b'-', b'n', b'o', ..] => None,
        [b'-', b'-', first, ..] | [b'-', first] => Some(*first),
        _ => None,
    };
    one == other || (short(one).is_some() && short(one) == short(other))
}

/// Neither empty nor an option.
fn is_plain(value: &OsStr) -> bool {
    !matches!(value.as_encoded_bytes(), [] | [b'-', ..])
}

fn mechanism(word: &OsStr) -> Option<MechanismArg> {
    match word.to_str()? {
        "auto" => Some(MechanismArg::Auto),
        "bpf" => Some(MechanismArg::Bpf),
        "preload" => Some(MechanismArg::Preload),
        "seccomp" => Some(MechanismArg::Seccomp),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use proptest::prelude::*;

    use super::*;
    use crate::proptests;

    const WORDS: [&str; 40] = [
        "blue",
        "-m",
        "--mechanism",
        "--mechanism=bpf",
        "-mbpf",
        "auto",
        "bpf",
        "preload",
        "seccomp",
        "BPF",
        "--explain",
        "-j",
        "--json",
        "-v",
        "--verbose",
        "-vv",
        "--interface",
        "-n",
        "--netns",
        "-u",
        "--user",
        "nobody:x",
        "--resolv-conf",
        "/etc/x",
        "--dns",
        "192.0.2.1",
        "2001:db8::1",
        "--no-etc",
        "--keep-fds",
        "--strict",
        "--no-supervisor",
        "--unguarded",
        "--",
        "-",
        "",
        "--help",
        "-h",
        "-V",
        "--inter",
        "true",
    ];

    /// Whatever the short way takes, clap takes for the same; and it takes what is plain.
    fn agree(words: &[&str]) -> bool {
        let args: Vec<OsString> = std::iter::once("vrfrun").chain(words.iter().copied()).map(OsString::from).collect();
        let Some(plain) = parse(&args) else { return false };
        let clap = Cli::try_parse_from(&args).unwrap_or_else(|error| panic!("{words:?}: clap refuses it: {error}"));
        assert_eq!(plain, clap, "{words:?}");
        true
    }

    #[test]
    fn it_agrees_with_clap_on_any_words() {
        let words = proptest::collection::vec(proptest::sample::select(&WORDS[..]), 0..6);
        proptests::check((words, any::<bool>()), |(mut words, is_whole)| {
            if is_whole {
                words.extend(["blue", "true"]);
            }
            agree(&words);
        });
    }

    #[test]
    fn it_agrees_with_clap_on_every_pair() {
        for first in WORDS {
            for second in WORDS {
                agree(&[first, second, "blue", "true"]);
                agree(&["-v", first, second]);
            }
        }
    }

    #[test]
    fn what_is_plain_is_taken() {
        for line in [
            "blue true",
            "-m bpf blue true",
            "-m preload --no-supervisor blue ls -l --",
            "--interface -v --strict eth1 true",
            "-n other -u nobody:x --dns 192.0.2.1 blue true",
            "--resolv-conf /etc/x blue -- -odd",
        ] {
            assert!(agree(&line.split(' ').collect::<Vec<_>>()), "{line}");
        }
    }
}
