//! What is wrong outside the routing: resolvers, caching daemons, modules, cgroups, firewalls, programs.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Finding;
use crate::inspect::show::Vrf;
use crate::model::flow::Flow;
use crate::model::link::Link;
use crate::model::shell::word;
use crate::plan::system::System;
use crate::plan::zones;
use crate::sys::netlink::Kernel;
use crate::sys::{feature, sysctl};

/// The kernel cannot make VRFs, as far as its module files tell.
pub fn module() -> Vec<Finding> {
    let Ok(release) = fs::read_to_string("/proc/sys/kernel/osrelease") else { return Vec::new() };
    let directory = Path::new("/lib/modules").join(release.trim());
    let lists = ["modules.builtin", "modules.dep"].map(|name| fs::read(directory.join(name)).unwrap_or_default());
    let is_there = Path::new("/sys/module/vrf").exists() || lists.iter().any(|list| names_vrf(list));
    if is_there || lists.iter().all(Vec::is_empty) && has_no_modules() {
        return Vec::new();
    }
    let what = "this kernel's vrf module is not installed";
    vec![Finding::new("module-missing", what, package(release.trim()))]
}

fn names_vrf(list: &[u8]) -> bool {
    const FILE: &[u8] = b"drivers/net/vrf.ko";
    list.windows(FILE.len()).any(|window| window == FILE)
}

/// Without a module loader the files say nothing: the code may be built in.
fn has_no_modules() -> bool {
    !Path::new("/proc/modules").exists()
}

/// Ubuntu keeps the module in a package of its own; elsewhere it is in the kernel's.
fn package(release: &str) -> String {
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    if system.lines().any(|line| line == "ID=ubuntu") {
        return format!("apt install linux-modules-extra-{release}");
    }
    if system.lines().any(|line| line == "ID=fedora" || line.starts_with("ID_LIKE=") && line.contains("fedora")) {
        return format!("dnf install kernel-modules-{release}");
    }
    "install a kernel with CONFIG_NET_VRF=m".to_owned()
}

/// Name servers that a VRF has no way to.
pub fn resolvers(kernel: &Kernel, system: &System) -> Vec<Finding> {
    system
        .vrfs()
        .flat_map(|vrf| name_servers(&vrf.name).into_iter().filter_map(|at| unreachable(kernel, vrf, at)))
        .collect()
}

fn name_servers(vrf: &str) -> Vec<IpAddr> {
    let own = fs::read(Path::new("/etc/vrf").join(vrf).join("resolv.conf"));
    let text = own.or_else(|_| fs::read("/etc/resolv.conf")).unwrap_or_default();
    listed_servers(&String::from_utf8_lossy(&text))
}

/// `nameserver ADDRESS`, the address perhaps with a zone.
fn listed_servers(resolv_conf: &str) -> Vec<IpAddr> {
    let address = |line: &str| line.strip_prefix("nameserver")?.trim().split('%').next()?.parse().ok();
    resolv_conf.lines().filter_map(address).collect()
}

fn unreachable(kernel: &Kernel, vrf: &Link, server: IpAddr) -> Option<Finding> {
    let reason = if server.is_loopback() {
        "is a daemon of the default domain"
    } else {
        kernel
            .route_of(&Flow { to: server, from: None, oif: vrf.ifindex, mark: 0 })
            .err()
            .map(|_| "has no route there")?
    };
    let what = format!("name server {server} {reason}");
    let directory = format!("/etc/vrf/{}", vrf.name);
    let (file, directory) = (format!("{directory}/resolv.conf"), word(&directory));
    let fix = format!("mkdir -p {directory}; echo nameserver ADDRESS > {}", word(&file));
    Some(Finding::new("resolver-unreachable", what, fix).about(&vrf.name))
}

