//! The reference of fields, as a page of the documents, made of the table. A test holds the page to it.

use std::{fmt::Write as _, fs, path::Path};

use super::{Kind, all};

/// The page, with its path below the workspace.
const PAGE: &str = "docs/reference/fields.md";

fn page() -> String {
    let mut text = "# Fields\n\nWhat a packet is taken apart into, by the names and types of Wireshark. \
                    [Display filters](display-filters.md) choose packets by them; `capture-agent print -v` shows \
                    those of a packet.\n"
        .to_owned();
    for known in all() {
        if known.kind == Kind::Layer && !known.name.contains('.') {
            let _ = write!(
                text,
                "\n## `{}`\n\n{}.\n\n| field | type | meaning |\n| --- | --- | --- |\n",
                known.name, known.about
            );
        }
        let _ = writeln!(
            text,
            "| `{}` | {} | {} |",
            known.name, known.kind, known.about
        );
    }
    text
}

#[test]
fn the_page_of_fields_is_that_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PAGE);
    let page = page();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &page).expect("the page is written");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page,
        "{PAGE} is not up to date; UPDATE_SNAPSHOTS=1 writes it"
    );
}

#[test]
fn names_are_there_once_and_stand_for_fields() {
    let mut names: Vec<_> = all().map(|known| known.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    for known in all() {
        for name in known.stands_for {
            let other = super::find(name).unwrap_or_else(|| panic!("{name} is no field"));
            assert_eq!(other.kind, known.kind, "{}", known.name);
        }
    }
}
