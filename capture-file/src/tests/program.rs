//! Packets for a program: the limits and the accounts of the task hold for it as they do for a file, and a
//! program that panics loses its own task alone.

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex},
};

use capture_task::{error::ErrorKind, plan::Rotate, task::StopReason};

use super::*;
use crate::{Output as TaskOutput, Sink};

/// What a sink was told, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Call {
    Interface(String),
    Packet(Vec<u8>, VlanTag),
    Losses(u64),
    Flush,
    End(u64),
    Dropped,
}

/// Notes every call, and panics or has had enough where it is told to.
#[derive(Default)]
struct Recorder {
    calls: Arc<Mutex<Vec<Call>>>,
    enough_after: Option<usize>,
    panic_at: Option<fn(&Call) -> bool>,
}

impl Recorder {
    fn new(enough_after: Option<usize>, panic_at: Option<fn(&Call) -> bool>) -> Self {
        Self {
            calls: Arc::default(),
            enough_after,
            panic_at,
        }
    }

    fn note(&self, call: Call) {
        let panics = self.panic_at.is_some_and(|at| at(&call));
        self.calls.lock().expect("no panic").push(call);
        assert!(!panics, "as it was told");
    }
}

impl Sink for Recorder {
    fn interface(&mut self, interface: &InterfaceInfo) {
        self.note(Call::Interface(interface.name.clone()));
    }

