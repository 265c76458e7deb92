//! vrfrun inside vrfrun, and below other managers: each either proves the binding or exits 125 and says what it met.

mod scene;

use scene::{EVERYBODY, Who, play, play_after, root, user};

const FILTERED: [&str; 3] = ["-m preload", "-m seccomp", "-m preload --no-supervisor"];
/// Named network namespaces of the scene's own.
const NAMED: &str = "mkdir -p /run/netns; mount -t tmpfs tmpfs /run/netns; ip netns add inner;
    ip -n inner link set lo up; ip -n inner link add blue type veth peer name far; ip -n inner link set blue up";
/// A cgroup with a foreign program: ancestor makes and removes it.
const FOREIGN: &str = "export CGROUP=$(findmnt -rnt cgroup2 -o TARGET | head -1)/foreign-$$;";

#[test]
fn the_same_device_again_is_a_plain_exec() {
    let inner = "vrfrun -v --interface blue probe socket";
    for options in FILTERED {
        for who in EVERYBODY {
            // Not directly: vrfrun is a static program, which the gate refuses.
            let seen = play(who, &format!("vrfrun {options} --interface blue sh -c '{inner}'"));
            seen.prints("socket blue\n");
            assert_eq!(seen.stderr(), "vrfrun: mechanism=already bound device=blue guard=outer\n", "{options}");
        }
    }
    let seen = root(&format!("vrfrun -m bpf --interface blue {inner}"));
    seen.prints("socket blue\n");
    assert!(seen.stderr().contains("guard=outer"), "{seen}");
}

#[test]
fn an_environment_that_claims_the_device_is_not_believed() {
    let claim = "VRFRUN_VRF=blue VRFSHIM=00000000000000ff:blue";
    for who in EVERYBODY {
        let seen = play(who, &format!("{claim} vrfrun -v --interface blue probe-static socket"));
        seen.prints("socket blue\n");
        assert!(!seen.stderr().contains("already bound"), "{seen}");
    }
}

#[test]
fn another_device_inside_bpf_is_had_by_bpf() {
    root("vrfrun -m bpf --interface blue vrfrun -m bpf --interface red probe-static socket").prints("socket red\n");
    root("vrfrun -m bpf --interface blue vrfrun --interface red probe-static socket").prints("socket red\n");
    root("vrfrun -m bpf --interface blue sh -c 'vrfrun -m bpf --interface red true; probe-static socket'")
        .prints("socket blue\n");
}

#[test]
fn another_device_under_a_filter_is_refused_with_the_reason() {
    for options in FILTERED {
        for who in EVERYBODY {
            let seen = play(
                who,
                &format!("vrfrun {options} --interface blue sh -c 'vrfrun --interface red probe-static socket'"),
            );
            seen.fails(125, "vrfrun: cannot bind to 'red': ");
            let knows = seen.stderr().contains("another vrfrun") || seen.stderr().contains("'blue'");
            assert!(knows && seen.stdout().is_empty(), "{options} {who:?}\n{seen}");
        }
    }
}

#[test]
fn default_leaves_bpf_and_is_refused_under_a_filter() {
    root("vrfrun -m bpf --interface blue vrfrun default probe socket").prints("socket -\n");
    root("vrfrun -m bpf --interface blue vrfrun default sh -c 'echo \"$VRFRUN_VRF\"'").prints("\n");
    for options in FILTERED {
        for who in EVERYBODY {
            let seen = play(who, &format!("vrfrun {options} --interface blue sh -c 'vrfrun default probe socket'"));
            assert_eq!((seen.code(), seen.stdout()), (125, String::new()), "{options} {who:?}\n{seen}");
        }
    }
    user("vrfrun default probe socket").prints("socket -\n");
}

#[test]
fn an_ancestors_program_that_binds_elsewhere_is_named() {
    for options in ["-m bpf", "-m preload", "-m seccomp", ""] {
        let seen = root(&format!("{FOREIGN} ancestor bind red vrfrun {options} --interface blue probe-static socket"));
        seen.fails(125, "a BPF program of an ancestor cgroup binds sockets to 'red'");
        assert_eq!(seen.stdout(), "", "{options}");
    }
    root(&format!("{FOREIGN} ancestor bind red vrfrun default probe-static socket")).fails(125, "'red'");
}

