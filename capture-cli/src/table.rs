//! Tables of one line a record: as wide as the terminal, where the least needed columns go first and names are cut; in
//! full where nobody looks at a screen.

use std::{
    collections::HashMap,
    env,
    io::{self, IsTerminal as _},
};

use capture_task::{ago_text, count_text, printable, short_length};
use jiff::{Timestamp, Zoned};
use nix::unistd::{Uid, User};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Between two columns.
const GAP: usize = 2;

/// What stands for what was cut.
const CUT: char = '…';

/// For whom a table is.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    /// Columns of the terminal; none where everything is wanted in full.
    pub(crate) width: Option<usize>,
    pub(crate) now: Zoned,
    pub(crate) color: bool,
}

impl Screen {
    /// That of standard output. Without one, as with `no_trunc`, nothing is cut.
    pub(crate) fn of_stdout(no_trunc: bool) -> Self {
        let width = terminal_size::terminal_size_of(io::stdout());
        let width = width.map(|(terminal_size::Width(width), _)| usize::from(width));
        Self {
            width: width.filter(|width| *width > 0 && !no_trunc),
            now: Zoned::now(),
            color: use_color(),
        }
    }

    /// One of so many columns, at noon.
    #[cfg(test)]
    pub(crate) fn test(width: Option<usize>) -> Self {
        let now = "2026-03-01T12:00:00+01:00[Europe/Berlin]";
        Self {
            width,
            now: now.parse().expect("a time"),
            color: false,
        }
    }

    /// A time of the past: its age on a screen.
    pub(crate) fn age(&self, time: Timestamp) -> String {
        match self.width {
            Some(_) => ago_text(self.seconds_since(time)),
            None => format!("{time:.0}"),
        }
    }

    /// The same of a time as the API writes it.
    pub(crate) fn age_of(&self, time: &str) -> String {
        match time.parse() {
            Ok(time) => self.age(time),
            Err(_) => printable(time),
        }
    }

    /// Seconds that have passed since a time; 0 where it is to come.
    pub(crate) fn seconds_since(&self, time: Timestamp) -> u64 {
        let passed = self.now.timestamp().duration_since(time).as_secs();
        u64::try_from(passed).unwrap_or_default()
    }

    /// How many characters at the end of IDs tell them apart; all where nothing is to be short.
    pub(crate) fn id_length<'a>(&self, ids: impl Iterator<Item = &'a str> + Clone) -> usize {
        match self.width {
            Some(_) => short_length(ids),
            None => usize::MAX,
        }
    }
}

/// Whether colours are wanted and would be seen.
pub(crate) fn use_color() -> bool {
    io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Users by name, each looked up once.
#[derive(Debug)]
pub(crate) struct Users {
    known: HashMap<String, String>,
    are_here: bool,
}

impl Users {
    /// Those of this host, or of another one, where their numbers say nothing here.
    pub(crate) fn of(are_here: bool) -> Self {
        Self {
            known: HashMap::new(),
            are_here,
        }
    }

    /// `alice` for `uid 1001` where this host knows that user; all else stays.
    pub(crate) fn name(&mut self, who: &str) -> String {
        if let Some(known) = self.known.get(who) {
            return known.clone();
        }
        let uid = who.strip_prefix("uid ").filter(|_| self.are_here);
        let uid = uid.and_then(|uid| uid.parse().ok());
        let user = uid.and_then(|uid| User::from_uid(Uid::from_raw(uid)).ok()?);
        let name = printable(&user.map_or_else(|| who.to_owned(), |user| user.name));
        self.known.insert(who.to_owned(), name.clone());
        name
    }
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    header: &'static str,
    right: bool,
    /// The width down to which its values may be cut.
    least: Option<usize>,
    /// Whether values are cut between words.
    words: bool,
    /// The column with the highest goes first where there is no room; 0 stays.
    rank: u8,
}

impl Column {
    pub(crate) const fn new(header: &'static str) -> Self {
        Self {
            header,
            right: false,
            least: None,
            words: false,
            rank: 0,
        }
    }

    /// Of numbers.
    pub(crate) const fn right(mut self) -> Self {
        self.right = true;
        self
    }

    /// Whose values may be cut to so many characters, where there is no other way.
    pub(crate) const fn cut(mut self, least: usize) -> Self {
        self.least = Some(least);
        self
    }

    /// Whose values are lists of words, and may be cut between two.
    pub(crate) const fn words(mut self, least: usize) -> Self {
        self.words = true;
        self.cut(least)
    }

    /// Which is left out where there is no room, those of a higher rank first.
    pub(crate) const fn rank(mut self, rank: u8) -> Self {
        self.rank = rank;
        self
    }
}

/// How a value is to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
}

