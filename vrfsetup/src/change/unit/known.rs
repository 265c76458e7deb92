//! What systemd calls a unit: an alias stands for another one, and a unit that systemd does not know would get a drop-in
//! that nothing reads.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::Error;
use crate::plan::unit_files as files;

/// The unit's own name. Without a running systemd nobody can tell, and the name is taken as it is.
///
/// # Errors
/// It is neither a service nor a socket, or systemd knows no such unit.
pub fn name(unit: &str) -> Result<String, Error> {
    let unit = files::full_name(unit)?;
    if !Path::new("/run/systemd/system").exists() {
        return Ok(unit);
    }
    let known = if is_template(&unit) { of_template(&unit) } else { of_unit(&unit) };
    match known {
        Some(name) => files::full_name(&name),
        None => Err(Error::Usage(format!("systemd knows no unit '{unit}'"))),
    }
}

/// `sshd@.service`, which only its instances are units of.
fn is_template(unit: &str) -> bool {
    unit.rsplit_once('.').is_some_and(|(name, _)| name.ends_with('@'))
}

fn of_unit(unit: &str) -> Option<String> {
    let shown = systemctl(&["show", "--property=Id,LoadState", "--", unit])?;
    let value = |key: &str| shown.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned);
    value("LoadState").filter(|state| state != "not-found")?;
    value("Id")
}

/// The name of the file that systemd reads for it: an alias is a link to another one.
fn of_template(unit: &str) -> Option<String> {
    let shown = systemctl(&["cat", "--", unit])?;
    let file = Path::new(shown.lines().next()?.strip_prefix("# ")?).canonicalize().ok()?;
    file.file_name()?.to_str().filter(|name| is_template(name)).map(str::to_owned)
}

fn systemctl(arguments: &[&str]) -> Option<String> {
    let output = Command::new("systemctl").args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_told_from_its_instances() {
        assert!(is_template("sshd@.service") && !is_template("sshd@blue.service") && !is_template("sshd.service"));
    }
}
