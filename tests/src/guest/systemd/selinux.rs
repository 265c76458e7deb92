//! Under SELinux in enforcing mode, with Debian's policy: who has logged in is in a domain of its own, which may less than
//! its user. The machine's own services, and so these tests, are unconfined.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::guest_tests;
use super::machine::{Machine, machine, systemctl};
use crate::guest::booted::ENFORCE;
use crate::guest::setup::{take_out, vrfsetup};
use crate::harness::judge::{Outcome, Verdict, root, user};
use crate::harness::sandboxes;
use crate::harness::vm::plan::DIRECTORY;
use crate::harness::world::Kind;
use crate::harness::world::plan::WEB4;

guest_tests! {
    who_has_logged_in_is_as_the_page_says,
    a_program_that_gets_a_domain_of_its_own_is_in_the_vrf_or_fails,
    vrfsetup_and_its_units_work_in_enforcing_mode,
}

/// Not below the world's directory, which is of the tests' own domain.
const SAID: &str = "/tmp/vrftest-said";
/// How the page calls them, whether they are root, and their context.
const LOGINS: [(&str, bool, &str); 5] = [
    ("`unconfined_t`, Debian's logins", true, "unconfined_u:unconfined_r:unconfined_t:s0"),
    ("`unconfined_t`, Debian's logins", false, "unconfined_u:unconfined_r:unconfined_t:s0"),
    ("`sysadm_t`", true, "root:sysadm_r:sysadm_t:s0"),
    ("`staff_t`", false, "staff_u:staff_r:staff_t:s0"),
    ("`user_t`", false, USER_T),
];
const USER_T: &str = "user_u:user_r:user_t:s0";
const SYSADM_T: &str = "root:sysadm_r:sysadm_t:s0";

/// A machine in enforcing mode, as long as this lives.
struct Enforcing {
    world: Machine,
    /// A runcon(1) with the label of sshd: from its domain, and no other here, a login's may be entered.
    login: PathBuf,
}

impl Enforcing {
    fn new() -> Self {
        let world = machine(Kind::Vrfs);
        let login = world.directory().join("login");
        fs::copy("/usr/bin/runcon", &login).expect("runcon");
        fs::set_permissions(&login, fs::Permissions::from_mode(0o755)).expect("its mode");
        label(&login, "system_u:object_r:sshd_exec_t:s0");
        // Off in Debian, as a login by ssh is not to be an administrator's.
        assert!(
            Command::new("setsebool").args(["ssh_sysadm_login", "on"]).status().is_ok_and(|status| status.success())
        );
        fs::write(ENFORCE, "1").expect("enforcing mode");
        Self { world, login }
    }

    /// Runs a command line in a login of this context. What it says goes by files of the login's own: it may not write
    /// into those of others.
    fn log_in(&mut self, is_root: bool, context: &str, line: &str) -> Verdict {
        let user_of = context.split(':').next().unwrap_or_default();
        let _ = fs::remove_dir_all(SAID);
        fs::create_dir(SAID).expect("a directory");
        let [out, err] = ["out", "err"].map(|name| format!("{SAID}/{name}"));
        for path in [SAID, &out, &err].map(Path::new) {
            if !path.exists() {
                fs::write(path, "").expect("a file");
            }
            fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("its mode");
            label(path, &format!("{user_of}:object_r:user_tmp_t:s0"));
        }
        let inner = format!("{line} >>{out} 2>>{err}");
        let script = "\"$0\" \"$1\" /bin/bash -c \"$2\"; code=$?; cat \"$3\"; cat \"$4\" >&2; exit $code";
        let login = self.login.display().to_string();
        let words = ["sh", "-c", script, &login, context, &inner, &out, &err];
        assert_eq!(fs::read_to_string(ENFORCE).expect("the mode"), "1");
        self.world.judge(&if is_root { root(words) } else { user(words) })
    }
}

impl Drop for Enforcing {
    fn drop(&mut self) {
        fs::write(ENFORCE, "0").expect("permissive mode");
        let _ = fs::remove_dir_all(SAID);
        take_out(&["1001"]);
        let _ = Command::new("setsebool").args(["ssh_sysadm_login", "off"]).status();
    }
}

fn label(file: &Path, context: &str) {
    assert!(Command::new("chcon").arg(context).arg(file).status().is_ok_and(|status| status.success()), "{context}");
}