/// Daemons that resolve names in everybody's name, from the default domain.
pub fn caches() -> Vec<Finding> {
    let mut findings = Vec::new();
    if ["/run/nscd/socket", "/var/run/nscd/socket"].iter().any(|path| Path::new(path).exists()) {
        let what =
            "nscd resolves names for all programs in the default domain (vrfrun hides it where /etc/vrf/NAME is)";
        findings.push(Finding::new("nscd", what, "systemctl disable --now nscd"));
    }
    let switch = fs::read_to_string("/etc/nsswitch.conf").unwrap_or_default();
    let uses_resolved = switch.lines().any(|line| line.starts_with("hosts:") && line.contains(" resolve"));
    if uses_resolved && Path::new("/run/systemd/resolve/io.systemd.Resolve").exists() {
        let what = "systemd-resolved resolves names for all programs by its own links' servers";
        findings.push(Finding::new("resolved", what, "resolvectl dns VRF ADDRESS"));
    }
    findings
}

/// On some kernels one use of net_cls or net_prio switches all cgroup BPF programs off for sockets.
pub fn net_cls() -> Vec<Finding> {
    if !fs::read_to_string("/proc/cgroups").is_ok_and(|text| has_net_cls_groups(&text)) {
        return Vec::new();
    }
    let effect = match feature::sockets_have_class_and_cgroup() {
        Some(true) => return Vec::new(),
        Some(false) => "on this kernel, 'ip vrf exec' and 'vrfrun -m bpf' do not bind",
        None => "on a kernel before 5.15, as this may be, 'ip vrf exec' and 'vrfrun -m bpf' do not bind",
    };
    let what = format!("cgroup net_cls or net_prio is in use: {effect}");
    vec![Finding::new("net-cls", what, "reboot with cgroup_no_v1=net_cls,net_prio")]
}

/// Lines of "name hierarchy number-of-cgroups enabled"; one cgroup is the root alone.
fn has_net_cls_groups(cgroups: &str) -> bool {
    cgroups.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [name, hierarchy, groups, ..] = fields[..] else { return false };
        ["net_cls", "net_prio"].contains(&name) && hierarchy != "0" && groups.parse::<u32>().is_ok_and(|n| n > 1)
    })
}

/// ping has lost its file capability below no_new_privs, and needs the unprivileged sockets.
pub fn ping_groups() -> Vec<Finding> {
    let range = sysctl::read("net/ipv4/ping_group_range").unwrap_or_default();
    let bounds: Vec<u64> = range.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    match bounds[..] {
        [first, last] if first > last => {
            let what = "a plain user cannot ping: under 'vrfrun' ping has no capability of its own";
            let fix = "sysctl -w net.ipv4.ping_group_range='0 2147483647'";
            vec![Finding::new("ping-group-range", what, fix)]
        }
        _ => Vec::new(),
    }
}

/// Firewall rules that match a port's name where the kernel shows the VRF's.
pub fn netfilter(system: &System) -> Vec<Finding> {
    let rules =
        [("nft", &["-n", "list", "ruleset"][..]), ("iptables-legacy-save", &[]), ("ip6tables-legacy-save", &[])];
    let mut rules: Vec<String> = rules.iter().map(|(program, arguments)| output(program, arguments)).collect();
    rules[0] = zones::without_own(&rules[0]);
    let mut findings = Vec::new();
    for vrf in system.vrfs() {
        for port in system.ports(vrf).filter(|port| rules.iter().any(|text| matches_port(text, &port.name))) {
            let what = format!(
                "a firewall rule matches '{}' as input interface, where most hooks see '{}'",
                port.name, vrf.name
            );
            let fix = format!("nft list ruleset; use iifname \"{}\", or meta sdifname \"{}\"", vrf.name, port.name);
            findings.push(Finding::new("netfilter-port", what, fix).about(&vrf.name));
        }
    }
    findings
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

/// `iifname "eth1"`, `iif "eth1"`, or `-i eth1` of iptables, where `eth+` stands for all that begin so; in chains before
/// routing the port is right.
fn matches_port(rules: &str, port: &str) -> bool {
    let is_port = |word: &str| {
        let name = word.trim_matches([',', '{', '}']).strip_prefix('"').and_then(|name| name.strip_suffix('"'));
        name.is_some_and(|name| stands_for(name, '*', port))
    };
    let mut is_before_routing = false;
    rules.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        is_before_routing = match words[..] {
            ["chain", ..] => false,
            ["type", _, "hook", hook, ..] => ["ingress", "prerouting"].contains(&hook),
            ["-A", chain, ..] => chain == "PREROUTING",
            _ => is_before_routing,
        };
        let nft = ["iifname", "iif"].iter().any(|word| words.contains(word)) && words.iter().any(|word| is_port(word));
        let iptables =
            || words.windows(2).any(|pair| pair[0] == "-i" && stands_for(pair[1].trim_matches('"'), '+', port));
        !is_before_routing && (nft || iptables())
    })
}

