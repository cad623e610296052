//! The man page capture-agent.toml(5), made of `docs/reference/configuration.md`: headings become sections, tables
//! become lists of keys, links their text.

use anyhow::{Result, ensure};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::files::text;

/// The page it is made of.
const SOURCE: &str = "docs/reference/configuration.md";

const HEAD: &str = ".TH CAPTURE-AGENT.TOML 5 \"\" \"capture-agent\" \"capture-agent\"\n\
.SH NAME\ncapture\\-agent.toml \\- configuration of the daemon of capture\\-agent\n\
.SH DESCRIPTION\n";

const TAIL: &str = ".SH FILES\n.TP\n\\fB/etc/capture\\-agent/config.toml\\fR\nread without \\-\\-config\n\
.SH SEE ALSO\ncapture\\-agent(8), capture\\-agent\\-daemon(8)\n";

/// The page.
pub(super) fn configuration() -> Result<String> {
    let page = page(&text(SOURCE)?);
    ensure!(page.contains("max_running"), "{SOURCE} has no keys");
    Ok(page)
}

/// A page of Markdown as roff.
fn page(markdown: &str) -> String {
    let mut writer = Writer {
        page: HEAD.to_owned(),
        ..Writer::default()
    };
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        writer.take(event);
    }
    writer.page + TAIL
}

#[derive(Default)]
struct Writer {
    page: String,
    /// The text of the present paragraph, heading or cell, with its fonts.
    line: String,
    /// The cells of the present row.
    row: Vec<String>,
    /// The heads of the present table's columns.
    heads: Vec<String>,
}

impl Writer {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Text(text) => self.line.push_str(&escaped(&text)),
            Event::Code(code) => {
                let code = escaped(&code);
                self.line.push_str(&format!("\\fB{code}\\fR"));
            }
            Event::SoftBreak | Event::HardBreak => self.line.push(' '),
            Event::Start(Tag::Heading { .. } | Tag::Paragraph | Tag::Item | Tag::TableCell) => {
                self.line.clear();
            }
            Event::End(TagEnd::Heading(level)) => {
                // The title of the page is in its head.
                if level as usize > 1 {
                    let heading = self.line.replace("\\fB", "").replace("\\fR", "");
                    self.page.push_str(&format!(".SH \"{heading}\"\n"));
                }
                self.line.clear();
            }
            Event::End(TagEnd::Paragraph) => self.paragraph(".PP"),
            Event::End(TagEnd::Item) if !self.line.is_empty() => self.paragraph(".IP \\(bu 2"),
            Event::End(TagEnd::TableCell) => self.row.push(std::mem::take(&mut self.line)),
            Event::End(TagEnd::TableHead) => self.heads = std::mem::take(&mut self.row),
            Event::End(TagEnd::TableRow) => self.row(),
            _ => {}
        }
    }

    fn paragraph(&mut self, macro_: &str) {
        let line = std::mem::take(&mut self.line);
        self.page
            .push_str(&format!("{macro_}\n{}\n", protected(&line)));
    }

    /// The first cell is the term; the others explain it. The third of a table of keys says what a reload does.
    fn row(&mut self) {
        let row = std::mem::take(&mut self.row);
        let Some((term, rest)) = row.split_first() else {
            return;
        };
        self.page.push_str(&format!(".TP\n{term}\n"));
        for (index, cell) in rest.iter().enumerate() {
            let head = self.heads.get(index + 1).map_or("", String::as_str);
            let cell = match head {
                "default" => format!("Default: {cell}."),
                "reload" => format!("Reload: {cell}."),
                _ => cell.clone(),
            };
            self.page.push_str(&format!("{}\n", protected(&cell)));
        }
    }
}

/// A line that begins with a control character is none.
fn protected(line: &str) -> String {
    match line.starts_with(['.', '\'']) {
        true => format!("\\&{line}"),
        false => line.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    text.replace('–', "\\(en").replace('\'', "\\(aq")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_become_lists() {
        let markdown = "# Configuration\n\nIt is `a-b`, see [there](x.md).\n\n## `[http]`\n\n\
                        | key | default | reload |\n| --- | --- | --- |\n| `listen` | none | restart |\n";
        let page = page(markdown);
        let body = page
            .strip_prefix(HEAD)
            .expect("the head")
            .strip_suffix(TAIL);
        assert_eq!(
            body,
            Some(
                ".PP\nIt is \\fBa\\-b\\fR, see there.\n.SH \"[http]\"\n.TP\n\\fBlisten\\fR\n\
                 Default: none.\nReload: restart.\n"
            )
        );
    }

    #[test]
    fn the_page_has_the_keys() {
        let page = configuration().expect("the page");
        for word in ["disk_budget", ".SH \"[limits]\"", "Reload: restart."] {
            assert!(page.contains(word), "{word}: {page}");
        }
    }
}
