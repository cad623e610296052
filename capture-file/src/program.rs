//! Packets for a program instead of files: the trait that it implements, and the limits and counters of the task
//! around it. There is no queue and no thread behind it.

use std::{
    any::Any,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use capture_task::{plan::Plan, task::StopReason};

use super::{
    counters::{OutputCounters, count},
    error::{Error, Result},
    figures::FinalFigures,
    packet::{InterfaceInfo, Packet},
};

/// What takes the packets of a task in place of a file.
///
/// A closure that takes a packet is a sink:
///
/// ```
/// use std::ops::ControlFlow;
///
/// use capture_file::{Packet, Sink};
///
/// fn lengths(to: std::sync::mpsc::SyncSender<u32>) -> impl Sink {
///     move |packet: &Packet<'_>| match to.try_send(packet.original_len) {
///         Ok(()) => ControlFlow::Continue(()),
///         Err(_) => ControlFlow::Break(()),
///     }
/// }
/// ```
///
/// # Threads
///
/// The reader thread calls [`packet`](Sink::packet), [`losses`](Sink::losses) and [`flush`](Sink::flush). It is
/// the one thread that drains the rings of all tasks, so these must not wait: no blocking send, no lock
/// that is held for long, no I/O. While one of them does, no ring is drained. They fill up, and packets of
/// every task are lost, which is counted (`dropped.ring`). A sink that has more to do with a packet
/// copies what it needs into a bounded channel for a thread of its own.
///
/// [`interface`](Sink::interface) is called by the thread that adds the task for the interfaces of the start, and by the
/// reader for later ones. [`end`](Sink::end) is called by the thread that ends the task, and may wait. No two
/// calls are made at once.
///
/// # Panics
///
/// A panic in a sink ends its task with [`StopReason::Error`] and costs other tasks nothing. The sink is not
/// called again. Packets after it count as `dropped.write`, as after any failed output.
///
/// # Limits
///
/// Frames are cut to the plan's `max_bytes`, and its `max_packets` and `duration` end the task. `format` has no
/// meaning.
pub trait Sink: Send {
    /// An interface, before its first packet. One that was deleted and made again, or renamed, may come again
    /// with the same index.
    fn interface(&mut self, interface: &InterfaceInfo) {
        let _ = interface;
    }

    /// A packet, with its bytes borrowed from the ring until the call returns. They are at most `max_bytes`; an
    /// 802.1Q tag that the kernel keeps in metadata is in [`Packet::vlan`] and not among them.
    ///
    /// [`ControlFlow::Break`] ends the task as [`StopReason::User`]. The packet itself counts as captured. Those
    /// that are still in the rings are not given to the sink, and count as `over_limit`.
    fn packet(&mut self, packet: &Packet<'_>) -> ControlFlow<()>;

    /// So many packets of the task were lost before the next one, or before the end.
    fn losses(&mut self, packets: u64) {
        let _ = packets;
    }

    /// The rings are empty for now, or some milliseconds have gone by: the time to pass on packets that were
    /// gathered.
    fn flush(&mut self) {}

    /// The task has ended in order, and every packet has been given. A task that could not be started has no end;
    /// its sink is only dropped.
    fn end(&mut self, figures: &FinalFigures) {
        let _ = figures;
    }
}

impl<F> Sink for F
where
    F: FnMut(&Packet<'_>) -> ControlFlow<()> + Send,
{
    fn packet(&mut self, packet: &Packet<'_>) -> ControlFlow<()> {
        self(packet)
    }
}

/// The output of one task whose packets go to a program.
pub struct ProgramOutput {
    /// `None` once it has panicked or ended.
    sink: Option<Box<dyn Sink>>,
    counters: Arc<OutputCounters>,
    snap_len: usize,
    /// Packets that may still come.
    left: Option<u64>,
    limit: Option<StopReason>,
    fault: Option<Error>,
}

impl ProgramOutput {
    /// Tells a sink of the interfaces and makes it the output of a task.
    ///
    /// # Errors
    /// Usage: limits of files. Run time: the sink panicked.
    pub fn new(plan: &Plan, sink: Box<dyn Sink>, interfaces: &[InterfaceInfo]) -> Result<Self> {
        if plan.rotate.is_some() || plan.max_file_bytes.is_some() {
            return Err(Error::NoFiles);
        }
        let mut output = Self {
            sink: Some(sink),
            counters: Arc::default(),
            snap_len: plan.max_bytes.map_or(usize::MAX, usize::from),
            left: plan.max_packets,
            limit: None,
            fault: None,
        };
        for interface in interfaces {
            output.add_interface(interface);
        }
        match output.fault.take() {
            None => Ok(output),
            Some(fault) => Err(fault),
        }
    }

    /// Adds an interface that appeared after the start, before its first packet.
    pub(super) fn add_interface(&mut self, interface: &InterfaceInfo) {
        self.call(|sink| sink.interface(interface));
    }

    /// Takes a packet, as [`FileOutput::packet`](super::FileOutput::packet).
    pub(super) fn packet(&mut self, packet: &Packet<'_>) -> Option<StopReason> {
        if self.limit.is_some() {
            count(&self.counters.over_limit, 1);
            return self.stop_reason();
        }
        let data = &packet.data[..packet.data.len().min(self.snap_len)];
        let packet = Packet { data, ..*packet };
        let Some(answer) = self.call(|sink| sink.packet(&packet)) else {
            count(&self.counters.dropped_write, 1);
            return self.stop_reason();
        };
        count(&self.counters.captured, 1);
        count(&self.counters.bytes, data.len() as u64);
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.limit = Some(StopReason::MaxPackets);
            }
        }
        if answer.is_break() {
            self.limit.get_or_insert(StopReason::User);
        }
        self.stop_reason()
    }

    /// Losses before the next packet.
    pub(super) fn note_drops(&mut self, packets: u64) {
        self.call(|sink| sink.losses(packets));
    }

    /// Lets the sink pass on what it has gathered.
    pub(super) fn flush(&mut self) {
        self.call(|sink| sink.flush());
    }

    /// Why the task should end, once there is a reason.
    pub(super) fn stop_reason(&self) -> Option<StopReason> {
        let failure = self.fault.as_ref().map(Error::stop_reason);
        failure.or(self.limit)
    }

    /// The figures, for any thread.
    pub(super) fn counters(&self) -> Arc<OutputCounters> {
        Arc::clone(&self.counters)
    }

    /// Tells the sink of the end, and gives what went wrong.
    pub(super) fn end(mut self, figures: &FinalFigures) -> Option<Error> {
        self.call(|sink| sink.end(figures));
        self.drop_sink();
        self.fault.take()
    }

    /// Calls the sink unless it has panicked before.
    fn call<T>(&mut self, call: impl FnOnce(&mut dyn Sink) -> T) -> Option<T> {
        let sink = self.sink.as_deref_mut()?;
        // A sink that panicked is only dropped: nobody sees what state it is in.
        match catch_unwind(AssertUnwindSafe(|| call(sink))) {
            Ok(answer) => Some(answer),
            Err(panic) => {
                self.fail(&*panic);
                self.drop_sink();
                None
            }
        }
    }

    /// The destructor is the program's code as well.
    fn drop_sink(&mut self) {
        let sink = self.sink.take();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(sink))) {
            self.fail(&*panic);
        }
    }

    /// Keeps the first failure.
    fn fail(&mut self, panic: &(dyn Any + Send)) {
        let message = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
            (Some(message), _) => message,
            (_, Some(message)) => message.as_str(),
            _ => "without a message",
        };
        let message = message.to_owned();
        self.fault.get_or_insert(Error::SinkPanicked { message });
    }
}

impl Drop for ProgramOutput {
    fn drop(&mut self) {
        self.drop_sink();
    }
}
