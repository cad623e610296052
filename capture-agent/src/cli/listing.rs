//! What `interfaces` and `doctor` print: a table for people, or JSON.

use std::io::IsTerminal;

use capture_engine::{
    doctor,
    doctor::{Check, Report, Status},
    interfaces,
    interfaces::InterfaceEntry,
};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::{args::OutputForm, print};
use crate::cli::{
    error::{Error, Result},
    exit::Exit,
};

/// Executes `interfaces`.
pub(super) fn interfaces(form: OutputForm) -> Result<Exit> {
    let entries = interfaces::list()?;
    match form {
        OutputForm::Json => print(&json_line(&entries)?)?,
        OutputForm::Table => print(interface_table(&entries).as_bytes())?,
    }
    Ok(Exit::Ok)
}

/// Shows every check, and tells by the exit code whether capturing is possible.
pub(super) fn doctor(form: OutputForm) -> Result<Exit> {
    let report = doctor::examine();
    match form {
        OutputForm::Json => print(&json_line(&report)?)?,
        OutputForm::Table => print(doctor_text(&report, use_color()).as_bytes())?,
    }
    Ok(if report.can_capture {
        Exit::Ok
    } else {
        Exit::Missing
    })
}

/// One JSON value on one line.
pub(super) fn json_line(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)
        .map_err(|error| Error::runtime(format!("writing JSON: {error}")))?;
    line.push(b'\n');
    Ok(line)
}

/// Columns without lines between them, as wide as the terminal where there is one.
pub(super) fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    if std::io::stdout().is_terminal()
        && let Some((terminal_size::Width(width), _)) = terminal_size::terminal_size()
    {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
    }
    table
}

fn interface_table(entries: &[InterfaceEntry]) -> String {
    let mut table = plain_table();
    table.set_header(["NAME", "INDEX", "STATE", "LINK", "MTU", "ADDRESSES"]);
    for entry in entries {
        let addresses: Vec<_> = entry.addresses.iter().map(ToString::to_string).collect();
        table.add_row([
            entry.name.escape_debug().to_string(),
            entry.ifindex.to_string(),
            entry.state.as_str().to_owned(),
            entry.link_description(),
            entry.mtu.to_string(),
            addresses.join(" "),
        ]);
    }
    finished(table)
}

/// The text of a table.
pub(super) fn finished(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    format!("{}\n", table.trim_fmt())
}

fn doctor_text(report: &Report, color: bool) -> String {
    let mut text = String::new();
    for Check {
        name,
        status,
        found,
        meaning,
        remedy,
    } in &report.checks
    {
        let (word, code) = match status {
            Status::Ok => ("ok  ", "32"),
            Status::Warn => ("warn", "33"),
            Status::Fail => ("FAIL", "31"),
        };
        let word = if color {
            format!("\x1b[{code}m{word}\x1b[0m")
        } else {
            word.to_owned()
        };
        text.push_str(&format!("{word}  {name}: {found}; {meaning}\n"));
        if let Some(remedy) = remedy {
            text.push_str(&format!("      → {remedy}\n"));
        }
    }
    text.push_str(if report.can_capture {
        "\nThis machine can capture.\n"
    } else {
        "\nThis machine cannot capture: see FAIL above.\n"
    });
    text
}

/// Whether colours are wanted and would be seen.
pub(super) fn use_color() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

#[cfg(test)]
mod tests {
    use capture_engine::interfaces::LinkState;

    use super::*;

    #[test]
    fn nothing_is_an_empty_list() {
        let none: &[InterfaceEntry] = &[];
        assert_eq!(json_line(&none).expect("serializes"), b"[]\n");
    }

    #[test]
    fn interfaces_in_columns() {
        let entry = InterfaceEntry {
            name: "eth0".into(),
            ifindex: 2,
            state: LinkState::Up,
            arphrd: 1,
            mtu: 1500,
            addresses: vec!["10.0.0.5/24".parse().expect("a prefix")],
        };
        assert_eq!(
            interface_table(&[entry]),
            "NAME  INDEX  STATE  LINK      MTU   ADDRESSES\n\
             eth0  2      up     Ethernet  1500  10.0.0.5/24\n"
        );
    }

    #[test]
    fn doctor_without_color_has_no_escapes() {
        let report = doctor::examine();
        assert!(!doctor_text(&report, false).contains('\x1b'));
        assert!(doctor_text(&report, true).contains('\x1b'));
    }
}
