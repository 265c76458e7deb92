//! What many VRFs cost.

use crate::bench::bar::Limit::AtMost;
use crate::bench::bar::Term::Of;
use crate::bench::bar::Unit::Instructions;
use crate::bench::bar::{Bar, bar};

const TABLES: &str =
    "the kernel walks through all tables when an interface comes up; `ip -batch` beside it does no better";

const DELETED: &str = "the kernel takes such an address from the port silently; vrfsetup deletes it before, so that a rollback has \
                       it, and at each deletion the kernel looks through all IPv6 addresses. An `ip -batch` that deletes it \
                       as well takes as long (the next row)";

/// In the order of the table.
pub const BARS: &[Bar] = &[
    bar(
        "1,000 VRFs made by `vrfsetup apply`, ports up",
        Of("scale.work_vrfsetup"),
        "`ip -batch`",
        Of("scale.work_ip"),
        Some(AtMost(1.0)),
        Instructions,
    ),
    bar(
        "… each port with an address that it keeps",
        Of("scale.kept_vrfsetup"),
        "`ip -batch`, which adds it again",
        Of("scale.kept_ip"),
        Some(AtMost(1.0)),
        Instructions,
    )
    .missed_as(DELETED, AtMost(1.2)),
    bar(
        "… the same",
        Of("scale.kept_vrfsetup"),
        "`ip -batch`, which deletes it before, as vrfsetup does",
        Of("scale.kept_deleting_ip"),
        None,
        Instructions,
    ),
    bar(
        "… ports down before, as at boot",
        Of("scale.apply_vrfsetup_1000"),
        "`ip -batch`",
        Of("scale.add_ip_1000"),
        Some(AtMost(1.0)),
        Instructions,
    ),
    bar(
        "4,000 applied again, when all is there: linear is 4",
        Of("scale.again_vrfsetup_4000"),
        "1,000",
        Of("scale.again_vrfsetup_1000"),
        Some(AtMost(4.6)),
        Instructions,
    ),
    bar(
        "4,000 made",
        Of("scale.apply_vrfsetup_4000"),
        "`ip -batch`",
        Of("scale.add_ip_4000"),
        Some(AtMost(1.0)),
        Instructions,
    ),
    bar(
        "… beside 1,000: linear is 4",
        Of("scale.apply_vrfsetup_4000"),
        "1,000",
        Of("scale.apply_vrfsetup_1000"),
        Some(AtMost(4.6)),
        Instructions,
    )
    .missed_as(TABLES, AtMost(12.9)),
    bar(
        "… by `ip -batch`, beside 1,000",
        Of("scale.add_ip_4000"),
        "1,000",
        Of("scale.add_ip_1000"),
        None,
        Instructions,
    ),
    bar(
        "1,000 VRFs shown, `show -j`",
        Of("scale.show_vrfsetup_1000"),
        "`ip -j`, three times",
        Of("scale.show_ip_1000"),
        Some(AtMost(1.0)),
        Instructions,
    ),
    bar(
        "… 4,000",
        Of("scale.show_vrfsetup_4000"),
        "`ip -j`, three times",
        Of("scale.show_ip_4000"),
        Some(AtMost(1.0)),
        Instructions,
    ),
    bar(
        "… 4,000 beside 1,000: linear is 4",
        Of("scale.show_vrfsetup_4000"),
        "1,000",
        Of("scale.show_vrfsetup_1000"),
        Some(AtMost(4.6)),
        Instructions,
    ),
];
