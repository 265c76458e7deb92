//! vrfrun inside the sandboxes of Debian and behind what they are made of: each program is in the VRF or does not
//! start, and where it does not, one line says why and one what to do. The outcome is a table of docs/sandboxes.md,
//! which is written by WRITE_SANDBOXES=1, and otherwise has to be the same.

mod scene;

use std::fmt::Write;

use scene::{Who, play_after};

const PAGE: &str = "../docs/sandboxes.md";
const BEGIN: &str = "<!-- measured: written by wrapper/tests/sandboxes.rs -->\n";
const END: &str = "<!-- end of what was measured -->\n";

/// A program that the shim can enter, and one that it cannot.
const PROGRAMS: [&str; 2] = ["probe", "probe-static"];
/// What is run inside: /srv/inside PROGRAM. The sandbox need not pass a variable on.
const SETTING: &str = r#"mount -t tmpfs -o mode=755 tmpfs /srv
cat >/srv/inside <<'END'
/mnt/vrfrun -v --interface blue /mnt/$1 socket inet6 2>&1
echo "exit $?"
END"#;

/// A place that vrfrun is started in.
struct Sandbox {
    name: &'static str,
    who: Who,
    /// What root does before.
    setting: &'static str,
    /// The command line before the command.
    command: &'static str,
}

const fn sandbox(name: &'static str, who: Who, setting: &'static str, command: &'static str) -> Sandbox {
    Sandbox { name, who, setting, command }
}

/// In a pid namespace of its own, where no file in memory can be started as a program (6.3): a plain user.
const NO_MEMORY_FILES: &str = "cat >/srv/noexec <<'END'
echo 2 >/proc/sys/vm/memfd_noexec
exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all \"$@\"
END";
/// Neither the shim nor a supervisor can be had.
const MOST_DENIED: &str = "/mnt/lacks new-code /mnt/lacks memfd /mnt/lacks listener";

const SANDBOXES: [Sandbox; 28] = [
    sandbox("none", Who::Root, "", ""),
    sandbox("none", Who::User, "", ""),
    sandbox("no new privileges", Who::Root, "", "setpriv --no-new-privs"),
    sandbox("no new privileges", Who::User, "", "setpriv --no-new-privs"),
    sandbox("no capability", Who::Root, "", "setpriv --bounding-set=-all --inh-caps=-all"),
    sandbox("bubblewrap, everything shared", Who::Root, "", "bwrap --dev-bind / /"),
    sandbox("bubblewrap, everything shared", Who::User, "", "bwrap --dev-bind / /"),
    sandbox(
        "bubblewrap, only the network shared",
        Who::Root,
        "",
        "bwrap --unshare-all --share-net --ro-bind / / --dev /dev --proc /proc",
    ),
    sandbox(
        "bubblewrap, only the network shared",
        Who::User,
        "",
        "bwrap --unshare-all --share-net --ro-bind / / --dev /dev --proc /proc",
    ),
    sandbox("bubblewrap, the host's /proc", Who::User, "", "bwrap --unshare-all --share-net --ro-bind / / --dev /dev"),
    sandbox(
        "bubblewrap, no /proc",
        Who::User,
        "",
        "bwrap --unshare-all --share-net --ro-bind / / --dev /dev --tmpfs /proc",
    ),
    sandbox("firejail", Who::Root, "", "firejail --quiet --noprofile"),
    sandbox(
        "firejail, no capability, its filter",
        Who::Root,
        "",
        "firejail --quiet --noprofile --caps.drop=all --nonewprivs --noroot --seccomp",
    ),
    sandbox(
        "firejail, memory-deny-write-execute",
        Who::Root,
        "",
        "firejail --quiet --noprofile --memory-deny-write-execute",
    ),
    sandbox(
        "firejail, protocols with netlink",
        Who::Root,
        "",
        "firejail --quiet --noprofile --protocol=unix,inet,inet6,netlink",
    ),
    sandbox("a user namespace", Who::User, "", "unshare -Ur"),
    sandbox("user and pid namespaces", Who::User, "", "unshare -Urp --fork --mount-proc"),
    sandbox("user and pid namespaces, the host's /proc", Who::User, "", "unshare -Urp --fork"),
    sandbox("/proc with hidepid=2", Who::User, "mount -t proc -o hidepid=2 proc /proc", ""),
    sandbox("/proc with subset=pid", Who::User, "mount -t proc -o subset=pid proc /proc", ""),
    sandbox("/sys read-only", Who::Root, "mount -t sysfs -o ro sysfs /sys", ""),
    sandbox("PR_SET_MDWE", Who::User, "", "/mnt/lacks new-code"),
    sandbox(
        "vm.memfd_noexec=2 and PR_SET_MDWE, a user inside",
        Who::Root,
        NO_MEMORY_FILES,
        "unshare -p --fork --mount-proc sh /srv/noexec /mnt/lacks new-code",
    ),
    sandbox("PR_SET_MDWE, memfd_create denied", Who::User, "", "/mnt/lacks new-code /mnt/lacks memfd"),
    sandbox("PR_SET_MDWE, memfd_create and listeners denied", Who::User, "", MOST_DENIED),
    sandbox("a filter above with its listener, as LXC's or Incus'", Who::Root, "", "/mnt/ancestor listener"),
    sandbox("a filter above with its listener, as LXC's or Incus'", Who::User, "", "/mnt/ancestor listener"),
    sandbox("close_range(2) denied", Who::User, "", "/mnt/lacks close_range-denied"),
];

