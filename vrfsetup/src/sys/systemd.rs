//! systemd as the manager of this machine's services.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::sys::netlink::KernelError;

/// Whether it is running.
pub fn is_running() -> bool {
    Path::new("/run/systemd/system").exists()
}

/// Has it read its unit files again. Where it is not running it reads them when it comes up.
///
/// # Errors
/// systemctl(1) cannot be started, or how it ended.
pub fn reload() -> Result<(), String> {
    if !is_running() {
        return Ok(());
    }
    match Command::new("systemctl").arg("daemon-reload").stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(status.to_string()),
        Err(error) => Err(KernelError::from_io(&error).to_string()),
    }
}
