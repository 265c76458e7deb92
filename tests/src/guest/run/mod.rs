//! vrfrun: by every mechanism and in every place that a program can be started in.
//!
//! Uses no other directory of tests. Never believes what vrfrun says of a socket: packets decide.

pub mod bind_on_use;
pub mod bound_cgroups;
pub mod clients;
pub mod container_table;
pub mod containers;
pub mod curl;
pub mod delegated;
pub mod each;
pub mod escapes;
pub mod explain;
pub mod gate;
pub mod inherited;
pub mod leaks;
pub mod lost_programs;
pub mod mp_join;
pub mod names;
pub mod net_cls;
pub mod oci_agent;
pub mod oci_doctor;
pub mod oci_hook;
pub mod oci_runtime;
pub mod own_network;
pub mod refusals;
pub mod sealing;
pub mod sequences;
pub mod surroundings;
pub mod trace;
pub mod unusual;
pub mod without_bpf;

pub mod ways;

use super::guest_tests;
