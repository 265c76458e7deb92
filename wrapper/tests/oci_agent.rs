//! `vrfrun oci-agent`: a runtime presents the listener of a container's filter, and the agent makes the sockets, in the VRF or
//! not at all.

mod scene;

use scene::{EVERYBODY, Seen, Who, play, play_after};

/// Starts the agent at $at and waits until it listens; `present DEVICE COMMAND` plays a runtime. What the agent says is in
/// $log; `says` waits for a line of it. `$up` and `$go` are pipes by which the script and a container wait for each other.
const AGENT: &str = r#"dir=$(mktemp -d); at=$dir/s; log=$dir/log; up=$dir/up; go=$dir/go; mkfifo $up $go
    trap 'rm -rf $dir' EXIT
    agent() { : >$log; vrfrun oci-agent --interface --socket $at 2>$log & agent=$!; says "listens at"; }
    named() { echo "{\"fds\":[\"seccompFd\"],\"pid\":PID,\"state\":{\"id\":\"web\",\"annotations\":{\"io.vrfrun.vrf\":\"$1\"}}}"; }
    present() { vrf=$1; shift; runtime $at "$(named $vrf)" "$@"; }
    says() { until grep -q "$1" $log; do sleep .02; done; }
    ends() { kill $agent; wait $agent; echo "ended $?"; }
    agent; "#;

fn with_agent(who: Who, script: &str) -> Seen {
    play(who, &format!("{AGENT}{script}"))
}

#[test]
fn a_containers_sockets_are_in_its_vrf() {
    for who in EVERYBODY {
        with_agent(who, "present blue probe socket inet6 unix; present red probe-static socket; ends")
            .prints("socket blue\ninet6 blue\nunix -\nsocket red\nended 0\n");
    }
}

#[test]
fn an_emulated_vrf_is_called_by_its_own_name() {
    let setting = "ip link property add dev red altname green; for family in -4 -6; do
        for way in iif oif; do ip $family rule add pref 1000 $way green lookup 10 protocol kernel; done
        ip $family route add unreachable default table 10; done; ";
    let script = "ends; vrfrun oci-agent --socket $at 2>$log & agent=$!; says 'listens at'
        present green probe socket; grep -o \"is in VRF 'green'\" $log; ends";
    play_after(setting, Who::User, &format!("{AGENT}{script}"))
        .prints("ended 0\nsocket red\nis in VRF 'green'\nended 0\n");
}

#[test]
fn one_agent_serves_many_at_once_each_in_its_own_vrf() {
    // Files, not the pipe: who opens it again may meet the one who is about to close it.
    let script = "until_there() { until [ -e $1 ]; do sleep .02; done; }
        for vrf in blue red; do
            present $vrf sh -c \"touch $dir/up-$vrf; until [ -e $dir/now ]; do sleep .02; done; probe socket\" >$dir/$vrf &
            eval $vrf=$!; until_there $dir/up-$vrf; done
        present blue probe socket; touch $dir/now; wait $blue $red; cat $dir/blue $dir/red; ends";
    for who in EVERYBODY {
        with_agent(who, script).prints("socket blue\nsocket blue\nsocket red\nended 0\n");
    }
}

#[test]
fn where_the_vrf_cannot_be_had_inet_sockets_fail_and_the_log_says_why() {
    let other = r#"runtime $at '{"fds":["seccompFd"],"pid":PID,"state":{"id":"web"}}' probe socket inet6 unix"#;
    for (present, why) in [
        ("present green probe socket inet6 unix", "cannot bind to interface 'green': No such device"),
        ("present default probe socket inet6 unix", "cannot bind to interface 'default': No such device"),
        ("unshare -rn true; present green probe socket inet6 unix", "cannot bind to interface 'green': No such device"),
        (other, "no annotation io.vrfrun.vrf names a VRF"),
    ] {
        for who in EVERYBODY {
            with_agent(who, &format!("{present}; grep container $log; ends")).prints(&format!(
                "socket ENETUNREACH\ninet6 ENETUNREACH\nunix -\nvrfrun: container 'web': its inet sockets fail: {why}\nended 0\n"
            ));
        }
    }
}

#[test]
fn the_metadata_names_the_vrf_where_no_annotation_does() {
    let script =
        r#"runtime $at '{"fds":["seccompFd"],"pid":PID,"metadata":"red","state":{"id":"web"}}' probe socket; ends"#;
    with_agent(Who::User, script).prints("socket red\nended 0\n");
}

#[test]
fn what_leads_into_another_network_namespace_is_seen_before_it_happens() {
    with_agent(Who::Root, "present blue probe thread; present blue probe socket unshared; ends")
        .prints("thread blue\nnetns own -\nsocket blue\nnetns own -\nended 0\n");
}

#[test]
fn a_container_in_another_network_namespace_has_no_inet_sockets() {
    let script = "unshare -n ip link set lo up; unshare -n runtime $at \"$(named blue)\" probe socket
        says 'web.*: it has a network namespace of its own'; ends";
    with_agent(Who::Root, script).prints("socket ENETUNREACH\nended 0\n");
}