    fn packet(&mut self, packet: &Packet<'_>) -> ControlFlow<()> {
        self.note(Call::Packet(packet.data.to_vec(), packet.vlan));
        let calls = self.calls.lock().expect("no panic");
        let packets = calls.iter().filter(|call| matches!(call, Call::Packet(..)));
        match self.enough_after {
            Some(most) if packets.count() >= most => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }

    fn losses(&mut self, packets: u64) {
        self.note(Call::Losses(packets));
    }

    fn flush(&mut self) {
        self.note(Call::Flush);
    }

    fn end(&mut self, figures: &FinalFigures) {
        self.note(Call::End(figures.ended_ns));
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.note(Call::Dropped);
    }
}

fn program(plan: &Plan, sink: impl Sink + 'static) -> TaskOutput {
    TaskOutput::program(plan, Box::new(sink), &[interface(2, "eth0")]).expect("a program")
}

/// Captured, bytes, over_limit, dropped.write.
fn figures(counters: &OutputCounters) -> [u64; 4] {
    [
        counters.captured(),
        counters.bytes(),
        counters.over_limit(),
        counters.dropped_write(),
    ]
}

#[test]
fn a_program_is_told_everything_in_order() {
    let sink = Recorder::default();
    let calls = Arc::clone(&sink.calls);
    let plan = Plan {
        max_bytes: Some(100),
        ..plan(Format::Pcap)
    };
    let mut output = program(&plan, sink);
    let counters = output.counters();
    // Another link type is no matter where there is no file.
    output.add_interface(InterfaceInfo {
        link_type: 101,
        ..interface(3, "wg0")
    });
    let tagged = Packet {
        vlan: TAG,
        ..packet(0, &[1; 60])
    };
    assert_eq!(output.packet(&tagged), None);
    output.note_drops(7);
    assert_eq!(output.packet(&packet(1, &[2; 1500])), None);
    output.flush();
    assert_eq!(output.tick(u64::MAX), None);

    let closed = output.end(&closing());
    assert_eq!(closed.waits_for(), None);
    let report = closed.report();
    assert_eq!(report.files, []);
    assert!(report.error.is_none(), "{:?}", report.error);
    assert_eq!(
        *calls.lock().expect("no panic"),
        [
            Call::Interface("eth0".to_owned()),
            Call::Interface("wg0".to_owned()),
            Call::Packet(vec![1; 60], TAG),
            Call::Losses(7),
            Call::Packet(vec![2; 100], NO_TAG),
            Call::Flush,
            Call::End(closing().ended_ns),
            Call::Dropped,
        ]
    );
    assert_eq!(figures(&counters), [2, 160, 0, 0]);
    assert_accounted(&counters, 2);
    assert_eq!(counters.files().now(), []);
}

#[test]
fn max_packets_and_a_program_that_has_enough_end_the_task() {
    for (max_packets, enough_after, reason) in [
        (Some(3), None, StopReason::MaxPackets),
        (None, Some(3), StopReason::User),
        (Some(3), Some(3), StopReason::MaxPackets),
    ] {
        let sink = Recorder::new(enough_after, None);
        let calls = Arc::clone(&sink.calls);
        let plan = Plan {
            max_packets,
            ..plan(Format::Pcapng)
        };
        let mut output = program(&plan, sink);
        let counters = output.counters();
        let reasons: Vec<_> = (0..5)
            .map(|n| output.packet(&packet(n, &[1; 60])))
            .collect();
        let [none, some] = [None, Some(reason)];
        assert_eq!(reasons, [none, none, some, some, some]);
        assert_eq!(output.tick(0), some);
        assert!(output.end(&closing()).report().error.is_none());
        assert_eq!(figures(&counters), [3, 180, 2, 0]);
        assert_accounted(&counters, 5);
        let calls = calls.lock().expect("no panic");
        let given = calls.iter().filter(|call| matches!(call, Call::Packet(..)));
        assert_eq!(given.count(), 3);
    }
}

#[test]
fn a_program_that_panics_ends_its_task_and_is_not_called_again() {
    let second: fn(&Call) -> bool = |call| matches!(call, Call::Packet(data, _) if data[0] == 1);
    for (panic_at, figures_then) in [
        (second, [1, 60, 0, 2]),
        (|call| matches!(call, Call::Losses(_)), [1, 60, 0, 2]),
        (|call| matches!(call, Call::Flush), [2, 120, 0, 1]),
        (|call| matches!(call, Call::End(_)), [3, 180, 0, 0]),
        (|call| matches!(call, Call::Dropped), [3, 180, 0, 0]),
    ] {
        let sink = Recorder::new(None, Some(panic_at));
        let calls = Arc::clone(&sink.calls);
        let mut output = program(&plan(Format::Pcapng), sink);
        let counters = output.counters();
        output.packet(&packet(0, &[0; 60]));
        output.note_drops(1);
        output.packet(&packet(1, &[1; 60]));
        output.flush();
        output.packet(&packet(2, &[2; 60]));
        let fails_before_the_end = figures_then[3] > 0;
        let reason = fails_before_the_end.then_some(StopReason::Error);
        assert_eq!(output.tick(0), reason);
        let report = output.end(&closing()).report();
        let error = report.error.expect("it failed");
        assert_eq!(error.stop_reason(), StopReason::Error);
        assert!(
            error.to_string().contains("panicked: as it was told"),
            "{error}"
        );
        assert_eq!(figures(&counters), figures_then);
        assert_accounted(&counters, 3);
        // Nothing after the panic but that it is dropped.
        let calls = calls.lock().expect("no panic");
        let at = calls.iter().position(panic_at).expect("it panicked");
        assert!(matches!(calls[at + 1..], [] | [Call::Dropped]), "{calls:?}");
    }
}

#[test]
fn a_panic_at_the_start_is_an_error_of_the_start() {
    let sink = Recorder::new(None, Some(|call| matches!(call, Call::Interface(_))));
    let plan = plan(Format::Pcapng);
    let error = TaskOutput::program(&plan, Box::new(sink), &[interface(2, "eth0")]).err();
    let error = error.expect("it is refused");
    assert_eq!(error.kind(), ErrorKind::Runtime);
    assert!(error.to_string().contains("as it was told"), "{error}");
}

#[test]
fn an_output_that_is_dropped_drops_its_program_without_an_end() {
    for panic_at in [
        None,
        Some((|call| *call == Call::Dropped) as fn(&Call) -> bool),
    ] {
        let sink = Recorder::new(None, panic_at);
        let calls = Arc::clone(&sink.calls);
        drop(program(&plan(Format::Pcapng), sink));
        let last = calls.lock().expect("no panic").pop();
        assert_eq!(last, Some(Call::Dropped));
        let interface = Call::Interface("eth0".to_owned());
        assert_eq!(*calls.lock().expect("no panic"), [interface]);
    }
}

#[test]
fn limits_of_files_are_refused_for_a_program() {
    let rotate = Rotate {
        bytes: Some(1 << 20),
        seconds: None,
        files: None,
    };
    for plan in [
        Plan {
            max_file_bytes: Some(1 << 20),
            ..plan(Format::Pcapng)
        },
        Plan {
            rotate: Some(rotate),
            ..plan(Format::Pcapng)
        },
    ] {
        let refused = TaskOutput::program(&plan, Box::<Recorder>::default(), &[]);
        let error = refused.err().expect("it is refused");
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
}

#[test]
fn a_closure_is_a_sink() {
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let sink = move |packet: &Packet<'_>| match sender.try_send(packet.original_len) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    };
    let mut output = program(&plan(Format::Pcapng), sink);
    assert_eq!(output.packet(&packet(0, &[1; 60])), None);
    let reason = output.packet(&packet(1, &[1; 61]));
    assert_eq!(reason, Some(StopReason::User));
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [60]);
}
