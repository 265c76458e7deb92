//! The AppArmor profile: AppArmor's own parser takes it, and no system gets one that its parser does not take.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use vrftests::harness::programs;

use super::{enter_mount_namespace, make, path, run, text};

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

/// An /etc/apparmor.d of AppArmor 4 that only this thread sees, and the programs that would act on this machine replaced.
/// Returns the word that has `make` find those.
fn empty_apparmor(directory: &Path) -> String {
    enter_mount_namespace();
    run("mount", ["-t", "tmpfs", "tmpfs", "/etc/apparmor.d"]);
    run("mkdir", ["/etc/apparmor.d/abi"]);
    run("touch", ["/etc/apparmor.d/abi/4.0"]);
    for (name, target) in [("aa-enabled", "/bin/false"), ("ldconfig", "/bin/true")] {
        symlink(target, directory.join(name)).expect("a link");
    }
    format!("PATH={}:{}", path(directory), std::env::var("PATH").expect("PATH"))
}

#[test]
fn make_install_takes_no_other_vrfruns_profile_and_does_without_where_it_cannot_write() {
    let directory = tempfile::tempdir().expect("a directory");
    let search = empty_apparmor(directory.path());
    let make = |target: &str, prefix: &str| {
        let prefix = format!("PREFIX={}", path(&directory.path().join(prefix)));
        let release =
            format!("RELEASE={}", path(programs::products().expect("built")[0].parent().expect("a directory")));
        let words = ["make", "-s", "--no-print-directory", target, &prefix, &release];
        run("env", [search.as_str()].into_iter().chain(words));
    };
    let installed = Path::new("/etc/apparmor.d/vrfrun");
    let is_of = |prefix: &str| {
        let name = format!("profile vrfrun {}/{prefix}/bin/vrfrun ", path(directory.path()));
        std::fs::read_to_string(installed).is_ok_and(|profile| profile.contains(&name))
    };
    for (target, prefix) in [("install", "one"), ("install", "other"), ("uninstall", "other")] {
        make(target, prefix);
        assert!(is_of("one"), "after {target} of {prefix}");
    }
    make("uninstall", "one");
    assert!(!installed.exists(), "the profile is left");

    run("mount", ["-o", "remount,ro", "/etc/apparmor.d"]);
    make("install", "one");
    assert!(directory.path().join("one/bin/vrfrun").exists() && !installed.exists());
    make("uninstall", "one");
}
