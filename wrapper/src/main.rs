//! vrfrun
fn main() {}
