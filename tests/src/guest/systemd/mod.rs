//! Machines whose process 1 is a systemd: services, logins, the unit at boot, exported configuration.

pub mod boot;
pub mod exported;
pub mod logins;
pub mod rollback;
pub mod units;

use super::guest_tests;
