//! What a changing command reports: the steps that it made, as commands, and anything the user should know.

use std::fmt;

use serde::Serialize;

use crate::model::step::Step;
use crate::plan::memory;

/// The result of a changing command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Whether anything was changed.
    pub changed: bool,
    /// Whether it was only planned.
    #[serde(rename = "dry_run", skip_serializing_if = "std::ops::Not::not")]
    pub is_preview: bool,
    /// The steps, in the words of ip(8).
    pub steps: Vec<String>,
    /// What else there is to say.
    pub notes: Vec<String>,
}

impl Outcome {
    /// The outcome of these steps.
    pub fn of<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Self {
        let all: Vec<&Step> = steps.into_iter().collect();
        let shown = all.iter().filter(|step| !memory::is_memory(step));
        let steps: Vec<String> = shown.map(ToString::to_string).collect();
        let changed = !steps.is_empty() || all.into_iter().any(memory::is_switch);
        Self { changed, is_preview: false, steps, notes: Vec::new() }
    }

    /// The same for a plan that is not made.
    pub fn into_preview(self) -> Self {
        Self { is_preview: true, ..self }
    }

    /// The same with one thing more to say.
    pub fn note(mut self, note: String) -> Self {
        self.notes.push(note);
        self
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.changed, self.steps.is_empty()) {
            (true, false) if self.is_preview => writeln!(f, "to do:")?,
            (true, false) => writeln!(f, "changed:")?,
            (true, true) => writeln!(f, "changed")?,
            (false, _) => writeln!(f, "unchanged: nothing to do")?,
        }
        for step in &self.steps {
            writeln!(f, "  {step}")?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}
