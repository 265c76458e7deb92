//! Names where the VRF has no resolver of its own, and the system's does not go through the program's own sockets: by the
//! servers that the VRF's ports were given, or with a warning.

use crate::error::{note, text, warn};
use crate::etc::given::{self, Given};
use crate::etc::namespace::Refusal;
use crate::etc::{DIRECTORY, resolver};
use crate::vrf::device::Device;

/// What was found, and what came of it.
#[derive(Debug)]
pub struct Names {
    why: String,
    /// The servers of the ports, if there are any.
    pub given: Option<Given>,
    /// Why they cannot be put in place.
    pub refusal: Option<Refusal>,
}

/// Looks at what the program would see. None if it resolves names by itself.
pub fn look(device: &Device, is_masked: bool) -> Option<Names> {
    let why = resolver::reason(is_masked)?;
    Some(Names { why, given: given::find(device), refusal: None })
}

impl Names {
    /// The servers that are put in place.
    pub fn taken(&self) -> Option<&Given> {
        self.given.as_ref().filter(|_| self.refusal.is_none())
    }

    /// Why names would be resolved outside the VRF, if they would.
    pub fn outside(&self) -> Option<&str> {
        self.taken().is_none().then_some(self.why.as_str())
    }

    /// Says which servers the program has, if that is to be said, or that it has none.
    pub fn say(&self, device: &Device, is_verbose: bool) {
        match self.taken() {
            Some(given) if is_verbose => note(&format_args!("names are resolved by {given}")),
            Some(_) => {}
            None => self.warn(&text(device.vrf())),
        }
    }

    fn warn(&self, vrf: &str) {
        let unused = self.given.as_ref().zip(self.refusal.as_ref());
        let unused = unused.map(|(given, refusal)| format!("; {given} is not used: {}", refusal.why));
        let line = format!("names may not be resolved in '{vrf}': {}{}", self.why, unused.unwrap_or_default());
        let hint = self.refusal.as_ref().and_then(|refusal| refusal.hint.clone());
        let own = || format!("put the VRF's own name servers into {DIRECTORY}/{vrf}/resolv.conf, or give --dns ADDR");
        warn(&line, &hint.unwrap_or_else(own));
    }
}
