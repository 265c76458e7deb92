//! A line of `[user]`: `alice = "blue"`, or `alice = { vrf = "blue", allow-default = true, etc = true }`.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use crate::model::place::Place;

/// Where it puts the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserLine(pub Place);

/// The longer way to write it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    vrf: String,
    #[serde(default)]
    allow_default: bool,
    #[serde(default)]
    etc: bool,
}

impl<'de> Deserialize<'de> for UserLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EitherWay)
    }
}

struct EitherWay;

impl<'de> Visitor<'de> for EitherWay {
    type Value = UserLine;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a VRF in quotes, or { vrf = \"VRF\", allow-default = true, etc = true }")
    }

    fn visit_str<E>(self, vrf: &str) -> Result<UserLine, E> {
        Ok(UserLine(Place { vrf: vrf.to_owned(), may_leave: false, has_etc: false }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<UserLine, A::Error> {
        let Table { vrf, allow_default, etc } = Table::deserialize(MapAccessDeserializer::new(map))?;
        Ok(UserLine(Place { vrf, may_leave: allow_default, has_etc: etc }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(line: &str) -> Result<String, String> {
        let lines: BTreeMap<String, UserLine> = toml::from_str(line).map_err(|error| error.message().to_owned())?;
        Ok(lines["al"].0.to_string())
    }

    #[test]
    fn a_user_is_a_vrf_or_a_table_with_one() {
        assert_eq!(read("al = \"blue\""), Ok("blue".to_owned()));
        assert_eq!(read("al = { vrf = \"blue\" }"), Ok("blue".to_owned()));
        assert_eq!(read("al = { vrf = \"blue\", allow-default = true }"), Ok("blue --allow-default".to_owned()));
        assert_eq!(read("al = { vrf = \"blue\", allow-default = false }"), Ok("blue".to_owned()));
        assert_eq!(read("al = { vrf = \"blue\", etc = true }"), Ok("blue --etc".to_owned()));
        let both = "al = { vrf = \"blue\", allow-default = true, etc = true }";
        assert_eq!(read(both), Ok("blue --allow-default --etc".to_owned()));
    }

    #[test]
    fn another_value_or_key_is_a_mistake() {
        for (line, why) in [
            ("al = 7", "invalid type: integer `7`, expected a VRF in quotes"),
            ("al = { allow-default = true }", "missing field `vrf`"),
            ("al = { vrf = \"blue\", allow_default = true }", "unknown field `allow_default`"),
            ("al = { vrf = \"blue\", allow-default = 1 }", "invalid type: integer `1`, expected a boolean"),
        ] {
            let said = read(line).expect_err(line);
            assert!(said.starts_with(why), "{line}: {said}");
        }
    }
}
