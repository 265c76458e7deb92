//! `--explain`: what would happen, for each mechanism and for what comes after it, tried for real in temporary child
//! processes; nothing is run.
//!
//! May use everything below it. Changes nothing of its caller: what a trial did ends with its child.
#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::{Value, json};

use crate::bind::binding::{By, Guard, Request};
use crate::bind::bpf;
use crate::bind::trial::try_in_child;
use crate::bind::{by, candidates, check_shim, check_user, leave, shim_alone};
use crate::error::unavailable::Unavailable;
use crate::error::{self, EXIT_OWN, Error};
use crate::etc::names::Names;
use crate::etc::namespace::{self, Refusal};
use crate::etc::overlay;
use crate::options::{Mechanism, Options};
use crate::program::{inherited_fds, user};
use crate::vrf::device::Device;
use crate::vrf::netlink::Netlink;
use crate::vrf::netns;
use crate::vrf::seal;

/// A mechanism, and what came of it.
type Trial = (Mechanism, Result<Guard, Unavailable>);

/// What was found.
struct Findings {
    device: Option<Device>,
    trials: Vec<Trial>,
    gap: Option<seal::Leak>,
    /// Where names would not be resolved by the system's resolver.
    names: Option<Names>,
    /// What keeps a program from being run, whatever binds it.
    refusal: Option<Refusal>,
    /// Nothing runs in a VRF with a gap.
    is_strict: bool,
}

/// What would be done.
enum Choice {
    /// Bind by this mechanism.
    Bind(Mechanism),
    /// Leave it to what binds this process already.
    Nothing,
}

/// Explains on stdout. 0 if a mechanism would do, else 125.
pub fn explain(options: &Options, as_json: bool) -> Result<i32, Error> {
    if let Some(name) = &options.netns {
        netns::enter(name)?;
    }
    let findings = find(options)?;
    let text = if as_json { format!("{:#}\n", findings.json(options)) } else { findings.text(options) };
    let said = std::io::stdout().write_all(text.as_bytes());
    said.map_err(|error| Error::unwritten(&error))?;
    Ok(if findings.is_good() { 0 } else { EXIT_OWN })
}

fn find(options: &Options) -> Result<Findings, Error> {
    let mut netlink = Netlink::open()?;
    let Some(device) = Device::resolve(&mut netlink, options)? else {
        let refusal = refusal(None, &[], options);
        return Ok(Findings { device: None, trials: Vec::new(), gap: None, names: None, refusal, is_strict: false });
    };
    let gap = seal::find(netlink, &device)?;
    let trials = candidates(options).into_iter().map(|mechanism| (mechanism, trial(mechanism, &device, options)));
    let trials: Vec<_> = trials.collect();
    let names = overlay::plan(Some(&device), &options.etc)?.explain(&device);
    let refusal = refusal(Some(&device), &trials, options);
    Ok(Findings { trials, gap, names, refusal, is_strict: options.strict, device: Some(device) })
}

/// What comes before the program and is no mechanism's: tried in a child, too.
fn refusal(device: Option<&Device>, trials: &[Trial], options: &Options) -> Option<Refusal> {
    namespace::refusal(|| {
        let account = options.user.as_ref().map(|name| user::look_up(name)).transpose()?;
        device.map_or(Ok(()), |device| check_user(account.as_ref(), options, device))?;
        match device {
            Some(_) if options.keep_fds => {}
            Some(device) => drop(inherited_fds::look(device, options.strict)?),
            None => drop(leave::leave()?),
        }
        overlay::plan(device, &options.etc)?.apply(device, None)?;
        let Some(account) = account else { return Ok(()) };
        let Some(device) = device else {
            account.assume()?;
            return leave::check();
        };
        let name = device.description();
        let chosen = trials.iter().find_map(|(mechanism, outcome)| Some((*mechanism, outcome.as_ref().ok()?)));
        let shim = chosen.map(|(mechanism, guard)| shim_alone(By::Mechanism(mechanism), guard, &name)).transpose()?;
        account.assume()?;
        shim.flatten().map_or(Ok(()), |shim| check_shim(&shim, &name))
    })
}

/// What would be asked of a mechanism, without a program.
fn request<'a>(device: &'a Device, options: &'a Options) -> Request<'a> {
    Request { device, options, program: None }
}

/// Tries it in a child, which goes away with all it did.
fn trial(mechanism: Mechanism, device: &Device, options: &Options) -> Result<Guard, Unavailable> {
    let outcome = try_in_child(|| by(mechanism, &request(device, options)).map(|binding| binding.guard));
    if mechanism == Mechanism::Bpf {
        bpf::remove_empty(device, options.strict);
    }
    outcome
}

