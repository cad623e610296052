//! The console as a page of Cockpit: the files that the daemon serves, with a first page that loads Cockpit's own module
//! and leads calls to the daemon's socket (`js/cockpit.js`).

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use capture_console::{HASH, assets, index};

use super::files::text;

/// Below `share`.
const DIRECTORY: &str = "cockpit/capture-agent";

/// In the first page, what starts the console, and what does in Cockpit. There paths are versions already.
const START: [(&str, &str); 2] = [
    (
        "<script type=\"module\" src=\"js/app.js\">",
        "<script src=\"../base1/cockpit.js\"></script>\n<script type=\"module\" src=\"js/cockpit.js\">",
    ),
    (
        "<title>capture-agent</title>",
        "<title>Packet capture</title>",
    ),
];

/// The files, by their paths below `share`.
pub(super) fn files() -> Result<Vec<(String, Vec<u8>)>> {
    let mut page = String::from_utf8(index().plain()).context("the first page is no text")?;
    page = page.replace(&format!("ui/{HASH}/"), "");
    for (daemon, cockpit) in START {
        ensure!(page.contains(daemon), "the first page has no {daemon}");
        page = page.replace(daemon, cockpit);
    }
    let manifest = text("deploy/cockpit/manifest.json")?;
    let mut files = vec![
        ("index.html".to_owned(), page.into_bytes()),
        ("manifest.json".to_owned(), manifest.into_bytes()),
    ];
    files.extend(
        assets()
            .iter()
            .map(|asset| (asset.path.to_owned(), asset.plain())),
    );
    Ok(files
        .into_iter()
        .map(|(path, bytes)| (format!("{DIRECTORY}/{path}"), bytes))
        .collect())
}

/// Writes them below a directory, for a Cockpit that looks there (`XDG_DATA_HOME`).
pub(crate) fn write(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    for (path, bytes) in files()? {
        let path = directory.join(path);
        let above = path.parent().context("a path without a directory")?;
        fs::create_dir_all(above)?;
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_page_names_files_that_are_there() {
        let files = files().expect("files");
        let page = &files[0].1;
        let page = String::from_utf8_lossy(page);
        let named = page
            .split('"')
            .filter(|part| part.starts_with("js/") || part.starts_with("css/"));
        let mut count = 0;
        for name in named {
            let path = format!("{DIRECTORY}/{name}");
            assert!(files.iter().any(|(there, _)| *there == path), "{name}");
            count += 1;
        }
        assert!(count > 5, "{page}");
        assert!(
            page.contains("base1/cockpit.js") && !page.contains("ui/"),
            "{page}"
        );
    }
}
