//! What a runtime says of a container whose filter it hands over: ContainerProcessState of the OCI runtime specification.

use serde_json::Value;
use vrfabi::container::ANNOTATION;

/// The name of the listener among the descriptors.
const LISTENER: &str = "seccompFd";

/// A container's process.
#[derive(Debug, PartialEq, Eq)]
pub struct State {
    /// The container's name.
    pub container: String,
    /// The process on which the filter is, where the runtime says it: crun does not of what it executes in a container.
    pub pid: Option<u32>,
    /// The VRF that it is to be in, if any is named.
    pub vrf: Option<String>,
}

/// Reads it; None if that is not it, or not whole. With the process comes one descriptor, its listener.
pub fn parse(bytes: &[u8]) -> Option<State> {
    let said: Value = serde_json::from_slice(bytes).ok()?;
    let is_listener = said["fds"].as_array().is_some_and(|fds| fds.len() == 1 && fds[0] == LISTENER);
    let pid = said["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).filter(|_| is_listener)?;
    let pid = Some(pid).filter(|pid| *pid != 0);
    let state = &said["state"];
    let named = [&state["annotations"][ANNOTATION], &said["metadata"]];
    let vrf = named.into_iter().filter_map(Value::as_str).map(str::trim).find(|name| !name.is_empty());
    Some(State { container: state["id"].as_str().unwrap_or("?").into(), pid, vrf: vrf.map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As runc 1.1 sends it.
    const RUNC: &str = r#"{"ociVersion":"1.0.2-dev","fds":["seccompFd"],"pid":29738,"metadata":"red","state":{"ociVersion":
        "1.0.2-dev","id":"web","status":"creating","pid":29738,"bundle":"/b","annotations":{"io.vrfrun.vrf":"blue"}}}"#;

    fn vrf(said: &str) -> Option<String> {
        parse(said.as_bytes()).expect("a state").vrf
    }

    #[test]
    fn the_annotation_names_the_vrf_and_else_the_metadata() {
        let state = State { container: "web".into(), pid: Some(29738), vrf: Some("blue".into()) };
        assert_eq!(parse(RUNC.as_bytes()), Some(state));
        assert_eq!(vrf(&RUNC.replace("io.vrfrun.vrf", "io.vrfrun.other")), Some("red".into()));
        assert_eq!(vrf(&RUNC.replace("io.vrfrun.vrf", "x").replace("red", " ")), None);
    }

    /// As crun 1.8 sends it.
    #[test]
    fn what_is_executed_in_a_container_has_no_number() {
        assert_eq!(parse(RUNC.replace("29738", "0").as_bytes()).expect("a state").pid, None);
    }

    #[test]
    fn what_is_cut_off_or_without_a_listener_is_no_state() {
        assert_eq!(parse(&RUNC.as_bytes()[..RUNC.len() - 1]), None);
        assert_eq!(parse(RUNC.replace("seccompFd", "otherFd").as_bytes()), None);
        assert_eq!(parse(RUNC.replace("\"seccompFd\"", "\"seccompFd\",\"more\"").as_bytes()), None);
        assert_eq!(parse(RUNC.replace("29738", "-1").as_bytes()), None);
    }
}
