//! What is said where nothing is run: the reason that is so, and at most one hint, which helps.

mod scene;

use scene::{Who, play, play_after, root, user};

/// Nothing ran, and this is all that was said.
#[track_caller]
fn says(seen: &scene::Seen, words: &str) {
    assert_eq!((seen.code(), seen.stdout().as_str(), seen.stderr().as_str()), (125, "", words), "{seen}");
}

#[test]
fn too_few_descriptors_are_said_and_what_gives_more() {
    for mechanism in ["bpf", "preload", "seccomp", "auto"] {
        let run = |limit: u32| format!("ulimit {limit}; vrfrun -m {mechanism} --interface blue probe-static socket");
        for limit in 3..=16 {
            let seen = root(&run(limit).replace("ulimit", "ulimit -n"));
            if seen.code() == 0 {
                seen.prints("socket blue\n");
                continue;
            }
            assert_eq!((seen.code(), seen.stdout().as_str()), (125, ""), "{limit}: {seen}");
            assert!(seen.stderr().contains("Too many open files"), "{limit}: {seen}");
            assert!(seen.stderr().ends_with("\nhint: ulimit -n 64\n"), "{limit}: {seen}");
        }
        root(&run(64).replace("ulimit", "ulimit -n")).prints("socket blue\n");
    }
    // What the program is content with is not what its supervisor has.
    let script = "ulimit -Sn 10; vrfrun -m seccomp --interface blue sh -c 'ulimit -n; probe-static socket'";
    root(script).prints("10\nsocket blue\n");
}

/// SIGXFSZ ends whoever writes more to a file than RLIMIT_FSIZE allows, a file in memory too.
#[test]
fn where_no_file_may_be_written_programs_are_bound_or_it_is_said() {
    for mechanism in ["bpf", "preload", "seccomp"] {
        root(&format!("ulimit -f 0; vrfrun -m {mechanism} --interface blue probe socket")).prints("socket blue\n");
        let names = root(&format!("ulimit -f 0; vrfrun -m {mechanism} --dns 192.0.2.53 --interface blue true"));
        says(&names, "vrfrun: cannot make files in memory over /etc: File too large\nhint: ulimit -f unlimited\n");
    }
    user("ulimit -f 0; vrfrun -m preload --interface blue probe socket").prints("socket blue\n");
}

/// The group of `vrfsetup user --allow-default` leads out of what binds users, and out of no filter of an outer run.
#[test]
fn no_group_leads_out_of_an_outer_runs_filter() {
    let setting = "mount -t tmpfs tmpfs /srv; cp /etc/group /srv/group; echo vrf-default:x:990: >>/srv/group
        mount --bind /srv/group /etc/group";
    for mechanism in ["preload", "seccomp"] {
        let script = format!("setpriv --groups 990 vrfrun -m {mechanism} --interface blue vrfrun default true");
        let seen = play_after(setting, Who::Root, &script);
        let why = "sockets are bound by something else than a cgroup of vrfrun: 'blue'";
        says(&seen, &format!("vrfrun: cannot leave 'blue': {why}\n"));
    }
}

/// Names of which a terminal would obey a part.
#[test]
fn a_failure_is_one_line_whatever_is_named() {
    let name = r#""$(printf '/a\033[31m\nb')""#;
    for (words, code) in [
        (format!("{name} true"), 125),
        (format!("--interface blue {name}"), 127),
        (format!("--interface blue /srv{name}"), 126),
        (format!("--interface blue /srv{name}/c"), 127),
        (format!("--resolv-conf {name} --interface blue true"), 125),
        (format!("-n {name} blue true"), 125),
        (format!("-u {name} --interface blue true"), 125),
    ] {
        let setting = "mount -t tmpfs tmpfs /srv; mkdir -p \"$(printf '/srv/a\\033[31m\\nb')\"";
        let seen = play_after(setting, Who::Root, &format!("vrfrun {words}"));
        let stderr = seen.stderr();
        let lines = || stderr.lines().filter(|line| !line.starts_with("hint: "));
        assert_eq!((seen.code(), seen.stdout().as_str(), lines().count()), (code, "", 1), "{words}: {seen}");
        assert!(lines().all(|line| line.contains("a?[31m?b") && !line.contains('\u{1b}')), "{words}: {seen}");
    }
}

#[test]
fn a_network_namespace_without_a_name_is_entered_by_another_program() {
    let missing = |name: &str| format!("vrfrun: cannot enter network namespace '{name}': No such file or directory\n");
    let hint = "hint: nsenter -t 5 -n vrfrun …\n";
    says(&root("vrfrun -n 5 --interface blue true"), &format!("{}{hint}", missing("5")));
    says(&root("vrfrun -n other --interface blue true"), &format!("{}hint: ip netns list\n", missing("other")));
    let refused = "vrfrun: cannot enter network namespace 'other': Operation not permitted\n";
    let setting = "mount -t tmpfs tmpfs /run; ip netns add other";
    says(&play_after(setting, Who::User, "vrfrun -n other --interface blue true"), refused);
    for what in ["mkfifo /run/netns/none", "touch /run/netns/none", "mkdir /run/netns/none"] {
        let setting = format!("mount -t tmpfs tmpfs /run; mkdir /run/netns; {what}");
        let said = play_after(&setting, Who::Root, "vrfrun -n none --interface blue true");
        says(&said, "vrfrun: 'none' is no network namespace\n");
    }
    // What the hint says.
    let script = "unshare -n sh -c 'ip link add green type veth peer name far; exec sleep 600' &
        until nsenter -t $! -n ip link show green >/dev/null 2>&1; do sleep 0.1; done
        nsenter -t $! -n vrfrun -m bpf --interface green probe socket; kill $!";
    root(script).prints("socket green\n");
}

