//! Links among the pages: each goes to a file that is there, and to a heading that it has; and each page of
//! `docs` is in the index.

use std::{
    collections::BTreeSet,
    path::{Component, Path, PathBuf},
};

use super::page::Page;

/// The page that has all others of `docs`.
const INDEX: &str = "docs/README.md";

/// A sentence for each link that leads nowhere, and for each page that nobody finds.
pub(super) fn broken(pages: &[Page], root: &Path) -> Vec<String> {
    let mut broken = Vec::new();
    for page in pages {
        for link in &page.links {
            if let Err(why) = follow(page, &link.target, pages, root) {
                let Page { path, .. } = page;
                broken.push(format!("{path}:{}: {} {why}", link.line, link.target));
            }
        }
    }
    broken.extend(unlisted(pages));
    broken
}

fn follow(page: &Page, target: &str, pages: &[Page], root: &Path) -> Result<(), String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(());
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = beside(page, path).ok_or("leads out of the workspace")?;
    if !target.starts_with('#') && !root.join(&path).exists() {
        return Err("is not there".to_owned());
    }
    if anchor.is_empty() {
        return Ok(());
    }
    let there = pages.iter().find(|page| Path::new(&page.path) == path);
    match there.and_then(|there| there.anchored(anchor)) {
        Some(_) => Ok(()),
        None => Err("has no such heading".to_owned()),
    }
}

/// The path of a link, from the root on.
fn beside(page: &Page, target: &str) -> Option<PathBuf> {
    if target.is_empty() {
        return Some(PathBuf::from(&page.path));
    }
    let mut path = Path::new(&page.path).parent()?.to_owned();
    for part in Path::new(target).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => {
                if !path.pop() {
                    return None;
                }
            }
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

fn unlisted(pages: &[Page]) -> Vec<String> {
    let index = pages.iter().find(|page| page.path == INDEX);
    let Some(index) = index else {
        return vec![format!("{INDEX} is not there")];
    };
    let listed: BTreeSet<_> = index
        .links
        .iter()
        .filter_map(|link| beside(index, link.target.split('#').next()?))
        .collect();
    pages
        .iter()
        .filter(|page| page.path.starts_with("docs/") && page.path != INDEX)
        .filter(|page| !listed.contains(Path::new(&page.path)))
        .map(|page| format!("{INDEX} does not list {}", page.path))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    fn broken_of(text: &str) -> Vec<String> {
        let index = Page::parse(INDEX, "[a](start/a.md) ");
        let page = Page::parse("docs/start/a.md", text);
        broken(&[index, page], workspace::root())
            .into_iter()
            .filter(|one| one.contains("a.md:"))
            .collect()
    }

    #[test]
    fn a_link_leads_to_a_file_and_a_heading() {
        let text =
            "# A b\n[1](#a-b) [2](../README.md) [3](https://x.example/#y) [4](../../Cargo.toml)\n";
        assert_eq!(broken_of(text), Vec::<String>::new());
        let text = "# A b\n[1](#c) [2](b.md) [3](/Cargo.toml) [4](../../../x)\n";
        assert_eq!(
            broken_of(text),
            [
                "docs/start/a.md:2: #c has no such heading",
                "docs/start/a.md:2: b.md is not there",
                "docs/start/a.md:2: /Cargo.toml leads out of the workspace",
                "docs/start/a.md:2: ../../../x leads out of the workspace",
            ]
        );
    }

    #[test]
    fn every_page_is_listed() {
        let index = Page::parse(INDEX, "");
        let page = Page::parse("docs/start/a.md", "");
        let other = Page::parse("CHANGELOG.md", "");
        assert_eq!(
            unlisted(&[index, page, other]),
            ["docs/README.md does not list docs/start/a.md"]
        );
    }
}
