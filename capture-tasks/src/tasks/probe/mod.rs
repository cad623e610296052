//! A filter tried for some seconds: a task of the engine without a file, whose packets are counted and forgotten. Beside
//! it runs a wider one, so that something can be said where nothing matches.

mod hint;
mod talkers;

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use capture_engine::{Engine, TaskHandle, interfaces::LINKTYPE_RAW};
use capture_file::{FinalFigures, InterfaceInfo, Packet, Sink};
use capture_packet::decode::Decoded;
use capture_store::{Action, Outcome, access::Actor};
use capture_task::{
    error::ErrorKind,
    plan::{Fault, Oversize, Plan},
    preview::{ProbeReport, Rate},
    task::{StopReason, TaskSpec},
};
use tokio::sync::oneshot;

use self::{hint::Wider, talkers::Talkers};
use super::{
    create::what,
    inner::{Inner, lock},
    service::Tasks,
};
use crate::error::{Error, Result};

/// Most probes at the same time.
const MOST: usize = 2;

/// Bytes of a frame that a probe looks at: headers, behind tags and extension headers too.
const SNAP_LEN: u16 = 96;

/// Packets of the wider task, after which it ends: enough to say who talks, and no burden on a busy link.
const MOST_OF_WIDER: u64 = 20_000;

/// How often it is looked whether a probe is to end before its time.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Why there is no answer.
#[derive(Debug)]
pub enum ProbeError {
    /// Everything that is wrong with the request.
    Invalid(Vec<Fault>),
    /// It is valid, and beyond what the role may.
    NotAllowed(Vec<Fault>),
    /// As many probes run as may.
    Busy,
    /// As many tasks run as the engine has slots.
    NoSlot,
    /// The daemon is ending.
    Closing,
    /// The kernel or an interface is not as a capture needs it.
    Refused(Error),
    /// Something failed.
    Broken(Error),
}

impl From<Error> for ProbeError {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

impl From<capture_engine::Error> for ProbeError {
    fn from(error: capture_engine::Error) -> Self {
        if matches!(error, capture_engine::Error::NoSlot) {
            return Self::NoSlot;
        }
        let error = Error::from(error);
        match error.kind {
            ErrorKind::Conflict | ErrorKind::Usage | ErrorKind::Missing => Self::Refused(error),
            _ => Self::Broken(error),
        }
    }
}

impl ProbeError {
    /// The word for it in the audit log.
    fn outcome(&self) -> Outcome<'_> {
        match self {
            Self::Invalid(_) => Outcome::Refused("not valid"),
            Self::NotAllowed(_) => Outcome::Refused("beyond the role"),
            Self::Busy => Outcome::Refused("as many probes run as may"),
            Self::NoSlot => Outcome::Refused("no slot"),
            Self::Closing => Outcome::Refused("closing"),
            Self::Refused(error) | Self::Broken(error) => Outcome::Failed(&error.message),
        }
    }
}

impl Tasks {
    /// Tries the filter of a request for so long, for an actor who may. It ends early if nobody waits for the answer.
    /// The audit log tells of it before it begins.
    ///
    /// # Errors
    /// All that is wrong with the request, or why it cannot be tried now.
    pub async fn probe(
        &self,
        spec: TaskSpec,
        duration: Duration,
        actor: &Actor,
    ) -> Result<ProbeReport, ProbeError> {
        let (done, answer) = oneshot::channel();
        let (inner, actor) = (Arc::clone(&self.0), actor.clone());
        tokio::task::spawn_blocking(move || {
            let answer = inner.probe(&spec, duration, &actor, &|| done.is_closed());
            // Whoever asked may be gone.
            let _ = done.send(answer);
        });
        let answer = answer.await;
        answer.unwrap_or_else(|_| Err(Error::runtime("the probe has not come to its end").into()))
    }
}

/// The slots of a probe, given back when it is over.
struct Slots<'a> {
    inner: &'a Inner,
    count: usize,
}

impl<'a> Slots<'a> {
    fn take(inner: &'a Inner, count: usize) -> Option<Self> {
        let is_taken = inner.table().take_slots(count);
        // Made only then, as its drop gives the slots back.
        is_taken.then(|| Self { inner, count })
    }
}