/// Under another run a mechanism is no way out that could not be had there.
#[test]
fn a_mechanism_is_not_recommended_where_it_would_fail() {
    for outer in ["preload", "seccomp"] {
        for inner in ["bpf", "preload", "seccomp"] {
            for who in scene::EVERYBODY {
                let run = format!("vrfrun -m {outer} --interface blue vrfrun -m {inner} --interface red true");
                let seen = play(who, &run);
                assert_eq!(seen.code(), 125, "{seen}");
                let hint = "hint: run it outside; of two runs one in the other, both need root and -m bpf\n";
                assert!(seen.stderr().ends_with(hint), "{seen}");
            }
        }
    }
    let seen = root("vrfrun -m bpf --interface blue vrfrun -m preload --interface red true");
    assert!(seen.stderr().ends_with("one in the other, both need root and -m bpf\n"), "{seen}");
    root("vrfrun -m bpf --interface blue vrfrun -m bpf --interface red probe socket").prints("socket red\n");
    // It is where it would do.
    let seen = user("vrfrun -m bpf --interface blue true");
    assert!(seen.stderr().ends_with("hint: vrfrun -m preload needs no privilege\n"), "{seen}");
    user("vrfrun -m preload --interface blue probe socket").prints("socket blue\n");
}

const ETC: &str = "mount -t tmpfs tmpfs /srv; chmod 755 /srv; cp -a /etc /srv/etc; mount --bind /srv/etc /etc; rm -f /etc/resolv.conf";

#[test]
fn a_resolver_that_is_missing_behind_a_link_is_made_where_the_link_leads() {
    let setting = format!("{ETC}; ln -s /srv/first /etc/resolv.conf; ln -s run/resolv.conf /srv/first");
    let run = "vrfrun -m bpf --dns 192.0.2.5 --interface blue cat /etc/resolv.conf";
    let said = "vrfrun: cannot put name servers over '/etc/resolv.conf': No such file or directory\n\
                hint: install -D -m 644 /dev/null '/srv/run/resolv.conf'\n";
    says(&play_after(&setting, Who::Root, run), said);
    let script = format!("install -D -m 644 /dev/null '/srv/run/resolv.conf'; {run}");
    play_after(&setting, Who::Root, &script).prints("nameserver 192.0.2.5\n");
    let setting =
        format!("{setting}; mkdir -p /etc/vrf/blue; echo x >/etc/vrf/blue/resolv.conf; echo y >/etc/vrf/blue/odd");
    let seen = play_after(&setting, Who::Root, "vrfrun -m bpf --interface blue true");
    assert_eq!(seen.code(), 125, "{seen}");
    let hints =
        ["/srv/run/resolv.conf", "/etc/odd"].map(|path| format!("hint: install -D -m 644 /dev/null '{path}'\n"));
    assert!(hints.iter().any(|hint| seen.stderr().ends_with(hint.as_str())), "{seen}");
}

#[test]
fn a_long_resolv_conf_is_the_programs_as_a_short_one() {
    let setting = format!("{ETC}; touch /etc/resolv.conf; seq 200000 | sed 's/^/# /' >/srv/long; chmod 644 /srv/long");
    for who in scene::EVERYBODY {
        let script =
            "vrfrun -m preload --resolv-conf /srv/long --interface blue cmp /etc/resolv.conf /srv/long && echo same";
        play_after(&setting, who, script).prints("same\n");
    }
}

/// `unshare --pid` without `--fork`: the first that it forks is process 1 of a pid namespace, and all others end with it.
#[test]
fn where_the_supervisor_would_be_in_another_pid_namespace_it_is_said() {
    for mechanism in ["preload", "seccomp"] {
        let seen = root(&format!("exec unshare --pid vrfrun -m {mechanism} --interface blue echo run"));
        let why = format!("cannot bind to 'blue': {mechanism}: the supervisor would be in another pid namespace");
        says(&seen, &format!("vrfrun: {why}\nhint: unshare --pid --fork …\n"));
    }
}

/// `vrfrun -v … 2>&1 | head -0`
#[test]
fn where_nobody_reads_what_is_said_the_program_runs_all_the_same() {
    let unread = "exec 3>&1; perl -e 'pipe(my $r, my $w); close $r; open STDERR, q(>&), $w; exec @ARGV' ";
    for options in ["-v -m bpf", "-v -m preload", "-v -m seccomp", "-v", "--unguarded"] {
        let run =
            format!("{unread} vrfrun {options} --interface blue sh -c 'echo run; kill -PIPE $$; echo stayed' 2>&3");
        let seen = root(&format!("{run}; echo $?"));
        // And the signal is the program's to have.
        seen.prints("run\n141\n");
    }
    root(&format!("{unread} vrfrun -m bpf nosuch echo run; echo $?")).prints("125\n");
}
