//! The tables on standard output.

use capture_bench::table::{number, table};

use crate::{
    measure::Sample,
    scenarios::BULK,
    series::{Results, Series},
    tool::Tool,
};

/// Prints a table for each case: medians, and what the tool itself said of its losses.
pub(crate) fn print_cases(results: &Results) {
    for case in results.cases() {
        let mut table = table(&[
            case,
            "link kpps",
            "of none",
            "captured/s k",
            "lost %",
            "own claim %",
            "MB/s",
            "user ns",
            "kernel ns",
            "memory MiB",
            "ring MiB",
        ]);
        for series in results.series.iter().filter(|series| series.case == case) {
            table.add_row(row(results, series));
        }
        println!("{table}");
        for left in results.left_out.iter().filter(|left| left.case == case) {
            println!("{} left out: {}", left.tool.name(), left.reason);
        }
        println!();
    }
}

fn row(results: &Results, series: &Series) -> Vec<String> {
    let Series { case, tool, .. } = series;
    let is_bulk = case == BULK;
    let median = |figure: &dyn Fn(&Sample) -> f64| series.median(figure);
    let bytes = |sample: &Sample| sample.received_bytes as f64 / sample.seconds / 1e6;
    let link: fn(&Sample) -> f64 = if is_bulk {
        |sample| sample.received_bytes as f64 / sample.seconds
    } else {
        Sample::received_per_second
    };
    let of_none = results.ratio(case, [*tool, Tool::None], link);
    let mut row = vec![
        tool.name().to_owned(),
        number(median(&Sample::received_per_second) / 1e3, 0),
        of_none.map_or_else(String::new, |ratio| number(ratio, 3)),
    ];
    if !tool.captures() {
        row.resize(6, String::new());
        row.push(number(median(&bytes), 0));
        return row;
    }
    let percent = |lost: f64, all: f64| if all > 0.0 { 100.0 * lost / all } else { 0.0 };
    let claimed = |sample: &Sample| {
        let all = sample.claim.captured.unwrap_or(0) + sample.claim.lost.unwrap_or(0);
        percent(
            sample.claim.lost.map_or(f64::NAN, |lost| lost as f64),
            all as f64,
        )
    };
    // Super-frames that the interface counts and those that the tool sees are not the same.
    let lost = |sample: &Sample| match is_bulk {
        true => claimed(sample),
        false => percent(sample.lost() as f64, sample.matching as f64),
    };
    let kept = |sample: &Sample| match sample.file_bytes {
        0 => bytes(sample),
        file => file as f64 / sample.seconds / 1e6,
    };
    let ns = |time: fn(&Sample) -> f64| {
        move |sample: &Sample| time(sample) * 1e9 / sample.captured as f64
    };
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    row.extend([
        number(median(&Sample::captured_per_second) / 1e3, 0),
        number(median(&lost), 2),
        number(median(&claimed), 2),
        number(median(&kept), 0),
        number(median(&ns(|sample| sample.user)), 0),
        number(median(&ns(|sample| sample.system)), 0),
        number(median(&|sample| mib(sample.own_memory())), 1),
        number(median(&|sample| mib(sample.memory.ring)), 1),
    ]);
    row
}
