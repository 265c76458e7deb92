//! Plain values: devices, links, addresses, neighbours, nexthops, routes, rules, names, words of a shell, the steps of a
//! plan, and how ip(8) writes them.
//!
//! Uses no other room. Refuses all input and output: nothing here opens a file or a socket.
#![forbid(unsafe_code)]

pub mod address;
pub mod device;
pub mod family;
pub mod flow;
pub mod link;
pub mod name;
pub mod neighbour;
pub mod nexthop;
pub mod nft;
pub mod place;
pub mod ports;
pub mod prefix;
pub mod route;
pub mod rule;
pub mod shell;
pub mod step;
pub mod syntax;
pub mod tunnel;
pub mod user_line;
