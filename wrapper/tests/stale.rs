//! What an outer run left in the environment and over /etc: a program in another VRF, or in none, must not find it.

mod scene;

use scene::{EVERYBODY, Who, play, play_after, root, user};

/// The variables of an outer run for red, as its programs find them, and what a user preloads beside it. The cookie is
/// that of no filter.
const STALE: &str = "export VRFSHIM=0000000000000000:red VRFRUN_VRF=red SYSTEMD_NSS_RESOLVE_IFINDEX=99 SYSTEMD_NSS_RESOLVE_NETWORK=1 SYSTEMD_NSS_RESOLVE_CACHE=1 \
                     LD_PRELOAD=/mnt/liba.so:/mnt/libvrfshim.so:/mnt/libb.so;";
/// What the program finds of them.
const SHOW: &str = "sh -c 'echo \"$LD_PRELOAD|$VRFSHIM|$VRFRUN_VRF|$SYSTEMD_NSS_RESOLVE_NETWORK\" 2>/dev/null'";

/// Each mechanism that needs no shim, for root.
const WITHOUT_SHIM: [&str; 2] = ["-m bpf", "-m seccomp"];

#[test]
fn the_judge_itself_a_stale_shim_moves_roots_sockets() {
    root("VRFSHIM=0000000000000000:red LD_PRELOAD=/mnt/libvrfshim.so probe socket").prints("socket red\n");
}

#[test]
fn a_stale_shim_moves_no_socket() {
    let stale = "export VRFSHIM=0000000000000000:red LD_PRELOAD=/mnt/libvrfshim.so;";
    for mechanism in ["-m bpf", "-m seccomp", "-m preload", "--strict"] {
        root(&format!("{stale} vrfrun {mechanism} --interface blue probe socket inet6 syscall"))
            .prints("socket blue\ninet6 blue\nsyscall blue\n");
    }
    // "already bound", by the cgroup and by the supervisor.
    for outer in WITHOUT_SHIM {
        root(&format!("vrfrun {outer} --interface blue sh -c '{stale} vrfrun --interface blue probe socket'"))
            .prints("socket blue\n");
    }
    root(&format!("{stale} vrfrun default probe socket")).prints("socket -\n");
}

#[test]
fn only_ours_is_taken_from_the_environment() {
    for mechanism in WITHOUT_SHIM {
        root(&format!("{STALE} vrfrun {mechanism} --interface blue {SHOW} 2>/dev/null"))
            .prints("/mnt/liba.so:/mnt/libb.so||blue|0\n");
    }
    root(&format!("{STALE} vrfrun default {SHOW} 2>/dev/null")).prints("/mnt/liba.so:/mnt/libb.so|||\n");
    root(&format!("{STALE} vrfrun default env 2>/dev/null | grep -c ^SYSTEMD_NSS_RESOLVE_ || true")).prints("0\n");
    root("LD_PRELOAD='  a.so b.so' vrfrun -m bpf --interface blue sh -c 'echo \"$LD_PRELOAD\"' 2>/dev/null")
        .prints("  a.so b.so\n");
    let lone = "VRFSHIM=0:red LD_PRELOAD=/mnt/libvrfshim.so vrfrun -m bpf --interface blue";
    root(&format!("{lone} sh -c 'echo ${{LD_PRELOAD-none}} ${{VRFSHIM-none}}'")).prints("none none\n");
}

#[test]
fn other_bytes_of_the_list_stay_as_they_are() {
    let script = "list=$(printf '/mnt/\\377.so:/mnt/libvrfshim.so:/mnt/\\376.so')
        for run in 'vrfrun -m bpf --interface blue' 'vrfrun default'; do
            VRFSHIM=x LD_PRELOAD=$list $run sh -c 'printf %s \"$LD_PRELOAD\" | od -An -tx1 | tr -d \" \\n\"; echo' 2>/dev/null
        done";
    let expected = "2f6d6e742fff2e736f3a2f6d6e742ffe2e736f\n";
    root(script).prints(&expected.repeat(2));
}

