//! Counts the packets of an interface, or of one port there, until Ctrl-C: `count INTERFACE [PORT]`.

use std::{env, error::Error, ops::ControlFlow};

use capture_engine::{Engine, EngineOptions, doctor};
use capture_file::Packet;
use capture_task::{
    plan::{Plan, RequestOrigin},
    task::{Quantity, StopReason, TaskSpec},
};
use tokio::{
    select,
    signal::unix::{SignalKind, signal},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut arguments = env::args().skip(1);
    let interface = arguments.next().ok_or("usage: count INTERFACE [PORT]")?;
    let spec = TaskSpec {
        interfaces: vec![interface],
        ports: arguments.next().map(Quantity::Text).into_iter().collect(),
        ..TaskSpec::default()
    };
    let plan = Plan::resolve(&spec, RequestOrigin::Run).map_err(|faults| format!("{faults:?}"))?;
    doctor::preflight()?;

    let engine = Engine::start(EngineOptions { ring_size: 8 << 20 })?;
    // The engine counts. Nothing is done with the packets themselves.
    let task = engine.add_sink(&plan, |_: &Packet<'_>| ControlFlow::Continue(()))?;
    eprintln!("capturing until Ctrl-C");

    let changed = engine.changed();
    select! { _ = interrupt.recv() => {}, () = changed.notified() => {} }
    let reason = engine.ended(task).unwrap_or(StopReason::User);
    let ended = engine.remove(task, reason)?;
    let (counters, verdict) = (ended.counters, ended.counters.verdict());
    println!(
        "{} packets, {} bytes, {verdict}",
        counters.captured, counters.bytes
    );
    Ok(())
}
