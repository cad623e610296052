//! The chart for the README: packets captured a second and CPU time a packet, a bar each tool. Colours
//! and text are legible on light and on dark ground, which the picture leaves as it is.

use std::fmt::Write as _;

use capture_bench::machine::Machine;

use crate::{case::Case, measure::Sample, series::Results, tool::Tool};

const WIDTH: f64 = 760.0;
/// Where bars begin, and the room behind the longest.
const LEFT: f64 = 120.0;
const RIGHT: f64 = 130.0;
const BAR: f64 = 22.0;
const STEP: f64 = 30.0;
const TEXT: &str = "#7d8590";
const AGENT: &str = "#2f81f7";
const PEER: &str = "#8b949e";

/// A group of bars.
struct Panel {
    title: String,
    bars: Vec<(Tool, f64)>,
    label: fn(f64) -> String,
}

/// The chart as SVG.
pub(crate) fn svg(results: &Results, machine: &Machine) -> String {
    let panels = panels(results);
    let mut body = String::new();
    let mut y = 24.0;
    for panel in &panels {
        y = draw(&mut body, panel, y);
    }
    let Machine {
        cpu, cpus, kernel, ..
    } = machine;
    let note =
        format!("{cpu}, {cpus} CPUs, Linux {kernel}; veth, one CPU for the capture; medians");
    text(&mut body, [LEFT, y], "start", 12, TEXT, &note);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\" \
         role=\"img\">\n<title>capture-agent against other capture tools</title>\n{body}</svg>\n",
        height = y + 16.0
    )
}

fn panels(results: &Results) -> Vec<Panel> {
    let bars = |case: &str, figure: &dyn Fn(&Sample) -> f64| {
        let tools = Tool::ALL.into_iter().filter(|tool| tool.captures());
        tools
            .filter_map(|tool| Some((tool, results.find(case, tool)?.median(figure))))
            .filter(|(_, value)| value.is_finite())
            .collect::<Vec<_>>()
    };
    let [rate, bytes] = [Case::RATE, Case::BYTES].map(|case| case.to_string());
    [
        Panel {
            title: "Packets captured a second: 64-byte frames at the highest rate".to_owned(),
            bars: bars(&rate, &Sample::captured_per_second),
            label: |value| format!("{:.2} M/s", value / 1e6),
        },
        Panel {
            title: "CPU time of the process a packet (less is better)".to_owned(),
            bars: bars(&rate, &Sample::cpu_ns),
            label: |value| format!("{value:.0} ns"),
        },
        Panel {
            title: "Whole 1,514-byte frames to disk".to_owned(),
            bars: bars(&bytes, &|sample| sample.file_bytes as f64 / sample.seconds),
            label: |value| format!("{:.2} GB/s", value / 1e9),
        },
    ]
    .into_iter()
    .filter(|panel| !panel.bars.is_empty())
    .collect()
}

/// Draws a panel from `y` on, and gives where the next begins.
fn draw(body: &mut String, panel: &Panel, mut y: f64) -> f64 {
    text(body, [LEFT, y], "start", 15, TEXT, &panel.title);
    y += 12.0;
    let longest = panel.bars.iter().map(|(_, value)| *value);
    let longest = longest.fold(f64::MIN_POSITIVE, f64::max);
    for (tool, value) in &panel.bars {
        let width = (value / longest * (WIDTH - LEFT - RIGHT)).max(1.0);
        let colour = if tool.is_agent() { AGENT } else { PEER };
        let baseline = y + BAR * 0.7;
        text(body, [LEFT - 10.0, baseline], "end", 14, TEXT, tool.name());
        // Writing to a String does not fail.
        let _ = writeln!(
            body,
            "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"3\" \
             fill=\"{colour}\"/>"
        );
        let label = (panel.label)(*value);
        text(
            body,
            [LEFT + width + 8.0, baseline],
            "start",
            14,
            TEXT,
            &label,
        );
        y += STEP;
    }
    y + 28.0
}

fn text(body: &mut String, [x, y]: [f64; 2], anchor: &str, size: u32, colour: &str, what: &str) {
    let what = what.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        body,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\" \
         fill=\"{colour}\">{what}</text>"
    );
}
