//! Takes the programs of a record away from their cgroup.

use std::os::fd::AsFd;

use nix::errno::Errno;

use crate::attachment;
use crate::set::gaps::Place;
use crate::set::record::Record;
use crate::set::refused::{Refused, Step};

impl Record {
    /// Detaches those that are there, and no others. `Create` goes first: until the last one has gone, what it no longer
    /// binds is bound or denied when it is used.
    pub(crate) fn detach(&self, cgroup: impl AsFd) -> Result<(), Refused> {
        for place in Place::ALL.into_iter().rev() {
            let (id, Some(hook)) = (self.programs[place as usize], place.hook()) else { continue };
            let detached = if id == 0 { Ok(()) } else { attachment::detach(hook, id, &cgroup) };
            match detached {
                Ok(()) | Err(Errno::ENOENT) => {} // somebody else has detached it
                Err(errno) => return Err(Refused { step: Step::Detach(place), errno }),
            }
        }
        Ok(())
    }
}
