//! A part of what a file declares.

use super::config::Config;
use crate::model::syntax;
use crate::plan::sysctls;

/// Which part of a file is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope<'a> {
    /// Neither ports nor what needs them: as long as there are none.
    pub is_without_ports: bool,
    /// Only the VRF that declares this port, or the tunnel of this name.
    pub port: Option<&'a str>,
}

impl Scope<'_> {
    /// What is left of a configuration.
    pub fn narrow(&self, mut config: Config) -> Config {
        if self.is_without_ports {
            leave_ports_out(&mut config);
        }
        if let Some(port) = self.port {
            leave_others_out(&mut config, port);
        }
        config
    }
}

fn leave_ports_out(config: &mut Config) {
    // One that is emulated is nothing without its port.
    config.vrf.retain(|_, vrf| !vrf.emulate);
    for (name, vrf) in &mut config.vrf {
        vrf.ports.clear();
        vrf.routes.clear();
        vrf.addresses
            .retain(|text| syntax::address::parse(text.get_ref()).is_ok_and(|address| address.device.name == *name));
    }
    let vrfs: Vec<String> = config.vrf.keys().cloned().collect();
    let is_ports = |key: &str| sysctls::device(key).is_some_and(|device| !is_general(device, &vrfs));
    config.sysctl.retain(|name, _| !is_ports(&name.replace('.', "/")));
    config.default.routes.clear();
    config.leak.clear();
    // They receive by ports.
    config.tunnel.clear();
}

fn is_general(device: &str, vrfs: &[String]) -> bool {
    ["all", "default"].contains(&device) || vrfs.iter().any(|vrf| vrf == device)
}

fn leave_others_out(config: &mut Config, port: &str) {
    config.vrf.retain(|_, vrf| vrf.ports.iter().any(|declared| declared.get_ref() == port));
    config.sysctl.retain(|name, _| sysctls::device(&name.replace('.', "/")) == Some(port));
    config.default.routes.clear();
    config.leak.clear();
    config.user.clear();
    config.closed.clear();
    config.tunnel.retain(|name, _| name == port);
    config.rules.fix = false;
    config.zones.on = None;
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::source::Source;
    use super::*;

    fn narrowed(scope: &Scope) -> Config {
        let text = "[vrf.a]\nports = [\"eth1\"]\n[tunnel]\nwg0 = \"a\"\n";
        scope.narrow(Source::new(Path::new("vrf.toml"), text).read().unwrap())
    }

    #[test]
    fn a_tunnel_is_for_the_run_over_the_whole_file_and_for_its_own() {
        for (is_without_ports, port, left) in [
            (false, None, (1, 1)),
            (true, None, (1, 0)),
            (false, Some("eth1"), (1, 0)),
            (false, Some("wg0"), (0, 1)),
            (false, Some("eth2"), (0, 0)),
        ] {
            let config = narrowed(&Scope { is_without_ports, port });
            assert_eq!((config.vrf.len(), config.tunnel.len()), left, "{port:?}");
        }
    }
}
