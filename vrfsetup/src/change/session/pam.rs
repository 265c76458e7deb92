//! What pam_exec(8) says in the environment. Pure.

use std::ffi::OsString;

use crate::error::Error;

const TYPE: &str = "PAM_TYPE";
const USER: &str = "PAM_USER";

/// Which call of PAM it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// pam_open_session(3)
    Open,
    /// pam_close_session(3)
    Close,
}

/// Reads it. pam_exec puts its variables behind those of PAM's own environment, which the user may have a hand in: of
/// two, one is a lie.
///
/// # Errors
/// It does not come from a session's call of pam_exec, or says two things.
pub fn stage(environment: impl Iterator<Item = (OsString, OsString)>) -> Result<Stage, Error> {
    match only(environment, TYPE)? {
        Some(one) if one == "open_session" => Ok(Stage::Open),
        Some(one) if one == "close_session" => Ok(Stage::Close),
        _ => Err(Error::Usage(format!("this is for pam_exec in a line of type session: {TYPE} says nothing of one"))),
    }
}

/// The name of the user whose login it is.
///
/// # Errors
/// It says none, or two.
pub fn user(environment: impl Iterator<Item = (OsString, OsString)>) -> Result<String, Error> {
    let user = only(environment, USER)?.and_then(|user| user.into_string().ok()).filter(|user| !user.is_empty());
    user.ok_or_else(|| Error::Usage(format!("this is for pam_exec: {USER} names no user")))
}

fn only(environment: impl Iterator<Item = (OsString, OsString)>, key: &str) -> Result<Option<OsString>, Error> {
    let mut values = environment.filter(|(name, _)| name == key).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(_), Some(_)) => Err(Error::Usage(format!("{key} is in the environment twice"))),
        (value, _) => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Result<Stage, Error> {
        let variable = |value: &&str| (OsString::from(TYPE), OsString::from(value));
        stage(values.iter().map(variable).chain([("PAM_USER".into(), "open_session".into())]))
    }

    #[test]
    fn a_session_is_opened_or_closed() {
        assert_eq!(of(&["open_session"]).unwrap(), Stage::Open);
        assert_eq!(of(&["close_session"]).unwrap(), Stage::Close);
    }

    #[test]
    fn a_user_is_named_once() {
        let of = |names: &[&str]| user(names.iter().map(|name| (OsString::from(USER), OsString::from(name))));
        assert_eq!(of(&["alice"]).unwrap(), "alice");
        assert!(of(&["alice", "root"]).is_err() && of(&[""]).is_err() && of(&[]).is_err());
    }

    #[test]
    fn what_the_user_may_have_written_is_not_believed() {
        for values in [&["close_session", "open_session"][..], &["open_session", "open_session"], &["auth"], &[""], &[]]
        {
            assert!(of(values).is_err(), "{values:?}");
        }
    }
}
