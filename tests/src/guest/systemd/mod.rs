//! Machines whose process 1 is a systemd: services, logins, the unit at boot, exported configuration.
//!
//! May use `crate::guest::setup`, and the containers of `crate::guest::run`. Its tests are listed in `UNDER_SYSTEMD`, run
//! as transient services, and are for no machine without a systemd.

pub mod apparmor;
pub mod beside;
pub mod beside_bgp;
pub mod beside_dhclient;
pub mod beside_ifupdown2;
pub mod beside_port;
pub mod beside_port_nm;
pub mod beside_tunnel;
pub mod boot;
pub mod docker;
pub mod docker_rootless;
pub mod exported;
pub mod exported_lease;
pub mod hybrid;
pub mod logins;
pub mod machine;
pub mod managers;
pub mod moved;
pub mod resolved;
pub mod rollback;
pub mod sandboxes;
pub mod scopes;
pub mod selinux;
pub mod session;
pub mod session_at_once;
pub mod session_names;
pub mod unit_faults;
pub mod unit_names;
pub mod units;
pub mod units_at_once;

use super::guest_tests;
