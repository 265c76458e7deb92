//! What is half set up of `vrfrun oci-agent`, and of containers whose annotation names a VRF: profiles, the agent's socket,
//! and the containers that crun runs. Plain users write much of that, which root reads: it is shown so that no terminal obeys
//! it, and no line to type has any of it but names.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::Value;
use vrfabi::container::ANNOTATION;

use super::Finding;
use crate::inspect::processes;
use crate::model::name;
use crate::model::shell::word;
use crate::plan::system::System;
use crate::sys::files::{Links, read_of_anybody};
use crate::sys::{accounts, run_dir};

/// crun takes it for the agent's socket where the profile names none.
const RECEIVER: &str = "run.oci.seccomp.receiver";
/// In /proc/net/unix, the flags of a socket that listens (__SO_ACCEPTCON).
const LISTENS: &str = "00010000";
const PROFILE: &str = "vrfrun oci-agent --profile";
const AGENT: &str = "vrfrun oci-agent &";
/// As long as the name of a file can be.
const LONGEST_SHOWN: usize = 255;

/// A seccomp profile that hands socket(2) over.
#[derive(Debug, PartialEq, Eq)]
struct Profile {
    file: String,
    socket: Option<String>,
    /// Whose containers it is for, where that is plain.
    user: Option<u32>,
}

/// A container that runs and is to be in a VRF.
#[derive(Debug, PartialEq, Eq)]
struct Container {
    id: String,
    vrf: Option<String>,
    /// Its calls of socket(2) are handed over here.
    socket: Option<String>,
    /// Its cgroup, or something else that does without the agent.
    is_bound: bool,
}

/// All findings about them.
pub fn all(system: &System) -> Vec<Finding> {
    let text = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let sockets = listening(&text);
    let owner = |socket: &str| sockets.contains(socket).then(|| fs::metadata(socket).ok().map(|file| file.uid()))?;
    // With --interface the agent takes any; the port of an emulated VRF has its name as well.
    let has_vrf = |name: &str| system.link(name).is_some();
    let of_profiles = profiles().into_iter().filter_map(|profile| of_profile(&profile, owner));
    let of_containers = containers().into_iter().filter_map(|one| of_container(&one, owner, has_vrf));
    of_profiles.chain(of_containers).collect()
}

/// `owner`: whose socket listens there.
fn of_profile(profile: &Profile, owner: impl Fn(&str) -> Option<u32>) -> Option<Finding> {
    let (file, typed) = (shown(&profile.file), typed(&profile.file));
    let Some(socket) = &profile.socket else {
        let what =
            format!("profile '{file}' names no agent: a container starts with it only by an annotation {RECEIVER}");
        return Some(Finding::new("agent-unnamed", what, format!("{PROFILE} >{typed}")));
    };
    match (owner(socket), profile.user) {
        (None, _) => {
            let what = format!("no container starts with profile '{file}': nobody listens at '{}'", shown(socket));
            Some(Finding::new("agent-missing", what, AGENT))
        }
        (Some(agents), Some(user)) if agents != user => {
            let (agents, user) = (accounts::name_of(agents), accounts::name_of(user));
            let what =
                format!("the agent of profile '{file}' is user '{agents}', and serves no container of user '{user}'");
            Some(Finding::new("agent-user", what, format!("{PROFILE} >{typed}; {AGENT}")))
        }
        _ => None,
    }
}

fn of_container(
    container: &Container,
    owner: impl Fn(&str) -> Option<u32>,
    has_vrf: impl Fn(&str) -> bool,
) -> Option<Finding> {
    let Container { id, vrf, socket, is_bound } = container;
    let (id, again) = (shown(id), "then start the container again");
    let vrf = vrf.as_deref().filter(|vrf| has_vrf(vrf) || is_name(vrf));
    let finding = match (socket, vrf) {
        (Some(_), None) => {
            let what = format!("inet sockets of container '{id}' fail: no annotation {ANNOTATION} names a VRF");
            return Some(Finding::new(
                "container-without-vrf",
                what,
                format!("podman run --annotation {ANNOTATION}=VRF …"),
            ));
        }
        (None, None) => return None,
        (Some(_), Some(vrf)) if !has_vrf(vrf) => {
            let what = format!("inet sockets of container '{id}' fail: there is no such VRF");
            Finding::new("container-vrf-missing", what, format!("vrfsetup add {}, {again}", word(vrf)))
        }
        (Some(socket), Some(_)) if owner(socket).is_none() => {
            let what = format!("inet sockets of container '{id}' fail: its agent at '{}' is gone", shown(socket));
            Finding::new("container-agent-gone", what, format!("{AGENT} {again}"))
        }
        (None, Some(_)) if !is_bound => {
            let what = format!("container '{id}' is in the default domain, although its annotation names the VRF");
            let fix = "see 'A container of any image in a VRF' and the section after it in docs/recipes.md";
            Finding::new("container-unbound", what, fix)
        }
        _ => return None,
    };
    Some(finding.about(vrf.unwrap_or_default()))
}

