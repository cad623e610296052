//! The reference against the source, both ways: each option, key, metric, exit code, state, stop reason, field,
//! call and variable that the source has stands in its table, and the tables have no other.

use std::collections::BTreeMap;

use super::{
    facts::{Facts, Table},
    page::{Page, Section, Span},
    source::Names,
};

/// The page of commands and options.
const COMMAND_LINE: &str = "docs/reference/cli.md";

/// The page of the configuration: a section with the title `[name]` for each of its sections.
const CONFIGURATION: &str = "docs/reference/configuration.md";

impl Facts {
    /// A sentence for each difference between the source and the pages.
    pub(super) fn broken(&self, pages: &[Page]) -> Vec<String> {
        let mut broken = Vec::new();
        for table in &self.tables {
            broken.extend(table.broken(pages));
        }
        match pages.iter().find(|page| page.path == CONFIGURATION) {
            Some(page) => broken.extend(self.configuration_broken(page)),
            None => broken.push(format!("{CONFIGURATION} is not there")),
        }
        match pages.iter().find(|page| page.path == COMMAND_LINE) {
            Some(page) => broken.extend(self.commands_broken(page)),
            None => broken.push(format!("{COMMAND_LINE} is not there")),
        }
        broken
    }

    fn configuration_broken(&self, page: &Page) -> Vec<String> {
        let mut documented = BTreeMap::new();
        for span in page.keys(None) {
            let heading = span
                .section
                .map(|section| page.headings[section].title.as_str());
            let section = heading.and_then(|title| title.strip_prefix('[')?.strip_suffix(']'));
            if let Some(section) = section {
                documented.insert(format!("{section}.{}", span.text), span.line);
            }
        }
        compare(page, "key", &self.configuration, &documented)
    }

    /// Each command has a section with its words as the title. A section's options are those of its own tables,
    /// and those of sections of the page that it links to.
    fn commands_broken(&self, page: &Page) -> Vec<String> {
        let mut broken = Vec::new();
        for (path, command) in &self.agent.commands {
            let title = if path.is_empty() {
                "capture-agent"
            } else {
                path
            };
            let Some(section) = page.section(title) else {
                broken.push(format!("{} has no section `{title}`", page.path));
                continue;
            };
            if command.is_group && !path.is_empty() {
                continue;
            }
            let linked = page
                .links
                .iter()
                .filter(|link| link.section == Some(section));
            let linked = linked.filter_map(|link| page.anchored(link.target.strip_prefix('#')?));
            let sections: Vec<Section> = linked.chain([section]).map(Some).collect();
            let mut documented = BTreeMap::new();
            for span in sections.into_iter().flat_map(|section| page.keys(section)) {
                if span.text.starts_with('-') {
                    documented.insert(first_word(&span.text).to_owned(), span.line);
                }
            }
            let what = format!("option of `{title}`");
            broken.extend(compare(page, &what, &command.options, &documented));
        }
        broken
    }
}

impl Table {
    fn broken(&self, pages: &[Page]) -> Vec<String> {
        let Some(page) = pages.iter().find(|page| page.path == self.page) else {
            return vec![format!("{} is not there", self.page)];
        };
        let section = match self.section.map(|title| (title, page.section(title))) {
            Some((title, None)) => return vec![format!("{} has no section `{title}`", page.path)],
            Some((_, section)) => section,
            None => None,
        };
        let keys = page.keys(section);
        let names = keys.map(|span: &Span| (span.text.clone(), span.line));
        compare(page, self.what, &self.source, &names.collect())
    }
}

/// Both ways.
fn compare(
    page: &Page,
    what: &str,
    source: &Names,
    documented: &BTreeMap<String, usize>,
) -> Vec<String> {
    let path = &page.path;
    let missing = source.iter().filter(|name| !documented.contains_key(*name));
    let missing = missing.map(|name| format!("{path} lacks the {what} `{name}`"));
    let unknown = documented
        .iter()
        .filter(|(name, _)| !source.contains(*name));
    let unknown = unknown.map(|(name, line)| format!("{path}:{line}: there is no {what} `{name}`"));
    missing.chain(unknown).collect()
}

/// An option without its value, as in `--write FILE`.
pub(super) fn first_word(text: &str) -> &str {
    text.split([' ', '=']).next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLI: &str = "# Command line\n\n## `capture-agent`\n\nAs [all](#all).\n\n## `run`\n\nAs [all](#all).\n\n\
        | option |\n| --- |\n| `-w`, `--write FILE` |\n| `--tasks` |\n\n\
        ## All\n\n| option |\n| --- |\n| `-h`, `--help` |\n";

    const CONFIG: &str = "# Configuration\n\n## `[http]`\n\n| key |\n| --- |\n| `listen` |\n";

    fn broken_of(task: &str, cli: &str, config: &str) -> Vec<String> {
        let task =
            format!("# Task\n\n## States\n\n| state | |\n| --- | --- |\n{task}\n\n## Next\n");
        Facts::of_a_small_product().broken(&[
            Page::parse("docs/reference/task.md", &task),
            Page::parse(COMMAND_LINE, cli),
            Page::parse(CONFIGURATION, config),
        ])
    }

    const STATES: &str = "| `pending` | `x` |\n| `running` | |";

    #[test]
    fn tables_have_what_the_source_has_and_no_more() {
        assert_eq!(broken_of(STATES, CLI, CONFIG), Vec::<String>::new());
        assert_eq!(
            broken_of("| `pending` | |\n| `over` | |", CLI, CONFIG),
            [
                "docs/reference/task.md lacks the state `running`",
                "docs/reference/task.md:8: there is no state `over`",
            ]
        );
        let config = CONFIG.replace("listen", "port");
        assert_eq!(
            broken_of(STATES, CLI, &config),
            [
                "docs/reference/configuration.md lacks the key `http.listen`",
                "docs/reference/configuration.md:7: there is no key `http.port`",
            ]
        );
        let cli = CLI.replace("`--tasks`", "`--task`");
        assert_eq!(
            broken_of(STATES, &cli, CONFIG),
            [
                "docs/reference/cli.md lacks the option of `run` `--tasks`",
                "docs/reference/cli.md:14: there is no option of `run` `--task`",
            ]
        );
        let cli = CLI.replace("## `run`\n\nAs [all](#all).", "## `run`\n\nAlone.");
        assert_eq!(broken_of(STATES, &cli, CONFIG).len(), 2);
        let cli = CLI.replace("## `run`", "## `walk`");
        assert_eq!(
            broken_of(STATES, &cli, CONFIG),
            ["docs/reference/cli.md has no section `run`"]
        );
    }
}
