//! A plain user's files over /etc need a user namespace, and in it root's files look like nobody's. ssh(1) refuses a
//! configuration that is neither root's nor the user's own.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::getuid;

use crate::error::warn;

/// What /etc/ssh/ssh_config includes on most systems; ssh looks at the owner of what is included.
const INCLUDED: &str = "/etc/ssh/ssh_config.d";
const CLIENTS: [&str; 3] = ["ssh", "scp", "sftp"];

/// One line, if the program is a client of OpenSSH that will refuse a file. Looks as the program will: in its namespace.
pub fn check(program: &Path) {
    let is_client = program.file_name().is_some_and(|name| CLIENTS.iter().any(|client| name == *client));
    let Some(file) = is_client.then(foreign_file).flatten() else { return };
    warn(
        &format!("ssh will refuse '{file}': in a user namespace root's files look like nobody's"),
        "ssh -F ~/.ssh/config …, or ssh -F none … where there is none",
    );
}

fn foreign_file() -> Option<String> {
    let own = getuid().as_raw();
    let is_foreign = |path: &Path| path.metadata().is_ok_and(|data| data.uid() != 0 && data.uid() != own);
    let files = std::fs::read_dir(INCLUDED).ok()?.flatten().map(|entry| entry.path());
    let mut files = files.filter(|path| path.extension().is_some_and(|end| end == "conf"));
    files.find(|path| is_foreign(path)).map(|path| path.display().to_string())
}
