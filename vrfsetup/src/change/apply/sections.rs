//! A file with mistakes: what can be read of it, section by section, and in `[user]` line by line. A user of a line that
//! cannot be read is to have no network: the default domain is not where it was to be.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use super::config::Config;
use super::source::{self, Source};
use super::user_names;
use crate::error::Error;

/// What was read, the mistakes, and the text without the sections that have them. Lines keep their numbers.
pub struct Legible {
    /// What is declared in the other sections.
    pub config: Config,
    /// One for each section that is left out.
    pub mistakes: Vec<Error>,
    /// The text that the configuration's places refer to.
    pub text: String,
}

/// Reads the file without the sections that have a mistake, and without such lines about users. A mistake outside all sections
/// leaves nothing but the users, without a network.
///
/// # Errors
/// A mistake outside all sections of a file without users.
pub fn read(path: &Path, bytes: &[u8]) -> Result<Legible, Error> {
    let whole = String::from_utf8_lossy(bytes).into_owned();
    let (mut text, mut mistakes, mut is_rules_wrong) = (whole.clone(), Vec::new(), false);
    let (mut closed, mut garbled) = (BTreeSet::new(), garbled(path, bytes).into_iter());
    loop {
        let first = garbled.find(|error| !is_gone(&text, error));
        let error = match first.map_or_else(|| Source::new(path, &text).read(), Err) {
            Ok(mut config) => {
                // What becomes of the rules is not known: they stay as they are.
                config.rules.fix &= !is_rules_wrong;
                config.user.retain(|name, _| !closed.contains(name));
                if !mistakes.is_empty() {
                    // What was left out may have hidden somebody.
                    closed.extend(user_names::all(&whole).into_iter().filter(|name| !config.user.contains_key(name)));
                }
                config.closed = closed;
                return Ok(Legible { config, mistakes, text });
            }
            Err(error) => error,
        };
        let Error::BadFile { line, .. } = error else { return Err(error) };
        is_rules_wrong |= heading(&text, line).is_some_and(|heading| heading.starts_with("[rules]"));
        let without = without_mistake(&text, line, &mut closed);
        let Some(without) = without else { return closed_only(&whole, mistakes, error) };
        mistakes.push(error);
        text = without;
    }
}

/// Lines that are not UTF-8.
fn garbled(path: &Path, bytes: &[u8]) -> Vec<Error> {
    let lines = bytes.split(|&b| b == b'\n').zip(1..).filter(|(line, _)| std::str::from_utf8(line).is_err());
    let error = |(line, at): (&[u8], usize)| Error::BadFile {
        path: path.to_owned(),
        line: at,
        text: source::shown(&String::from_utf8_lossy(line)),
        what: "not UTF-8".to_owned(),
    };
    lines.map(error).collect()
}

/// Whether its line has gone with its section.
fn is_gone(text: &str, error: &Error) -> bool {
    matches!(error, Error::BadFile { line, .. } if text.lines().nth(line - 1).is_none_or(str::is_empty))
}

/// The text with empty lines in the place of what has the mistake: a comment, a line about users, who are then closed, or a
/// section.
fn without_mistake(text: &str, line: usize, closed: &mut BTreeSet<String>) -> Option<String> {
    let wrong = text.lines().nth(line - 1).unwrap_or_default();
    if wrong.trim_start().starts_with('#') {
        return Some(without_lines(text, line - 1..line));
    }
    let is_of_users = heading(text, line).is_some_and(user_names::is_heading);
    let named = match heading(text, line) {
        Some(_) if is_of_users && !begins_section(wrong) => user_names::of_line(wrong).into_iter().collect(),
        Some(_) => Vec::new(),
        None => user_names::of_key(wrong),
    };
    if !named.is_empty() {
        closed.extend(named);
        return Some(without_lines(text, line - 1..line));
    }
    if is_of_users {
        // The heading, or something over several lines: nobody can tell whose.
        closed.extend(user_names::all(text));
    }
    without_section(text, line)
}

fn closed_only(whole: &str, mut mistakes: Vec<Error>, error: Error) -> Result<Legible, Error> {
    let closed = user_names::all(whole);
    if closed.is_empty() {
        return Err(error);
    }
    mistakes.push(error);
    let mut config = Config { closed, ..Config::default() };
    config.rules.fix = false;
    Ok(Legible { config, mistakes, text: String::new() })
}

fn begins_section(line: &str) -> bool {
    line.trim_start().starts_with('[')
}

/// The heading above this line, from 1.
fn heading(text: &str, line: usize) -> Option<&str> {
    text.lines().take(line).map(str::trim_start).filter(|line| begins_section(line)).last()
}

