//! What the network does to established connections: loss, reordering, doubling, and paths that end.

use crate::words::{percent, several};
use crate::{
    detect::tcp::{
        detector::Detector,
        table::{Direction, FROM_CLIENT, Service, Who},
    },
    facts::Facts,
    finding::{Confidence, Finding},
    rules::tcp as rules,
    severity::Severity,
    tcp::{SeenFrom, Stuck},
};

pub(super) fn findings(
    detector: &Detector,
    facts: &Facts,
    who: &Who,
    service: &Service,
    found: &mut Vec<Finding>,
) {
    for (index, direction) in service.directions.iter().enumerate() {
        let ended = path_ends(detector, facts, who, index, direction, found);
        if !ended {
            loss(who, index, direction, found);
        }
        reordering(who, index, direction, found);
        doubling(who, index, direction, found);
    }
}

/// Segments that were never acknowledged: by their size, after a silence, or all of them.
fn path_ends(
    detector: &Detector,
    facts: &Facts,
    who: &Who,
    index: usize,
    direction: &Direction,
    found: &mut Vec<Finding>,
) -> bool {
    let (from, to) = who.ends(index);
    if !direction.after_idle.is_empty() {
        let summary = format!(
            "After {} s of silence the data of {from} to {to} ({}) was not answered, or with a reset, in {}.",
            direction.idle_s,
            who.service(),
            several(direction.after_idle.count().div_ceil(2), "connection"),
        );
        found.push(
            Finding::new(&rules::IDLE_DROPPED, summary, direction.after_idle.clone())
                .subject(who.subject())
                .confidence(Confidence::Medium)
                .check(who.filter()),
        );
    }
    let worst = &direction.worst;
    if !is_in_vain(worst) || !facts.may_claim_absence(worst.first_ns) {
        return !direction.after_idle.is_empty();
    }
    let filter = format!("{} && tcp.len > 0", who.filter_from(index == FROM_CLIENT));
    if !direction.too_large.is_empty() {
        let (arrived, sent) = direction.sizes;
        let reports = detector.icmp.too_big.iter();
        let report = reports
            .filter(|(other, _)| (other.client, other.server) == (from, to))
            .map(|(_, report)| report)
            .next();
        let said = match report.and_then(|report| Some((report.by?, report.mtu))) {
            Some((by, mtu)) => format!("{by} reports an MTU of {mtu} bytes, which {from} ignores"),
            None => "no ICMP error says why".to_owned(),
        };
        let summary = format!(
            "Segments of {sent} bytes from {from} to {to} were sent up to {} times and never acknowledged, while those up to {arrived} bytes were; {said}.",
            worst.resends + 1,
        );
        let sure = if arrived > 0 {
            Confidence::High
        } else {
            Confidence::Medium
        };
        found.push(
            Finding::new(&rules::BLACKHOLE, summary, direction.too_large.clone())
                .subject(who.subject())
                .confidence(sure)
                .check(filter.clone()),
        );
    }
    if !direction.stuck.is_empty() {
        let summary = format!(
            "{from} sent the same segment to {to} ({}) {} times, later each time, and it was never acknowledged.",
            who.service(),
            worst.resends + 1,
        );
        found.push(
            Finding::new(&rules::DEAD_PATH, summary, direction.stuck.clone())
                .subject(who.subject())
                .check(filter),
        );
    }
    true
}

