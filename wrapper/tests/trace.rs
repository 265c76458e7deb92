//! `--trace`: what it says is what strace sees, who binds a socket is said rightly, and nothing else changes by it.

mod scene;

use scene::{EVERYBODY, Who, play, play_after, root, user};
use serde_json::Value;

/// A directory for strace's log.
const SETTING: &str = "mount -t tmpfs -o mode=1777 tmpfs /srv; ";

/// What stands between two others.
fn between<'a>(line: &'a str, before: &str, after: &str) -> &'a str {
    line.split_once(before).and_then(|(_, rest)| rest.split_once(after)).map_or("", |(part, _)| part)
}

/// An inet socket or connection in strace's words, in those of these tests; None for any other.
fn strace_saw(line: &str) -> Option<String> {
    let is_inet = ["AF_INET,", "AF_INET6,", "AF_RXRPC,", "(3, NULL,"].iter().any(|part| line.contains(part));
    if !is_inet || line.contains(" resumed>") {
        return None;
    }
    if line.contains("socket(") {
        let words: Vec<&str> = between(line, "socket(", ")").split([',', '|']).map(str::trim).collect();
        let word = |at: usize, before: &str| words[at].trim_start_matches(before).to_lowercase();
        return Some(format!("socket {} {}", word(0, "AF_"), word(1, "SOCK_")));
    }
    let (v4, v6) = (between(line, "inet_addr(\"", "\""), between(line, "inet_pton(AF_INET6, \"", "\""));
    Some(format!("connect {v4}{v6} {}", between(line, "htons(", ")")))
}

/// The same in an object of the trace.
fn trace_shows(object: &Value) -> String {
    let text = |name: &str| object[name].as_str().unwrap_or_default();
    match text("call") {
        "socket" => format!("socket {} {}", text("family"), text("type")),
        call => {
            format!("{call} {} {}", text("address"), object["port"].as_u64().map_or(String::new(), |n| n.to_string()))
        }
    }
}

fn objects(stderr: &str) -> Vec<Value> {
    let read = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    stderr.lines().map(read).collect()
}

#[test]
fn it_shows_the_sockets_and_connections_that_strace_shows() {
    let perl =
        "perl -MIO::Socket::INET -e 'IO::Socket::INET->new(PeerAddr => q(127.0.0.1:9), Proto => $_) for qw(udp udp)'";
    let mechanisms = [
        (Who::Root, "bpf"),
        (Who::Root, "preload"),
        (Who::Root, "seccomp"),
        (Who::User, "preload"),
        (Who::User, "seccomp"),
    ];
    for (who, mechanism) in mechanisms {
        for program in ["traced", "traced-static", "traced-i386", perl] {
            let script = format!(
                "vrfrun --trace=json -m {mechanism} --interface blue \
                 strace -f -qq -e trace=socket,connect -e signal=none -o /srv/log {program}; cat /srv/log"
            );
            let seen = play_after(SETTING, who, &script);
            assert_eq!(seen.code(), 0, "{seen}");
            let expected: Vec<String> = seen.stdout().lines().filter_map(strace_saw).collect();
            assert!(expected.len() >= 4, "{seen}");
            // The shim tries a socket in each program, and strace itself is one.
            let shown = objects(&seen.stderr()).into_iter().filter(|object| object["program"] != "strace");
            let shown: Vec<String> = shown.map(|object| trace_shows(&object)).collect();
            assert_eq!(shown, expected, "{who:?} {mechanism} {program}: {seen}");
        }
    }
}

/// A line as it is for people, without the process's number.
fn lines(stderr: &str) -> Vec<String> {
    let without = |line: &str| {
        format!("{}{}", line.split('[').next().unwrap_or_default(), line.split_once(']').map_or("", |(_, rest)| rest))
    };
    stderr.lines().map(without).collect()
}

#[test]
fn a_line_says_which_mechanism_binds_a_socket_and_to_which_device_it_is_bound() {
    for (who, options, program, by) in [
        (Who::Root, "-m bpf", "traced", "blue by bpf"),
        (Who::Root, "-m seccomp", "traced", "blue by seccomp"),
        (Who::User, "-m seccomp", "traced-i386", "blue by seccomp"),
        // No shim is in a static program: the supervisor binds its sockets.
        (Who::User, "-m preload", "traced-static", "blue by seccomp"),
        (Who::User, "-m preload", "traced", "blue by preload"),
    ] {
        let seen = play(who, &format!("vrfrun --trace {options} --interface blue {program}"));
        let lines = lines(&seen.stderr());
        for expected in [
            format!("socket inet stream: {by}"),
            format!("socket inet6 dgram udp: {by}"),
            "connect 127.0.0.1:53 inet stream tcp: blue".into(),
            "connect [::1]:53 inet6 dgram udp: blue".into(),
            "connect 127.0.0.1:53: device not known".into(),
            "connect ? inet stream tcp: blue".into(),
        ] {
            let line = format!("vrfrun: {program} {expected}");
            // By itself, in a thread and in a child.
            assert_eq!(lines.iter().filter(|other| **other == line).count(), 3, "{options}: {line}\n{seen}");
        }
    }
    let refused = user("vrfrun --trace -m seccomp --interface blue traced");
    assert!(refused.stderr().contains(" socket rxrpc dgram: ENETUNREACH\n"), "{refused}");
}