/// The text without the section that has this line; None outside all sections.
fn without_section(text: &str, line: usize) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.iter().take(line).rposition(|line| begins_section(line))?;
    let behind = lines[first + 1..].iter().position(|line| begins_section(line));
    Some(without_lines(text, first..behind.map_or(lines.len(), |at| first + 1 + at)))
}

/// The text with empty lines in the place of these.
fn without_lines(text: &str, gone: Range<usize>) -> String {
    let kept = text.lines().enumerate().map(|(at, line)| if gone.contains(&at) { "" } else { line });
    kept.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn legible(text: &str) -> Legible {
        read(Path::new("vrf.toml"), text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_mistake_costs_its_section_and_is_named_with_its_line() {
        let read = legible("[vrf.a]\ntabel = 10\n\n[vrf.b]\ntable = 20\n[vrf.c]\ntable = \"x\n[vrf.d]\n");
        assert_eq!(read.config.vrf.keys().collect::<Vec<_>>(), ["b", "d"]);
        let mistakes: Vec<String> = read.mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(mistakes.len(), 2, "{mistakes:?}");
        assert!(mistakes.iter().any(|said| said.starts_with("vrf.toml:2: unknown field `tabel`")), "{mistakes:?}");
        assert!(mistakes.iter().any(|said| said.starts_with("vrf.toml:7: ")), "{mistakes:?}");
        assert!(read.config.rules.fix);
    }

    #[test]
    fn a_key_of_many_parts_costs_its_section_and_is_not_shown_whole() {
        let key = |part: &str| vec![part; 100_000].join(".");
        let addresses: String = (1..=40).map(|n| format!("\"192.0.2.{n}/32 dev a\", ")).collect();
        let addresses = addresses + "# " + &".".repeat(100);
        for wrong in
            [format!("{} = 1", key("x")), format!("x = {{ {} = 1 }}", key("'a.b'")), format!("[vrf.{}]", key("y"))]
        {
            let text = format!("[vrf.a]\naddresses = [{addresses}\n]\n[vrf.b]\n{wrong}\n[vrf.c]\n");
            let read = legible(&text);
            let expected = if wrong.starts_with('[') { vec!["a", "b", "c"] } else { vec!["a", "c"] };
            assert_eq!(read.config.vrf.keys().collect::<Vec<_>>(), expected);
            let mistakes: Vec<String> = read.mistakes.iter().map(ToString::to_string).collect();
            assert_eq!(mistakes.len(), 1, "{}", mistakes.len());
            assert!(mistakes[0].starts_with("vrf.toml:5: a key of too many parts: ") && mistakes[0].len() < 300);
        }
    }

    #[test]
    fn rules_that_cannot_be_read_stay_as_they_are() {
        let read = legible("[rules]\nunreachable = \"nome\"\n[vrf.a]\n");
        assert_eq!((read.config.vrf.len(), read.config.rules.fix, read.mistakes.len()), (1, false, 1));
    }

    #[test]
    fn a_mistake_before_the_first_section_costs_everything() {
        assert!(read(Path::new("vrf.toml"), b"nonsense\n[vrf.a]\n").is_err());
    }

    fn users_of(text: &str) -> (Vec<String>, Vec<String>, usize) {
        let read = legible(text);
        let config = read.config;
        (config.user.into_keys().collect(), config.closed.into_iter().collect(), read.mistakes.len())
    }

    #[test]
    fn a_mistake_about_a_user_costs_its_line_and_closes_it() {
        for wrong in [
            "eve = 7",
            "eve = blue",
            "eve = \"blue",
            "\"eve\" \"blue\"",
            "'eve' = \"default\"",
            "eve",
            "eve =# \"x\"",
            "eve = [\"blue\"]",
            "eve = \"a b\"",
        ] {
            let text = format!("[vrf.a]\n[user]\nal = \"a\"\n{wrong}\nbob = \"a\"\n[sysctl]\n");
            let mistakes = legible(&text).mistakes;
            assert!(mistakes[0].to_string().starts_with("vrf.toml:4: "), "{wrong}: {mistakes:?}");
            assert_eq!(users_of(&text), (vec!["al".into(), "bob".into()], vec!["eve".into()], 1), "{wrong}");
        }
    }

    #[test]
    fn a_user_of_two_lines_is_in_neither_vrf() {
        let text = "[user]\nal = \"a\"\neve = \"a\"\neve = \"b\"\n";
        assert_eq!(users_of(text), (vec!["al".into()], vec!["eve".into()], 1));
    }

    #[test]
    fn a_mistake_of_the_heading_closes_all_of_its_users() {
        for text in ["[user\nal = \"a\"\n\n# no\n[vrf.a]\n", "nonsense\n[vrf.a]\n[user]\nal = \"a\"\n"] {
            assert_eq!(users_of(text), (vec![], vec!["al".into()], 1), "{text}");
        }
        let twice = "[user]\nal = \"a\"\n[vrf.a]\n[user]\nbob = \"a\"\n";
        assert_eq!(users_of(twice), (vec![], vec!["al".into(), "bob".into()], 1));
    }

    #[test]
    fn a_user_outside_the_section_is_closed_by_a_mistake_too() {
        for wrong in
            ["user = { eve = 7 }", "user.eve = 7", "user = {\n  eve = 7,\n}", "user.eve = 7\nuser.\"eve\" = \"a\""]
        {
            let text = format!("{wrong}\n[vrf.a]\n");
            let (users, closed, mistakes) = users_of(&text);
            assert!(users.is_empty() && closed.contains(&"eve".to_owned()) && mistakes > 0, "{text}: {closed:?}");
        }
        let (users, closed, _) = users_of("user.al = \"a\"\nuser.eve = 7\n[vrf.a]\n");
        assert_eq!((users, closed), (vec!["al".into()], vec!["eve".into()]));
        // One whose line was left out before the mistake that costs all.
        let (_, closed, _) = users_of("nonsense = 7\n[user]\neve =\nal = \"a\"\n");
        assert_eq!(closed, ["al", "eve"]);
        let hidden = users_of("[user]\neve = [\n[\"x\"]\n]\nbob = \"a\"\n[vrf.a]\n").1;
        assert!(["bob", "eve"].iter().all(|name| hidden.contains(&(*name).to_owned())), "{hidden:?}");
    }

    fn of_bytes(bytes: &[u8]) -> (Vec<String>, Vec<String>, Vec<String>, Vec<String>) {
        let Legible { config, mistakes, .. } = read(Path::new("vrf.toml"), bytes).expect("legible");
        let said = mistakes.iter().map(ToString::to_string).collect();
        (config.user.into_keys().collect(), config.closed.into_iter().collect(), config.vrf.into_keys().collect(), said)
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_a_mistake_of_their_line() {
        let text = b"# caf\xe9\n[vrf.a]\n# \xe9\n[vrf.b]\nports = [\"\xe9\", # \xe9\n\"\xe9\"]\n[user]\n# \xe9\nal = \"a\"\neve = \"a\" # \xe9\n";
        let (users, closed, vrfs, said) = of_bytes(text);
        assert_eq!((users, closed, vrfs), (vec!["al".into()], vec!["eve".into()], vec!["a".into()]));
        assert_eq!(said.len(), 5, "{said:?}");
        assert!(said[0].starts_with("vrf.toml:1: not UTF-8: # caf"), "{said:?}");
        assert!(said[4].starts_with("vrf.toml:10: not UTF-8: eve"), "{said:?}");
        let (users, closed, ..) = of_bytes(b"nons\xe9nse\n[user]\nal = \"a\"\n");
        assert_eq!((users, closed), (vec![], vec!["al".into()]));
    }

    fn mistake(below: &str) -> String {
        let text = format!("[vrf.a]\nports = [\"eth1\"]\n{below}\n");
        Source::new(Path::new("vrf.toml"), &text).read().map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn an_address_is_declared_once() {
        let twice = "addresses = [\n\"192.0.2.1/24 dev eth1\",\n\"192.0.2.1/24 dev eth1 metric 5\"]";
        assert!(mistake(twice).starts_with("vrf.toml:5: declared already"), "{}", mistake(twice));
        let six = "addresses = [\"2001:db8::1/64 dev eth1\", \"2001:db8::1/128 dev eth1\"]";
        assert!(mistake(six).contains("declared already"), "{}", mistake(six));
        let others = "addresses = [\"192.0.2.1/24 dev eth1\", \"192.0.2.1/25 dev eth1\", \"192.0.2.1/24 dev a\"]";
        assert_eq!(mistake(others), "");
    }

    #[test]
    fn a_route_is_declared_once() {
        let six = "routes = [\"default via 2001:db8::1\",\n\"::/0 via 2001:db8::2 metric 1024\"]";
        assert!(mistake(six).starts_with("vrf.toml:4: an earlier route has this destination"), "{}", mistake(six));
        let others =
            "routes = [\"default via 192.0.2.1\", \"default via 192.0.2.2 metric 5\", \"default via 2001:db8::1\"]";
        assert_eq!(mistake(others), "");
    }

    #[test]
    fn a_leak_within_one_domain_is_a_mistake() {
        let leak = "[[leak]]\nfrom = \"a\"\nto = \"a\"\nprefixes = [\"10.0.0.0/8\"]";
        assert!(mistake(leak).starts_with("vrf.toml:5: the domain that the prefixes come from"), "{}", mistake(leak));
    }

    #[test]
    fn a_setting_is_a_number_or_a_text() {
        assert!(mistake("[sysctl]\n\"net.ipv4.ip_forward\" = true").contains("a number, or a text in quotes"));
    }
}
