//! The seccomp profile of the agent's containers: another one, in which what `bind::seccomp::filter` hands to the supervisor
//! goes to the agent, and what it denies is denied. What the other one denies stays denied.
//!
//! libseccomp takes one comparison for each argument of a rule, and no two rules that say different things of the same: so
//! the rules for socket(2) are written again for each family. Of 32-bit programs it would give all families one verdict, for
//! socketcall(2) hides them: the profile is for this machine's own system call table, and the kernel ends who uses another.

use serde_json::{Map, Value, json};
use vrfabi::socket::ROUTED;

use crate::bind::seccomp::create::UNBINDABLE;
use crate::bind::verify::DENIED;
use crate::sys::architecture::HOST;

/// Families of sockets that there are (AF_MAX).
const FAMILIES: i32 = 46;
/// An int is the lower half of an argument.
const INT: u64 = 0xffff_ffff;
/// Calls that get rules of their own; the others stay as they are.
const OURS: [&str; 7] =
    ["socket", "socketcall", "unshare", "setns", "io_uring_setup", "io_uring_enter", "io_uring_register"];

/// Makes it. Err: what is wrong with the other one.
pub fn merge(base: &Value, socket: &str) -> Result<Value, String> {
    let mut profile =
        base.as_object().filter(|base| base.contains_key("defaultAction")).cloned().ok_or("it is none")?;
    let rules = base["syscalls"].as_array().cloned().unwrap_or_default();
    let mut actions = rules.iter().map(|rule| &rule["action"]).chain([&base["defaultAction"]]);
    if base.get("listenerPath").is_some() || actions.any(|action| action == "SCMP_ACT_NOTIFY") {
        return Err("it has an agent already".into());
    }
    if lets_through(&base["defaultAction"]) {
        return Err("it allows what it does not name".into());
    }
    let mut merged: Vec<Value> = Vec::new();
    for rule in &rules {
        let names = names(rule);
        let others: Vec<_> = names.iter().filter(|name| !OURS.contains(name)).collect();
        if !others.is_empty() {
            merged.push(with(rule, &[("names", json!(others))]));
        }
        if names.contains(&"socket") {
            merged.extend(sockets(rule)?);
        }
        let calls: Vec<_> = names.iter().filter(|name| ["unshare", "setns"].contains(name)).collect();
        if !calls.is_empty() {
            merged.push(with(rule, &[("names", json!(calls)), ("action", handed_over(&rule["action"]))]));
        }
    }
    merged.push(json!({"names": &OURS[4..], "action": "SCMP_ACT_ERRNO", "errnoRet": libc::ENOSYS}));
    profile.insert("syscalls".into(), merged.into());
    profile.insert("listenerPath".into(), socket.into());
    name_machine(&mut profile);
    Ok(profile.into())
}

/// Both forms there are: an OCI runtime's, and that of podman and docker.
fn name_machine(profile: &mut Map<String, Value>) {
    let own = format!("SCMP_ARCH_{}", HOST.name.to_uppercase());
    if profile.remove("archMap").is_some() {
        profile.insert("archMap".into(), json!([{"architecture": own, "subArchitectures": []}]));
    } else {
        profile.insert("architectures".into(), json!([own]));
    }
}

fn names(rule: &Value) -> Vec<&str> {
    let many = rule["names"].as_array().into_iter().flatten();
    many.chain(rule.get("name")).filter_map(Value::as_str).collect()
}

fn lets_through(action: &Value) -> bool {
    ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"].iter().any(|open| action == open)
}

fn handed_over(action: &Value) -> Value {
    if lets_through(action) { "SCMP_ACT_NOTIFY".into() } else { action.clone() }
}

/// The rule with these keys changed.
fn with(rule: &Value, changes: &[(&str, Value)]) -> Value {
    let mut rule = rule.as_object().cloned().unwrap_or_default();
    rule.remove("name");
    changes.iter().for_each(|(key, value)| _ = rule.insert((*key).into(), value.clone()));
    rule.into()
}

/// What a rule for socket(2) says of each family.
fn sockets(rule: &Value) -> Result<Vec<Value>, String> {
    let none = Vec::new();
    let (on_family, others): (Vec<_>, Vec<_>) =
        rule["args"].as_array().unwrap_or(&none).iter().partition(|condition| condition["index"] == 0);
    let mut rules = Vec::new();
    for family in 0..FAMILIES {
        let matches =
            on_family.iter().map(|condition| holds(condition, family as u64)).collect::<Result<Vec<_>, _>>()?;
        if matches.contains(&false) {
            continue;
        }
        let is_family = json!({"index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": INT, "valueTwo": family});
        let args: Vec<_> = std::iter::once(&is_family).chain(others.iter().copied()).collect();
        let mut changed = with(rule, &[("names", json!(["socket"])), ("args", json!(args))]);
        if ROUTED.contains(&family) {
            changed["action"] = handed_over(&rule["action"]);
        } else if UNBINDABLE.contains(&family) && lets_through(&rule["action"]) {
            changed["action"] = "SCMP_ACT_ERRNO".into();
            changed["errnoRet"] = (DENIED as i32).into();
        }
        rules.push(changed);
    }
    Ok(rules)
}

/// Whether an argument of this value meets the condition.
fn holds(condition: &Value, argument: u64) -> Result<bool, String> {
    let value = condition["value"].as_u64().unwrap_or_default();
    match condition["op"].as_str() {
        Some("SCMP_CMP_EQ") => Ok(argument == value),
        Some("SCMP_CMP_NE") => Ok(argument != value),
        Some("SCMP_CMP_LT") => Ok(argument < value),
        Some("SCMP_CMP_LE") => Ok(argument <= value),
        Some("SCMP_CMP_GT") => Ok(argument > value),
        Some("SCMP_CMP_GE") => Ok(argument >= value),
        Some("SCMP_CMP_MASKED_EQ") => Ok(argument & value == condition["valueTwo"].as_u64().unwrap_or_default()),
        _ => Err(format!("it compares in a way that is not known: {}", condition["op"])),
    }
}

#[cfg(test)]
mod tests;
