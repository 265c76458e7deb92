//! From what is there to the steps that lead to what is wanted: VRFs, ports, gateways, rules, settings, names of tables,
//! unit files, conntrack zones; and the inventory that all of it starts from.
//!
//! May use `sys` to read, `model` and `error`. Writes nothing and sends no request that changes this network namespace:
//! even what a later run must remember is a step. A probe of `sys::feature` may make a rule in a namespace of its own,
//! which ends with it.
#![forbid(unsafe_code)]

pub mod address;
pub mod emulate;
pub mod foreign_rules;
pub mod gateway;
pub mod held;
pub mod holder;
pub mod inventory;
pub mod leak;
pub mod leftovers;
pub mod memory;
pub mod outsides;
pub mod port;
pub mod rules;
pub mod seal;
pub mod sysctls;
pub mod system;
pub mod tables;
pub mod tunnels;
pub mod unit_files;
pub mod vrf;
pub mod zones;
