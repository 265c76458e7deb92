//! Holds what `vrfrun --trace=json` says of a program against what strace(1) shows of the same run: the inet sockets and the
//! connections of each process. Pure.

mod log;

use std::collections::BTreeMap;

use serde_json::Value;

use log::{Call, End, Log, What};

/// Families whose sockets the trace shows, by their names there.
const FAMILIES: [(&str, u32); 5] = [("inet", 2), ("inet6", 10), ("smc", 43), ("rds", 21), ("rxrpc", 33)];
const TYPES: [(&str, u32); 6] = [("stream", 1), ("dgram", 2), ("raw", 3), ("rdm", 4), ("seqpacket", 5), ("dccp", 6)];

/// strace's own words for a run that [`compare`] understands.
pub const STRACE: [&str; 9] = [
    "strace",
    "-f",
    "-qq",
    "-X",
    "raw",
    "-e",
    "trace=socket,connect,clone,clone3,fork,vfork,execve",
    "-e",
    "signal=none",
];

/// How many sockets and connections were the same in both.
///
/// # Errors
/// What is not, process by process.
pub fn compare(stderr: &str, strace: &str) -> Result<usize, String> {
    let log = log::read(strace);
    let mut shown = objects(stderr)?;
    // The shim tries a socket in each program that it enters, and strace is one.
    shown.retain(|object| object["program"] != "strace" || log.processes.contains(&number(object, "pid")));
    let mut pids: Vec<u32> = log.calls.iter().map(|call| call.pid).collect();
    pids.extend(shown.iter().map(|object| number(object, "pid")));
    pids.sort_unstable();
    pids.dedup();
    let (mut same, mut complaints) = (0, String::new());
    for pid in pids {
        let objects: Vec<&Value> = shown.iter().filter(|object| number(object, "pid") == pid).collect();
        match process(&objects, &log, pid) {
            Ok(count) => same += count,
            Err(complaint) => complaints += &format!("process {pid}: {complaint}\n"),
        }
    }
    if complaints.is_empty() { Ok(same) } else { Err(complaints) }
}

/// The trace's objects among all that a program says, which need not end its lines.
fn objects(stderr: &str) -> Result<Vec<Value>, String> {
    let parse = |(at, _)| {
        let text = stderr[at..].lines().next().unwrap_or_default();
        serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))
    };
    stderr.match_indices("{\"pid\":").map(parse).collect()
}

fn number(object: &Value, name: &str) -> u32 {
    object[name].as_u64().and_then(|number| number.try_into().ok()).unwrap_or(u32::MAX)
}

fn process(objects: &[&Value], log: &Log, pid: u32) -> Result<usize, String> {
    let calls: Vec<&Call> = log.calls.iter().filter(|call| call.pid == pid).collect();
    let (sockets, connections): (Vec<&Value>, Vec<&Value>) =
        objects.iter().partition(|object| object["call"] == "socket");
    Ok(self::sockets(&sockets, &calls)? + self::connections(&connections, &calls)?)
}

fn sockets(objects: &[&Value], calls: &[&Call]) -> Result<usize, String> {
    let is_shown = |family: u32| FAMILIES.iter().any(|(_, number)| *number == family);
    let calls: Vec<&Call> = calls
        .iter()
        .filter(|call| matches!(call.what, What::Socket(family, ..) if is_shown(family)))
        .copied()
        .collect();
    let counted = equal(&calls, objects.iter().map(|object| socket(object)))?;
    for object in objects {
        // Of what the kernel makes the trace does not know the end.
        let Some(end) = known_end(object) else { continue };
        let what = socket(object);
        let shown = objects.iter().filter(|other| socket(other) == what && known_end(other).as_ref() == Some(&end));
        let is_so = |call: &&&Call| call.what == what && [&end, &End::Interrupted].contains(&&call.end);
        if shown.count() > calls.iter().filter(is_so).count() {
            return Err(format!("not so in strace's words: {object}\n{calls:?}"));
        }
    }
    Ok(counted)
}

fn socket(object: &Value) -> What {
    let named = |name: &str, names: &[(&str, u32)]| {
        let word = object[name].as_str().unwrap_or_default();
        let known = names.iter().find(|(known, _)| *known == word).map(|(_, number)| *number);
        known.or_else(|| word.parse().ok()).unwrap_or(u32::MAX)
    };
    What::Socket(named("family", &FAMILIES), named("type", &TYPES), number(object, "protocol"))
}

/// What the trace says has become of a socket.
fn known_end(object: &Value) -> Option<End> {
    let failed = object["error"].as_str().map(|error| End::Failed(error.to_owned()));
    failed.or_else(|| (object["mechanism"] == "seccomp").then_some(End::Well))
}

