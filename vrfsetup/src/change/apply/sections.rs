//! A file with mistakes: what can be read of it, section by section.

use std::path::Path;

use super::config::Config;
use super::source::Source;
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

/// Reads the file without the sections that have a mistake.
///
/// # Errors
/// A mistake outside all sections.
pub fn read(path: &Path, text: &str) -> Result<Legible, Error> {
    let (mut text, mut mistakes, mut is_rules_wrong) = (text.to_owned(), Vec::new(), false);
    loop {
        let error = match Source::new(path, &text).read() {
            Ok(mut config) => {
                // What becomes of the rules is not known: they stay as they are.
                config.rules.fix &= !is_rules_wrong;
                return Ok(Legible { config, mistakes, text });
            }
            Err(error) => error,
        };
        let Error::BadFile { line, .. } = error else { return Err(error) };
        let Some(without) = without_section(&text, line) else { return Err(error) };
        is_rules_wrong |= heading(&text, line).is_some_and(|heading| heading.starts_with("[rules]"));
        mistakes.push(error);
        text = without;
    }
}

/// The heading above this line, from 1.
fn heading(text: &str, line: usize) -> Option<&str> {
    text.lines().take(line).map(str::trim_start).filter(|line| line.starts_with('[')).last()
}

/// The text with empty lines in the place of the section that has this line; None outside all sections.
fn without_section(text: &str, line: usize) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let begins = |line: &&str| line.trim_start().starts_with('[');
    let first = lines.iter().take(line).rposition(begins)?;
    let behind = lines[first + 1..].iter().position(begins).map_or(lines.len(), |at| first + 1 + at);
    let kept = lines.iter().enumerate().map(|(at, line)| if (first..behind).contains(&at) { "" } else { line });
    Some(kept.flat_map(|line| [line, "\n"]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn legible(text: &str) -> Legible {
        read(Path::new("vrf.toml"), text).unwrap_or_else(|error| panic!("{error}"))
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
    fn rules_that_cannot_be_read_stay_as_they_are() {
        let read = legible("[rules]\nunreachable = \"nome\"\n[vrf.a]\n");
        assert_eq!((read.config.vrf.len(), read.config.rules.fix, read.mistakes.len()), (1, false, 1));
    }

    #[test]
    fn a_mistake_before_the_first_section_costs_everything() {
        assert!(read(Path::new("vrf.toml"), "nonsense\n[vrf.a]\n").is_err());
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
