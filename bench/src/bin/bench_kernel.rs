//! The kernel benchmark as a program, for `cargo xtask bench kernel`: measures, prints a table, and
//! writes JSON. The measuring is `capture_engine::bench`.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use capture_engine::bench::{CASES, Case, DESTINATION_PORT, Effort, Family, Hook, Report, measure};
use capture_tests::traffic::{self, Ipv4, UDP};
use clap::Parser;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::json;

/// Nanoseconds a packet of the loaded programs, above an empty one.
#[derive(Parser)]
struct Arguments {
    /// Fewer and shorter repetitions
    #[arg(long)]
    quick: bool,
    /// Also write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A figure to stay below, in XDP and IPv4: nanoseconds, or times another case.
struct Target {
    case: Case,
    /// The case that counts as 1, instead of a nanosecond.
    against: Option<Case>,
    pass: f64,
    aim: f64,
}

const TARGETS: [Target; 6] = [
    Target::ns(Case::NoInterface, 8.0, 4.0),
    Target::ns(Case::Exact(64), 60.0, 35.0),
    Target::times(Case::Exact(64), Case::Exact(1), 1.15, 1.05),
    Target::ns(Case::Match(1, 128), 150.0, 100.0),
    Target::ns(Case::Match(1, 1500), 420.0, 300.0),
    Target::times(Case::Match(64, 128), Case::Match(1, 128), 1.5, 1.2),
];

/// Most milliseconds for loading all programs.
const LOAD_MS: f64 = 1000.0;

impl Target {
    const fn ns(case: Case, pass: f64, aim: f64) -> Self {
        Self {
            case,
            against: None,
            pass,
            aim,
        }
    }

    const fn times(case: Case, other: Case, pass: f64, aim: f64) -> Self {
        Self {
            case,
            against: Some(other),
            pass,
            aim,
        }
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let effort = if arguments.quick {
        Effort {
            repetitions: 5,
            runs: 24_000,
        }
    } else {
        Effort {
            repetitions: 9,
            runs: 200_000,
        }
    };
    let report = measure(effort, frame, |repetition| {
        eprintln!("repetition {} of {}", repetition + 1, effort.repetitions);
    })?;
    let verdicts = verdicts(&report);
    print(&report, &verdicts);
    if let Some(path) = arguments.json {
        let document = json!({
            "date": jiff::Timestamp::now().to_string(),
            "cpu": cpu_model(),
            "kernel": kernel_release(),
            "repetitions": effort.repetitions,
            "runs": effort.runs,
            "report": report,
            "targets": verdicts.iter().map(Verdict::json).collect::<Vec<_>>(),
        });
        let text = serde_json::to_string_pretty(&document)?;
        fs::write(&path, text + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// What became of a target.
/// The frame of a case: 1,500 bytes, of which what the tasks do not keep is not touched.
fn frame(case: Case, family: Family) -> Vec<u8> {
    let (ip_header, source, destination) = match family {
        Family::V4 => (20, "10.8.0.1", "10.9.0.2"),
        Family::V6 => (40, "2001:db8:1::1", "2001:db8::2"),
    };
    let payload = vec![0x55; 1500 - 14 - ip_header - 8 - 8];
    let mut body = traffic::udp(40_000, DESTINATION_PORT, &payload);
    let is_fragment = case == Case::Fragment;
    match family {
        Family::V4 => {
            let mut ip = Ipv4::new(source, destination, UDP);
            if is_fragment {
                ip = ip.fragment(7, 185, true);
            }
            body.extend([0x55; 8]);
            ip.frame(&body)
        }
        Family::V6 if is_fragment => {
            let body = traffic::fragment(UDP, 7, 185, true, &body);
            traffic::ipv6_frame(source, destination, traffic::FRAGMENT, &body)
        }
        Family::V6 => {
            body.extend([0x55; 8]);
            traffic::ipv6_frame(source, destination, UDP, &body)
        }
    }
}

struct Verdict {
    what: String,
    unit: &'static str,
    value: f64,
    pass: f64,
    aim: f64,
}

impl Verdict {
    fn json(&self) -> serde_json::Value {
        json!({
            "what": self.what,
            "unit": self.unit,
            "value": self.value,
            "pass": self.pass,
            "aim": self.aim,
            "passed": self.value <= self.pass,
        })
    }
}

fn verdicts(report: &Report) -> Vec<Verdict> {
    let ns = |case| ns(report, case, Hook::Xdp, Family::V4);
    let targets = TARGETS.iter().map(|target| Verdict {
        what: match target.against {
            Some(other) => format!("{} / {}", target.case.name(), other.name()),
            None => target.case.name(),
        },
        unit: if target.against.is_some() { "x" } else { "ns" },
        value: ns(target.case) / target.against.map_or(1.0, ns),
        pass: target.pass,
        aim: target.aim,
    });
    let load = Verdict {
        what: "tables and all programs loaded".to_owned(),
        unit: "ms",
        value: report.load_ms,
        pass: LOAD_MS,
        aim: LOAD_MS,
    };
    targets.chain([load]).collect()
}

fn ns(report: &Report, case: Case, hook: Hook, family: Family) -> f64 {
    let name = case.name();
    report
        .figures
        .iter()
        .find(|figure| figure.case == name && figure.hook == hook && figure.family == family)
        .map_or(f64::NAN, |figure| figure.ns)
}

fn print(report: &Report, verdicts: &[Verdict]) {
    println!("{}, Linux {}", cpu_model(), kernel_release());
    let [tc, xdp] = report.empty_ns;
    println!("ns a packet above an empty program (tc {tc:.1} ns, XDP {xdp:.1} ns)\n");
    let mut table = table(["case", "tc IPv4", "tc IPv6", "XDP IPv4", "XDP IPv6"]);
    for case in CASES {
        let cell = |hook, family| format!("{:.1}", ns(report, case, hook, family));
        table.add_row([
            case.name(),
            cell(Hook::Tc, Family::V4),
            cell(Hook::Tc, Family::V6),
            cell(Hook::Xdp, Family::V4),
            cell(Hook::Xdp, Family::V6),
        ]);
    }
    println!("{table}\n");
    let mut table = self::table(["XDP, IPv4", "measured", "pass", "aim", "of pass"]);
    for verdict in verdicts {
        let Verdict {
            what,
            unit,
            value,
            pass,
            aim,
        } = verdict;
        table.add_row([
            what.clone(),
            format!("{value:.2} {unit}"),
            format!("{pass} {unit}"),
            format!("{aim} {unit}"),
            format!("{:.2}", value / pass),
        ]);
    }
    println!("{table}");
}

fn table(heading: [&str; 5]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(heading);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or_else(|| "unknown CPU".to_owned(), |(_, model)| model.to_owned())
}

fn kernel_release() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    text.trim().to_owned()
}
