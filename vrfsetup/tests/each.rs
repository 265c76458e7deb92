//! `apply --each`: what is refused costs nothing but itself, however the file spells it.

mod namespace;

use namespace::{Namespace, assert_says};

#[test]
fn a_setting_that_is_refused_costs_itself_alone_in_any_spelling() {
    let namespace = Namespace::new();
    namespace.ip("link add eth0.7 type veth peer name far");
    let file = std::env::temp_dir().join(format!("vrfsetup-each-{}.toml", std::process::id()));
    for (name, key) in [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
        ("net.ipv4.conf.eth0/7.forwarding", "net/ipv4/conf/eth0.7/forwarding"),
        ("net/ipv4/conf/eth0.7/forwarding", "net/ipv4/conf/eth0.7/forwarding"),
    ] {
        namespace.vrfsetup("rules undo");
        namespace.write_sysctl("net/ipv6/conf/all/forwarding", "0");
        let text = format!("[sysctl]\n\"{name}\" = \"much\"\n\"net.ipv6.conf.all.forwarding\" = 1\n");
        std::fs::write(&file, text).expect("a file");
        let output = namespace.vrfsetup(&format!("apply --each {}", file.display()));
        assert_says(&output, 1, &format!("left out: refused 'sysctl -w {key}=much': "));
        assert_says(&output, 1, "ip rule add pref 0 l3mdev protocol kernel");
        assert_eq!(namespace.sysctl("net/ipv6/conf/all/forwarding"), "1\n", "{name}");
    }
    std::fs::remove_file(file).expect("the file");
}
