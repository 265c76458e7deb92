//! The changing verbs of vrfsetup that meet each other, and where they start from.

/// From here each of the verbs below does something, and most can be in another's way. Dummies would not do: with the
/// first one the kernel makes one more in the machine's own network namespace. All are in one group, by which they can be
/// deleted at once.
pub const START: &str = "link set lo up\nlink add eth0 group 7 type veth peer eth1\nlink add blue0 group 7 type veth peer blue1\n\
    link add red0 group 7 type veth peer red1\nlink set eth1 up\nlink set blue1 up\nlink set red1 up\n\
    link add blue group 7 type vrf table 10\nlink add red group 7 type vrf table 20\nlink set blue up\nlink set red up\n\
    link set blue0 master blue\nlink set red0 master red\nlink set eth0 up\nlink set blue0 up\nlink set red0 up\n\
    addr add 203.0.113.1/24 dev blue0\naddr add 198.51.100.2/24 dev red0\naddr add 192.0.2.1/24 dev eth0\n\
    link add gre1 group 7 type gre local 192.0.2.1 remote 192.0.2.80\n\
    route add 198.18.0.0/15 via 203.0.113.254 dev blue0 table 10\nroute add 198.20.0.0/16 via 192.0.2.254 dev eth0\n";

pub const ADD: &str = "add green";
pub const ADD_ANOTHER: &str = "add white --port eth0";
pub const DEL: &str = "del blue";
pub const ATTACH: &str = "attach blue eth0";
pub const DETACH: &str = "detach blue0";
pub const LEAK: &str = "leak blue red 198.51.100.0/24";
pub const FIX: &str = "rules fix";
pub const UNDO: &str = "rules undo";
pub const LEAK_OUT: &str = "leak --remove blue red 198.51.100.0/24";
pub const APPLY: &str = "apply /run/vrftest-at-once.toml";
/// Of whatever the other one has changed, or of nothing.
pub const ROLLBACK: &str = "rollback";
/// While it waits nobody else changes anything.
pub const UNCONFIRMED: &str = "add grey --confirm 600";
/// Which table of nftables there is, is part of the state.
pub const ZONES: &str = "zones on";
pub const TUNNEL: &str = "tunnel gre1 --in blue";
pub const TUNNEL_OUT: &str = "tunnel --remove gre1";
pub const EMULATED: &str = "add violet --emulate --port eth0";
pub const VERBS: [&str; 14] =
    [ADD, ADD_ANOTHER, DEL, ATTACH, DETACH, LEAK, FIX, UNDO, APPLY, ROLLBACK, UNCONFIRMED, ZONES, TUNNEL, EMULATED];

pub const FILE: &str = "/run/vrftest-at-once.toml";
pub const DECLARED: &str = "[vrf.black]\nports = [\"eth0\"]\n[vrf.green]\n";

/// Stands for the process that `move` is about.
pub const PID: &str = "$PID";
pub const MOVE: &str = "move blue $PID";
pub const MOVE_OUT: &str = "move default $PID";
/// Users are those of the machine's own network namespace.
pub const USER: &str = "user 1000 blue";
pub const USER_OUT: &str = "user --remove 1000";
/// Of what UNCONFIRMED has made.
pub const CONFIRM: &str = "confirm";
/// Of what ZONES has made.
pub const ZONES_OFF: &str = "zones off";
