//! Resends as the kernel of the sender counts them, and what the relay knows of the rest. Exact at the sender, within half a
//! percent at the receiver; with the direction of each packet and without.

use capture_tests::{
    netns::{PEER4, PEER6},
    relay::Faults,
};

use super::run::{assert_true, assert_within, codes, delayed, ms, run, send, talk, transfer};

#[test]
fn a_clean_network() {
    let outcome = transfer("clean", [delayed(); 2], 5_000_000, PEER4);
    assert_true(&outcome);
    assert_eq!(outcome.arrived.reordered + outcome.arrived.doubled, 0);
    assert!(codes(&outcome.sender).is_empty() && codes(&outcome.receiver).is_empty());
}

#[test]
fn loss() {
    for (name, loss) in [("loss-2", 0.02), ("loss-5", 0.05)] {
        let lossy = Faults { loss, ..delayed() };
        let outcome = transfer(name, [lossy, delayed()], 3_000_000, PEER4);
        assert!(outcome.kernel > 0);
        assert_true(&outcome);
        for report in [&outcome.sender, &outcome.receiver] {
            assert_eq!(codes(report), ["tcp.loss"]);
        }
    }
}

#[test]
fn loss_of_acknowledgements_is_no_loss() {
    let lossy = Faults {
        loss_of_acks: 0.2,
        ..delayed()
    };
    let outcome = transfer("acks", [delayed(), lossy], 3_000_000, PEER4);
    assert_true(&outcome);
}

#[test]
fn reordering() {
    let jittery = Faults {
        jitter: ms(6),
        jitter_share: 0.2,
        ..delayed()
    };
    let outcome = transfer("jitter", [jittery, delayed()], 5_000_000, PEER4);
    assert!(outcome.arrived.reordered > 50);
    assert_true(&outcome);
    assert!(codes(&outcome.receiver).contains(&"net.reordering"));
    assert!(!codes(&outcome.sender).contains(&"net.reordering"));
}

#[test]
fn duplication() {
    let doubling = Faults {
        doubled: 0.02,
        ..delayed()
    };
    let outcome = transfer("doubled", [doubling, delayed()], 5_000_000, PEER4);
    assert!(outcome.arrived.doubled > 20);
    assert_true(&outcome);
    assert_eq!(codes(&outcome.receiver), ["net.duplication"]);
}

#[test]
fn everything_at_once() {
    let all = Faults {
        loss: 0.02,
        loss_of_acks: 0.02,
        jitter: ms(5),
        jitter_share: 0.1,
        doubled: 0.01,
        ..delayed()
    };
    let outcome = transfer("all", [all, all], 5_000_000, PEER4);
    assert_true(&outcome);
}

#[test]
fn loss_over_ipv6() {
    let lossy = Faults {
        loss: 0.02,
        ..delayed()
    };
    let outcome = transfer("ipv6", [lossy, delayed()], 3_000_000, PEER6);
    assert!(outcome.kernel > 0);
    assert_true(&outcome);
}

#[test]
fn everything_at_once_over_ipv6() {
    let all = Faults {
        loss: 0.02,
        jitter: ms(5),
        jitter_share: 0.1,
        doubled: 0.01,
        ..delayed()
    };
    let outcome = transfer("all-6", [all, all], 5_000_000, PEER6);
    // IPv6 has no identification: what the network doubled and what was sent again look alike within a tick of TSval.
    assert_within(&outcome, 20);
}

#[test]
fn without_timestamps() {
    let all = Faults {
        loss: 0.02,
        jitter: ms(5),
        jitter_share: 0.1,
        doubled: 0.01,
        ..delayed()
    };
    let settings = [("net/ipv4/tcp_timestamps", "0")];
    let outcome = run("no-ts", [all, all], &settings, PEER4, |relay, address| {
        send(relay, address, 3_000_000)
    });
    assert_true(&outcome);
}

#[test]
fn without_selective_acknowledgements() {
    let lossy = Faults {
        loss: 0.02,
        ..delayed()
    };
    let settings = [("net/ipv4/tcp_sack", "0")];
    let outcome = run(
        "no-sack",
        [lossy, delayed()],
        &settings,
        PEER4,
        |relay, address| send(relay, address, 1_000_000),
    );
    assert_true(&outcome);
}

#[test]
fn why_it_was_sent_again() {
    let lossy = Faults {
        loss: 0.15,
        ..delayed()
    };
    let outcome = run("talk", [lossy, delayed()], &[], PEER4, |relay, address| {
        talk(relay, address, 60)
    });
    assert_true(&outcome);
}
