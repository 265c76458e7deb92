//! `vrfguest into WAY UID PROGRAM…`: becomes the program where a [`super::setting`] has its processes: in the cgroup of a
//! login or of a container, or in a container whose filter goes to the agent.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};

use super::setting::{BUNDLE, CONTAINER, LOGIN};
use crate::harness::seccomp::{ALL_CAPABILITIES, profile};

/// Becomes it.
///
/// # Errors
/// When there is no such way, or it cannot be gone.
pub fn run(way: &str, uid: &str, words: &[String]) -> io::Result<()> {
    let number: u32 = uid.parse().map_err(io::Error::other)?;
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments);
    match way {
        "session" => join(&LOGIN.replace("{uid}", uid))?,
        "hook" => join(CONTAINER)?,
        "agent" => command = container(number, words)?,
        _ => return Err(io::Error::other(format!("there is no way '{way}'"))),
    }
    Err(command.uid(number).gid(number).exec())
}

fn join(group: &str) -> io::Result<()> {
    fs::write(Path::new("/sys/fs/cgroup").join(group).join("cgroup.procs"), "0")
}

/// The command that starts a container whose image is this machine's root.
fn container(uid: u32, words: &[String]) -> io::Result<Command> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let nothing = None::<&str>;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)?;
    let bundle = Path::new(BUNDLE);
    mount(Some("/"), &bundle.join("root"), nothing, MsFlags::MS_REC | MsFlags::MS_BIND, nothing)?;
    fs::write(bundle.join("config.json"), config(uid, words, handed_over(bundle)?).to_string())?;
    let mut command = Command::new("crun");
    command.arg("--root").arg(bundle.join("crun"));
    command.args(["--cgroup-manager=disabled", "run", "-b", BUNDLE, "leak"]);
    Ok(command)
}

/// podman's profile with all that capabilities unlock, as the agent hands it out: nothing but the agent keeps the program
/// in its VRF.
fn handed_over(bundle: &Path) -> io::Result<Value> {
    let base = bundle.join("base.json");
    fs::write(&base, profile(&ALL_CAPABILITIES).to_string())?;
    let mut agent = Command::new("vrfrun");
    agent.arg("oci-agent").arg("--socket").arg(bundle.join("socket")).arg("--profile").arg(base);
    let output = agent.env_remove("LD_PRELOAD").output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// A plain user's container has a user namespace in which there is nobody else.
fn config(uid: u32, words: &[String], seccomp: Value) -> Value {
    let environment: Vec<String> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    let all: &[&str] = if uid == 0 { &ALL_CAPABILITIES } else { &[] };
    let mut namespaces = vec![json!({"type": "mount"})];
    let mut linux = json!({"seccomp": seccomp});
    if uid != 0 {
        namespaces.push(json!({"type": "user"}));
        let mapping = json!([{"containerID": uid, "hostID": uid, "size": 1}]);
        linux["uidMappings"] = mapping.clone();
        linux["gidMappings"] = mapping;
    }
    linux["namespaces"] = namespaces.into();
    json!({
        "ociVersion": "1.0.2",
        "annotations": {"io.vrfrun.vrf": "blue"},
        "root": {"path": "root"},
        // The runtime makes its own devices, and must not do it in this machine's.
        "mounts": [{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]}],
        "process": {
            "user": {"uid": uid, "gid": uid},
            "args": words,
            "env": environment,
            "cwd": "/tmp",
            "capabilities": {"bounding": &ALL_CAPABILITIES[..], "permitted": all, "effective": all, "inheritable": []},
        },
        "linux": linux,
    })
}
