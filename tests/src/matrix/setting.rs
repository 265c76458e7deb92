//! What the ways that are not vrfrun's need around a cell: a user, a login, a container or an agent, made as its manager
//! makes it. Pure.
//!
//! Whatever puts them into the VRF is the real program, called as PAM, an OCI runtime or an administrator calls it.

/// Shell lines; `{uid}` is the number of the column's user. A cgroup is always a new one: in that of an earlier cell, which is
/// bound already, nobody would notice that nothing binds this one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Before a cell. Its packets are not counted.
    pub begin: &'static str,
    /// Run `begin` as the column's user, not as root.
    pub is_users: bool,
    /// After a cell and the last of its packets, as root.
    pub end: &'static str,
}

/// The cgroup of a login below the hierarchy's root, as logind names it.
pub const LOGIN: &str = "user.slice/user-{uid}.slice/session-leak.scope";
/// The cgroup of a container, which is called by its id.
pub const CONTAINER: &str = "leak-hook";
/// What belongs to the agent's container: its socket, its configuration, its image.
pub const BUNDLE: &str = "/tmp/leak-agent";

/// Whatever runs as this user.
pub const USER: Setting =
    Setting { begin: "vrfsetup user {uid} blue", is_users: false, end: "vrfsetup user --remove {uid}" };

/// A shell opens the session in the login's cgroup, and leaves it.
pub const SESSION: Setting = Setting {
    begin: "cd /sys/fs/cgroup; it=user.slice/user-{uid}.slice/session-leak.scope
        while [ -e $it ]; do rmdir $it 2>/dev/null || sleep 0.05; done
        mkdir -p ${it%/*}; mkdir $it; echo 0 >$it/cgroup.procs
        PAM_TYPE=open_session PAM_SERVICE=sshd exec vrfsetup session blue",
    is_users: false,
    // What the program has left keeps it, until the row ends, and the next one to use it begins by removing it.
    end: "cd /sys/fs/cgroup; rmdir user.slice/user-{uid}.slice/session-leak.scope user.slice/user-{uid}.slice user.slice || true",
};

/// The same of a container, whose first process waits while the hook is called from outside.
pub const HOOK: Setting = Setting {
    begin: r#"cd /sys/fs/cgroup; it=leak-hook
        while [ -e $it ]; do rmdir $it 2>/dev/null || sleep 0.05; done
        mkdir $it; echo 0 >$it/cgroup.procs
        (echo 0 >cgroup.procs; exec vrfsetup oci-hook) <<STATE
            {"ociVersion": "1.0.2", "id": "leak-hook", "status": "creating", "pid": $$, "bundle": "/", "annotations": {"io.vrfrun.vrf": "blue"}}
STATE"#,
    is_users: false,
    end: "rmdir /sys/fs/cgroup/leak-hook || true",
};

/// The agent of the column's user.
pub const AGENT: Setting = Setting {
    begin: "mkdir -p /tmp/leak-agent/root; cd /tmp/leak-agent
        vrfrun oci-agent --socket /tmp/leak-agent/socket & echo $! >pid
        until [ -S socket ]; do sleep 0.05; done",
    is_users: true,
    end: "cd /tmp; kill $(cat leak-agent/pid); rm -rf --one-file-system leak-agent",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_names_are_of_the_same_places() {
        assert!(SESSION.begin.contains(&format!("it={LOGIN}\n")) && SESSION.end.contains(&format!("rmdir {LOGIN} ")));
        assert!(HOOK.begin.contains(&format!("it={CONTAINER}\n")));
        assert!(HOOK.end.ends_with(&format!("/{CONTAINER} || true")));
        // Without -p, which would take one that is there.
        assert!([SESSION, HOOK].iter().all(|setting| setting.begin.contains(" mkdir $it;")));
        assert!(AGENT.begin.contains(&format!("cd {BUNDLE}\n")));
    }
}