#[test]
fn a_socket_outside_the_device_is_said_to_be_there() {
    let none = user("vrfrun --trace default traced");
    assert!(none.stderr().contains(" socket inet stream: no device\n"), "{none}");
    assert!(none.stderr().contains(" connect 127.0.0.1:53 inet stream tcp: no device\n"), "{none}");
    for mechanism in ["bpf", "preload", "seccomp"] {
        let elsewhere = root(&format!("vrfrun --trace -m {mechanism} --interface blue unshare --net traced-static"));
        let lines = lines(&elsewhere.stderr());
        let said = "vrfrun: traced-static socket inet stream: in another network namespace";
        assert!(lines.iter().any(|line| line == said), "{mechanism}: {elsewhere}");
    }
}

/// /proc/PID/mem of a program that has become another user belongs to that user; root's supervisor reads it all the same.
#[test]
fn where_a_program_of_another_user_connects_to_is_known() {
    for mechanism in ["bpf", "preload", "seccomp"] {
        let run = format!("vrfrun --trace -m {mechanism}");
        for program in ["traced", "traced-i386"] {
            let become_nobody = format!("--interface blue setpriv --reuid 65534 --clear-groups {program}");
            for words in [become_nobody, format!("-u nobody --interface blue {program}")] {
                let seen = root(&format!("{run} {words}"));
                let lines = lines(&seen.stderr());
                let said = format!("vrfrun: {program} connect 127.0.0.1:53 inet stream tcp: blue");
                assert_eq!(lines.iter().filter(|line| **line == said).count(), 3, "{run} {words}: {seen}");
            }
        }
    }
}

#[test]
fn a_program_that_lets_nobody_look_into_it_connects_to_what_is_not_known() {
    let perl = "perl -MSocket -e 'syscall(157, 4, 0, 0, 0, 0); socket(S, AF_INET, SOCK_DGRAM, 0);
        connect(S, pack_sockaddr_in(53, inet_aton(q(127.0.0.1))))'"; // PR_SET_DUMPABLE
    for run in ["-m seccomp --interface blue", "-m preload --interface blue", "default"] {
        let seen = user(&format!("vrfrun --trace {run} {perl}"));
        // Its name is nobody's to know either where /proc hides the processes of others.
        let last = lines(&seen.stderr()).pop().unwrap_or_default();
        let names = ["perl", "?"].map(|name| format!("vrfrun: {name} connect ?: device not known"));
        assert!(names.contains(&last), "{run}: {seen}");
    }
    // CAP_SYS_PTRACE looks into it.
    for mechanism in ["bpf", "seccomp"] {
        let seen = root(&format!("vrfrun --trace -m {mechanism} --interface blue {perl}"));
        let last = lines(&seen.stderr()).pop().unwrap_or_default();
        assert!(last.starts_with("vrfrun: perl connect 127.0.0.1:53 inet dgram"), "{mechanism}: {seen}");
    }
}

#[test]
fn what_the_kernel_will_make_of_a_socket_is_not_said_to_be_known() {
    for (who, mechanism, bound) in
        [(Who::Root, "bpf", Value::Null), (Who::User, "preload", Value::Null), (Who::User, "seccomp", true.into())]
    {
        let seen = play(who, &format!("vrfrun --trace=json -m {mechanism} --interface blue traced"));
        let sockets: Vec<Value> = objects(&seen.stderr())
            .into_iter()
            .filter(|object| object["family"] == "inet6" && object["call"] == "socket")
            .collect();
        assert_eq!(sockets.len(), 3, "{seen}");
        assert!(
            sockets.iter().all(|object| object["bound"] == bound && object["device"] == "blue"),
            "{mechanism}: {seen}"
        );
    }
    let refused = user("vrfrun --trace=json -m seccomp --interface blue perl -e 'socket(S, 2, 3, 1)'");
    let shown = objects(&refused.stderr());
    assert!(shown.len() == 1 && shown[0]["error"] == "EPERM" && shown[0]["device"].is_null(), "{refused}");
}

