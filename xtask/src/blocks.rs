//! The commands of the pages, for those who type them: [`crate::package`] installs as a page says it, and
//! [`crate::vm_test`] follows the pages on a system that has booted.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::workspace;

/// The blocks of commands (`sh`, with and without a mark) of a page's section, in their order: those of the whole page
/// if no section is named. At least one is there.
pub(crate) fn of(page: &str, section: &str) -> Result<Vec<String>> {
    of_language(page, section, "sh")
}

/// The same of another language.
pub(crate) fn of_language(page: &str, section: &str, language: &str) -> Result<Vec<String>> {
    let path = workspace::root().join(page);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let blocks = blocks(&text, section, language);
    ensure!(
        !blocks.is_empty(),
        "{page} has no {language} under {section:?}"
    );
    Ok(blocks)
}

fn blocks(text: &str, section: &str, language: &str) -> Vec<String> {
    let heading = format!("## {section}");
    let (plain, marked) = (format!("```{language}"), format!("```{language} "));
    let mut is_wanted = section.is_empty();
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        match &mut open {
            Some(block) if line == "```" => {
                if is_wanted && !block.is_empty() {
                    blocks.push(std::mem::take(block));
                }
                open = None;
            }
            Some(block) => *block += &format!("{line}\n"),
            None if line == plain || line.starts_with(&marked) => open = Some(String::new()),
            None if line.starts_with("## ") && !section.is_empty() => is_wanted = line == heading,
            None => {}
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_those_of_the_section() {
        let text = "# Page\n\n```sh\na\n```\n\n## One\n\n```console\n$ x\n```\n\n```sh booted\nb\nc\n```\n\n## Two\n\n```sh\nd\n```\n";
        assert_eq!(blocks(text, "One", "sh"), ["b\nc\n"]);
        assert_eq!(blocks(text, "", "sh"), ["a\n", "b\nc\n", "d\n"]);
        assert_eq!(blocks(text, "", "console"), ["$ x\n"]);
        assert_eq!(blocks(text, "Three", "sh"), [""; 0]);
    }
}