/// As crun presents what it executes in a container.
#[test]
fn where_no_process_is_named_the_first_that_calls_decides() {
    let said = r#"said='{"fds":["seccompFd"],"pid":0,"state":{"id":"web","annotations":{"io.vrfrun.vrf":"blue"}}}'"#;
    for who in EVERYBODY {
        with_agent(who, &format!("{said}; runtime $at \"$said\" probe socket unix; ends"))
            .prints("socket blue\nunix -\nended 0\n");
    }
    let elsewhere = format!("{said}; unshare -n runtime $at \"$said\" probe socket inet6; ends");
    with_agent(Who::Root, &elsewhere).prints("socket ENETUNREACH\ninet6 ENETUNREACH\nended 0\n");
}

#[test]
fn when_the_agent_ends_calls_fail_and_do_not_pass() {
    let script =
        "supervisors() { for p in /proc/[0-9]*; do [ \"$(cat $p/comm 2>/dev/null)\" = 'vrfrun: sockets' ] || continue
        [ \"$(stat -Lc %i $p/net/dev)\" = \"$(stat -Lc %i /proc/self/net/dev)\" ] && echo ${p#/proc/}; done; }
        present blue sh -c \"probe socket; echo >$up; read x <$go; probe socket inet6 unix\" & container=$!
        read x <$up; kill -SIGNAL $agent; wait $agent; while [ \"$(supervisors)\" ]; do sleep .02; done
        echo >$go; wait $container";
    for signal in ["KILL", "TERM"] {
        for who in EVERYBODY {
            with_agent(who, &script.replace("SIGNAL", signal))
                .prints("socket blue\nsocket ENOSYS\ninet6 ENOSYS\nunix -\n");
        }
    }
}

/// A log that is there, and that nobody reads.
#[test]
fn a_containers_sockets_do_not_wait_for_who_reads_the_log() {
    let script = "ends; full=$dir/full; mkfifo $full; exec 8<>$full
        vrfrun oci-agent --interface --socket $at 2>&8 & agent=$!; read said <&8
        perl -e 'use Fcntl; open F, q(>&8); fcntl(F, F_SETFL, O_NONBLOCK); 1 while syswrite F, q(x) x 4096; fcntl(F, F_SETFL, 0)'
        present blue probe socket; present green probe socket; ends";
    for who in EVERYBODY {
        with_agent(who, script).prints("ended 0\nsocket blue\nsocket ENETUNREACH\nended 0\n");
    }
}

#[test]
fn when_the_vrf_is_deleted_sockets_fail_and_when_it_is_made_again_they_are_in_it() {
    let script = "present blue sh -c \"probe socket; echo >$up; read x <$go; probe socket inet6; echo >$up; read x <$go; probe socket\" &
        container=$!; read x <$up; ip link del blue; echo >$go; read x <$up
        ip link add blue type veth peer name other; ip link set blue up; echo >$go; wait $container; ends";
    with_agent(Who::Root, script).prints("socket blue\nsocket ENODEV\ninet6 ENODEV\nsocket blue\nended 0\n");
}

#[test]
fn nobody_else_may_present_a_container() {
    let script =
        "chmod 755 $dir; chmod 666 $at; setpriv --reuid 65534 --clear-groups runtime $at \"$(named blue)\" probe socket
        says 'a container is not served: user 65534 may not present containers here'; ends";
    with_agent(Who::Root, script).prints("socket ENOSYS\nended 0\n");
}

#[test]
fn what_is_no_state_serves_nobody_and_harms_nobody() {
    let script = r#"runtime $at '{"fds":[' probe socket; runtime $at '[]' probe socket
        perl -MIO::Socket::UNIX -e 'print {IO::Socket::UNIX->new(shift)} "x"' $at
        present blue probe socket; until [ $(grep -c 'a container is not served: ' $log) -ge 3 ]; do sleep .02; done; ends"#;
    with_agent(Who::User, script).prints("socket ENOSYS\nsocket ENOSYS\nsocket blue\nended 0\n");
}

#[test]
fn its_socket_is_its_users_alone_and_goes_with_it() {
    let script = "stat -c %a $at; vrfrun oci-agent --socket $at; echo $?; ends; ls $at 2>&1 | grep -c 'No such file'
        agent; kill -9 $agent; wait $agent; agent; present blue probe socket; ends
        export XDG_RUNTIME_DIR=$dir; vrfrun oci-agent 2>$log & agent=$!; says \"listens at '$dir/vrfrun/oci-agent.sock'\"
        stat -c %a $dir/vrfrun; ends; ls $dir";
    let seen = with_agent(Who::User, script);
    seen.prints("600\n125\nended 0\n1\nsocket blue\nended 0\n700\nended 0\ngo\nlog\nup\n");
    assert!(seen.stderr().contains("/s': Address already in use"), "{seen}");
}

#[test]
fn a_socket_that_systemd_hands_over_is_used_and_left() {
    let script = r#"ends; python3 -c 'import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()
os.dup2(s.fileno(), 9); os.dup2(9, 3); os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execvp("vrfrun", ["vrfrun", "oci-agent", "--interface"])' $at 2>$log & agent=$!; says 'listens at the socket of its unit'
        present blue probe socket; ends; [ -S $at ] && echo left"#;
    with_agent(Who::User, script).prints("ended 0\nsocket blue\nended 0\nleft\n");
}