fn connections(objects: &[&Value], calls: &[&Call]) -> Result<usize, String> {
    let calls: Vec<&Call> = calls.iter().filter(|call| !matches!(call.what, What::Socket(..))).copied().collect();
    if objects.iter().any(|object| object["family"].is_null()) {
        // Nobody may look into this process: each of its connections has a line, whatever it leads to.
        let anything: Vec<Call> = calls.iter().map(|call| Call { what: What::Other, ..(*call).clone() }).collect();
        return equal(&anything.iter().collect::<Vec<_>>(), objects.iter().map(|_| What::Other));
    }
    let calls: Vec<&Call> = calls.into_iter().filter(|call| call.what != What::Other).collect();
    let to =
        |object: &&Value| What::Connect(format!("{} {}", object["address"].as_str().unwrap_or("?"), object["port"]));
    equal(&calls, objects.iter().map(to))
}

/// How many there are, if both have the same ones, each as often; a call that was interrupted may be shown or not.
fn equal(calls: &[&Call], shown: impl Iterator<Item = What>) -> Result<usize, String> {
    let mut counts = BTreeMap::<What, [usize; 3]>::new();
    for call in calls {
        counts.entry(call.what.clone()).or_default()[usize::from(call.end == End::Interrupted)] += 1;
    }
    shown.for_each(|what| counts.entry(what).or_default()[2] += 1);
    for (what, [certain, interrupted, shown]) in &counts {
        if !(*certain..=certain + interrupted).contains(shown) {
            return Err(format!("strace shows {certain} (and {interrupted} interrupted) {what:?}, the trace {shown}"));
        }
    }
    Ok(counts.values().map(|[.., shown]| shown).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRACE: &str = r#"7  execve("/bin/x", ["x"], 0x7ffe /* 5 vars */) = 0
7  socket(0x2, 0x1, 0x6)           = 3
7  socket(0xa, 0x3, 0x3a)          = -1 EPERM (Operation not permitted)
7  socket(0x1, 0x1, 0)             = 4
7  connect(3, {sa_family=0x2, sin_port="\x00\x35", sin_addr="\xc0\x00\x02\x35"}, 16) = 0
"#;
    const TCP: &str =
        r#"{"pid":7,"program":"x","call":"socket","family":"inet","type":"stream","protocol":6,"mechanism":"seccomp"}"#;
    const RAW: &str = r#"{"pid":7,"program":"x","call":"socket","family":"inet6","type":"raw","protocol":58,"mechanism":null,"error":"EPERM"}"#;
    const CONNECT: &str =
        r#"{"pid":7,"program":"x","call":"connect","family":"inet","address":"192.0.2.53","port":53,"bound":true}"#;

    #[test]
    fn what_both_show_is_counted() {
        let strace_itself = TCP.replace("\"x\"", "\"strace\"").replace('7', "6");
        let trace = format!("{strace_itself}\nhello {TCP}\n{RAW}\n{CONNECT}\n");
        assert_eq!(compare(&trace, STRACE), Ok(3));
    }

    #[test]
    fn what_one_of_them_does_not_show_or_shows_otherwise_is_a_complaint() {
        let others = [
            [TCP, RAW, ""],
            [TCP, CONNECT, ""],
            [TCP, &RAW.replace("EPERM", "EACCES"), CONNECT],
            [&TCP.replace("stream", "dgram"), RAW, CONNECT],
            [&TCP.replace("\"pid\":7", "\"pid\":8"), RAW, CONNECT],
            [TCP, RAW, &CONNECT.replace("53,", "54,")],
            [TCP, RAW, &CONNECT.replace("\"192.0.2.53\"", "null")],
            [TCP, RAW, &format!("{CONNECT}\n{CONNECT}")],
        ];
        for other in others {
            assert!(compare(&other.join("\n"), STRACE).is_err(), "{other:?}");
        }
        let failed = STRACE.replace(" = 3", " = -1 EMFILE (Too many open files)");
        assert!(compare(&[TCP, RAW, CONNECT].join("\n"), &failed).is_err());
    }

    #[test]
    fn an_interrupted_call_is_shown_or_not() {
        let again = STRACE.replace(" = 3", " = ? ERESTARTSYS (To be restarted)\n7  socket(0x2, 0x1, 0x6)  = 3");
        for (shown, is_fine) in [(0, false), (1, true), (2, true), (3, false)] {
            let trace = [&[TCP].repeat(shown)[..], &[RAW, CONNECT]].concat().join("\n");
            assert_eq!(compare(&trace, &again).is_ok(), is_fine, "{trace}");
        }
    }
}
