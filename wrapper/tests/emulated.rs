//! A VRF that `vrfsetup add --emulate` makes where the kernel has none: an alternative name, and rules with it. The veth
//! `red` emulates `green` here.

mod scene;

use scene::{EVERYBODY, Who, play_after};

const ALTNAME: &str = "ip link property add dev red altname green; ";
const RULES: &str = "for family in -4 -6; do for way in iif oif; do
                         ip $family rule add pref 1000 $way green lookup 10 protocol kernel
                     done; done; ";
const SEALS: &str = "ip route add unreachable default table 10; ip -6 route add unreachable default table 10; ";

fn made() -> String {
    [ALTNAME, RULES, SEALS].concat()
}

#[test]
fn its_sockets_are_bound_to_its_port_by_every_mechanism() {
    for who in EVERYBODY {
        for mechanism in ["", "-m preload", "-m seccomp"] {
            let script = format!("vrfrun {mechanism} green probe socket inet6 syscall; echo $?");
            let seen = play_after(&made(), who, &script);
            seen.prints("socket red\ninet6 red\nsyscall red\n0\n");
            assert_eq!(seen.stderr(), "", "{who:?} {mechanism}");
        }
    }
    play_after(&made(), Who::Root, "vrfrun -m bpf green probe socket; vrfrun --strict green probe socket")
        .prints("socket red\nsocket red\n");
}

#[test]
fn the_program_and_the_user_are_told_of_the_vrf_and_its_port() {
    let seen = play_after(&made(), Who::User, "vrfrun -v -m seccomp green sh -c 'echo $VRFRUN_VRF'");
    seen.prints("green\n");
    assert!(seen.stderr().contains("device=green (emulated by red) guard="), "{seen}");
    let seen = play_after(
        &made(),
        Who::User,
        "vrfrun --explain green; vrfrun --explain -j green | grep -o '  .emulated_by.: .red.'",
    );
    assert_eq!(seen.code(), 0, "{seen}");
    assert!(seen.stdout().starts_with("VRF green (emulated by red): ifindex "), "{seen}");
    assert!(seen.stdout().contains(", table 10\n") && !seen.stdout().contains("warning"), "{seen}");
    assert!(seen.stdout().ends_with("  \"emulated_by\": \"red\"\n"), "{seen}");
    play_after(&made(), Who::User, "vrfrun each -m seccomp -- probe socket").prints("green: socket red\n");
    let cgroup = "vrfrun -m bpf green grep -c '/vrfrun-green-[0-9]*-[0-9]*$' /proc/self/cgroup";
    play_after(&made(), Who::Root, cgroup).prints("1\n");
}

#[test]
fn an_alternative_name_without_both_rules_is_no_vrf() {
    let refused = "cannot bind to VRF 'green': the interface is not a VRF";
    play_after(ALTNAME, Who::User, "vrfrun green true").fails(125, refused);
    for rules in ["iif green lookup 10", "oif green lookup 10", "iif green lookup main", "oif green fwmark 1 lookup 10"]
    {
        let setting = format!("{ALTNAME} ip rule add {rules}");
        play_after(&setting, Who::User, "vrfrun green true").fails(125, refused);
    }
    let apart = format!("{ALTNAME} ip rule add iif green lookup 10; ip rule add oif green lookup 11");
    play_after(&apart, Who::User, "vrfrun green true").fails(125, refused);
    // An interface's own name is that interface, whatever rules name it.
    let setting = made() + "ip rule add iif blue lookup 10; ip rule add oif blue lookup 10";
    for device in ["red", "blue"] {
        let words = format!("cannot bind to VRF '{device}': the interface is not a VRF");
        play_after(&setting, Who::User, &format!("vrfrun {device} true")).fails(125, &words);
    }
    play_after("", Who::User, "vrfrun green true").fails(125, "cannot bind to VRF 'green'");
}

#[test]
fn what_could_leave_its_table_is_warned_of_and_refused_by_strict() {
    let unsealed = [ALTNAME, RULES].concat();
    let seen = play_after(&unsealed, Who::User, "vrfrun -m seccomp green true");
    seen.fails(0, "packets of VRF 'green' can leave by the default domain: IPv4 and IPv6: what misses table 10");
    assert!(seen.stderr().contains("hint: vrfsetup add green --port red --emulate\n"), "{seen}");
    let refused = play_after(&unsealed, Who::Root, "vrfrun --strict green true");
    refused.fails(125, "what misses table 10");
    refused.fails(125, "hint: vrfsetup add green --port red --emulate\n");
    let before = made() + "ip rule add pref 500 lookup main";
    let seen = play_after(&before, Who::User, "vrfrun -m seccomp green true");
    seen.fails(0, "IPv4: rule 500 (lookup main) stands before");
    assert!(seen.stderr().contains("hint: vrfsetup rules fix\n"), "{seen}");
    let both = unsealed.clone() + "ip rule add pref 500 lookup main";
    play_after(&both, Who::Root, "vrfrun --strict green true")
        .fails(125, "hint: vrfsetup add green --port red --emulate; vrfsetup rules fix\n");
    // Rules of VRF devices say nothing of a port's packets.
    let l3mdev = unsealed + "for family in -4 -6; do ip $family rule add pref 2000 l3mdev unreachable; done";
    play_after(&l3mdev, Who::Root, "vrfrun --strict green true").fails(125, "what misses table 10");
    let one_family =
        [ALTNAME, SEALS, "for way in iif oif; do ip rule add pref 1000 $way green lookup 10; done"].concat();
    play_after(&one_family, Who::Root, "vrfrun --strict green true").fails(125, "IPv6: there is no oif green rule");
}
