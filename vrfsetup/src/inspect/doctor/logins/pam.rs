//! Files of PAM, as pam.conf(5) has them. Pure.

/// How deep files include each other at most: two may include each other.
const DEPTH: usize = 8;

/// A line that runs `vrfsetup session VRF`.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    pub vrf: String,
    /// Whether a login that it refuses is denied.
    pub denies: bool,
}

/// All of a file, but those that it includes.
pub fn lines(text: &str) -> impl Iterator<Item = Line> {
    whole_lines(text).into_iter().filter_map(|line| parse(&line))
}

/// Whether pam_systemd.so, which has a login moved into a cgroup of its own, stands before the first such line, in the file or in
/// what it includes there; true of a file without one. `include`: the text of a file of this name.
pub fn comes_behind_logind(text: &str, include: &dyn Fn(&str) -> String) -> bool {
    let lines = whole_lines(text);
    let Some(own) = lines.iter().position(|line| parse(line).is_some()) else { return true };
    lines[..own].iter().any(|line| names_logind(line, include, DEPTH))
}

fn names_logind(line: &str, include: &dyn Fn(&str) -> String, depth: usize) -> bool {
    let is_in =
        |name: &str| depth > 0 && whole_lines(&include(name)).iter().any(|line| names_logind(line, include, depth - 1));
    if let Some(name) = line.strip_prefix("@include") {
        return is_in(name.trim());
    }
    let Some((control, module)) = session(line) else { return false };
    let mut words = module.split_whitespace();
    match control {
        "include" | "substack" => words.next().is_some_and(is_in),
        _ => words.next().is_some_and(|module| module.rsplit('/').next() == Some("pam_systemd.so")),
    }
}

/// Without comments and empty lines; those that end with a backslash go on in the next.
fn whole_lines(text: &str) -> Vec<String> {
    let (mut lines, mut begun) = (Vec::new(), String::new());
    for line in text.lines() {
        begun += line.split('#').next().unwrap_or_default();
        if let Some(goes_on) = begun.strip_suffix('\\') {
            begun = format!("{goes_on} ");
            continue;
        }
        lines.extend(Some(begun.trim().to_owned()).filter(|line| !line.is_empty()));
        begun.clear();
    }
    lines
}

/// Control and module, with its words, of a line for sessions.
fn session(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix('-').unwrap_or(line).strip_prefix("session")?.trim_start();
    match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']'),
        None => rest.split_once(char::is_whitespace),
    }
}

/// `session required pam_exec.so seteuid /usr/sbin/vrfsetup session VRF`
fn parse(line: &str) -> Option<Line> {
    let (control, module) = session(line)?;
    let mut words = module.split_whitespace().skip_while(|word| !word.ends_with("/vrfsetup")).skip(1);
    let vrf = words.next().filter(|verb| *verb == "session").and_then(|_| words.next())?.to_owned();
    let denies = |word: &str| ["required", "requisite", "default=bad", "default=die"].contains(&word);
    Some(Line { vrf, denies: control.split_whitespace().any(denies) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "session required pam_exec.so seteuid /usr/sbin/vrfsetup session blue";

    fn only(text: &str) -> Option<Line> {
        lines(text).next()
    }

    #[test]
    fn a_line_that_denies_is_told_from_one_that_does_not() {
        for (control, denies) in [
            ("required", true),
            ("requisite", true),
            ("optional", false),
            ("sufficient", false),
            ("[success=ok default=die]", true),
            ("[default=ignore]", false),
        ] {
            let line = format!("session {control} pam_exec.so \\\n seteuid /usr/sbin/vrfsetup session blue # ours");
            assert_eq!(only(&line), Some(Line { vrf: "blue".to_owned(), denies }), "{line}");
        }
    }

    #[test]
    fn other_lines_are_not_ours() {
        for line in [
            "",
            "# session required pam_exec.so /usr/sbin/vrfsetup session blue",
            "session optional pam_systemd.so",
            "session required pam_exec.so /usr/sbin/vrfsetup doctor",
            "session required pam_exec.so /usr/sbin/vrfsetup session",
            "auth required pam_exec.so /usr/sbin/vrfsetup session blue",
            "@include common-session",
        ] {
            assert_eq!(only(line), None, "{line}");
        }
    }

    #[test]
    fn logind_comes_before_it_in_the_file_or_in_what_that_includes() {
        let include = |name: &str| match name {
            "common-session" => "session required pam_unix.so\n-session optional pam_systemd.so\n".to_owned(),
            "circle" => "@include circle\n".to_owned(),
            _ => String::new(),
        };
        for (before, is_right) in [
            ("@include common-session", true),
            ("session include common-session", true),
            ("session [success=ok default=bad] /lib/security/pam_systemd.so class=background", true),
            ("@include common-session-noninteractive", false),
            ("@include circle", false),
            ("auth include common-session", false),
            ("# session optional pam_systemd.so", false),
            ("", false),
        ] {
            assert_eq!(comes_behind_logind(&format!("{before}\n{OURS}\n"), &include), is_right, "{before}");
        }
        assert!(!comes_behind_logind(&format!("{OURS}\n@include common-session\n"), &include), "behind it");
        assert!(comes_behind_logind("session required pam_unix.so\n", &include), "nothing of ours");
    }
}
