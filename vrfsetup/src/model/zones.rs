//! The nftables table of the conntrack zones, as what nft(8) reads.

/// Its name; its family is inet.
pub const TABLE: &str = "vrfsetup_zones";

/// What puts this text in the place of the table, or removes it: nft makes all of a file or nothing, in one transaction of
/// the kernel. A table that is not there cannot be deleted, so it is added first.
pub fn script(table: Option<&str>) -> String {
    let text = table.unwrap_or_default();
    format!("add table inet {TABLE}\ndelete table inet {TABLE}\n{text}")
}
