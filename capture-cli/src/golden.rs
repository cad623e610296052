//! Screens of the tests, in files that a person looks at.

use std::{env, fs};

/// Compares with a file of `snapshots`; `UPDATE_GOLDEN=1 cargo test` writes it.
pub(crate) fn golden(name: &str, found: &str) {
    let path = format!("{}/src/snapshots/{name}", env!("CARGO_MANIFEST_DIR"));
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, found).expect("the golden file is written");
        return;
    }
    let expected = fs::read_to_string(&path).expect("the golden file");
    assert_eq!(
        found, expected,
        "{name} differs; UPDATE_GOLDEN=1 cargo test accepts it"
    );
}