#[test]
fn a_shim_from_elsewhere_is_replaced_and_not_joined() {
    for who in EVERYBODY {
        let script = "VRFSHIM=0000000000000000:red LD_PRELOAD=/elsewhere/libvrfshim.so:/mnt/libvrfshim.so \
                      vrfrun -m preload --interface blue sh -c 'echo $LD_PRELOAD; probe socket'";
        play(who, script).prints("/mnt/libvrfshim.so\nsocket blue\n");
    }
}

/// execve(2) lets a name stand twice. glibc's linker obeys the last, its getenv(3) finds the first.
#[test]
fn a_variable_that_is_there_twice_is_gone_twice() {
    for options in ["-m bpf --interface blue", "-m seccomp --interface blue", "default"] {
        let seen = root(&format!("probe twice vrfrun {options} env"));
        assert!(seen.code() == 0 && !seen.stdout().contains("shim") && !seen.stdout().contains("VRFSHIM"), "{seen}");
    }
    let seen = root("probe twice vrfrun -m preload --interface blue env");
    assert_eq!(seen.stdout().matches("LD_PRELOAD=/mnt/libvrfshim.so\n").count(), 1, "{seen}");
    assert_eq!(seen.stdout().matches("VRFSHIM=").count(), 1, "{seen}");
    assert!(!seen.stdout().contains("red"), "{seen}");
}

/// Where the outer run's filter still stands, its shim is what passes it.
#[test]
fn the_shim_of_the_filter_that_is_here_stays() {
    for options in ["-m preload", "-m preload --no-supervisor"] {
        for who in EVERYBODY {
            let script = format!(
                "vrfrun {options} --interface blue sh -c 'was=$VRFSHIM
                 vrfrun --interface blue sh -c \"[ \\$VRFSHIM = $was ] && echo \\$LD_PRELOAD; probe socket\"'"
            );
            play(who, &script).prints("/mnt/libvrfshim.so\nsocket blue\n");
        }
    }
}

const FILES: &str = "mkdir -p /etc; mount -t tmpfs tmpfs /srv; cp -a /etc /srv/etc; mount --bind /srv/etc /etc
    rm -f /etc/resolv.conf; echo nameserver 192.0.2.1 >/etc/resolv.conf; echo 192.0.2.2 system >/etc/hosts
    mkdir -p /etc/vrf/red /etc/vrf/default; echo nameserver 192.0.2.99 >/etc/vrf/default/resolv.conf
    echo 192.0.2.3 reds >/etc/vrf/red/hosts; echo nameserver 192.0.2.4 >/srv/given; chmod 755 /srv";
const READ: &str = "cat /etc/resolv.conf /etc/hosts";
const SYSTEMS: &str = "nameserver 192.0.2.1\n192.0.2.2 system\n";

#[test]
fn default_takes_name_servers_and_no_files_of_its_own() {
    for who in EVERYBODY {
        let run = |options: &str| play_after(FILES, who, &format!("vrfrun {options} default {READ}"));
        run("").prints(SYSTEMS);
        run("--dns 192.0.2.5").prints("nameserver 192.0.2.5\n192.0.2.2 system\n");
        run("--resolv-conf /srv/given").prints("nameserver 192.0.2.4\n192.0.2.2 system\n");
        run("--resolv-conf /srv/nothing").fails(125, "vrfrun: cannot read '/srv/nothing': No such file or directory");
    }
}

#[test]
fn strict_is_refused_for_default() {
    root("vrfrun --strict default true").fails(125, "vrfrun: --strict needs a VRF, and 'default' is none");
    root("vrfrun --strict --explain default").fails(125, "--strict needs a VRF");
}

