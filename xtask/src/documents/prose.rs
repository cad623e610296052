//! How long pages may be, how plain their sentences, and which blocks of code they may have.

use super::page::{Block, Page};

/// Longest pages: lines, and bytes.
const LONGEST: [(&str, usize, usize); 2] = [
    ("README.md", 160, 9_000),
    ("ARCHITECTURE.md", usize::MAX, 12_000),
];

/// Words of clauses that take the place of a name. A text full of them is slow to read.
const RELATIVE: [&str; 6] = ["that", "which", "what", "whose", "where", "who"];

/// Most of these in a thousand words.
const MOST_RELATIVE: usize = 20;

/// Languages of blocks of commands, which `tests/tests/integration/documents` runs.
const COMMANDS: [&str; 2] = ["sh", "console"];

/// Languages of other blocks.
const OTHERS: [&str; 5] = ["json", "nginx", "text", "toml", "yaml"];

/// Pages for the first hour: every block of commands must run where the tests do, so none has a mark.
fn is_for_the_first_hour(path: &str) -> bool {
    path == "README.md" || path.starts_with("docs/start/")
}

fn is_document(path: &str) -> bool {
    path == "README.md" || path.starts_with("docs/")
}

/// A sentence for each rule that is broken.
pub(super) fn broken(pages: &[Page]) -> Vec<String> {
    let mut broken = too_long(pages);
    broken.extend(relative(pages));
    for page in pages.iter().filter(|page| is_document(&page.path)) {
        for block in &page.blocks {
            if let Some(fault) = fault_of(block, is_for_the_first_hour(&page.path)) {
                broken.push(format!("{}:{}: {fault}", page.path, block.line));
            }
        }
    }
    broken.extend(commands_of_developers(pages));
    broken
}

fn too_long(pages: &[Page]) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, lines, bytes) in LONGEST {
        let Some(page) = pages.iter().find(|page| page.path == path) else {
            broken.push(format!("{path} is not there"));
            continue;
        };
        if page.lines > lines {
            broken.push(format!("{path} has {} lines; at most {lines}", page.lines));
        }
        if page.bytes > bytes {
            broken.push(format!("{path} has {} bytes; at most {bytes}", page.bytes));
        }
    }
    broken
}

/// Of the README, and of `docs` as a whole.
fn relative(pages: &[Page]) -> Vec<String> {
    let texts = [("README.md", "README.md"), ("docs", "docs/")];
    let texts = texts.into_iter().filter_map(|(name, prefix)| {
        let pages = || pages.iter().filter(|page| page.path.starts_with(prefix));
        let count = pages().map(relative_words).sum::<usize>();
        let words = pages().map(|page| page.words.len()).sum::<usize>();
        if count * 1000 <= words * MOST_RELATIVE {
            return None;
        }
        let worst = pages().max_by_key(|page| relative_words(page))?;
        Some(format!(
            "{name}: {count} of {words} words are {}; at most {MOST_RELATIVE} in a thousand. {} has {}",
            RELATIVE.join(", "),
            worst.path,
            relative_words(worst),
        ))
    });
    texts.collect()
}

fn relative_words(page: &Page) -> usize {
    let words = page.words.iter();
    words
        .filter(|word| RELATIVE.contains(&word.as_str()))
        .count()
}

fn fault_of(block: &Block, in_the_first_hour: bool) -> Option<String> {
    let Some(info) = &block.info else {
        return Some("a block of code needs a fence and a language".to_owned());
    };
    let (language, mark) = info.split_once(' ').unwrap_or((info, ""));
    let known = || COMMANDS.iter().chain(&OTHERS).copied();
    if !known().any(|one| one == language) {
        let known: Vec<_> = known().collect();
        return Some(format!("`{language}` is none of {}", known.join(", ")));
    }
    // These are run where a package is checked, and on a system that has booted.
    if in_the_first_hour && !["", "package", "booted"].contains(&mark) {
        return Some(format!(
            "commands here are run as they stand; put those for `{mark}` into docs/service or docs/how-to"
        ));
    }
    let looks_like_commands = |line: &str| {
        ["$ ", "capture-agent ", "cargo ", "sudo ", "systemctl "]
            .iter()
            .any(|start| line.starts_with(start))
    };
    (OTHERS.contains(&language) && block.text.lines().any(looks_like_commands)).then(|| {
        format!("there are commands in a block of `{language}`, which nobody runs; call it `sh`")
    })
}

/// The README has the command that captures after a fresh clone, and the one that runs all tests.
fn commands_of_developers(pages: &[Page]) -> Vec<String> {
    let readme = pages.iter().find(|page| page.path == "README.md");
    let blocks = readme.into_iter().flat_map(|page| &page.blocks);
    let lines: Vec<_> = blocks.flat_map(|block| block.text.lines()).collect();
    let mut broken = Vec::new();
    if !lines
        .iter()
        .any(|line| line.starts_with("cargo xtask run -- "))
    {
        broken.push("README.md has no command `cargo xtask run -- …`".to_owned());
    }
    if !lines.contains(&"cargo xtask test") {
        broken.push("README.md has no command `cargo xtask test`".to_owned());
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = "# A\n\n```sh\ncargo xtask run -- -i any\ncargo xtask test\n```\n";

    fn broken_of(readme: &str) -> Vec<String> {
        broken(&[
            Page::parse("README.md", readme),
            Page::parse("ARCHITECTURE.md", "# A\n"),
        ])
    }

    #[test]
    fn pages_have_a_longest_size() {
        assert_eq!(broken_of(RIGHT), Vec::<String>::new());
        let lines = format!("{RIGHT}{}", "\n".repeat(200));
        assert_eq!(broken_of(&lines), ["README.md has 206 lines; at most 160"]);
        let bytes = format!("{RIGHT}\n{}\n", "word ".repeat(2_000));
        assert_eq!(
            broken_of(&bytes),
            ["README.md has 10060 bytes; at most 9000"]
        );
        let architecture = Page::parse("ARCHITECTURE.md", &"word ".repeat(3_000));
        assert_eq!(
            broken(&[Page::parse("README.md", RIGHT), architecture]),
            ["ARCHITECTURE.md has 15000 bytes; at most 12000"]
        );
    }

    #[test]
    fn relative_words_are_few() {
        let text = |count: usize| {
            let others = "word ".repeat(99 - count);
            format!("{RIGHT}\n{} {others}\n", "Which ".repeat(count))
        };
        assert_eq!(broken_of(&text(2)), Vec::<String>::new());
        let broken = broken_of(&text(3));
        assert!(
            broken[0].starts_with("README.md: 3 of 100 words are that, which"),
            "{broken:?}"
        );
    }

    #[test]
    fn every_block_of_commands_is_run() {
        for (block, fault) in [
            ("    capture-agent run\n", "needs a fence"),
            ("```\nls\n```\n", "is none of"),
            ("```bash\nls\n```\n", "is none of"),
            ("```sh laptop\nls\n```\n", "as they stand"),
            ("```text\n$ ls\n```\n", "which nobody runs"),
        ] {
            let broken = broken_of(&format!("{RIGHT}\nText.\n\n{block}"));
            assert!(
                broken.len() == 1 && broken[0].contains(fault),
                "{block}: {broken:?}"
            );
        }
        let page = Page::parse("docs/how-to/a.md", "```sh laptop\nls\n```\n");
        assert_eq!(fault_of(&page.blocks[0], false), None);
    }

    #[test]
    fn the_readme_has_two_commands() {
        assert_eq!(broken_of("# A\n").len(), 2);
        assert_eq!(broken_of("# A\n\n`cargo xtask test`\n").len(), 2);
    }
}
