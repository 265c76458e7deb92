//! Daemons that configure interfaces by files of their own, and what they say of it below /run.

use std::fs;

/// Who configures an interface.
#[derive(Debug, PartialEq, Eq)]
pub struct Configured {
    /// systemd-networkd with its file, or NetworkManager with its connection.
    pub by: String,
    /// The VRF that networkd's file gives the interface, if another file of networkd's makes it.
    pub vrf: Option<String>,
}

/// Who configures this interface of the first network namespace. Nobody, where networkd's file cannot be read: one that
/// is gone is no configuration after the next reload.
pub fn configured(ifindex: u32) -> Option<Configured> {
    let said = |directory: &str| fs::read_to_string(format!("{directory}/{ifindex}")).unwrap_or_default();
    let read = |path: &str| fs::read_to_string(path).ok();
    by_networkd(&said("/run/systemd/netif/links"), read)
        .map(|by| Configured { vrf: by.vrf.filter(|vrf| is_networkds(vrf)), ..by })
        .or_else(|| by_networkmanager(&said("/run/NetworkManager/devices")))
}

/// Whether a .netdev file is for a VRF of this name: without one networkd does not know the VRF, and takes the port out.
fn is_networkds(vrf: &str) -> bool {
    let directories = ["/etc", "/run", "/usr/local/lib", "/usr/lib"];
    let all = directories.into_iter().filter_map(|top| fs::read_dir(format!("{top}/systemd/network")).ok()).flatten();
    let netdevs =
        all.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "netdev"));
    netdevs.filter_map(|path| fs::read_to_string(path).ok()).any(|words| makes_vrf(&words, vrf))
}

fn makes_vrf(netdev: &str, vrf: &str) -> bool {
    last(netdev, "Kind").as_deref() == Some("vrf") && last(netdev, "Name").as_deref() == Some(vrf)
}

fn by_networkd(said: &str, read: impl Fn(&str) -> Option<String>) -> Option<Configured> {
    let file = value(said, "NETWORK_FILE=")?;
    let mut words = read(file)?;
    let drop_ins = value(said, "NETWORK_FILE_DROPINS=").unwrap_or_default().trim_matches('"');
    for drop_in in drop_ins.split(':').filter_map(read) {
        words.push('\n');
        words.push_str(&drop_in);
    }
    Some(Configured { by: format!("systemd-networkd ({file})"), vrf: last(&words, "VRF") })
}

/// What a file of systemd's gives this key: the last line counts, and an empty one takes it away.
fn last(words: &str, key: &str) -> Option<String> {
    let mut given = words.lines().filter_map(|line| line.split_once('=')).filter(|(name, _)| name.trim() == key);
    given.next_back().map(|(_, value)| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// A device that it only watches has a connection, too.
fn by_networkmanager(said: &str) -> Option<Configured> {
    value(said, "managed=").filter(|managed| *managed == "true")?;
    let connection = value(said, "connection-uuid=")?;
    Some(Configured { by: format!("NetworkManager (connection {connection})"), vrf: None })
}

fn value<'a>(said: &'a str, key: &str) -> Option<&'a str> {
    said.lines().find_map(|line| line.strip_prefix(key)).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "/etc/systemd/network/50-x.network";

    fn networkd(file: Option<&str>, drop_in: &str) -> Option<Configured> {
        let drop_ins = format!("{FILE}.d/a.conf:{FILE}.d/gone.conf");
        let said = format!("ADMIN_STATE=configured\nNETWORK_FILE={FILE}\nNETWORK_FILE_DROPINS=\"{drop_ins}\"\n");
        by_networkd(&said, |path| match path.strip_prefix(FILE)? {
            "" => file.map(str::to_owned),
            ".d/a.conf" => Some(drop_in.to_owned()),
            _ => None,
        })
    }

    #[test]
    fn who_configures_an_interface_is_read_from_what_they_say_of_it() {
        let by = networkd(Some("[Match]\nName=x"), "").map(|configured| configured.by);
        assert_eq!(by, Some(format!("systemd-networkd ({FILE})")));
        assert_eq!(networkd(None, "[Network]\nVRF=blue"), None, "the file is gone");
        assert_eq!(by_networkd("ADMIN_STATE=unmanaged\n", |_| Some(String::new())), None);
        let device = |managed: &str| format!("[device]\nmanaged={managed}\nconnection-uuid=9c86b07c\nnm-owned=0\n");
        let by = "NetworkManager (connection 9c86b07c)".to_owned();
        assert_eq!(by_networkmanager(&device("true")), Some(Configured { by, vrf: None }));
        assert_eq!(by_networkmanager(&device("false")), None);
    }

    #[test]
    fn only_a_file_that_makes_this_vrf_counts() {
        let netdev = |name: &str, kind: &str| format!("[NetDev]\nName={name}\nKind={kind}\n\n[VRF]\nTable=10\n");
        for (name, kind, makes) in [("blue", "vrf", true), ("red", "vrf", false), ("blue", "bridge", false)] {
            assert_eq!(makes_vrf(&netdev(name, kind), "blue"), makes, "{name} {kind}");
        }
    }

    #[test]
    fn networkds_file_and_what_is_dropped_in_name_the_vrf() {
        for (file, drop_in, vrf) in [
            ("[Network]\nDHCP=yes", "", None),
            ("[Network]\nVRF=blue\nDHCP=yes", "", Some("blue")),
            ("[Network]\n VRF = blue ", "[Network]\nMTUBytes=1400", Some("blue")),
            ("[Network]\nVRF=blue", "[Network]\nVRF=red", Some("red")),
            ("[Network]\nVRF=blue", "[Network]\nVRF=", None),
            ("[Network]\n#VRF=blue\n;VRF=blue", "", None),
        ] {
            let configured = networkd(Some(file), drop_in).expect("a file");
            assert_eq!(configured.vrf.as_deref(), vrf, "{file:?} {drop_in:?}");
        }
    }
}