/// A value, and how it is to be seen.
type Cell = (String, Option<Tone>);

/// Columns and rows.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self {
            columns: columns.into(),
            rows: Vec::new(),
        }
    }

    /// Adds a record. Whatever would harm the terminal is escaped.
    pub(crate) fn row<const N: usize>(&mut self, values: [String; N]) {
        let values = values.into_iter();
        self.rows
            .push(values.map(|value| (printable(&value), None)).collect());
    }

    /// How the value in a column of the last row is to be seen.
    pub(crate) fn tone(&mut self, column: usize, tone: Tone) {
        let cell = self.rows.last_mut().and_then(|row| row.get_mut(column));
        if let Some(cell) = cell {
            cell.1 = Some(tone);
        }
    }

    /// The text, each line with its end.
    pub(crate) fn text(&self, screen: &Screen) -> String {
        let widths = self.widths(screen.width);
        let headers = self.columns.iter().map(|column| (column.header, None));
        let mut text = self.line(&widths, headers, false);
        for row in &self.rows {
            let cells = row.iter().map(|(value, tone)| (value.as_str(), *tone));
            text.push_str(&self.line(&widths, cells, screen.color));
        }
        text
    }

    /// Of each column how wide it is; none where it is left out.
    fn widths(&self, room: Option<usize>) -> Vec<Option<usize>> {
        let columns = self.columns.iter().enumerate();
        let natural = columns.map(|(index, column)| {
            let values = self.rows.iter().map(|row| row[index].0.width());
            Some(values.max().unwrap_or(0).max(column.header.width()))
        });
        let mut widths: Vec<_> = natural.collect();
        let Some(room) = room else {
            return widths;
        };
        let least = |(width, column): (&Option<usize>, &Column)| {
            width.map(|width| column.least.map_or(width, |least| width.min(least)))
        };
        while sum(widths.iter().zip(&self.columns).map(least)) > room {
            let there = self.columns.iter().enumerate();
            let there = there.filter(|(index, column)| widths[*index].is_some() && column.rank > 0);
            let Some((index, _)) = there.max_by_key(|(_, column)| column.rank) else {
                break;
            };
            widths[index] = None;
        }
        // Who has most to give gives first.
        while sum(widths.iter().copied()) > room {
            let spare = |index: usize| {
                let width = widths[index].unwrap_or_default();
                let least = self.columns[index].least.unwrap_or(width);
                width.saturating_sub(least)
            };
            let richest = (0..widths.len()).filter(|index| spare(*index) > 0);
            let Some(index) = richest.max_by_key(|index| spare(*index)) else {
                break;
            };
            widths[index] = widths[index].map(|width| width - 1);
        }
        widths
    }

    fn line<'a>(
        &self,
        widths: &[Option<usize>],
        cells: impl Iterator<Item = (&'a str, Option<Tone>)>,
        color: bool,
    ) -> String {
        let mut line = String::new();
        for ((width, column), (value, tone)) in widths.iter().zip(&self.columns).zip(cells) {
            let Some(width) = *width else {
                continue;
            };
            let value = shortened(value, width, column.words);
            let blank = " ".repeat(width - value.width());
            let code = match tone.filter(|_| color) {
                Some(Tone::Good) => Some("32"),
                Some(Tone::Bad) => Some("31"),
                None => None,
            };
            let value = match code {
                Some(code) => format!("\x1b[{code}m{value}\x1b[0m"),
                None => value,
            };
            let cell = match column.right {
                true => format!("{blank}{value}"),
                false => format!("{value}{blank}"),
            };
            line.push_str(&cell);
            line.push_str(&" ".repeat(GAP));
        }
        format!("{}\n", line.trim_end())
    }
}

/// The width of columns side by side.
fn sum(widths: impl Iterator<Item = Option<usize>>) -> usize {
    let there: Vec<_> = widths.flatten().collect();
    let gaps = there.len().saturating_sub(1) * GAP;
    there.iter().sum::<usize>() + gaps
}

