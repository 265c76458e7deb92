//! Files of PAM, as pam.conf(5) has them. Pure.

/// How deep files include each other at most: two may include each other.
const DEPTH: usize = 8;

/// A line that runs `vrfsetup session`.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// None where it is `--etc`, for the files of the user's own.
    pub vrf: Option<String>,
    /// Whether a login that it refuses is denied.
    pub denies: bool,
}

/// All of a file, but those that it includes.
pub fn lines(text: &str) -> impl Iterator<Item = Line> {
    whole_lines(text).into_iter().filter_map(|line| parse(&line))
}

/// Whether what a line needs before it stands before the first such line, in the file or in what it includes there: for a VRF
/// pam_systemd.so, which has a login moved into a cgroup of its own, for files pam_namespace.so. True of a file without one.
/// `include`: the text of a file of this name.
pub fn comes_in_order(text: &str, is_for_files: bool, include: &dyn Fn(&str) -> String) -> bool {
    let lines = whole_lines(text);
    let is_own = |line: &String| parse(line).is_some_and(|line| line.vrf.is_none() == is_for_files);
    let Some(own) = lines.iter().position(is_own) else { return true };
    let module = if is_for_files { "pam_namespace.so" } else { "pam_systemd.so" };
    lines[..own].iter().any(|line| names(line, module, include, DEPTH))
}

fn names(line: &str, wanted: &str, include: &dyn Fn(&str) -> String, depth: usize) -> bool {
    let is_in = |name: &str| {
        depth > 0 && whole_lines(&include(name)).iter().any(|line| names(line, wanted, include, depth - 1))
    };
    if let Some(name) = line.strip_prefix("@include") {
        return is_in(name.trim());
    }
    let Some((control, module)) = session(line) else { return false };
    let mut words = module.split_whitespace();
    match control {
        "include" | "substack" => words.next().is_some_and(is_in),
        _ => words.next().is_some_and(|module| module.rsplit('/').next() == Some(wanted)),
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
    let word = words.next().filter(|verb| *verb == "session").and_then(|_| words.next())?;
    let vrf = (word != "--etc").then(|| word.to_owned());
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
            assert_eq!(only(&line), Some(Line { vrf: Some("blue".to_owned()), denies }), "{line}");
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
            assert_eq!(comes_in_order(&format!("{before}\n{OURS}\n"), false, &include), is_right, "{before}");
        }
        assert!(!comes_in_order(&format!("{OURS}\n@include common-session\n"), false, &include), "behind it");
        assert!(comes_in_order("session required pam_unix.so\n", false, &include), "nothing of ours");
    }

    #[test]
    fn a_line_for_files_comes_behind_pam_namespace() {
        let own = OURS.replace("session blue", "session --etc");
        assert_eq!(only(&own), Some(Line { vrf: None, denies: true }));
        let is_right = |text: &str| comes_in_order(text, true, &|_| String::new());
        assert!(is_right(&format!("session required pam_namespace.so\n{OURS}\n{own}\n")) && is_right(OURS));
        for wrong in ["session optional pam_systemd.so\n", "# session required pam_namespace.so\n", ""] {
            assert!(!is_right(&format!("{wrong}{own}\nsession required pam_namespace.so\n")), "{wrong}");
        }
    }
}
