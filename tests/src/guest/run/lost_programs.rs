//! A cgroup of vrfrun's from which somebody has detached a program, or put another in its place: what runs in it already is
//! that administrator's affair, but no new run believes it.

use super::guest_tests;
use crate::harness::judge::{Outcome, root};
use crate::harness::world::{Kind, World};

guest_tests! {
    each_hook_has_its_program_again,
    a_program_that_was_replaced_is_not_believed,
    what_a_lost_program_held_is_held_again,
    a_run_inside_such_a_cgroup_does_not_believe_it,
    raw_sockets_are_known_to_every_program_without_a_record_too,
}

/// create, egress, bind4, bind6, connect4, connect6, sendmsg4, sendmsg6, setsockopt of `enum bpf_attach_type`.
const HOOKS: &str = "2 1 8 9 10 11 14 15 22";

/// Has a cgroup with a process in it that stays, in `$cgroup`, while these lines run; then lets the process go.
fn beside_a_process(world: &World, lines: &str) -> String {
    format!(
        "cd {}; mkfifo hold; vrfrun -m bpf blue cat hold & waited=$!; exec 8>hold
        cgroup=$(findmnt -rnt cgroup2 -o TARGET | head -1)$(sed -n s/^0:://p /proc/$waited/cgroup)
        {lines}
        exec 8>&-; wait $waited",
        world.directory().display()
    )
}

fn each_hook_has_its_program_again() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let lines = format!(
        "for hook in {HOOKS}; do
            hooks detach $cgroup $hook; hooks count $cgroup $hook
            vrfrun -m bpf blue true && hooks count $cgroup $hook
        done | tr '\\n' ' '"
    );
    let verdict = world.judge(&root(["sh", "-c", &beside_a_process(&world, &lines)]));
    assert_eq!(verdict.text(), "0 1 ".repeat(HOOKS.split(' ').count()), "{verdict}");
}

fn a_program_that_was_replaced_is_not_believed() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let lines = format!(
        "for hook in {HOOKS}; do
            hooks replace $cgroup $hook; vrfrun -m bpf blue true; echo $?; hooks count $cgroup $hook
        done | tr '\\n' ' '"
    );
    let verdict = world.judge(&root(["sh", "-c", &beside_a_process(&world, &lines)]));
    // Ours run beside the stranger's, from each time one more.
    let expected: Vec<String> = (0..HOOKS.split(' ').count()).map(|earlier| format!("0 {} ", earlier + 2)).collect();
    assert_eq!(verdict.text(), expected.concat(), "{verdict}");
}

/// What gets out where programs are gone, so that the tests see what they are to see.
const USES: &str = "on_use udp4 connect unspec sendto sendto; on_use udp4 broadcast; on_use udp6 scope";
const LOSE: &str = "hooks detach $cgroup 1 10 11 14 15";

fn what_a_lost_program_held_is_held_again() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    world.ip("addr add fe80::2/64 dev eth0 nodad");
    let judge = |world: &mut World, lines: &str| {
        let script = beside_a_process(world, lines);
        let verdict = world.judge(&root(["sh", "-c", &script]));
        std::fs::remove_file(world.directory().join("hold")).expect("the pipe");
        verdict
    };
    let verdict = judge(&mut world, &format!("{LOSE}; echo $$ > $cgroup/cgroup.procs; {USES}"));
    assert_eq!(verdict.outcome, Outcome::Leak, "the judge\n{verdict}");
    let verdict = judge(&mut world, &format!("{LOSE}; vrfrun -m bpf blue sh -c '{USES}'"));
    assert_ne!(verdict.outcome, Outcome::Leak, "{verdict}");
    assert_eq!(verdict.text().matches("bound ").count(), 3, "{verdict}");
}

fn a_run_inside_such_a_cgroup_does_not_believe_it() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    world.ip("addr add fe80::2/64 dev eth0 nodad");
    // Below it, in a cgroup of the program's own, where it stays.
    let lines = format!(
        "{LOSE}; mkdir $cgroup/inner; echo $$ > $cgroup/inner/cgroup.procs
        vrfrun -v blue sh -c '{USES}; sed -n s,.*/,,p /proc/self/cgroup | tail -1'
        echo $$ > $cgroup/../cgroup.procs; rmdir $cgroup/inner"
    );
    let script = beside_a_process(&world, &lines);
    let verdict = world.judge(&root(["sh", "-c", &script]));
    assert_ne!(verdict.outcome, Outcome::Leak, "{verdict}");
    assert!(verdict.text().ends_with("inner\n"), "{verdict}");
    verdict.assert_says(0, "mechanism=bpf");
}

/// The program at egress knows them by what the one at their creation noted, in a map that both share. As for somebody who
/// has no CAP_SYS_ADMIN, there is no record of what was attached.
fn raw_sockets_are_known_to_every_program_without_a_record_too() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let forget = "python3 -c 'import os, sys; os.removexattr(sys.argv[1], \"trusted.vrfrun\")' $cgroup";
    let sends = "on_use raw4 pktinfo";
    for hook in ["1", "2"] {
        let lines = format!("{forget}; hooks detach $cgroup {hook}; vrfrun -m bpf blue {sends}; echo ended");
        let verdict = world.judge(&root(["sh", "-c", &beside_a_process(&world, &lines)]));
        std::fs::remove_file(world.directory().join("hold")).expect("the pipe");
        assert_ne!(verdict.outcome, Outcome::Leak, "hook {hook}\n{verdict}");
        assert!(verdict.text().ends_with("ended\n"), "hook {hook}\n{verdict}");
    }
    // What gets out where nothing is attached again.
    let lines = format!("hooks detach $cgroup 1; echo $$ > $cgroup/cgroup.procs; {sends}");
    let verdict = world.judge(&root(["sh", "-c", &beside_a_process(&world, &lines)]));
    assert_eq!(verdict.outcome, Outcome::Leak, "the judge\n{verdict}");
}
