//! Names of interfaces and VRFs.

/// IFNAMSIZ without the NUL.
const LONGEST_NAME: usize = 15;
/// ALTIFNAMSIZ without the NUL.
const LONGEST_ALTNAME: usize = 127;

/// A name that an interface can have, perhaps as one of its others (altname). One with `%` is a pattern to the kernel,
/// which makes `eth%d` the next of its kind.
///
/// # Errors
/// What is wrong with it.
pub fn device(name: &str) -> Result<String, String> {
    let is_possible = !name.is_empty()
        && name.len() <= LONGEST_ALTNAME
        && ![".", ".."].contains(&name)
        && !name.contains(|c: char| ['/', ':', '%', '\0'].contains(&c) || c.is_whitespace());
    if is_possible { Ok(name.to_owned()) } else { Err(NOT_A_NAME.to_owned()) }
}

const NOT_A_NAME: &str = "not a name that an interface can have";

/// A name for a new VRF: `default` means no VRF to vrfrun, and the other two are no interfaces to sysctl. It stands in
/// commands that people type and in files that shells run.
///
/// # Errors
/// What is wrong with it.
pub fn vrf(name: &str) -> Result<String, String> {
    if ["default", "all"].contains(&name) {
        return Err("reserved".to_owned());
    }
    if !is_one_word(name) {
        return Err("a shell would not take it for one word".to_owned());
    }
    if name.len() > LONGEST_NAME {
        return Err(NOT_A_NAME.to_owned());
    }
    device(name)
}

/// Whether a shell, and a pattern of systemd-networkd, take this name for what it is.
pub fn is_one_word(name: &str) -> bool {
    !name.starts_with(['-', '~', '#', '=']) && !name.contains(|c: char| "!\"$&'()*;<>?[\\]`{|}".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_interface_can_have_are_usage_errors() {
        for name in ["", ".", "..", "a/b", "a b", "blue%d", "100%", &"x".repeat(128)] {
            assert!(device(name).is_err(), "{name:?}");
        }
        // As another name it may be longer than as the first one.
        assert!(vrf("fifteen-letters").is_ok() && vrf("sixteen-letters-").is_err());
        assert!(device("sixteen-letters-").is_ok() && device(&"x".repeat(127)).is_ok());
        assert!(vrf("default").is_err());
    }

    #[test]
    fn a_new_vrfs_name_is_one_word_to_a_shell() {
        for name in ["a;b", "$(reboot)", "a'b", "a\"b", "a|b", "a&", "*", "a[1]", "`x`", "a\\b", "-x", "~root", "#1"] {
            assert!(vrf(name).is_err(), "{name}");
            assert_eq!(device(name).as_deref(), Ok(name));
        }
        assert!(["blue", "blue.1", "5", "é", "a@b", "a+b_c-d,e"].iter().all(|name| vrf(name).is_ok()));
    }
}
