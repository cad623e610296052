//! Prints a line for each packet of an interface, or of one port there, until Ctrl-C: `print INTERFACE [PORT]`.

use std::{
    env,
    error::Error,
    io::Write as _,
    ops::ControlFlow,
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
};

use capture_engine::{Engine, EngineOptions, doctor};
use capture_file::{Packet, Sink};
use capture_task::{
    plan::{Plan, RequestOrigin},
    task::{Quantity, StopReason, TaskSpec},
};
use tokio::{
    select,
    signal::unix::{SignalKind, signal},
};

/// A line for each packet, on its way to the thread that prints. A sink is called by the thread that drains the
/// rings and must not wait for a terminal: where the channel is full, the line is left out.
struct Lines(SyncSender<String>);

impl Sink for Lines {
    fn packet(&mut self, packet: &Packet<'_>) -> ControlFlow<()> {
        let seconds = packet.timestamp_ns as f64 / 1e9;
        let (direction, length) = (packet.direction, packet.original_len);
        let line = format!("{seconds:.6} {direction:?} {length} bytes");
        match self.0.try_send(line) {
            Err(TrySendError::Disconnected(_)) => ControlFlow::Break(()),
            Ok(()) | Err(TrySendError::Full(_)) => ControlFlow::Continue(()),
        }
    }

    fn losses(&mut self, packets: u64) {
        let _ = self.0.try_send(format!("{packets} packets lost"));
    }
}

/// Prints until the last line, or until nobody reads them.
fn print(lines: &Receiver<String>) {
    let mut output = std::io::stdout().lock();
    while let Ok(line) = lines.recv() {
        if writeln!(output, "{line}").is_err() {
            return;
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut arguments = env::args().skip(1);
    let interface = arguments.next().ok_or("usage: print INTERFACE [PORT]")?;
    let spec = TaskSpec {
        interfaces: vec![interface],
        ports: arguments.next().map(Quantity::Text).into_iter().collect(),
        max_bytes: Some(Quantity::Number(64)),
        ..TaskSpec::default()
    };
    let plan = Plan::resolve(&spec, RequestOrigin::Run).map_err(|faults| format!("{faults:?}"))?;
    doctor::preflight()?;

    let engine = Engine::start(EngineOptions { ring_size: 8 << 20 })?;
    let (sender, lines) = sync_channel(1024);
    let printer = thread::spawn(move || print(&lines));
    let task = engine.add_sink(&plan, Lines(sender))?;
    eprintln!("capturing until Ctrl-C");

    let changed = engine.changed();
    select! { _ = interrupt.recv() => {}, () = changed.notified() => {} }
    let reason = engine.ended(task).unwrap_or(StopReason::User);
    let ended = engine.remove(task, reason)?;
    // The sink is gone, and with it the sender; the printer ends with the last line.
    printer.join().map_err(|_| "the printer panicked")?;
    eprintln!("{}", ended.counters.verdict());
    Ok(())
}
