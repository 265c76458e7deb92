//! `--strict`: what a program, root's too, cannot do any more. A veth stands in for the VRF; it has no ports.

mod scene;

use scene::{Who, play_after, root, user};

const STRICT: &str = "vrfrun --strict --interface blue";
/// Both devices lead to the same address.
const ROUTES: &str = "sysctl -qw net.ipv6.conf.all.disable_ipv6=1; ip addr add 198.51.100.2/24 dev blue; ip addr add 198.51.100.2/24 dev red; \
    ip neigh add 198.51.100.9 lladdr 02:00:00:00:00:09 dev blue; ip neigh add 198.51.100.9 lladdr 02:00:00:00:00:09 dev red";

#[test]
fn root_rebinds_at_will_without_it() {
    root("vrfrun -m bpf --interface blue escape rebind red").prints(
        "name other ok\nname nothing ok\nname part ENODEV\nname longer ENODEV\nindex other ok\nindex nothing ok\n\
         name same ok\nname same-padded ok\nindex same ok\nbound blue\n",
    );
}

#[test]
fn a_socket_can_be_bound_to_its_own_device_only() {
    root(&format!("{STRICT} escape rebind red")).prints(
        "name other EPERM\nname nothing EPERM\nname part EPERM\nname longer EPERM\nindex other EPERM\n\
         index nothing EPERM\nname same ok\nname same-padded ok\nindex same ok\nbound blue\n",
    );
}

#[test]
fn the_longest_name_is_told_from_its_neighbours() {
    let setting = "ip link set blue down; ip link set blue name fifteen-letter1; ip link set fifteen-letter1 up
        ip link set red down; ip link set red name fifteen-letter2; ip link set red up || :";
    let script = "vrfrun --strict --interface fifteen-letter1 escape rebind fifteen-letter2";
    let seen = play_after(setting, Who::Root, script);
    assert!(seen.stdout().starts_with("name other EPERM\nname nothing EPERM\nname part EPERM\n"), "{seen}");
    assert!(
        seen.stdout().ends_with("name same ok\nname same-padded ok\nindex same ok\nbound fifteen-letter1\n"),
        "{seen}"
    );
}

#[test]
fn other_options_are_the_kernels_own_affair() {
    let bare = root("escape options");
    assert!(bare.stdout().contains("big ok"), "{bare}");
    root(&format!("{STRICT} escape options")).prints(&bare.stdout());
}

#[test]
fn no_packet_leaves_by_another_device() {
    let counted = |before: &str, words: &str| {
        let script = format!(
            "tx() {{ ip -s -j link show red | jq '.[0].stats64.tx.packets'; }}; before=$(tx)
             {before} escape {words}; echo $(($(tx) - before)) by red"
        );
        play_after(ROUTES, Who::Root, &script)
    };
    // The judge itself: without vrfrun the packet leaves by red.
    counted("", "send red 198.51.100.9").prints("send red ok\n1 by red\n");
    counted("vrfrun -m bpf --interface blue", "send red 198.51.100.9").prints("send red EPERM\n0 by red\n");
    counted(STRICT, "send red 198.51.100.9").prints("send red EPERM\n0 by red\n");
    counted(STRICT, "send blue 198.51.100.9").prints("send blue ok\n0 by red\n");
    counted(STRICT, "plain 198.51.100.9").prints("send plain ok\n0 by red\n");
}

#[test]
fn an_interface_reaches_its_own_address() {
    let own = "send plain ok\n";
    play_after(ROUTES, Who::Root, "vrfrun -m bpf --interface blue escape plain 198.51.100.2").prints(own);
    // As under every other mechanism.
    play_after(ROUTES, Who::Root, "vrfrun -m preload --interface blue escape plain 198.51.100.2").prints(own);
}

#[test]
fn a_child_in_a_network_namespace_of_its_own_is_free_there() {
    let script = format!(
        "{STRICT} unshare -n sh -c 'ip link add blue type veth peer name red; ip link set lo up
         ping -qc1 -W60 127.0.0.1 >/dev/null && echo pings; escape rebind red | head -2'"
    );
    root(&script).prints("pings\nname other ok\nname nothing ok\n");
}

#[test]
fn it_stays_strict_for_all_who_come_later_and_others_are_not_touched() {
    let script = format!("up=$(mktemp -u); mkfifo $up; {STRICT} sh -c \"echo >$up; exec sleep 1000\" & read x <$up; rm $up; {STRICT} escape rebind red | head -1
        vrfrun -m bpf --interface blue escape rebind red | head -1; {STRICT} vrfrun --interface blue escape rebind red | head -1
        {STRICT} {STRICT} escape rebind red | head -1; kill $!");
    root(&script).prints("name other EPERM\nname other ok\nname other EPERM\nname other EPERM\n");
}

#[test]
fn whoever_cannot_have_bpf_cannot_have_it() {
    user(&format!("{STRICT} true")).fails(125, "cannot bind to 'blue': bpf: ");
    user("vrfrun -m preload --strict --interface blue true").fails(125, "--strict needs mechanism bpf");
}

#[test]
fn a_trial_that_cannot_be_made_is_no_proof() {
    let seen = play_after("ip link set lo down", Who::Root, &format!("{STRICT} true"));
    seen.fails(125, "hint: ip link set lo up");
}
