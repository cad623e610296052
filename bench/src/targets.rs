//! What the agent is held to, as ratios to another tool or to no capture on the same machine.

use capture_bench::target::Target;

use crate::{
    case::Case,
    measure::Sample,
    scenarios::{BULK, LOSSLESS, TASKS},
    series::Results,
    tool::Tool,
};

/// All targets, by what was measured.
pub(crate) fn targets(results: &Results) -> Vec<Target> {
    use Tool::{AgentTc, AgentXdp, Dumpcap, None as Nothing, Tcpdump};
    let rate_case = Case::RATE.to_string();
    let rate_case = &*rate_case;
    let bytes_case = Case::BYTES.to_string();
    let bytes_case = &*bytes_case;
    let more = |case: &str, tools: [Tool; 2], what: &str, figure: fn(&Sample) -> f64, bounds| {
        let [tool, other] = tools.map(Tool::name);
        ratio(
            format!("{what}, {tool} / {other}"),
            results.ratio(case, tools, figure),
            bounds,
        )
    };
    let captured = Sample::captured_per_second;
    let link = Sample::received_per_second;
    let bulk: fn(&Sample) -> f64 = |sample| sample.received_bytes as f64 / sample.seconds;
    let mut targets = vec![
        more(
            rate_case,
            [AgentTc, Tcpdump],
            "packets/s captured",
            captured,
            [1.15, 1.4],
        ),
        more(
            rate_case,
            [AgentXdp, Tcpdump],
            "packets/s captured",
            captured,
            [1.15, 1.4],
        ),
        more(
            rate_case,
            [AgentTc, Dumpcap],
            "packets/s captured",
            captured,
            [1.3, 1.8],
        ),
        more(
            rate_case,
            [AgentXdp, Dumpcap],
            "packets/s captured",
            captured,
            [1.3, 1.8],
        ),
        more(
            rate_case,
            [AgentXdp, Nothing],
            "link, all captured",
            link,
            [0.80, 0.90],
        ),
        more(
            TASKS,
            [AgentTc, Nothing],
            "link, 64 tasks, no match",
            link,
            [0.93, 0.97],
        ),
        more(
            TASKS,
            [AgentXdp, Nothing],
            "link, 64 tasks, no match",
            link,
            [0.93, 0.97],
        ),
        more(
            bytes_case,
            [AgentTc, Dumpcap],
            "bytes/s to disk",
            captured,
            [1.2, 2.0],
        ),
        more(
            bytes_case,
            [AgentXdp, Dumpcap],
            "bytes/s to disk",
            captured,
            [1.2, 2.0],
        ),
        more(
            BULK,
            [AgentTc, Tcpdump],
            "TCP in bulk, all captured",
            bulk,
            [1.1, 1.5],
        ),
    ];
    for tool in [AgentTc, AgentXdp] {
        let mut cpu = more(
            rate_case,
            [tool, Tcpdump],
            "CPU time a packet",
            Sample::cpu_ns,
            [1.2, 0.6],
        );
        cpu.less = true;
        targets.push(cpu);
        targets.push(Target::at_most(
            format!("lost where tcpdump loses nothing, {}", tool.name()),
            // Once is too often: the worst round counts.
            results.find(LOSSLESS, tool).and_then(|series| {
                let lost = series.samples.iter().map(|sample| sample.lost() as f64);
                lost.max_by(f64::total_cmp)
            }),
            [0.0, 0.0],
            "packets",
        ));
        targets.push(Target::at_most(
            format!("memory without ring, {}", tool.name()),
            results.find(rate_case, tool).map(|series| {
                series.median(|sample| sample.own_memory() as f64 / f64::from(1 << 20))
            }),
            [24.0, 12.0],
            "MiB",
        ));
    }
    targets
}

fn ratio(what: String, measured: Option<f64>, [pass, aim]: [f64; 2]) -> Target {
    Target {
        what,
        measured,
        pass,
        aim,
        unit: "x",
        less: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_measured_is_nothing_reached() {
        let targets = targets(&Results::default());
        assert!(targets.iter().all(|target| target.passed().is_none()));
    }
}
