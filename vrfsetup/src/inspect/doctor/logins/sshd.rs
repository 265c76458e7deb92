//! Whether sshd(8) calls PAM.

use std::fs;
use std::path::{Path, PathBuf};

const CONFIGURATION: &str = "/etc/ssh/sshd_config";
const DROP_INS: &str = "/etc/ssh/sshd_config.d";

/// None where there is no sshd.
pub fn calls_pam() -> Option<bool> {
    let text = fs::read_to_string(CONFIGURATION).ok()?;
    let drop_ins = || sorted(Path::new(DROP_INS)).iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
    Some(uses_pam(&text, &drop_ins))
}

fn sorted(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "conf")).collect();
    paths.sort();
    paths
}

/// The first value counts, and without one it is `no`. Of what is included, Debian's and Fedora's directory is read.
fn uses_pam(text: &str, drop_ins: &dyn Fn() -> Vec<String>) -> bool {
    for line in text.lines() {
        let mut words = line.split(|c: char| c.is_whitespace() || c == '=').filter(|word| !word.is_empty());
        let (keyword, value) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().trim_matches('"'));
        let found = match keyword.to_ascii_lowercase().as_str() {
            // Below it are words for some only, and this is none of them.
            "match" => return false,
            "usepam" => Some(value.eq_ignore_ascii_case("yes")),
            // What is relative is below the directory of the configuration.
            "include" if Path::new("/etc/ssh").join(value).starts_with(DROP_INS) => first_of(&drop_ins()),
            _ => None,
        };
        if let Some(found) = found {
            return found;
        }
    }
    false
}

fn first_of(texts: &[String]) -> Option<bool> {
    let is_said =
        |text: &&String| text.lines().any(|line| line.trim_start().to_ascii_lowercase().starts_with("usepam"));
    texts.iter().find(is_said).map(|text| uses_pam(text, &Vec::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_counts_and_none_is_no() {
        let none = Vec::new;
        let no = || vec!["# UsePAM yes\n".to_owned(), "UsePAM no\n".to_owned()];
        assert!(uses_pam("#UsePAM no\nusepam yes\nUsePAM no\n", &none));
        assert!(uses_pam("UsePAM=yes\n", &none));
        assert!(!uses_pam("PermitRootLogin yes\n", &none));
        assert!(!uses_pam("Match User al\nUsePAM yes\n", &none));
        assert!(!uses_pam("Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n", &no));
        assert!(uses_pam("Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n", &none));
        assert!(!uses_pam("Include sshd_config.d/*.conf\nUsePAM yes\n", &no), "a relative one");
        assert!(!uses_pam("Include \"/etc/ssh/sshd_config.d/*.conf\"\nUsePAM yes\n", &no), "a quoted one");
        for yes in ["YES", "\"yes\"", "Yes # PAM"] {
            assert!(uses_pam(&format!("UsePAM {yes}\n"), &none), "{yes}");
        }
        assert!(uses_pam("UsePAM yes\nInclude /etc/ssh/sshd_config.d/*.conf\n", &no));
    }
}
