//! The tables on standard output.

use comfy_table::{CellAlignment, Table, presets};

use crate::target::Target;

/// Prints the targets.
pub fn print_targets(targets: &[Target]) {
    let mut table = table(&["target", "measured", "pass", "aim", ""]);
    for target in targets {
        let Target {
            what,
            measured,
            pass,
            aim,
            unit,
            less,
        } = target;
        let sign = if *less { "≤" } else { "≥" };
        table.add_row([
            what.clone(),
            measured.map_or_else(|| "–".to_owned(), |value| format!("{value:.2} {unit}")),
            format!("{sign} {pass} {unit}"),
            format!("{sign} {aim} {unit}"),
            target.verdict().to_owned(),
        ]);
    }
    println!("{table}");
}

/// A table without lines, all but the first column to the right.
pub fn table(heading: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(heading);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A figure, or a dash where there is none, as nanoseconds a packet of no packets.
pub fn number(value: f64, decimals: usize) -> String {
    if value.is_finite() {
        format!("{value:.decimals$}")
    } else {
        "–".to_owned()
    }
}