fn loss(who: &Who, index: usize, direction: &Direction, found: &mut Vec<Finding>) {
    let figures = &direction.figures;
    // SYNs are judged by how long the handshake takes.
    let resent = u64::from(figures.retransmissions.saturating_sub(figures.resent_syns));
    let total = (u64::from(figures.segments) + resent).max(1);
    let share = resent as f64 / total as f64;
    if !rules::LOSS_SHARE.is_reached(share)
        || resent < rules::LOSS_SEGMENTS.count()
        || u64::from(figures.episodes) < rules::LOSS_EPISODES.count()
    {
        return;
    }
    let (from, to) = who.ends(index);
    let needed = resent.saturating_sub(figures.spurious.into());
    let mut kinds = Vec::new();
    for (count, kind) in [
        (figures.fast, "by fast retransmit"),
        (
            figures.timeouts.saturating_sub(figures.resent_syns),
            "by timeout",
        ),
        (figures.probes, "as tail-loss probe"),
        (figures.spurious, "in vain, as the data had arrived"),
    ] {
        if count > 0 {
            kinds.push(format!("{count} {kind}"));
        }
    }
    let kinds = if kinds.is_empty() {
        String::new()
    } else {
        format!(" ({})", kinds.join(", "))
    };
    let lost = match needed == resent {
        true => "they were".to_owned(),
        false => format!("{needed} {}", if needed == 1 { "was" } else { "were" }),
    };
    let place = match direction.seen_from {
        _ if needed == 0 => "; nothing was lost, its acknowledgements were late or lost".to_owned(),
        Some(SeenFrom::Sender) => format!("; {lost} lost after leaving that host"),
        Some(SeenFrom::Receiver) => format!(
            "; {} never arrived before",
            several(figures.lost_before.into(), "segment")
        ),
        _ if figures.lost_before > 0 => format!(
            "; {} of them were lost before the capture and the others behind it",
            figures.lost_before
        ),
        _ => format!("; {lost} lost behind the capture"),
    };
    let summary = format!(
        "{from} sent {} again to {to} ({}), {} of all{kinds}{place}.",
        several(resent, "segment"),
        who.service(),
        percent(share),
    );
    // What was not lost slows nothing down: a busy host acknowledges late, and a sender on a short path then sends again.
    let is_lossy = needed >= rules::LOSS_SEGMENTS.count()
        && rules::LOSS_SHARE.is_reached(needed as f64 / total as f64);
    // Half of them unnecessary: little was lost, it was late.
    let severity = match rules::LOSS_HIGH.is_reached(share) {
        _ if !is_lossy => Severity::Info,
        true if needed * 2 > resent => Severity::High,
        _ => Severity::Warn,
    };
    found.push(
        Finding::new(&rules::LOSS, summary, direction.resent.clone())
            .severity(severity)
            .subject(who.subject())
            .count(resent)
            .check(format!(
                "{} && (tcp.len > 0 || tcp.flags.syn == 1 || tcp.flags.fin == 1)",
                who.filter_from(index == FROM_CLIENT)
            )),
    );
}

fn reordering(who: &Who, index: usize, direction: &Direction, found: &mut Vec<Finding>) {
    let count = u64::from(direction.figures.reordered);
    let share = count as f64 / direction.packets.max(1) as f64;
    if count < rules::REORDERED.count() || !rules::REORDERED_SHARE.is_reached(share) {
        return;
    }
    let (from, to) = who.ends(index);
    let summary = format!(
        "{} from {from} to {to} ({}) arrived after packets sent later, {} of all.",
        several(count, "packet"),
        who.service(),
        percent(share),
    );
    found.push(
        Finding::new(&rules::REORDERING, summary, direction.reordered.clone())
            .subject(who.subject())
            .check(who.filter_from(index == FROM_CLIENT)),
    );
}

fn doubling(who: &Who, index: usize, direction: &Direction, found: &mut Vec<Finding>) {
    let count = u64::from(direction.figures.network_duplicates);
    let share = count as f64 / direction.packets.max(1) as f64;
    if count < rules::DOUBLED.count() || !rules::DOUBLED_SHARE.is_reached(share) {
        return;
    }
    let (from, to) = who.ends(index);
    let summary = format!(
        "The network delivered {} from {from} to {to} ({}) twice, {} of all.",
        several(count, "packet"),
        who.service(),
        percent(share),
    );
    found.push(
        Finding::new(&rules::DUPLICATION, summary, direction.doubled.clone())
            .subject(who.subject())
            .check(who.filter_from(index == FROM_CLIENT)),
    );
}

/// Whether a segment was sent in vain often enough, and later and later.
fn is_in_vain(stuck: &Stuck) -> bool {
    u64::from(stuck.resends) >= rules::RESENDS_IN_VAIN.count()
        && stuck.backed_off + 1 >= stuck.resends / 2
}
