//! What became of each process and of each descriptor, and how it is printed.

use std::fmt;

use serde::Serialize;

/// What became of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It is where it was wanted already, or nobody's business.
    Unchanged,
    /// It has been moved.
    Moved,
    /// It would be, without --dry-run.
    Moves,
    /// It could not be moved, and has been closed.
    Closed,
    /// It would be, without --dry-run.
    Closes,
    /// It cannot be moved, and is where it was.
    Stays,
    /// The kernel refused, or it must not be done.
    Failed,
    /// The process has ended.
    Gone,
}

/// About what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Subject {
    /// A process.
    Process,
    /// A descriptor of it.
    Descriptor {
        fd: i32,
        #[serde(flatten)]
        socket: Description,
        /// Processes that have the socket as well and were not moved.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        shared: Vec<u32>,
    },
}

/// What a descriptor is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Description {
    /// By the name of `ss`.
    pub protocol: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub state: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub local: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub peer: String,
    /// The domain that it was found in.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub from: String,
}

/// What became of a socket, whoever has it.
#[derive(Clone, Debug)]
pub struct State {
    pub description: Description,
    pub fate: Fate,
    pub why: Option<String>,
}

/// One line, or one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub pid: u32,
    pub command: String,
    #[serde(flatten)]
    pub subject: Subject,
    #[serde(rename = "verdict")]
    pub fate: Fate,
    /// More of it.
    #[serde(rename = "reason", skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Report {
    pub verdicts: Vec<Verdict>,
    /// Why it ended before nothing was left to do.
    pub stopped: Option<String>,
}

impl Report {
    /// Whether something was refused.
    pub fn has_failed(&self) -> bool {
        self.stopped.is_some() || self.any(&[Fate::Failed])
    }

    /// Whether something is outside, or would be changed.
    pub fn differs(&self) -> bool {
        self.any(&[Fate::Stays, Fate::Moves, Fate::Closes])
    }

    fn any(&self, fates: &[Fate]) -> bool {
        self.verdicts.iter().any(|verdict| fates.contains(&verdict.fate))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told: Vec<_> = self.verdicts.iter().filter(|verdict| verdict.fate != Fate::Unchanged).collect();
        if told.is_empty() && self.stopped.is_none() {
            return writeln!(f, "unchanged: nothing to do");
        }
        told.into_iter().try_for_each(|verdict| writeln!(f, "{verdict}"))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.command.as_str() {
            "" => write!(f, "process {}", self.pid)?,
            command => write!(f, "{command}[{}]", self.pid)?,
        }
        let mut others = &Vec::new();
        if let Subject::Descriptor { fd, socket, shared } = &self.subject {
            write!(f, " {fd}: {socket}")?;
            others = shared;
        }
        let word = match self.fate {
            Fate::Unchanged => "unchanged",
            Fate::Moved => "moved",
            Fate::Moves => "would be moved",
            Fate::Closed => "closed",
            Fate::Closes => "would be closed",
            Fate::Stays => "stays",
            Fate::Failed => "failed",
            Fate::Gone => "gone",
        };
        write!(f, ": {word}")?;
        if let Some(why) = &self.why {
            write!(f, ": {why}")?;
        }
        if !others.is_empty() {
            let others: Vec<String> = others.iter().map(u32::to_string).collect();
            write!(f, " (shared with {}, which was not moved)", others.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.protocol)?;
        let (state, local) = (&self.state, &self.local);
        [state, local].into_iter().filter(|word| !word.is_empty()).try_for_each(|word| write!(f, " {word}"))?;
        if !self.peer.is_empty() {
            write!(f, " with {}", self.peer)?;
        }
        if self.from.is_empty() { Ok(()) } else { write!(f, " in {}", self.from) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(fate: Fate) -> Verdict {
        let socket = Description {
            protocol: "tcp".into(),
            state: "LISTEN".into(),
            local: "0.0.0.0:80".into(),
            from: "default".into(),
            ..Description::default()
        };
        let subject = Subject::Descriptor { fd: 6, socket, shared: vec![9] };
        Verdict { pid: 7, command: "nginx".into(), subject, fate, why: None }
    }

    #[test]
    fn a_line_says_whose_what_and_where() {
        assert_eq!(
            verdict(Fate::Moved).to_string(),
            "nginx[7] 6: tcp LISTEN 0.0.0.0:80 in default: moved (shared with 9, which was not moved)"
        );
        let json = serde_json::to_value(verdict(Fate::Moves)).unwrap();
        assert_eq!((&json["fd"], &json["verdict"], &json["local"]), (&6.into(), &"moves".into(), &"0.0.0.0:80".into()));
    }

    #[test]
    fn what_stays_is_no_failure_and_no_success() {
        let of = |fates: &[Fate]| {
            let report = Report { verdicts: fates.iter().map(|fate| verdict(*fate)).collect(), stopped: None };
            (report.has_failed(), report.differs())
        };
        assert_eq!(of(&[Fate::Moved, Fate::Unchanged, Fate::Gone, Fate::Closed]), (false, false));
        assert_eq!(of(&[Fate::Moved, Fate::Stays]), (false, true));
        assert_eq!(of(&[Fate::Stays, Fate::Failed]), (true, true));
        assert_eq!(
            Report { verdicts: vec![verdict(Fate::Unchanged)], stopped: None }.to_string(),
            "unchanged: nothing to do\n"
        );
    }
}
