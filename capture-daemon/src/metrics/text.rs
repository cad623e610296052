//! The Prometheus text format: families of metrics, each with its head and a line for each set of labels.

use std::fmt::{self, Formatter};

use capture_task::printable;

/// What a family is: its name, and what it says.
#[derive(Clone, Copy)]
pub(super) struct Family {
    name: &'static str,
    help: &'static str,
}

/// A family.
pub(super) fn family(name: &'static str, help: &'static str) -> Family {
    Family { name, help }
}

impl Family {
    /// What only grows while the daemon runs.
    pub(super) fn counter<V: fmt::Display>(
        self,
        f: &mut Formatter<'_>,
        samples: impl IntoIterator<Item = (String, V)>,
    ) -> fmt::Result {
        self.write(f, "counter", samples)
    }

    /// What comes and goes.
    pub(super) fn gauge<V: fmt::Display>(
        self,
        f: &mut Formatter<'_>,
        samples: impl IntoIterator<Item = (String, V)>,
    ) -> fmt::Result {
        self.write(f, "gauge", samples)
    }

    /// One number without labels.
    pub(super) fn gauge_of(self, f: &mut Formatter<'_>, value: impl fmt::Display) -> fmt::Result {
        self.gauge(f, [(String::new(), value)])
    }

    /// The same of what only grows.
    pub(super) fn counter_of(self, f: &mut Formatter<'_>, value: impl fmt::Display) -> fmt::Result {
        self.counter(f, [(String::new(), value)])
    }

    fn write<V: fmt::Display>(
        self,
        f: &mut Formatter<'_>,
        kind: &str,
        samples: impl IntoIterator<Item = (String, V)>,
    ) -> fmt::Result {
        let Self { name, help } = self;
        writeln!(f, "# HELP {name} {help}")?;
        writeln!(f, "# TYPE {name} {kind}")?;
        for (labels, value) in samples {
            writeln!(f, "{name}{labels} {value}")?;
        }
        Ok(())
    }
}

/// One label in braces.
pub(super) fn label(name: &str, value: &str) -> String {
    labels(&[(name, value)])
}

/// Labels in braces, their values escaped: an interface may be called almost anything. What could harm a terminal is
/// written as in Rust, and other names than such a one cannot look the same.
pub(super) fn labels(labels: &[(&str, &str)]) -> String {
    let labels = labels.iter().map(|(name, value)| {
        let value = printable(&value.replace("\\u{", "\\u{5c}u{"));
        let value = value.replace('\\', "\\\\");
        let value = value.replace('"', "\\\"").replace('\n', "\\n");
        format!("{name}=\"{value}\"")
    });
    format!("{{{}}}", labels.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_neither_raw_nor_the_same() {
        for (name, value) in [
            ("eth0", "eth0"),
            ("a\"\\b", r#"a\"\\b"#),
            ("\u{1b}[31mx", r"\\u{1b}[31mx"),
            ("\\u{1b}[31mx", r"\\u{5c}u{1b}[31mx"),
            ("\\u{5c}u{1b}", r"\\u{5c}u{5c}u{1b}"),
            ("a\nb", r"a\\nb"),
            ("a\u{202e}b", r"a\\u{202e}b"),
        ] {
            assert_eq!(
                label("interface", name),
                format!("{{interface=\"{value}\"}}")
            );
        }
    }
}
