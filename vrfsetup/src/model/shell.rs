//! Words of the commands that are printed for who types them: steps, fixes, hints. Other programs call interfaces and VRFs
//! what they like, and a shell would take some of that for something else.

use std::borrow::Cow;

use crate::model::name;

/// A name or path as one word: in quotes, where it needs them.
pub fn word(name: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_alphanumeric() || "%+,-./:=@^_".contains(c);
    match name::is_one_word(name) && !name.is_empty() && name.chars().all(is_plain) {
        true => Cow::Borrowed(name),
        false => Cow::Owned(format!("'{}'", name.replace('\'', r"'\''"))),
    }
}

/// The same of each of several words, none of which is in quotes yet.
pub fn words(text: &str) -> String {
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// What stands between the quotes behind `printf`.
pub fn printed(text: &str) -> String {
    let escaped = |c: char| match c {
        '\'' => r"'\''".to_owned(),
        '%' => "%%".to_owned(),
        _ => c.escape_debug().to_string(),
    };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn said(script: &str) -> String {
        let output = Command::new("bash").args(["-c", script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_shell_takes_each_name_in_a_command_for_what_it_is() {
        let names = [
            "blue", "a;b", "$(id)", "a'b", "'", "a\"b", "`x`", "a&b", "*", "[a-z]", "~root", "#1", "!x", "a\\b",
            "{a,b}",
        ];
        let script = format!("cd /; printf '%s\\n' {}", names.map(word).join(" "));
        assert_eq!(said(&script).lines().collect::<Vec<_>>(), names);
        assert_eq!((word("eth0.10"), word("")), (Cow::Borrowed("eth0.10"), Cow::Owned::<str>("''".to_owned())));
        assert_eq!(words("default dev a;b metric 1"), "default dev 'a;b' metric 1");
    }

    #[test]
    fn printf_prints_the_text() {
        for text in ["1001 a'b\n", "[Service]\nX=%i \"y\"\n", "a\\b\tc"] {
            assert_eq!(said(&format!("printf '{}'", printed(text))), text);
        }
    }
}