#[test]
fn an_ancestors_program_that_binds_to_the_very_device_is_not_enough_for_bpf_and_can_be_for_others() {
    // Our own cgroup stands below the foreign one, which wants to be empty in the end.
    let below = |words: &str| {
        root(&format!("{FOREIGN} ancestor bind blue sh -c '{words}; rmdir $CGROUP/vrfrun-* 2>/dev/null; :'"))
    };
    let seen = below("vrfrun -v --interface blue probe-static socket");
    seen.prints("socket blue\n");
    assert!(seen.stderr().contains("mechanism=bpf"), "{seen}");
    // Where there is MPTCP, such a program binds the outer socket only.
    let seen = below("vrfrun -v -m preload --interface blue probe socket");
    if root("test -e /proc/sys/net/mptcp").code() == 0 {
        assert!(seen.stderr().contains("not those inside MPTCP") && seen.stdout().is_empty(), "{seen}");
    } else {
        assert!(seen.stderr().contains("already bound"), "{seen}");
        seen.prints("socket blue\n");
    }
}

#[test]
fn a_program_that_a_cgroup_above_does_not_allow_is_named_with_what_is_open() {
    let below = |words: &str| {
        root(&format!(
            "{FOREIGN} ancestor alone sh -c '{words}; code=$?; rmdir $CGROUP/vrfrun-* 2>/dev/null; exit $code'"
        ))
    };
    let without = "without egress (Operation not permitted); open: packets that name another interface";
    let seen = below("vrfrun -v -m bpf --interface blue probe socket");
    seen.prints("socket blue\n");
    assert!(seen.stderr().contains(&format!("guard=cgroup ({without}")), "{seen}");
    // The second run attaches nothing, and knows it all the same.
    let twice = "vrfrun -m bpf --interface blue true; vrfrun -v -m bpf --interface blue true";
    assert!(below(twice).stderr().contains(without));
    assert!(below("vrfrun --explain --interface blue").stdout().contains(without));
    below("vrfrun --strict --interface blue true")
        .fails(125, "--strict needs all programs, and would be without egress");
}

/// Who has no CAP_SYS_ADMIN writes and reads no record.
#[test]
fn without_a_record_nothing_is_attached_twice() {
    let setting = "mount -t tmpfs tmpfs /srv; cat >/srv/turns <<'END'
run='setpriv --bounding-set=-sys_admin vrfrun -v -m bpf --interface blue'
trace='strace -f -e trace=bpf -e signal=none -o'
$trace /srv/first $run sh -c ': >/srv/up; until [ -e /srv/end ]; do sleep 0.1; done' &
until [ -e /srv/up ]; do sleep 0.1; done
grep PROG_ATTACH /srv/first | grep -q '= 0' && echo attached
for turn in 1 2; do
    $trace /srv/calls $run probe socket
    grep PROG_ATTACH /srv/calls | grep -c '= 0'
done
: >/srv/end; wait; rmdir ${CGROUP:-/none}/vrfrun-* 2>/dev/null; :
END";
    for (ancestor, gap) in [("", "guard=cgroup\n"), ("ancestor alone", "without egress (Operation not permitted)")] {
        let seen = play_after(setting, Who::Root, &format!("{FOREIGN} {ancestor} sh /srv/turns"));
        seen.prints("attached\nsocket blue\n0\nsocket blue\n0\n");
        assert_eq!(seen.stderr().matches(gap).count(), 3, "{seen}");
    }
}