fn who_has_logged_in_is_as_the_page_says() {
    let mut enforcing = Enforcing::new();
    let url = format!("http://{WEB4}/");
    let mut table =
        String::from("| domain | as | a dynamic program | a static program | what to do |\n|---|---|---|---|---|\n");
    for (name, is_root, context) in LOGINS {
        let own = enforcing.log_in(is_root, context, "id -Z");
        assert_eq!((own.code, own.text().trim()), (0, context), "{own}");
        let [dynamic, alone] = [format!("curl -sS {url}"), format!("{DIRECTORY}/static_client")]
            .map(|program| enforcing.log_in(is_root, context, &format!("{DIRECTORY}/vrfrun -v blue {program}")));
        let who = if is_root { "root" } else { "user" };
        table += &sandboxes::row(&format!("{name} | {who}"), [&dynamic, &alone]);
    }
    // Each of the others, asked for by name.
    for (is_root, context) in [(true, SYSADM_T), (false, USER_T)] {
        let by = enforcing.log_in(is_root, context, &format!("{DIRECTORY}/vrfrun -m seccomp blue curl -sS {url}"));
        by.assert_blue();
        let by = enforcing.log_in(is_root, context, &format!("{DIRECTORY}/vrfrun -m bpf blue curl -sS {url}"));
        by.assert_says(125, "vrfrun: cannot bind to 'blue': bpf: ");
        by.assert_closed();
    }
    sandboxes::assert_documented("tests/src/guest/systemd/selinux.rs", &table);
}

/// ping is another where sysadm_t starts it, and loads no preload then; sockets that others have made are not for it.
fn a_program_that_gets_a_domain_of_its_own_is_in_the_vrf_or_fails() {
    let mut enforcing = Enforcing::new();
    let ping = format!("ping -c 1 -W 60 {WEB4}");
    let alone = enforcing.log_in(true, SYSADM_T, &ping);
    assert_eq!((alone.code, alone.outcome), (0, Outcome::Leak), "{alone}");
    for (context, expected) in [(LOGINS[0].2, (0, Outcome::Blue)), (SYSADM_T, (2, Outcome::Closed))] {
        for mechanism in ["auto", "preload", "seccomp"] {
            let verdict = enforcing.log_in(true, context, &format!("{DIRECTORY}/vrfrun -m {mechanism} blue {ping}"));
            assert_eq!((verdict.code, verdict.outcome), expected, "{context} {mechanism}: {verdict}");
        }
    }
}

fn vrfsetup_and_its_units_work_in_enforcing_mode() {
    let mut enforcing = Enforcing::new();
    for context in [LOGINS[0].2, SYSADM_T] {
        for words in ["add green", "del green"] {
            let verdict = enforcing.log_in(true, context, &format!("{DIRECTORY}/vrfsetup {words}"));
            assert_eq!(verdict.code, 0, "{context} {words}: {verdict}");
            assert!(verdict.text().starts_with("changed:"), "{context} {words}: {verdict}");
        }
    }
    // Of a user in a VRF this one may read nothing, and so changes nothing.
    vrfsetup(&mut enforcing.world, 0, "user 1001 blue");
    let refused = enforcing.log_in(true, SYSADM_T, &format!("{DIRECTORY}/vrfsetup del blue"));
    refused.assert_says(1, "vrfsetup: cannot read the users of VRFs: Permission denied");
    for words in ["add green", "del green"] {
        let done = enforcing.log_in(true, LOGINS[0].2, &format!("{DIRECTORY}/vrfsetup {words}"));
        assert_eq!(done.code, 0, "{words}: {done}");
    }
    let service = |name: &str, lines: &str| {
        let path = format!("/etc/systemd/system/{name}");
        fs::write(path, format!("[Service]\nType=oneshot\n{lines}\n")).expect("a unit");
    };
    let vrfsetup_by_systemd = ["add green", "del green"].map(|words| format!("ExecStart={DIRECTORY}/vrfsetup {words}"));
    service("vrftest-setup.service", &vrfsetup_by_systemd.join("\nExecStart=ip link show green\n"));
    service("vrftest-fetch.service", &format!("ExecStart=curl -sS http://{WEB4}/"));
    let world = &mut enforcing.world;
    systemctl(world, 0, "daemon-reload");
    systemctl(world, 0, "start vrftest-setup.service");
    vrfsetup(world, 0, "user --remove 1001");
    vrfsetup(world, 0, "unit blue vrftest-fetch.service");
    let started = systemctl(world, 0, "start vrftest-fetch.service");
    assert_eq!(started.outcome, Outcome::Blue, "{started}");
    vrfsetup(world, 0, "unit --remove blue vrftest-fetch.service");
}
