//! podman's seccomp profile, for containers that are started without podman.

use std::fs;

use serde_json::{Value, json};

/// Debian's package of podman's defaults.
const PROFILE: &str = "/usr/share/containers/seccomp.json";

/// All that there are since Linux 5.9.
pub const ALL_CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// podman's profile in the form that an OCI runtime takes: its conditions on capabilities and machine decided.
///
/// # Panics
/// When it is not installed, or is no profile.
pub fn profile(capabilities: &[&str]) -> Value {
    let profile: Value = serde_json::from_slice(&fs::read(PROFILE).expect("the profile")).expect("JSON");
    let names = |list: &Value| {
        list.as_array().into_iter().flatten().filter_map(Value::as_str).map(String::from).collect::<Vec<_>>()
    };
    let has = |name: &String| capabilities.contains(&name.as_str());
    let applies = |rule: &&Value| {
        let (includes, excludes) = (&rule["includes"], &rule["excludes"]);
        let machines = names(&includes["arches"]);
        names(&includes["caps"]).iter().all(has)
            && !names(&excludes["caps"]).iter().any(has)
            && (machines.is_empty() || machines.iter().any(|machine| machine == "amd64"))
    };
    let rules = profile["syscalls"].as_array().expect("rules").iter().filter(applies).map(|rule| {
        let mut rule = rule.clone();
        for key in ["includes", "excludes", "comment", "errno"] {
            rule.as_object_mut().expect("a rule").remove(key);
        }
        rule
    });
    json!({
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": profile["defaultErrnoRet"],
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules.collect::<Vec<_>>(),
    })
}
