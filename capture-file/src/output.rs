//! The output of a task, to files or to a program. The engine's reader holds one for each task. An enum, so that no
//! packet on its way to a file takes a virtual call.

use std::sync::Arc;

use capture_task::{plan::Plan, task::StopReason};

use super::{
    closing::ClosingOutput,
    config::OutputConfig,
    counters::OutputCounters,
    error::Result,
    figures::FinalFigures,
    file_output::FileOutput,
    packet::{InterfaceInfo, Packet},
    program::{ProgramOutput, Sink},
};

/// The output of one task.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each task, and the larger variant is the usual one"
)]
pub enum Output {
    /// To files.
    Files(FileOutput),
    /// To a program.
    Program(ProgramOutput),
}

impl Output {
    /// Opens the first file, as [`FileOutput::open`].
    ///
    /// # Errors
    /// As [`FileOutput::open`].
    pub fn files(plan: &Plan, config: &OutputConfig, interfaces: &[InterfaceInfo]) -> Result<Self> {
        FileOutput::open(plan, config, interfaces).map(Self::Files)
    }

    /// Gives the packets to a program, as [`ProgramOutput::new`].
    ///
    /// # Errors
    /// As [`ProgramOutput::new`].
    pub fn program(plan: &Plan, sink: Box<dyn Sink>, interfaces: &[InterfaceInfo]) -> Result<Self> {
        ProgramOutput::new(plan, sink, interfaces).map(Self::Program)
    }

    /// Adds an interface that appeared after the start, before its first packet.
    pub fn add_interface(&mut self, info: InterfaceInfo) {
        match self {
            Self::Files(files) => files.add_interface(info),
            Self::Program(program) => program.add_interface(&info),
        }
    }

    /// Takes a packet. `Some` says that the task should end: with the packet that reaches `max_packets`, with the
    /// first that would exceed another limit, and once the output has failed or wants no more. Later packets
    /// count as `over_limit` after a limit and as `dropped.write` after a failure.
    pub fn packet(&mut self, packet: &Packet<'_>) -> Option<StopReason> {
        match self {
            Self::Files(files) => files.packet(packet),
            Self::Program(program) => program.packet(packet),
        }
    }

    /// Losses before the next packet.
    pub fn note_drops(&mut self, packets: u64) {
        match self {
            Self::Files(files) => files.note_drops(packets),
            Self::Program(program) => program.note_drops(packets),
        }
    }

    /// Passes on what there is: to the writer, if the writer keeps up, or within the program.
    pub fn flush(&mut self) {
        match self {
            Self::Files(files) => files.flush(),
            Self::Program(program) => program.flush(),
        }
    }

    /// Does what is due without a packet, and says what [`Output::packet`] would: a reason to end, once there
    /// is one.
    pub fn tick(&mut self, now_unix_ns: u64) -> Option<StopReason> {
        match self {
            Self::Files(files) => files.tick(now_unix_ns),
            Self::Program(program) => program.stop_reason(),
        }
    }

    /// The figures, for any thread.
    pub fn counters(&self) -> Arc<OutputCounters> {
        match self {
            Self::Files(files) => files.counters(),
            Self::Program(program) => program.counters(),
        }
    }

    /// Ends the output. What is left to do of files is their writer's; a program is done when this returns.
    pub fn end(self, figures: &FinalFigures) -> ClosingOutput {
        match self {
            Self::Files(files) => files.end(figures),
            Self::Program(program) => ClosingOutput::ended(program.end(figures)),
        }
    }
}