/// A value of at most this width.
fn shortened(value: &str, width: usize, words: bool) -> String {
    if value.width() <= width {
        return value.to_owned();
    }
    let (mut end, mut used) = (0, CUT.width().unwrap_or(1));
    for (start, char) in value.char_indices() {
        used += char.width().unwrap_or(0);
        if used > width {
            break;
        }
        end = start + char.len_utf8();
    }
    let kept = &value[..end];
    let kept = match kept.rfind(' ').filter(|_| words) {
        Some(space) => &kept[..=space],
        None if words => "",
        None => kept.trim_end(),
    };
    format!("{kept}{CUT}")
}

/// A count, or a dash where there is none to tell.
pub(crate) fn count_or_dash(count: Option<u64>) -> String {
    count.map_or_else(|| "–".to_owned(), count_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::new("ID"),
        Column::new("NAME").cut(6),
        Column::new("SIZE").right().rank(1),
        Column::new("BY").rank(2),
    ];

    fn text(width: Option<usize>) -> String {
        let mut table = Table::new(COLUMNS);
        let row = |name: &str, size: &str| ["3W781", name, size, "alice"].map(str::to_owned);
        table.row(row("short", "1 kB"));
        table.row(row("a longer name", "12.5 MB"));
        table.row(row("漢字漢字漢字漢字", "–"));
        table.tone(2, Tone::Bad);
        table.text(&Screen::test(width))
    }

    #[test]
    fn columns_go_by_rank_and_names_are_cut() {
        assert_eq!(
            text(None),
            "ID     NAME                 SIZE  BY\n\
             3W781  short                1 kB  alice\n\
             3W781  a longer name     12.5 MB  alice\n\
             3W781  漢字漢字漢字漢字        –  alice\n"
        );
        assert_eq!(
            text(Some(30)),
            "ID     NAME        SIZE  BY\n\
             3W781  short       1 kB  alice\n\
             3W781  a long…  12.5 MB  alice\n\
             3W781  漢字漢…        –  alice\n"
        );
        assert_eq!(
            text(Some(24)),
            "ID     NAME         SIZE\n\
             3W781  short        1 kB\n\
             3W781  a longe…  12.5 MB\n\
             3W781  漢字漢…         –\n"
        );
        assert!(text(Some(20)).starts_with("ID     NAME\n"));
        for width in 13..40 {
            for line in text(Some(width)).lines() {
                assert!(line.width() <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn lists_are_cut_between_words() {
        let list = "10.0.0.5/24 fe80::1/64";
        assert_eq!(shortened(list, 22, true), list);
        assert_eq!(shortened(list, 21, true), "10.0.0.5/24 …");
        assert_eq!(shortened(list, 13, true), "10.0.0.5/24 …");
        assert_eq!(shortened(list, 12, true), "…");
        assert_eq!(shortened(list, 12, false), "10.0.0.5/24…");
    }

    #[test]
    fn tones_take_no_room() {
        let mut table = Table::new(COLUMNS);
        table.row(["1", "a\u{1b}b", "2", "c"].map(str::to_owned));
        table.tone(1, Tone::Bad);
        let screen = Screen {
            color: true,
            ..Screen::test(Some(80))
        };
        let text = table.text(&screen);
        assert!(
            text.contains("1   \u{1b}[31ma\\u{1b}b\u{1b}[0m     2  c\n"),
            "{text:?}"
        );
    }

    #[test]
    fn times_on_a_screen_are_ages() {
        let time = "2026-03-01T10:54:59.123Z";
        assert_eq!(Screen::test(Some(80)).age_of(time), "5 min ago");
        assert_eq!(Screen::test(None).age_of(time), "2026-03-01T10:54:59Z");
        assert_eq!(Screen::test(Some(80)).age_of("soon"), "soon");
    }

    #[test]
    fn users_have_names() {
        let mut users = Users::of(true);
        assert_eq!(users.name("uid 0"), "root");
        assert_eq!(users.name("uid 4294967294"), "uid 4294967294");
        assert_eq!(users.name("token ci"), "token ci");
        assert_eq!(Users::of(false).name("uid 0"), "uid 0");
    }
}