/// What shares a map with the others cannot be attached alone: all are, each once.
#[test]
fn without_a_record_what_was_lost_is_attached_once_and_the_others_beside_it() {
    let script = "run='setpriv --bounding-set=-sys_admin vrfrun -m bpf --interface blue'; cd /srv
        $run sh -c ': >up; until [ -e end ]; do sleep 0.1; done' & until [ -e up ]; do sleep 0.1; done
        cgroup=$(findmnt -rnt cgroup2 -o TARGET | head -1)$(sed -n s/^0:://p /proc/$!/cgroup)
        for hook in 1 2 22; do
            hooks detach $cgroup $hook; strace -f -e trace=bpf -e signal=none -o calls $run probe socket
            grep PROG_ATTACH calls | grep -c '= 0'; hooks count $cgroup $hook
        done; : >end; wait";
    let seen = play_after("mount -t tmpfs tmpfs /srv", Who::Root, script);
    seen.prints(&"socket blue\n9\n1\n".repeat(3));
}

#[test]
fn one_cgroup_directory_stays_and_the_next_run_reuses_or_removes_it() {
    let script = format!(
        "{FOREIGN} mkdir $CGROUP; echo $$ >$CGROUP/cgroup.procs
         run() {{ vrfrun \"$@\" true; }}; left() {{ ls -di $CGROUP/vrfrun-*; }}
         run -m bpf --interface blue; first=$(left); run -m bpf --interface blue
         [ \"$first\" = \"$(left)\" ] && echo reused; echo $first | wc -w
         for next in '-m bpf --interface red' '--strict --interface red' '-m bpf --interface blue'; do
             run $next; left | sed 's/.*vrfrun-//; s/-[0-9].*//' | tr '\\n' ' '
         done
         rmdir $CGROUP/vrfrun-*; echo $$ >$CGROUP/../cgroup.procs; rmdir $CGROUP"
    );
    root(&script).prints("reused\n2\nred red blue ");
}

#[test]
fn a_namespace_of_ip_netns_has_bpf_by_a_mount_of_its_own() {
    for run in ["ip netns exec inner vrfrun", "vrfrun -n inner"] {
        for mechanism in ["bpf", "preload", "seccomp"] {
            let script = format!("{run} -v -m {mechanism} --interface blue probe socket netns");
            let seen = play_after(NAMED, Who::Root, &script);
            seen.prints("socket blue\nnetns own blue\n");
            assert!(seen.stderr().contains(&format!("mechanism={mechanism}")), "{seen}");
        }
    }
}

#[test]
fn a_device_made_again_is_another_and_what_ran_before_stays_closed() {
    let plain = "escape plain 198.51.100.9";
    let script = format!(
        "vrfrun -m bpf --interface blue sh -c '{plain}; touch /srv/ready; until [ -e /srv/go ]; do sleep 0.1; done; {plain}' &
         until [ -e /srv/ready ]; do sleep 0.1; done; ip link del blue
         ip link add blue type veth peer name far; ip link set blue up; ip addr add 198.51.100.2/24 dev blue
         touch /srv/go; wait $!
         vrfrun -m bpf --interface blue probe socket; vrfrun -m bpf --interface blue {plain}"
    );
    let setting = "mount -t tmpfs tmpfs /srv; ip addr add 198.51.100.2/24 dev blue";
    let seen = play_after(setting, Who::Root, &script);
    let lines: Vec<String> = seen.stdout().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 4, "{seen}");
    assert_eq!(lines[0], "send plain ok", "{seen}");
    assert!(lines[1].starts_with("send plain E"), "{seen}");
    assert_eq!(lines[2..], ["socket blue", "send plain ok"], "{seen}");
}

#[test]
fn at_most_one_empty_directory_is_left_and_the_next_run_removes_it() {
    // The number of a network namespace that is gone is given away again: what was killed there may have left two.
    let script = "ours() { find $(findmnt -rnt cgroup2 -o TARGET | head -1) -maxdepth 1 -name \"vrfrun-*-$(stat -Lc %i /proc/self/ns/net)*\" \"$@\"; }
        count() { ours | wc -l; }; ours -exec rmdir {} +
        vrfrun -m bpf --interface blue true; vrfrun -m bpf --interface blue true; count
        vrfrun -m bpf --interface red true; count; vrfrun --strict --interface red true; count";
    // None, where another test's run came by and removed what was empty.
    let seen = root(script);
    let counts: Vec<String> = seen.stdout().lines().map(str::to_owned).collect();
    assert!(counts.len() == 3 && counts.iter().all(|count| count == "0" || count == "1"), "{seen}");
}