#[test]
fn root_leaves_the_outer_runs_files_with_its_vrf() {
    let outer = ["--resolv-conf /srv/given", "--dns 192.0.2.4"];
    for options in outer {
        let inner = |run: &str| {
            play_after(FILES, Who::Root, &format!("vrfrun {options} -m bpf --interface red {run} {READ}; {READ}"))
        };
        // The judge itself: without an inner run the program reads red's.
        inner("").prints(&format!("nameserver 192.0.2.4\n192.0.2.3 reds\n{SYSTEMS}"));
        inner("vrfrun default").prints(&SYSTEMS.repeat(2));
        inner("vrfrun --interface blue").prints(&SYSTEMS.repeat(2));
        inner("vrfrun --dns 192.0.2.7 default").prints(&format!("nameserver 192.0.2.7\n192.0.2.2 system\n{SYSTEMS}"));
        inner("vrfrun --no-etc default").prints(&format!("nameserver 192.0.2.4\n192.0.2.3 reds\n{SYSTEMS}"));
        inner("vrfrun --interface red").prints(&format!("nameserver 192.0.2.4\n192.0.2.3 reds\n{SYSTEMS}"));
        inner("vrfrun --interface red vrfrun default").prints(&SYSTEMS.repeat(2));
    }
}

/// What keeps the paths of files from telling whose they are: links and mounts in /etc/vrf, and of what is covered.
const LINKS: [&str; 4] = [
    "mv /etc/vrf/red/hosts /srv/theirs; ln -s /srv/theirs /etc/vrf/red/hosts",
    "mv /etc/vrf/red /srv/site; ln -s ../../srv/site /etc/vrf/red",
    "mv /etc/hosts /srv/systems; ln -s ../srv/systems /etc/hosts",
    "mkdir /srv/files; cp /etc/vrf/red/hosts /srv/files; mount --bind /srv/files /etc/vrf/red",
];

#[test]
fn links_do_not_hide_the_outer_runs_files() {
    for link in LINKS {
        let setting = format!("{FILES}\n{link}");
        let inner = |run: &str| {
            let script = format!("vrfrun --resolv-conf /srv/given -m bpf --interface red {run} {READ}; {READ}");
            play_after(&setting, Who::Root, &script)
        };
        inner("").prints(&format!("nameserver 192.0.2.4\n192.0.2.3 reds\n{SYSTEMS}"));
        inner("vrfrun default").prints(&SYSTEMS.repeat(2));
        inner("vrfrun --interface blue").prints(&SYSTEMS.repeat(2));
        inner("vrfrun --interface red").prints(&format!("nameserver 192.0.2.4\n192.0.2.3 reds\n{SYSTEMS}"));
    }
}

/// A file that is a link to what it covers, and a directory over a directory.
#[test]
fn files_may_lead_to_what_they_cover() {
    let setting = format!(
        "{FILES}\nln -s /etc/resolv.conf /etc/vrf/red/resolv.conf; mkdir -p /etc/vrf/red/ssh /etc/ssh; echo reds >/etc/vrf/red/ssh/x"
    );
    for who in EVERYBODY {
        let script =
            format!("vrfrun -m preload --no-supervisor --interface red sh -c '{READ} /etc/ssh/x; ls /etc/ssh'");
        play_after(&setting, who, &script).prints("nameserver 192.0.2.1\n192.0.2.3 reds\nreds\nx\n");
    }
}

#[test]
fn the_same_name_in_another_network_namespace_is_another_vrf() {
    let setting = format!(
        "{FILES}\nmount -t tmpfs tmpfs /run; ip netns add other; ip -n other link add red type veth peer name far
         ip -n other link set red up; ip -n other link set far up"
    );
    let inner = |run: &str| {
        let script = format!("vrfrun --dns 192.0.2.5 -m bpf --interface red vrfrun {run} --interface red {READ}");
        play_after(&setting, Who::Root, &script)
    };
    inner("").prints("nameserver 192.0.2.5\n192.0.2.3 reds\n");
    inner("-n other").prints("nameserver 192.0.2.1\n192.0.2.3 reds\n");
}