/// A name that can be typed and printed.
fn is_name(vrf: &str) -> bool {
    name::vrf(vrf).is_ok() && is_printable(vrf)
}

fn is_printable(text: &str) -> bool {
    text.chars().flat_map(char::escape_debug).eq(text.chars())
}

/// A path in a line to type.
fn typed(path: &str) -> &str {
    let is_word = name::is_one_word(path) && !path.contains(char::is_whitespace) && is_printable(path);
    if is_word { path } else { "FILE" }
}

/// Somebody's text as text, even if it is longer or something else than it should be.
fn shown(text: &str) -> String {
    text.chars().take(LONGEST_SHOWN).flat_map(char::escape_debug).collect()
}

/// The paths of sockets that listen.
fn listening(unix: &str) -> BTreeSet<&str> {
    let path = |line| {
        let mut fields = str::split_whitespace(line);
        (fields.nth(3)? == LISTENS).then(|| fields.nth(3))?
    };
    unix.lines().filter_map(path).collect()
}

/// Where one would be: as the recipe has it, and where podman is told to look for its own.
fn profiles() -> Vec<Profile> {
    let home = env::var_os("HOME").map(PathBuf::from);
    let own = home.iter().map(|home| home.join(".config"));
    let mut files: Vec<PathBuf> = own.clone().map(|directory| directory.join("vrfrun-seccomp.json")).collect();
    let system = ["/etc/containers", "/usr/share/containers"].map(PathBuf::from);
    let settings = own.map(|directory| directory.join("containers")).chain(system.clone());
    files.extend(settings.filter_map(|directory| named_in(&directory.join("containers.conf"))));
    files.extend(system.map(|directory| directory.join("seccomp.json")));
    files.dedup();
    files.iter().filter_map(|file| read_profile(file, home.as_deref())).collect()
}

/// `seccomp_profile = "FILE"`
fn named_in(settings: &Path) -> Option<PathBuf> {
    let table: toml::Table = String::from_utf8(read_of_anybody(settings, Links::Followed).ok()?).ok()?.parse().ok()?;
    Some(table.get("containers")?.get("seccomp_profile")?.as_str()?.into())
}

fn read_profile(file: &Path, home: Option<&Path>) -> Option<Profile> {
    let profile: Value = serde_json::from_slice(&read_of_anybody(file, Links::Followed).ok()?).ok()?;
    let is_users = home.is_some_and(|home| file.starts_with(home));
    hands_over(&profile).then(|| Profile {
        file: file.display().to_string(),
        socket: text(&profile["listenerPath"]),
        user: fs::metadata(file).ok().filter(|_| is_users).map(|file| file.uid()),
    })
}

/// Whether calls of socket(2) go to an agent; a profile may have one for something else.
fn hands_over(profile: &Value) -> bool {
    let rules = profile["syscalls"].as_array().into_iter().flatten();
    let names_socket =
        |rule: &Value| rule["names"].as_array().is_some_and(|names| names.iter().any(|name| name == "socket"));
    rules.filter(|rule| rule["action"] == "SCMP_ACT_NOTIFY").any(names_socket)
}

/// Those of root and of the users whose runtime directories can be read.
fn containers() -> Vec<Container> {
    let users = entries(Path::new("/run/user")).into_iter().chain(env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from));
    let roots: BTreeSet<PathBuf> =
        users.chain([PathBuf::from("/run")]).map(|directory| directory.join("crun")).collect();
    roots.iter().flat_map(|root| entries(root)).filter_map(|state| read_container(&state)).collect()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// From crun's record of it and from what it was started with; None if it has ended or has a network of its own.
fn read_container(state: &Path) -> Option<Container> {
    let read = |path: PathBuf| serde_json::from_slice::<Value>(&read_of_anybody(&path, Links::Refused).ok()?).ok();
    let status = read(state.join("status"))?;
    let pid = u32::try_from(status["pid"].as_u64()?).ok()?;
    let netns = fs::metadata(format!("/proc/{pid}/ns/net")).ok()?.ino();
    let config = read(Path::new(status["bundle"].as_str()?).join("config.json"))?;
    let (annotations, seccomp) = (&config["annotations"], &config["linux"]["seccomp"]);
    let named = [&annotations[ANNOTATION], &seccomp["listenerMetadata"]].into_iter().find_map(text);
    let socket = || [&seccomp["listenerPath"], &annotations[RECEIVER]].into_iter().find_map(text);
    (run_dir::netns().ok() == Some(netns)).then(|| Container {
        id: state.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        vrf: named,
        socket: hands_over(seccomp).then(socket).flatten(),
        is_bound: processes::identify(pid).is_ok_and(|found| found.is_some()),
    })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
