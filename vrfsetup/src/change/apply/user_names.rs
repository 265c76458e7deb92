//! Whom a text is about that may be no TOML: the users of `[user]`, however it is written. Rather a word too many, which is
//! nobody's name, than one too few.

use std::collections::BTreeSet;

/// What else a file declares. Other headings are mistakes, and end nothing.
const OTHERS: [&str; 7] = ["rules", "zones", "tunnel", "sysctl", "default", "vrf", "leak"];

/// Which users are named here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first section, where keys have their section's name.
    Top,
    /// Below `user = {`, which may go on over several lines.
    Inline,
    /// Below `[user]`.
    Section,
    /// In another section.
    Elsewhere,
}

/// All of them.
pub fn all(text: &str) -> BTreeSet<String> {
    let (mut place, mut names) = (Place::Top, BTreeSet::new());
    for line in text.lines().map(str::trim) {
        if line.starts_with('#') {
            continue;
        }
        let (key, rest) = split_key(line.trim_start_matches('['));
        place = match place {
            _ if line.starts_with('[') && is_users(key) => Place::Section,
            _ if line.starts_with('[') && OTHERS.contains(&key) => Place::Elsewhere,
            Place::Top | Place::Inline if is_users(key) => Place::Inline,
            Place::Inline if OTHERS.contains(&key) => Place::Top,
            unchanged => unchanged,
        };
        match place {
            _ if line.starts_with('[') && is_users(key) => names.extend(below(rest)),
            Place::Inline if is_users(key) => names.extend(of_key(line)),
            Place::Inline => names.extend(before_equals(line)),
            Place::Section => names.extend(of_line(line)),
            Place::Top | Place::Elsewhere => {}
        }
    }
    names
}

/// Whether a line is the heading of `[user]`, or meant to be.
pub fn is_heading(line: &str) -> bool {
    line.trim_start().starts_with('[') && is_users(split_key(line.trim_start().trim_start_matches('[')).0)
}

/// Whom a line below the heading begins with: `alice` of `alice = blue`, `"alice" "blue"`; none of an empty line and a comment.
pub fn of_line(line: &str) -> Option<String> {
    let line = line.trim();
    let key = match line.strip_prefix(['"', '\'']) {
        Some(rest) => rest.split(['"', '\'']).next(),
        None => line.split(|c: char| c == '=' || c == '#' || c.is_whitespace()).next(),
    };
    key.filter(|key| !key.is_empty()).map(str::to_owned)
}

/// Whom a line outside all sections is about: `user.alice = blue`, `user = { alice = blue, bob = 7 }`.
pub fn of_key(line: &str) -> Vec<String> {
    let (key, rest) = split_key(line);
    match is_users(key) {
        true => below(rest).map_or_else(|| before_equals(rest), |name| vec![name]),
        false => Vec::new(),
    }
}

/// `alice` of `.alice = …` and of `.alice]`.
fn below(rest: &str) -> Option<String> {
    of_line(rest.trim_start().strip_prefix('.')?.split(']').next()?)
}

/// Each key of an inline table.
fn before_equals(text: &str) -> Vec<String> {
    let text = text.split('#').next().unwrap_or_default();
    let mut pieces: Vec<&str> = text.split('=').map(str::trim).collect();
    pieces.pop();
    let key = |piece: &str| match piece.strip_suffix(['"', '\'']) {
        Some(quoted) => quoted.rsplit(['"', '\'']).next().map(str::to_owned),
        None => piece.rsplit(|c: char| c.is_whitespace() || "{},\"'".contains(c)).next().map(str::to_owned),
    };
    pieces.into_iter().filter_map(key).filter(|name| !name.is_empty()).collect()
}

/// The first word of a key, and what follows it.
fn split_key(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let bare = text.strip_prefix(['"', '\'']).unwrap_or(text);
    let end = bare.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).unwrap_or(bare.len());
    let (key, rest) = bare.split_at(end);
    (key, if bare.len() == text.len() { rest } else { rest.trim_start_matches(['"', '\'']) })
}

fn is_users(key: &str) -> bool {
    key.to_ascii_lowercase().starts_with("user")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> String {
        all(text).into_iter().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn users_are_known_however_they_are_written() {
        for text in [
            "[user]\neve = 7\nal = \"a\"",
            "[ \"user\" ]\n\"eve\" \"blue\"\n# no = 1\n'al'",
            "[user]\neve = [\n[\"x\"]\n]\nal = \"a\"\n[vrf.a]\ntable = 7",
            "[Users]\neve = 7\n[user]\nal = \"a\"",
            "user = { eve = 7, \"al\" = \"a=b\" } # no = 1\n[vrf.a]\ntable = 7",
            "zones.on = true\nuser = {\n  eve = 7,\n  al = \"a\",\n}\nrules.fix = true\n[vrf.a]\n",
            "user.eve = 7\n\"user\" . \"al\" = \"a\"\n",
            "user.eve\nuser.al \"a\"\n",
            "[user.eve]\n[[user.\"al\"]]\n",
        ] {
            let found = all(text);
            assert!(found.contains("eve") && found.contains("al"), "{text}: {found:?}");
            assert!(!found.contains("no") && !found.contains("table") && !found.contains("user"), "{text}: {found:?}");
        }
    }

    #[test]
    fn nobody_is_named_elsewhere() {
        assert_eq!(named("rules.fix = true\n[vrf.a]\nuser.x = 7\ntable = 1\n[tunnel]\nwg0 = \"a\"\n"), "");
        assert_eq!(named("user = \"a\"\n"), "");
    }

    #[test]
    fn all_other_sections_are_known() {
        let said =
            toml::from_str::<super::super::config::Config>("nosuch = 1").expect_err("an unknown field").to_string();
        let fields = said.split_once("expected").expect("what is expected").1.split('`').skip(1).step_by(2);
        let others: BTreeSet<&str> = fields.filter(|field| *field != "user").collect();
        assert_eq!(others, OTHERS.into_iter().collect());
    }
}
