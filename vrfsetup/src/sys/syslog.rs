//! The system's log (syslog(3)), for what is run where nobody reads standard error.

use std::os::unix::net::UnixDatagram;

/// LOG_AUTHPRIV | LOG_ERR: logins.
const LOGIN_ERROR: u8 = 10 << 3 | 3;
/// LOG_DAEMON | LOG_ERR
const DAEMON_ERROR: u8 = 3 << 3 | 3;

/// Writes one line about a login. Where there is no log there is none, nor where nobody reads it: who waited for the log
/// would neither let the login in nor deny it.
pub fn login_error(line: &str) {
    write(LOGIN_ERROR, line);
}

/// The same of what runs by itself.
pub fn daemon_error(line: &str) {
    write(DAEMON_ERROR, line);
}

fn write(priority: u8, line: &str) {
    let line: String = line.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let entry = format!("<{priority}>vrfsetup[{}]: {line}", std::process::id());
    let sent = UnixDatagram::unbound().and_then(|socket| {
        socket.set_nonblocking(true)?;
        socket.send_to(entry.as_bytes(), "/dev/log")
    });
    drop(sent);
}
