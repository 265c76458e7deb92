//! Whether a cgroup is that of one login, as logind makes them. Pure.

/// `/user.slice/user-UID.slice/session-ID.scope`. A user may have cgroups of such names below `user@UID.service`, and moves
/// processes out of these at will.
pub fn is_of_a_login(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    let is_one = |part: Option<&str>, before: &str, after: &str| {
        part.and_then(|part| part.strip_prefix(before)?.strip_suffix(after)).is_some_and(|middle| !middle.is_empty())
    };
    is_one(parts.next(), "session-", ".scope")
        && is_one(parts.next(), "user-", ".slice")
        && parts.eq(["user.slice", ""])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_has_a_scope_below_its_users_slice() {
        for path in ["/user.slice/user-0.slice/session-3.scope", "/user.slice/user-1000.slice/session-c1.scope"] {
            assert!(is_of_a_login(path), "{path}");
        }
    }

    #[test]
    fn what_others_share_or_can_make_is_none() {
        for path in [
            "/",
            "/system.slice/ssh.service",
            "/system.slice/cron.service",
            "/user.slice/user-0.slice",
            "/user.slice/user-0.slice/user@0.service",
            "/user.slice/user-1000.slice/user@1000.service/session-9.scope",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/user-1000.slice/session-9.scope",
            "/user.slice/user-1000.slice/session-9.scope/mine",
            "/user.slice/user-1000.slice/session-.scope",
            "/session-9.scope",
        ] {
            assert!(!is_of_a_login(path), "{path}");
        }
    }
}
