//! What `interfaces` prints: a table for people, or JSON.

use capture_engine::{interfaces, interfaces::InterfaceEntry};
use serde::Serialize;

use super::{args::OutputForm, print};
use crate::{
    error::{Error, Result},
    exit::Exit,
    table::{Column, Screen, Table},
};

/// Columns of `interfaces`.
const INTERFACE_COLUMNS: [Column; 6] = [
    Column::new("NAME"),
    Column::new("INDEX").right().rank(3),
    Column::new("STATE"),
    Column::new("LINK").cut(8).rank(1),
    Column::new("MTU").right().rank(2),
    Column::new("ADDRESSES").words(13),
];

/// Executes `interfaces`.
pub(super) fn interfaces(form: OutputForm, no_trunc: bool) -> Result<Exit> {
    let entries = interfaces::list_in_detail()?;
    match form {
        OutputForm::Json => print(&json_line(&entries)?)?,
        OutputForm::Table => {
            print(interface_table(&entries, &Screen::of_stdout(no_trunc)).as_bytes())?
        }
    }
    Ok(Exit::Ok)
}

/// One JSON value on one line.
pub(super) fn json_line(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)
        .map_err(|error| Error::runtime(format!("writing JSON: {error}")))?;
    line.push(b'\n');
    Ok(line)
}

fn interface_table(entries: &[InterfaceEntry], screen: &Screen) -> String {
    let mut table = Table::new(INTERFACE_COLUMNS);
    for entry in entries {
        let addresses: Vec<_> = entry.addresses.iter().map(ToString::to_string).collect();
        table.row([
            entry.name.escape_debug().to_string(),
            entry.ifindex.to_string(),
            entry.state.as_str().to_owned(),
            entry.link_description(),
            entry.mtu.to_string(),
            addresses.join(" "),
        ]);
    }
    table.text(screen)
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
            details: Default::default(),
        };
        assert_eq!(
            interface_table(&[entry], &Screen::test(None)),
            "NAME  INDEX  STATE  LINK       MTU  ADDRESSES\n\
             eth0      2  up     Ethernet  1500  10.0.0.5/24\n"
        );
    }
}
