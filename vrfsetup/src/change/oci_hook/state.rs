//! The state of a container, as an OCI runtime gives it to its hooks. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use vrfabi::container::ANNOTATION;

use crate::error::Error;
use crate::model::name;

/// What of it concerns us.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct State {
    /// The container's name to its runtime.
    pub id: String,
    /// Its first process, in the pid namespace of the runtime.
    pub pid: u32,
    /// Runtimes that are written in Go say null where there are none.
    annotations: Option<BTreeMap<String, String>>,
}

impl State {
    /// Reads it.
    ///
    /// # Errors
    /// It is none of a container that has a first process, or the annotation is no name of a VRF.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let state: Self = serde_json::from_str(text).map_err(|error| {
            Error::Usage(format!("this is for an OCI runtime, and no state of a container: {error}"))
        })?;
        if state.pid == 0 || state.id.is_empty() {
            return Err(Error::Usage("the container has no process yet: the stage is createRuntime".to_owned()));
        }
        if let Some(vrf) = state.vrf() {
            name::device(vrf).map_err(|why| Error::Usage(format!("annotation {ANNOTATION}: {why}")))?;
        }
        Ok(state)
    }

    /// The VRF that the annotation names.
    pub fn vrf(&self) -> Option<&str> {
        self.annotations.as_ref()?.get(ANNOTATION).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proptests::{around, check};

    #[test]
    fn the_annotation_names_the_vrf() {
        let text =
            r#"{"ociVersion":"1.0.0","id":"c1","pid":12,"root":"/x","annotations":{"io.vrfrun.vrf":"blue","x":"y"}}"#;
        let state = State::parse(text).unwrap();
        assert_eq!((state.id.as_str(), state.pid, state.vrf()), ("c1", 12, Some("blue")));
        for none in ["", r#","annotations":null"#, r#","annotations":{}"#] {
            assert_eq!(State::parse(&format!(r#"{{"id":"c1","pid":12{none}}}"#)).unwrap().vrf(), None, "{none}");
        }
    }

    #[test]
    fn what_is_no_state_is_refused() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"id":"c1","pid":0}"#,
            r#"{"id":"","pid":12}"#,
            r#"{"id":"c1","pid":-1}"#,
            r#"{"id":"c1","pid":12,"annotations":{"io.vrfrun.vrf":""}}"#,
            r#"{"id":"c1","pid":12,"annotations":{"io.vrfrun.vrf":"a/b"}}"#,
            r#"{"id":"c1","pid":12,"annotations":{"io.vrfrun.vrf":["blue"]}}"#,
        ] {
            assert!(State::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn no_bytes_make_a_panic() {
        check(around(&[r#"{"id":"c1","pid":12,"annotations":{"io.vrfrun.vrf":""#, "blue", r#""}}"#, "12"]), |bytes| {
            let _ = State::parse(&String::from_utf8_lossy(&bytes));
        });
    }
}