impl Drop for Slots<'_> {
    fn drop(&mut self) {
        self.inner.table().give_slots(self.count);
        // A task may have waited for them.
        self.inner.wake.notify_one();
    }
}

/// One of the probes that may run at the same time.
struct Turn<'a>(&'a Mutex<usize>);

impl<'a> Turn<'a> {
    fn take(running: &'a Mutex<usize>) -> Option<Self> {
        let mut count = lock(running);
        if *count >= MOST {
            return None;
        }
        *count += 1;
        Some(Self(running))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *lock(self.0) -= 1;
    }
}

/// A task of the engine that belongs to a probe; it goes with this value, however that ends.
struct Trial<'a> {
    engine: &'a Engine,
    task: TaskHandle,
    is_removed: bool,
}

impl<'a> Trial<'a> {
    fn start(engine: &'a Engine, plan: &Plan, sink: Counter) -> capture_engine::Result<Self> {
        Ok(Self {
            engine,
            task: engine.add_sink(plan, sink)?,
            is_removed: false,
        })
    }

    fn has_ended(&self) -> bool {
        self.engine.ended(self.task).is_some()
    }

    /// Takes the task off, and gives how many packets matched.
    fn end(mut self) -> Result<u64> {
        self.is_removed = true;
        let ended = self.engine.remove(self.task, StopReason::User)?;
        match ended.error {
            Some(error) => Err(error.into()),
            None => Ok(ended.counters.matched),
        }
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if !self.is_removed
            && let Err(error) = self.engine.remove(self.task, StopReason::User)
        {
            log::warn!("ending a probe: {error}");
        }
    }
}

/// What the packets of a task have shown so far.
#[derive(Debug, Default)]
struct Count {
    seen: u64,
    packets: u64,
    bytes: u64,
    talkers: Talkers,
}

/// The sink of a probe's task.
struct Counter {
    link_types: Vec<(u32, u16)>,
    count: Arc<Mutex<Count>>,
}

impl Counter {
    fn new() -> (Self, Arc<Mutex<Count>>) {
        let count = Arc::new(Mutex::new(Count::default()));
        let this = Self {
            link_types: Vec::new(),
            count: Arc::clone(&count),
        };
        (this, count)
    }
}

impl Sink for Counter {
    fn interface(&mut self, interface: &InterfaceInfo) {
        let InterfaceInfo {
            ifindex, link_type, ..
        } = *interface;
        self.link_types.retain(|(known, _)| *known != ifindex);
        if link_type == LINKTYPE_RAW {
            self.link_types.push((ifindex, link_type));
        }
    }

    fn packet(&mut self, packet: &Packet<'_>) -> ControlFlow<()> {
        let raw = self
            .link_types
            .iter()
            .find(|(known, _)| *known == packet.ifindex);
        let link_type = raw.map_or(
            capture_engine::interfaces::LINKTYPE_ETHERNET,
            |(_, kind)| *kind,
        );
        let decoded = Decoded::new(link_type, packet.data, packet.original_len);
        // Nobody waits with it but the reader of the answer, once the task is over.
        let mut count = lock(&self.count);
        count.packets += 1;
        count.bytes += u64::from(packet.original_len);
        count.talkers.add(&decoded);
        ControlFlow::Continue(())
    }

    fn end(&mut self, figures: &FinalFigures) {
        lock(&self.count).seen = figures.interfaces.iter().map(|there| there.seen).sum();
    }
}

impl Inner {
    fn probe(
        &self,
        spec: &TaskSpec,
        duration: Duration,
        actor: &Actor,
        is_unwanted: &dyn Fn() -> bool,
    ) -> Result<ProbeReport, ProbeError> {
        let plan = self.check(spec, None).map_err(ProbeError::Invalid)?;
        let object = what(&plan);
        let refused = self.config().access.refusals(&plan, actor);
        if !refused.is_empty() {
            let error = ProbeError::NotAllowed(refused);
            self.write_audit(actor, Action::Probe, &object, error.outcome())?;
            return Err(error);
        }
        let turn = Turn::take(&self.probes).ok_or(ProbeError::Busy);
        let slots = turn.and_then(|turn| {
            if self.table().is_closing() {
                return Err(ProbeError::Closing);
            }
            let slots = Slots::take(self, 1).ok_or(ProbeError::NoSlot)?;
            Ok((turn, slots))
        });
        let _held = match slots {
            Ok(slots) => slots,
            Err(error) => {
                self.write_audit(actor, Action::Probe, &object, error.outcome())?;
                return Err(error);
            }
        };
        self.write_audit(actor, Action::Probe, &object, Outcome::Done)?;
        self.try_filter(plan, duration, is_unwanted)
    }

