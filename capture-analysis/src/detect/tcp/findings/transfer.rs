//! What the ends make of a connection: windows, queues, slow applications, resets.

use crate::words::{bytes, duration, percent, rate, several};
use crate::{
    detect::tcp::table::{FROM_CLIENT, Resets, Service, Who},
    finding::{Confidence, Finding},
    rules::tcp as rules,
    severity::Severity,
    tcp::SeenFrom,
};

pub(super) fn findings(who: &Who, service: &Service, found: &mut Vec<Finding>) {
    for index in [FROM_CLIENT, 1 - FROM_CLIENT] {
        let closed = closed_window(who, service, index, found);
        if !closed {
            window_limited(who, service, index, found);
        }
        inflation(who, service, index, found);
        delayed_writes(who, service, index, found);
        reset(who, &service.resets[index], index, found);
    }
    slow_application(who, service, found);
}

/// A window that the host of this direction closed for the other.
fn closed_window(who: &Who, service: &Service, index: usize, found: &mut Vec<Finding>) -> bool {
    let direction = &service.directions[index];
    let share = direction.closed_ns as f64 / service.duration_ns.max(1) as f64;
    let is_long = direction.closed_longest_ns >= rules::CLOSED_LONGEST.ns()
        || (rules::CLOSED_SHARE.is_reached(share)
            && direction.closed_ns >= rules::CLOSED_TOTAL.ns());
    if direction.closed.is_empty() || !is_long {
        return false;
    }
    let (from, to) = who.ends(index);
    let summary = format!(
        "{from} closed its receive window to {to} ({}) for {} in all, {} at longest, {} of the time: its application does not read.",
        who.service(),
        duration(direction.closed_ns),
        duration(direction.closed_longest_ns),
        percent(share.min(1.0)),
    );
    found.push(
        Finding::new(&rules::CLOSED, summary, direction.closed.clone())
            .subject(who.subject())
            .check(format!(
                "{} && tcp.window_size_value == 0 && tcp.flags.reset == 0",
                who.filter_from(index == FROM_CLIENT)
            )),
    );
    true
}

fn window_limited(who: &Who, service: &Service, index: usize, found: &mut Vec<Finding>) {
    let direction = &service.directions[index];
    // At the receiver nothing is ever in flight for long.
    if direction.seen_from == Some(SeenFrom::Receiver) || direction.rtt.is_empty() {
        return;
    }
    let share = direction.limited_ns as f64 / direction.busy_ns.max(1) as f64;
    let round_trip_s = direction.rtt.min_ns() as f64 / 1e9;
    let bound = f64::from(direction.window) / round_trip_s.max(1e-6);
    let achieved = direction.payload as f64 / (direction.busy_ns as f64 / 1e9).max(1e-6);
    if !rules::LIMITED_SHARE.is_reached(share)
        || direction.busy_ns < rules::LIMITED_BUSY.ns()
        || !rules::LIMITED_RATE.is_reached(achieved / bound.max(1.0))
        || bound >= rules::LIMITED_BOUND.value
    {
        return;
    }
    let (from, to) = who.ends(index);
    let summary = format!(
        "{from} waited for the window of {to} ({}) {} of the time: {} over a round trip of {} allow {} at most.",
        who.service(),
        percent(share),
        bytes(direction.window.into()),
        duration(direction.rtt.min_ns()),
        rate(bound),
    );
    let evidence = direction.full.clone();
    found.push(
        Finding::new(&rules::LIMITED, summary, evidence)
            .subject(who.subject())
            .count(1)
            .check(format!(
                "{} && tcp.len > 0",
                who.filter_from(index == FROM_CLIENT)
            )),
    );
}

fn inflation(who: &Who, service: &Service, index: usize, found: &mut Vec<Finding>) {
    let direction = &service.directions[index];
    let rtt = &direction.rtt;
    if (direction.payload as f64) < rules::LOADED.value {
        return;
    }
    let (min, p50, p95) = (rtt.min_ns(), rtt.quantile_ns(0.5), rtt.quantile_ns(0.95));
    let times = |ns: u64| ns as f64 / min.max(1) as f64;
    if rtt.count() < rules::RTT_SAMPLES.count()
        || !rules::RTT_FACTOR.is_reached(times(p95))
        || !rules::RTT_MEDIAN_FACTOR.is_reached(times(p50))
        || p50.saturating_sub(min) < rules::RTT_ADDED.ns()
    {
        return;
    }
    let (from, to) = who.ends(index);
    let summary = format!(
        "Round trips of {from} to {to} ({}) grew under load from {} to {} in the median and {} at the 95th percentile.",
        who.service(),
        duration(min),
        duration(p50),
        duration(p95),
    );
    found.push(
        Finding::new(&rules::INFLATION, summary, direction.late.clone())
            .subject(who.subject())
            .confidence(Confidence::Medium)
            .count(rtt.count())
            .check(format!(
                "{} && tcp.flags.ack == 1",
                who.filter_from(index != FROM_CLIENT)
            )),
    );
}

