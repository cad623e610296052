//! Why a text is no filter.

/// What is wrong with a filter, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct Fault {
    /// The character where it begins, counted from 1.
    pub column: usize,
    /// What is wrong, and what was meant perhaps. Text of the filter in it is escaped.
    pub message: String,
}

impl Fault {
    /// The characters of the filter that are wrong, counted from 0, and the one behind them: the word, string or sign that
    /// begins at the column. At the end of the text it is the place behind it.
    pub fn span(&self, filter: &str) -> (usize, usize) {
        let from = self.column.saturating_sub(1);
        let mut rest = filter.chars().skip(from);
        let len = match rest.next() {
            None => 0,
            Some(quote @ ('"' | '\'')) => {
                let mut is_escaped = false;
                let inner = rest.take_while(|character| {
                    let is_end = *character == quote && !is_escaped;
                    is_escaped = *character == '\\' && !is_escaped;
                    !is_end
                });
                let there = filter.chars().count() - from;
                (inner.count() + 2).min(there)
            }
            Some(first) if is_of_word(first) => {
                1 + rest.take_while(|next| is_of_word(*next)).count()
            }
            Some(_) => 1,
        };
        (from, from + len)
    }
}

fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || "_.:/-".contains(character)
}
