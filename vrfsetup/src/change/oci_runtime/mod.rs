//! `vrfrun-runc`: runc for dockerd and containerd, which read no directory of hooks. Where a container is to be made whose
//! annotation names a VRF, its configuration gets the hook (`oci_hook`) that binds it or keeps it from starting; then this
//! process becomes runc. All else is runc's own affair.

mod bundle;
mod words;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use serde_json::{Value, json};

use crate::error::Error;
use words::Asked;

/// What this program is called where it is to be runc.
pub const NAME: &str = "vrfrun-runc";
const RUNC: &str = "runc";

/// Becomes runc with these arguments; returns only why it did not.
pub fn run(arguments: &[OsString]) -> Error {
    let words = words::parse(arguments);
    let error = match words.asked.map_err(Error::Usage).and_then(|asked| prepare(&asked)) {
        Ok(()) => Error::unreadable(format!("'{RUNC}'"))(Command::new(RUNC).args(arguments).exec()),
        Err(error) => error,
    };
    // Whoever runs runtimes reads there what went wrong.
    if let Some(log) = &words.log {
        let line = json!({"level": "error", "msg": format!("{NAME}: {error}")});
        let file = fs::OpenOptions::new().append(true).create(true).open(log);
        let _ = file.and_then(|mut file| writeln!(file, "{line}"));
    }
    error
}

/// Puts the hook into the configuration, where one is needed.
fn prepare(asked: &Asked) -> Result<(), Error> {
    let (bundle, is_restored) = match asked {
        Asked::Create { bundle } => (bundle, false),
        Asked::Restore { bundle } => (bundle, true),
        Asked::Other => return Ok(()),
    };
    let path = bundle.join("config.json");
    let unreadable = || Error::unreadable(format!("'{}'", path.display()));
    let text = fs::read(&path).map_err(unreadable())?;
    let invalid = |why: String| Error::Usage(format!("'{}': {why}", path.display()));
    let mut config: Value = serde_json::from_slice(&text).map_err(|error| invalid(error.to_string()))?;
    let hook = env::current_exe().map_err(Error::unreadable("the path of this program"))?;
    if !bundle::add_hook(&mut config, &hook).map_err(invalid)? {
        return Ok(());
    }
    if is_restored {
        // No runtime runs hooks then.
        return Err(Error::Usage("a container in a VRF cannot be restored from a checkpoint".to_owned()));
    }
    replace(&path, &config).map_err(unreadable())
}

/// At once: whoever is killed halfway leaves the old one.
fn replace(path: &Path, config: &Value) -> io::Result<()> {
    let fresh = PathBuf::from(format!("{}.vrfrun", path.display()));
    // Of a run that was killed.
    let _ = fs::remove_file(&fresh);
    let permissions = fs::metadata(path)?.permissions();
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(config.to_string().as_bytes())?;
    file.set_permissions(permissions)?;
    fs::rename(&fresh, path)
}