#[test]
fn each_sandbox_is_blue_or_closed_as_the_page_says() {
    let (mut rows, mut faults) = (String::new(), String::new());
    // PR_SET_MDWE came with Linux 6.3.
    let has_mdwe = play_after("", Who::Root, "lacks new-code true").code() == 0;
    for sandbox in SANDBOXES.iter().filter(|sandbox| has_mdwe || !sandbox.name.contains("MDWE")) {
        let _ = match sandbox.row() {
            Ok(row) => writeln!(rows, "{row}"),
            Err(fault) => writeln!(faults, "{}: {fault}", sandbox.name),
        };
    }
    assert!(faults.is_empty(), "neither in the VRF nor closed with a reason and a hint:\n{faults}");
    let table = format!(
        "| started in | as | a dynamic program | a static program | what to do |\n|---|---|---|---|---|\n{rows}"
    );
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the first mark");
    let (_, after) = rest.split_once(END).expect("the second mark");
    let measured = format!("{before}{BEGIN}\n{table}\n{END}{after}");
    if std::env::var_os("WRITE_SANDBOXES").is_some() {
        return std::fs::write(PAGE, measured).unwrap();
    }
    let page: String = page.split_inclusive('\n').filter(|line| has_mdwe || !line.contains("MDWE")).collect();
    assert_eq!(
        outcomes(&page),
        outcomes(&measured),
        "WRITE_SANDBOXES=1 cargo test -p vrfrun --test sandboxes writes docs/sandboxes.md again"
    );
}

/// Without the mechanisms: another machine's kernel may have others.
fn outcomes(page: &str) -> String {
    let cell = |cell: &str| if cell.starts_with(" blue: ") { " blue ".to_owned() } else { cell.to_owned() };
    page.lines().map(|line| line.split('|').map(cell).collect::<Vec<_>>().join("|") + "\n").collect()
}

impl Sandbox {
    /// Its line of the table; Err: what was seen instead of an outcome.
    fn row(&self) -> Result<String, String> {
        let [dynamic, alone] = [self.outcome(PROGRAMS[0])?, self.outcome(PROGRAMS[1])?];
        let who = if self.who == Who::Root { "root" } else { "user" };
        let hint = dynamic.hint.or(alone.hint).unwrap_or_default();
        Ok(format!("| {} | {who} | {} | {} | {hint} |", self.name, dynamic.verdict, alone.verdict))
    }

    fn outcome(&self, program: &str) -> Result<Outcome, String> {
        let setting = format!("{SETTING}\n{}", self.setting);
        let seen = play_after(&setting, self.who, &format!("{} sh /srv/inside {program}", self.command));
        let stdout = seen.stdout();
        let said: Vec<&str> = stdout.lines().collect();
        match said[..] {
            // Two sockets, and neither of them anywhere else.
            [how, "socket blue", "inet6 blue", "exit 0"] => {
                let verdict = mechanism(how).ok_or_else(|| seen.to_string())?;
                Ok(Outcome { verdict, hint: None })
            }
            [why, hint, "exit 125"] if why.starts_with("vrfrun: cannot ") && hint.starts_with("hint: ") => {
                Ok(Outcome { verdict: "closed".into(), hint: Some(format!("`{}`", &hint["hint: ".len()..])) })
            }
            _ => Err(seen.to_string()),
        }
    }
}

/// What became of one program.
struct Outcome {
    verdict: String,
    hint: Option<String>,
}

/// What `-v` says of it.
fn mechanism(said: &str) -> Option<String> {
    let (mechanism, guard) = said.strip_prefix("vrfrun: mechanism=")?.split_once(" device=blue guard=")?;
    let guard = guard.split(' ').next()?;
    Some(format!("blue: {mechanism}, {guard}"))
}