/// Its reader is there, and never reads.
#[test]
fn where_stderr_is_full_the_supervisor_ends_with_its_last_client_all_the_same() {
    let fill = "perl -e 'use Fcntl; open F, q(>&8); fcntl(F, F_SETFL, O_NONBLOCK); 1 while syswrite F, q(x) x 4096; fcntl(F, F_SETFL, 0)'";
    let script = format!(
        "mkfifo /srv/err; exec 8<>/srv/err; {fill}
         supervisors() {{ for p in /proc/[0-9]*; do [ \"$(cat $p/comm 2>/dev/null)\" = 'vrfrun: sockets' ] &&
             [ \"$(stat -Lc %i $p/net/dev)\" = \"$(stat -Lc %i /proc/self/net/dev)\" ] && echo $p; done; }}
         vrfrun --trace -m seccomp --interface blue traced-static 2>&8 & pid=$!
         until [ \"$(cat /proc/$pid/comm)\" = traced-static ] && grep -q 'State:.S' /proc/$pid/status; do sleep 0.05; done
         supervisors | wc -l; kill -9 $pid; while [ \"$(supervisors)\" ]; do sleep 0.05; done; echo gone"
    );
    play_after(SETTING, Who::User, &script).prints("1\ngone\n");
}

#[test]
fn nothing_of_vrfruns_own_is_shown() {
    for who in EVERYBODY {
        for options in ["", "-m preload", "-m seccomp"] {
            let seen = play(who, &format!("vrfrun --trace {options} --interface blue probe-static child"));
            assert_eq!((seen.code(), seen.stderr().as_str()), (0, ""), "{options}: {seen}");
        }
    }
}

#[test]
fn nothing_else_changes_by_it() {
    let program = "probe socket inet6 syscall unix child flags rebind mptcp options thread; echo $?";
    for (who, mechanism) in [
        (Who::Root, "bpf"),
        (Who::Root, "preload"),
        (Who::Root, "seccomp"),
        (Who::User, "preload"),
        (Who::User, "seccomp"),
    ] {
        let outcome = |trace| {
            let seen =
                play(who, &format!("vrfrun {trace} -m {mechanism} --interface blue sh -c '{program}' 2>/dev/null"));
            (seen.code(), seen.stdout())
        };
        assert_eq!(outcome("--trace"), outcome(""), "{who:?} {mechanism}");
    }
}

#[test]
fn where_stderr_is_closed_or_its_reader_gone_the_program_runs_all_the_same() {
    for mechanism in ["bpf", "preload", "seccomp"] {
        let run = format!("vrfrun --trace -m {mechanism} --interface blue");
        root(&format!("{run} traced 2>&-; echo $?")).prints("0\n");
        root(&format!("exec 3>&1; {{ {run} traced; echo $? >&3; }} 2>&1 >/dev/null | :")).prints("0\n");
    }
}

/// A pipe that does not block and has room for one page, whose reader waits until the program waits.
#[test]
fn no_line_is_lost_where_stderr_does_not_block() {
    let script =
        "perl -e 'use Fcntl; pipe(my $r, my $w); fcntl($w, 1031, 4096); fcntl($w, F_SETFL, O_NONBLOCK | O_WRONLY);
        if (!fork) { close $r; open STDERR, q(>&), $w; close $w;
            exec qw(vrfrun --trace -m seccomp --interface blue sh -c), q(for i in 1 2 3 4 5; do traced-static; done) }
        close $w; sleep 1; my @lines = <$r>; print scalar @lines, qq(\n)'";
    user(script).prints("105\n");
}

#[test]
fn where_it_cannot_be_had_nothing_runs() {
    let above = user("vrfrun -m seccomp --interface blue vrfrun --trace --interface blue echo run");
    above.fails(125, "vrfrun: --trace: another supervisor is above this process\nhint: strace -f ");
    assert_eq!(above.stdout(), "");
    let outside = user("vrfrun -m seccomp --interface blue vrfrun --trace default echo run");
    assert_eq!((outside.code(), outside.stdout().as_str()), (125, ""), "{outside}");
}

#[test]
fn when_its_supervisor_is_killed_sockets_fail() {
    let script = "mkfifo /srv/up /srv/go; vrfrun --trace -m bpf --interface blue sh -c \
        'echo >/srv/up; read x </srv/go; probe socket inet6 unix' & read x </srv/up
        for p in /proc/[0-9]*; do [ \"$(cat $p/comm 2>/dev/null)\" = 'vrfrun: sockets' ] &&
            [ \"$(stat -Lc %i $p/net/dev)\" = \"$(stat -Lc %i /proc/self/net/dev)\" ] && kill -9 ${p#/proc/} &&
            while [ -e $p/net/dev ]; do sleep 0.05; done; done; echo >/srv/go; wait $!";
    play_after(SETTING, Who::Root, script).prints("socket ENOSYS\ninet6 ENOSYS\nunix -\n");
}
