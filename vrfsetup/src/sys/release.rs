//! The release of the running kernel.

use std::fs;

/// Whether it is older than this one; a release that cannot be read is not.
pub fn is_before(version: (u32, u32)) -> bool {
    is_release_before(&fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default(), version)
}

fn is_release_before(release: &str, version: (u32, u32)) -> bool {
    let mut numbers = release.split(['.', '-']).map_while(|part| part.trim().parse().ok());
    matches!((numbers.next(), numbers.next()), (Some(major), Some(minor)) if (major, minor) < version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        assert!(is_release_before("5.9.0-1", (5, 15)));
        assert!(is_release_before("5.10.0-32-cloud-amd64", (5, 15)));
        assert!(!is_release_before("5.15.0", (5, 15)));
        assert!(!is_release_before("6.1.0", (5, 15)));
        assert!(!is_release_before("", (5, 15)));
    }
}
