//! The AppArmor profile: AppArmor's own parser takes it, and no system gets one that its parser does not take.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{make, path, run, text};

/// The profile, as `make install` fills it in.
fn profile(directory: &Path) -> PathBuf {
    make("install", &[format!("DESTDIR={}", path(directory)), "PREFIX=/usr".to_owned()]);
    directory.join("usr/share/vrfrun/apparmor")
}

/// Whether the parser takes it: compiled, neither loaded nor cached.
fn parses(profile: &Path) -> Result<(), String> {
    let output = Command::new("apparmor_parser").args(["-QK", path(profile)]).output();
    let output = output.expect("apparmor_parser; tools/install-packages installs it");
    if output.status.success() { Ok(()) } else { Err(text(&output.stderr)) }
}

#[test]
fn apparmor_takes_the_profile_or_is_too_old_to_be_given_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let profile = profile(directory.path());
    let written = std::fs::read_to_string(&profile).expect("the profile");
    assert!(written.contains("profile vrfrun /usr/bin/vrfrun flags=(unconfined) {\n  userns,\n"), "{written}");
    println!("{}", text(&run("apparmor_parser", ["--version"]).stdout));
    if Path::new("/etc/apparmor.d/abi/4.0").exists() {
        parses(&profile).unwrap_or_else(|said| panic!("{said}"));
        return;
    }
    // dist/postinst.vrfrun's reason; what an old parser knows of it, it takes.
    let said = parses(&profile).expect_err("this parser knows more than its version says");
    assert!(said.contains("abi/4.0"), "{said}");
    let known: String = written.replace("abi <abi/4.0>,\n", "").replace("  userns,\n", "");
    std::fs::write(&profile, known).expect("an old profile");
    parses(&profile).unwrap_or_else(|said| panic!("{said}"));
}