/// Why nothing would be run although it could be bound.
fn nothing(refusal: &Refusal, has_hint: bool) -> String {
    let hint = refusal.hint.as_ref().filter(|_| has_hint).map(|hint| format!("hint: {hint}\n"));
    let why = &refusal.why;
    format!("  {why}\nvrfrun would run nothing and exit {EXIT_OWN}\n{}", hint.unwrap_or_default())
}

impl Findings {
    /// None if nothing would be run.
    fn chosen(&self) -> Option<Choice> {
        let is_refused = self.is_strict && self.gap.is_some() || self.refusal.is_some();
        let mut trials = self.trials.iter().filter(|_| !is_refused);
        trials.find_map(|(mechanism, outcome)| match outcome.as_ref().ok()? {
            Guard::Outer => Some(Choice::Nothing),
            _ => Some(Choice::Bind(*mechanism)),
        })
    }

    /// VRF `default` needs no mechanism.
    fn is_good(&self) -> bool {
        self.chosen().is_some() || self.device.is_none() && self.refusal.is_none()
    }

    fn has_mechanism(&self) -> bool {
        self.trials.iter().any(|(_, outcome)| outcome.is_ok())
    }

    fn is_bound_already(&self) -> bool {
        self.trials.iter().any(|(_, outcome)| matches!(outcome, Ok(Guard::Outer)))
    }

    fn text(&self, options: &Options) -> String {
        let Some(device) = &self.device else {
            return match &self.refusal {
                None => "VRF default: no VRF; the program runs outside any VRF\n".into(),
                Some(refusal) => format!("VRF default: no VRF\n{}", nothing(refusal, true)),
            };
        };
        let what = if options.any_interface { "interface" } else { "VRF" };
        let mut text = format!("{what} {}: ifindex {}", device.description(), device.ifindex);
        if let Some(table) = device.table {
            let _ = write!(text, ", table {table}");
        }
        text.push('\n');
        for (mechanism, outcome) in &self.trials {
            let _ = match outcome {
                Ok(guard) => writeln!(text, "  {:<8} available, guard: {guard}", mechanism.name()),
                Err(reason) => writeln!(text, "  {:<8} not available: {reason}", mechanism.name()),
            };
        }
        if let Some(given) = self.names.as_ref().and_then(Names::taken) {
            let _ = writeln!(text, "  names would be resolved by {given}");
        }
        if let Some(gap) = &self.gap {
            let _ = writeln!(
                text,
                "{}: {}\nhint: {}",
                if self.is_strict { "--strict" } else { "warning" },
                error::leaves(device.vrf(), &gap.why),
                gap.fix
            );
        }
        let _ = match (self.chosen(), &self.refusal) {
            (Some(Choice::Bind(mechanism)), _) => writeln!(text, "vrfrun would use {mechanism}"),
            (Some(Choice::Nothing), _) => writeln!(text, "vrfrun would bind nothing: this process is bound already"),
            (None, Some(refusal)) if self.has_mechanism() => {
                write!(text, "{}", nothing(refusal, self.gap.is_none()))
            }
            (None, _) => writeln!(text, "vrfrun would run nothing and exit {EXIT_OWN}"),
        };
        // At most one hint.
        if self.chosen().is_none() && self.gap.is_none() && !self.has_mechanism() {
            if let Some(hint) = self.trials.iter().find_map(|(_, outcome)| outcome.as_ref().err()?.hint.as_ref()) {
                let _ = writeln!(text, "hint: {hint}");
            }
        }
        text
    }

    fn json(&self, options: &Options) -> Value {
        let mechanisms = self.trials.iter().map(|(mechanism, outcome)| match outcome {
            Ok(guard) => json!({"mechanism": mechanism.name(), "available": true, "guard": guard.to_string()}),
            Err(reason) => json!({
                "mechanism": mechanism.name(), "available": false, "reason": reason.why, "hint": reason.hint,
            }),
        });
        let mut explained = json!({
            "vrf": self.device.as_ref().map_or(&*options.vrf, Device::vrf).to_string_lossy(),
            "ifindex": self.device.as_ref().map(|device| device.ifindex),
            "table": self.device.as_ref().and_then(|device| device.table),
            "already_bound": self.is_bound_already(),
            "mechanisms": mechanisms.collect::<Vec<_>>(),
            "chosen": match self.chosen() {
                Some(Choice::Bind(mechanism)) => Some(mechanism.name()),
                _ => None,
            },
            "name_servers": self.names.as_ref().and_then(Names::taken).map(|given| given.servers().collect::<Vec<_>>()),
            "warning": self.gap.as_ref().map(|gap| &gap.why),
            "refused": self.refusal.as_ref().map(|refusal| &refusal.why),
        });
        if let Some(device) = self.device.as_ref().filter(|device| device.emulates.is_some()) {
            explained["emulated_by"] = device.name.to_string_lossy().into();
        }
        explained
    }
}
