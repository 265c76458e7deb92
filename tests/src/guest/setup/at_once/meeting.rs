//! Two verbs that meet in each way in which one of them can be where the other one comes: whoever has the lock first is the
//! first, and the other one has read nothing before.

use super::scene::{End, Scene, differences, from_the_start};
use super::stopped::{At, Stopped, Waiting};
use super::verbs::{DECLARED, FILE};
use crate::harness::programs;

/// A verb meets others, after something else.
pub struct Meeting<'a> {
    /// Commands that have made what there is before.
    pub before: &'a [&'a str],
    /// The verb that has the lock when the others come.
    pub first: &'a str,
}

impl Meeting<'_> {
    /// However it meets each of them, it ends as if one had waited for the other.
    #[track_caller]
    pub fn ends_as_in_turn(&self, others: &[&str]) {
        assert!(programs::in_guest());
        std::fs::write(FILE, DECLARED).expect("a file");
        let wrong: String = others.iter().map(|other| self.wrong(other)).collect();
        std::fs::remove_file(FILE).expect("the file");
        assert!(wrong.is_empty(), "{wrong}");
    }

    /// How it ended otherwise.
    fn wrong(&self, other: &str) -> String {
        let first = self.first;
        let there = self.one_after_the_other(first, other);
        let back = if first == other { there.clone() } else { self.one_after_the_other(other, first) }.swapped();
        let mut wrong = String::new();
        let mut compare = |how: &str, met: &End, wanted: &[&End]| {
            if !wanted.contains(&met) {
                let against = wanted.iter().map(|wanted| format!("instead{}", differences(met, wanted)));
                wrong += &format!("'{first}' and '{other}', {how}\n{}", against.collect::<String>());
            }
        };
        compare("the former stopped before its lock", &self.overtaken(first, other), &[&back]);
        if first != other {
            compare("the latter stopped before its lock", &self.overtaken(other, first).swapped(), &[&there]);
        }
        let mut waits = false;
        compare("the former stopped before its first change", &self.waited_for(first, other, &mut waits), &[&there]);
        compare("nobody stopped", &self.at_once(first, other), &[&there, &back]);
        if !waits {
            wrong += &format!("'{other}' did not wait for '{first}'\n");
        }
        wrong
    }

    fn play(&self, one: &str, other: &str, run: impl FnOnce(&Scene) -> [Option<i32>; 2]) -> End {
        let words: Vec<&str> = self.before.iter().copied().chain([one, other]).collect();
        from_the_start(&words, |scene| {
            self.before.iter().for_each(|words| assert_eq!(scene.run(words), Some(0), "{words}"));
            run(scene)
        })
    }

    fn one_after_the_other(&self, one: &str, other: &str) -> End {
        self.play(one, other, |scene| [one, other].map(|words| scene.run(words)))
    }

    /// The other one has come and gone before the first one has the lock.
    fn overtaken(&self, one: &str, other: &str) -> End {
        self.play(one, other, |scene| {
            let stopped = Stopped::start(&At::Lock, |before| scene.vrfsetup(before, one));
            let other = scene.run(other);
            [stopped.go_on(), other]
        })
    }

    /// The other one comes while the first one has the lock and has changed nothing yet.
    fn waited_for(&self, one: &str, other: &str, waits: &mut bool) -> End {
        self.play(one, other, |scene| {
            let stopped = scene.stop_before_first_change(one);
            let other = Waiting::start(scene.vrfsetup(&[], other));
            *waits = other.waits;
            [stopped.go_on(), other.end()]
        })
    }

    fn at_once(&self, one: &str, other: &str) -> End {
        self.play(one, other, |scene| {
            let mut both = [one, other].map(|words| scene.vrfsetup(&[], words).spawn().expect("vrfsetup"));
            both.each_mut().map(|command| command.wait().expect("vrfsetup").code())
        })
    }
}