fn delayed_writes(who: &Who, service: &Service, index: usize, found: &mut Vec<Finding>) {
    let direction = &service.directions[index];
    let count = u64::from(direction.figures.delayed_writes);
    if count < rules::DELAYED_WRITES.count() {
        return;
    }
    let (from, to) = who.ends(index);
    let summary = format!(
        "{from} waited {} with a small write for the delayed acknowledgement of {to} ({}).",
        several(count, "time"),
        who.service(),
    );
    found.push(
        Finding::new(&rules::DELACK, summary, direction.delayed_writes.clone())
            .subject(who.subject())
            .confidence(Confidence::Medium)
            .check(format!(
                "{} && tcp.len > 0",
                who.filter_from(index == FROM_CLIENT)
            )),
    );
}

fn reset(who: &Who, resets: &Resets, index: usize, found: &mut Vec<Finding>) {
    // Of nearly all services there is nothing to tell, and a sentence costs more than all the rest.
    if resets.injected.is_empty() && resets.mid.count() < rules::RESETS.count() {
        return;
    }
    let (from, to) = who.ends(index);
    let check = format!(
        "{} && tcp.flags.reset == 1",
        who.filter_from(index == FROM_CLIENT)
    );
    if !resets.injected.is_empty() {
        let (ttl, usual) = resets.ttls;
        let why = match resets.went_on {
            0 => format!("its time to live is {ttl} and that host's {usual}"),
            went_on => format!("{from} went on sending after {went_on} of them"),
        };
        let summary = format!(
            "{} to {to} in the name of {from} ({}) came from somewhere else: {why}.",
            several(resets.injected.count(), "reset"),
            who.service(),
        );
        let sure = if resets.went_on > 0 {
            Confidence::High
        } else {
            Confidence::Medium
        };
        found.push(
            Finding::new(&rules::RESET_INJECTED, summary, resets.injected.clone())
                .subject(who.subject())
                .confidence(sure)
                .check(check.clone()),
        );
    }
    if resets.mid.count() >= rules::RESETS.count() {
        let open = match resets.open {
            0 => String::new(),
            open => format!(", {open} of them with data or an answer outstanding"),
        };
        let summary = format!(
            "{from} reset {} with {to} ({}) in the middle{open}.",
            several(resets.mid.count(), "connection"),
            who.service(),
        );
        let mut finding = Finding::new(&rules::RESET_MID, summary, resets.mid.clone())
            .subject(who.subject())
            .check(check);
        if resets.open == 0 {
            finding = finding.severity(Severity::Info);
        }
        found.push(finding);
    }
}

fn slow_application(who: &Who, service: &Service, found: &mut Vec<Finding>) {
    if service.slow_responses.count() < rules::SLOW_ANSWERS.count() {
        return;
    }
    let p95 = service.response.quantile_ns(0.95);
    let [up, down] = &service.directions;
    let round_trip = up.rtt.quantile_ns(0.5) + down.rtt.min_ns();
    let sent_again = [up, down].map(|direction| u64::from(direction.figures.retransmissions));
    let lost = sent_again[0] + sent_again[1];
    let share = lost as f64 / (up.packets + down.packets).max(1) as f64;
    if p95 < rules::SLOW_ANSWER.ns()
        || !rules::SLOW_ANSWER_FACTOR.is_reached(p95 as f64 / round_trip.max(1) as f64)
        || rules::LOSS_SHARE.is_reached(share)
        || up.closed_ns.saturating_add(down.closed_ns) >= rules::CLOSED_TOTAL.ns()
    {
        return;
    }
    let summary = format!(
        "{} answered {} of {} only after {} or more ({} at the 95th percentile), though the round trip is {} and nothing was lost.",
        who.service(),
        several(service.slow_responses.count(), "request"),
        who.client,
        duration(rules::SLOW_ANSWER.ns()),
        duration(p95),
        duration(round_trip),
    );
    found.push(
        Finding::new(&rules::APP_SLOW, summary, service.slow_responses.clone())
            .severity(match rules::SHELL_PORTS.contains(&who.port) {
                true => Severity::Info,
                false => rules::APP_SLOW.severity,
            })
            .subject(who.subject())
            .confidence(Confidence::Medium)
            .check(format!("{} && tcp.len > 0", who.filter_from(false))),
    );
}
