//! systemd as the manager of this machine's services.

use std::path::Path;
use std::process::{Command, Stdio};

/// Whether it is running.
pub fn is_running() -> bool {
    Path::new("/run/systemd/system").exists()
}

/// Has it read its unit files again. Where it is not running it reads them when it comes up.
pub fn reload() {
    if is_running() {
        let _ = Command::new("systemctl").arg("daemon-reload").stdin(Stdio::null()).status();
    }
}