    fn try_filter(
        &self,
        plan: Plan,
        duration: Duration,
        is_unwanted: &dyn Fn() -> bool,
    ) -> Result<ProbeReport, ProbeError> {
        let engine = self.engine.start()?;
        let plan = of_headers(plan, duration);
        let (sink, count) = Counter::new();
        let (wider_sink, wider_count) = Counter::new();
        let begin = Instant::now();
        let trial = Trial::start(engine, &plan, sink)?;
        // Without a slot for it nothing is said of what is near.
        let wider_slot = Wider::of(&plan).and_then(|wider| Some((wider, Slots::take(self, 1)?)));
        let mut wider_trial = wider_slot.as_ref().and_then(|(wider, _)| {
            let plan = wider.plan(&plan, MOST_OF_WIDER);
            let started = Trial::start(engine, &plan, wider_sink);
            let started =
                started.inspect_err(|error| log::debug!("looking wider than a probe: {error}"));
            started.ok()
        });
        let wider = wider_slot.as_ref().filter(|_| wider_trial.is_some());
        while !trial.has_ended() && !is_unwanted() && !self.table().is_closing() {
            let is_needless = |wider: &Trial<'_>| wider.has_ended() || lock(&count).packets > 0;
            if wider_trial.as_ref().is_some_and(is_needless)
                && let Some(wider) = wider_trial.take()
            {
                wider.end()?;
            }
            thread::sleep(POLL_INTERVAL);
        }
        let took = begin.elapsed().min(duration);
        let both = [
            Some(trial.task),
            wider_trial.as_ref().map(|wider| wider.task),
        ];
        engine.halt(both.into_iter().flatten());
        let matched = trial.end()?;
        if let Some(wider) = wider_trial {
            wider.end()?;
        }
        let (count, wider_count) = (lock(&count), lock(&wider_count));
        let wider = wider.map(|(wider, _)| (wider, &*wider_count));
        Ok(report(&plan, matched, took, &count, wider))
    }
}

/// The same for headers alone, for so long, without files.
fn of_headers(plan: Plan, duration: Duration) -> Plan {
    Plan {
        max_bytes: Some(SNAP_LEN),
        oversize: Oversize::Truncate,
        duration: Some(duration),
        max_packets: None,
        max_file_bytes: None,
        rotate: None,
        ..plan
    }
}

fn report(
    plan: &Plan,
    matched: u64,
    took: Duration,
    count: &Count,
    wider: Option<(&Wider, &Count)>,
) -> ProbeReport {
    let Count {
        seen,
        packets,
        bytes,
        talkers,
    } = count;
    // What the reader did not get to see is taken to be like the rest.
    let bytes = match packets {
        0 => 0,
        packets => (u128::from(*bytes) * u128::from(matched) / u128::from(*packets)) as u64,
    };
    // A packet that matched has passed, though the counters were read at different moments.
    let seen = (*seen).max(matched);
    let seconds = took.as_secs_f64();
    let a_second = |amount: u64| {
        if seconds > 0.0 {
            amount as f64 / seconds
        } else {
            0.0
        }
    };
    let (hint, talkers) = match (matched, wider) {
        (0, Some((wider, count))) => (
            Some(wider.hint(plan, seen, took, count.packets, &count.talkers)),
            &count.talkers,
        ),
        (0, None) => {
            let has_looked = Wider::of(plan).is_none();
            (Some(hint::nothing(plan, seen, took, has_looked)), talkers)
        }
        _ => (None, talkers),
    };
    ProbeReport {
        seen,
        matched,
        bytes,
        seconds,
        rate: Rate {
            packets: a_second(matched),
            bytes: a_second(bytes),
        },
        hint,
        talkers: talkers.most(),
    }
}