#[test]
fn a_plain_user_is_told_that_the_files_stay() {
    let inner = |run: &str| {
        let script = format!("vrfrun --unguarded --interface red sh -c '{run} {READ}' 2>&1");
        play_after(FILES, Who::User, &script)
    };
    let seen = inner("vrfrun default");
    assert_eq!(seen.code(), 125, "{seen}");
    let said = "vrfrun: cannot remove what an outer vrfrun put over '/etc/hosts': Operation not permitted\n\
                hint: vrfrun --no-etc … keeps it\n";
    assert!(seen.stdout().ends_with(said), "{seen}");
    let kept = inner("vrfrun --no-etc default");
    assert!(kept.code() == 0 && kept.stdout().ends_with("nameserver 192.0.2.1\n192.0.2.3 reds\n"), "{kept}");
}

#[test]
fn a_container_managers_mount_is_not_taken_for_an_outer_runs() {
    let setting = format!("{FILES}; mount --bind /srv/given /etc/resolv.conf");
    play_after(&setting, Who::Root, &format!("vrfrun default {READ}"))
        .prints("nameserver 192.0.2.4\n192.0.2.2 system\n");
}

#[test]
fn a_plain_users_ssh_is_warned_of_files_that_it_will_refuse() {
    let setting = format!(
        "{FILES}; mkdir -p /etc/ssh/ssh_config.d; echo '# none' >/etc/ssh/ssh_config.d/own.conf
         printf '#!/bin/sh\\necho ran\\n' >/srv/ssh; cp /srv/ssh /srv/other; chmod 755 /srv/ssh /srv/other"
    );
    // Not nobody, whom a user namespace makes of root's files.
    let user = "setpriv --reuid 4242 --regid 4242 --clear-groups --inh-caps=-all --bounding-set=-all";
    let run = |before: &str, words: &str| {
        play_after(&setting, Who::Root, &format!("{before} vrfrun -m preload --interface blue {words}"))
    };
    for options in ["--dns 192.0.2.5", "--resolv-conf /srv/given"] {
        let setting = &setting;
        let run = |before: &str, program: &str| {
            let script = format!("{before} vrfrun -m preload {options} --interface blue {program}");
            play_after(setting, Who::Root, &script)
        };
        let seen = run(user, "/srv/ssh");
        seen.prints("ran\n");
        let said = "vrfrun: warning: ssh will refuse '/etc/ssh/ssh_config.d/own.conf': in a user namespace root's files \
                    look like nobody's\nhint: ssh -F ~/.ssh/config …";
        assert!(seen.stderr().contains(said), "{seen}");
        assert_eq!(run("", "/srv/ssh").stderr(), "");
        assert_eq!(run(user, "/srv/other").stderr(), "");
    }
    assert!(!run(user, "/srv/ssh").stderr().contains("ssh will refuse"));
}

#[test]
fn explain_inside_knows_that_it_is_bound_and_names_no_release() {
    for outer in ["-m bpf", "-m seccomp", "-m preload"] {
        let inner = "setpriv --reuid 65534 --clear-groups --inh-caps=-all --bounding-set=-all";
        let seen = root(&format!("vrfrun {outer} --interface blue {inner} vrfrun --explain --interface blue"));
        assert_eq!(seen.code(), 0, "{seen}");
        assert!(!seen.stdout().contains("needs Linux"), "{seen}");
        assert!(seen.stdout().ends_with("vrfrun would bind nothing: this process is bound already\n"), "{seen}");
        let json = root(&format!("vrfrun {outer} --interface blue {inner} vrfrun --explain -j --interface blue"));
        let json: serde_json::Value = serde_json::from_str(&json.stdout()).unwrap();
        assert_eq!((&json["already_bound"], &json["chosen"]), (&true.into(), &serde_json::Value::Null));
    }
    let outside: serde_json::Value =
        serde_json::from_str(&user("vrfrun --explain -j --interface blue").stdout()).unwrap();
    assert_eq!(outside["already_bound"], false);
}