/// Whether a name in a rule is that of the port, or with the wildcard at its end one of many, the port's among them. A
/// wildcard alone is every interface, and the VRF too.
fn stands_for(name: &str, wildcard: char, port: &str) -> bool {
    name == port || name.strip_suffix(wildcard).is_some_and(|stem| !stem.is_empty() && port.starts_with(stem))
}

/// Programs in the VRF whose sockets are not.
pub fn stray_sockets(vrf: &Vrf) -> Option<Finding> {
    let strays: Vec<String> =
        vrf.stray_sockets().map(|socket| format!("{} ({})", socket.command, socket.pid)).collect();
    let what = format!("sockets outside the VRF: {}", strays.join(", "));
    let fix = format!("vrfsetup show --sockets {}", word(vrf.name()));
    (!strays.is_empty()).then(|| Finding::new("stray-sockets", what, fix).about(vrf.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_with_and_without_zone() {
        let text = "# x\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nsearch example\nnameserver nonsense\n";
        assert_eq!(listed_servers(text), ["192.0.2.53", "fe80::1"].map(|text| text.parse::<IpAddr>().unwrap()));
    }

    #[test]
    fn net_cls_with_groups_below_its_root_is_in_use() {
        assert!(has_net_cls_groups("#subsys_name\thierarchy\tnum_cgroups\tenabled\nnet_cls\t4\t3\t1\n"));
        assert!(!has_net_cls_groups("net_cls\t4\t1\t1\ncpu\t2\t9\t1\nnet_prio\t0\t150\t1\n"));
    }

    #[test]
    fn firewall_rules_are_searched_for_the_ports_exact_name() {
        assert!(matches_port("\t\tiifname \"eth1\" accept\n", "eth1"));
        assert!(matches_port("iifname { \"eth0\", \"eth1\" } drop", "eth1"));
        assert!(matches_port("-A INPUT -i eth1 -j ACCEPT", "eth1"));
        assert!(!matches_port("iifname \"eth10\" accept\noifname \"eth1\" accept", "eth1"));
        assert!(matches_port("iifname \"eth*\" accept", "eth1"));
        assert!(!matches_port("iifname \"veth*\" accept", "eth1"));
        assert!(matches_port("-A INPUT -i eth+ -j ACCEPT", "eth1") && matches_port("-A INPUT ! -i e+ -j DROP", "eth1"));
        assert!(
            !matches_port("-A INPUT -i veth+ -j DROP", "eth1") && !matches_port("-A INPUT -i eth+ -j DROP", "ens1")
        );
        assert!(matches_port("-A INPUT -i eth+ -j DROP", "eth+") && !matches_port("-A INPUT -i eth* -j DROP", "eth1"));
    }

    #[test]
    fn a_rule_before_routing_sees_the_port() {
        let chain =
            |hook: &str| format!("chain c {{\n type filter hook {hook} priority raw;\n iifname \"eth1\" drop\n}}\n");
        assert!(!matches_port(&chain("prerouting"), "eth1") && matches_port(&chain("input"), "eth1"));
        assert!(matches_port(&(chain("prerouting") + "chain d {\n iif \"eth1\" drop\n}\n"), "eth1"));
        assert!(!matches_port("-A PREROUTING -i eth1 -j DROP\n", "eth1"));
    }

    #[test]
    fn the_vrf_module_is_found_in_either_list() {
        assert!(names_vrf(b"kernel/drivers/net/vrf.ko.xz: kernel/net/x.ko\n"));
        assert!(!names_vrf(b"kernel/drivers/net/veth.ko:\n"));
    }
}
