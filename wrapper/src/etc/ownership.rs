//! A plain user's files over /etc need a user namespace, and in it root's files look like nobody's. ssh(1) refuses a
//! configuration that is neither root's nor the user's own.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::getuid;

use crate::error::warn;
use crate::etc::namespace::Refusal;

/// What /etc/ssh/ssh_config includes on most systems; ssh looks at the owner of what is included.
const INCLUDED: &str = "/etc/ssh/ssh_config.d";
const CLIENTS: [&str; 3] = ["ssh", "scp", "sftp"];
/// What people run that runs one.
const STARTERS: [&str; 8] = ["git", "rsync", "sshfs", "mosh", "ansible", "ansible-playbook", "rsnapshot", "borg"];

/// Why a client of OpenSSH, or what starts one, had better stay out of a user namespace that nobody asked for. Asked from outside of it: only the
/// user's own files stay that user's.
pub fn refusal(program: &Path) -> Option<Refusal> {
    let own = getuid().as_raw();
    let file = (is_client(program) || is_one(&STARTERS, program)).then(|| file_of(|owner| owner != own))??;
    Some(Refusal {
        why: format!("ssh would refuse '{file}'"),
        hint: Some("vrfrun --dns ADDR … ssh -F ~/.ssh/config …, or ssh to an address".into()),
    })
}

/// One line, if the program is a client of OpenSSH that will refuse a file. Looks as the program will: in its namespace.
pub fn check(program: &Path) {
    let own = getuid().as_raw();
    let is_foreign = |owner| owner != 0 && owner != own;
    let Some(file) = is_client(program).then(|| file_of(is_foreign)).flatten() else { return };
    warn(
        &format!("ssh will refuse '{file}': in a user namespace root's files look like nobody's"),
        "ssh -F ~/.ssh/config …, or ssh -F none … where there is none",
    );
}

fn is_client(program: &Path) -> bool {
    is_one(&CLIENTS, program)
}

fn is_one(names: &[&str], program: &Path) -> bool {
    program.file_name().is_some_and(|name| names.iter().any(|one| name == *one))
}

/// One with such an owner.
fn file_of(is_foreign: impl Fn(u32) -> bool) -> Option<String> {
    let is_foreign = |path: &Path| path.metadata().is_ok_and(|data| is_foreign(data.uid()));
    let files = std::fs::read_dir(INCLUDED).ok()?.flatten().map(|entry| entry.path());
    let mut files = files.filter(|path| path.extension().is_some_and(|end| end == "conf"));
    files.find(|path| is_foreign(path)).map(|path| path.display().to_string())
}
