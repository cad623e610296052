//! Values of `config.toml` by their kinds: sizes, durations, addresses, words. What is wrong with one is a
//! sentence; whoever asked knows the key and the line.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use capture_common::MAX_SLOTS;
use capture_engine::possible_cpus;
use capture_file::KeepFree;
use capture_task::{
    plan::{
        FaultKind, Hook, Keyword, Wording, parse_keyword, quote, ring_size as ring_size_of,
        seconds, size,
    },
    task::Quantity,
};
use jiff::tz::{self, TimeZone, TimeZoneDatabase};
use toml::{Spanned, de::DeValue};

use super::Shares;

fn text<'v>(value: &'v DeValue<'_>) -> Result<&'v str, String> {
    value
        .as_str()
        .ok_or_else(|| format!("text is expected, not {}", kind(value)))
}

/// What is wrong with a value, in words that go with any key.
fn sentence(kind: FaultKind) -> String {
    kind.sentence(Wording::API)
}

/// What a value is, in the words of people.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

fn integer(value: &DeValue<'_>) -> Result<i64, String> {
    let DeValue::Integer(number) = value else {
        return Err(format!("a whole number is expected, not {}", kind(value)));
    };
    i64::from_str_radix(number.as_str(), number.radix())
        .map_err(|_| format!("{number} is too large"))
}

fn quantity(value: &DeValue<'_>) -> Result<Quantity, String> {
    match value {
        DeValue::String(text) => Ok(Quantity::Text(text.to_string())),
        value => integer(value).map(Quantity::Number),
    }
}

pub(super) fn bytes(value: &DeValue<'_>) -> Result<u64, String> {
    size(&quantity(value)?).map_err(sentence)
}

pub(super) fn ring_size(value: &DeValue<'_>) -> Result<u64, String> {
    let size = ring_size_of(&quantity(value)?, possible_cpus());
    size.map_err(|error| error.sentence(Wording::API))
}

pub(super) fn keep_free(value: &DeValue<'_>) -> Result<KeepFree, String> {
    KeepFree::parse(&quantity(value)?)
}

pub(super) fn duration(value: &DeValue<'_>) -> Result<Duration, String> {
    let seconds = seconds(&quantity(value)?).map_err(sentence)?;
    Ok(Duration::from_secs(seconds))
}

/// At most the default.
pub(super) fn share_expiry(value: &DeValue<'_>) -> Result<Duration, String> {
    let expiry = duration(value)?;
    match expiry <= Shares::default().max_expiry {
        true => Ok(expiry),
        false => Err("a share ends after 30d at the latest".to_owned()),
    }
}

pub(super) fn word<T: Keyword>(value: &DeValue<'_>) -> Result<T, String> {
    parse_keyword(text(value)?).map_err(sentence)
}

/// Made absolute, as the working directory may change.
pub(super) fn path(value: &DeValue<'_>) -> Result<PathBuf, String> {
    let text = text(value)?;
    if text.is_empty() || text.contains('\0') {
        return Err(format!("{} is no path", quote(text)));
    }
    std::path::absolute(Path::new(text)).map_err(|error| format!("{}: {error}", quote(text)))
}

/// Most bytes of a socket's path: `sun_path` (unix(7)) without the NUL at its end.
const MAX_SOCKET_PATH: usize = 107;

pub(super) fn socket(value: &DeValue<'_>) -> Result<PathBuf, String> {
    let path = path(value)?;
    match path.as_os_str().len() {
        0..=MAX_SOCKET_PATH => Ok(path),
        length => Err(format!(
            "{} has {length} bytes, and the path of a socket at most {MAX_SOCKET_PATH}",
            path.display()
        )),
    }
}

pub(super) fn group(value: &DeValue<'_>) -> Result<String, String> {
    account_name(value, "group")
}

pub(super) fn user(value: &DeValue<'_>) -> Result<String, String> {
    account_name(value, "user")
}

/// A name that can stand in passwd(5) or group(5).
fn account_name(value: &DeValue<'_>, kind: &str) -> Result<String, String> {
    let text = text(value)?;
    if text.is_empty() || text.contains(['\0', ':', '\n']) {
        return Err(format!("{} is no {kind}", quote(text)));
    }
    Ok(text.to_owned())
}

pub(super) fn address(value: &DeValue<'_>) -> Result<SocketAddr, String> {
    let text = text(value)?;
    text.parse().map_err(|_| {
        format!(
            "{} is not an address with a port, as in \"127.0.0.1:8443\" or \"[::1]:8443\"",
            quote(text)
        )
    })
}

pub(super) fn hosts(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let DeValue::Array(items) = value else {
        return Err(format!(
            "a list such as [\"capture.example.com\"] is expected, not {}",
            kind(value)
        ));
    };
    let host = |item: &Spanned<DeValue<'_>>| {
        let name = text(item.get_ref())?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(format!("{} is not the name of a host", quote(name)));
        }
        Ok(name.to_ascii_lowercase())
    };
    items.iter().map(host).collect()
}

/// Most patterns of a list.
const MAX_PATTERNS: usize = 64;

pub(super) fn interfaces(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let DeValue::Array(items) = value else {
        return Err(format!(
            "a list such as [\"eth*\", \"any\"] is expected, not {}",
            kind(value)
        ));
    };
    if items.len() > MAX_PATTERNS {
        return Err(format!(
            "{} patterns are more than {MAX_PATTERNS}",
            items.len()
        ));
    }
    let pattern = |item: &Spanned<DeValue<'_>>| {
        let pattern = text(item.get_ref())?;
        let is_one = |c: char| c.is_ascii_graphic() && !"/:".contains(c);
        if pattern.is_empty() || pattern.len() > 64 || !pattern.chars().all(is_one) {
            return Err(format!("{} is no pattern of interfaces", quote(pattern)));
        }
        Ok(pattern.to_owned())
    };
    items.iter().map(pattern).collect()
}

pub(super) fn hooks(value: &DeValue<'_>) -> Result<Vec<Hook>, String> {
    let DeValue::Array(items) = value else {
        return Err(format!(
            "a list such as [\"auto\", \"tc\"] is expected, not {}",
            kind(value)
        ));
    };
    items.iter().map(|item| word(item.get_ref())).collect()
}

pub(super) fn tasks_per_day(value: &DeValue<'_>) -> Result<u32, String> {
    let number = integer(value)?;
    u32::try_from(number).map_err(|_| format!("{number} is not a number of tasks; 0 allows none"))
}

pub(super) fn flag(value: &DeValue<'_>) -> Result<bool, String> {
    value
        .as_bool()
        .ok_or_else(|| format!("true or false is expected, not {}", kind(value)))
}

/// Least memory of an inspector: the program with its libraries, and tables that are not full.
const MIN_ANALYSIS_MEMORY: u64 = 128 << 20;

pub(super) fn analysis_memory(value: &DeValue<'_>) -> Result<u64, String> {
    let bytes = bytes(value)?;
    match bytes >= MIN_ANALYSIS_MEMORY {
        true => Ok(bytes),
        false => Err(format!(
            "{bytes} bytes are too few; an analysis needs 128 MiB"
        )),
    }
}

pub(super) fn max_running(value: &DeValue<'_>) -> Result<usize, String> {
    let number = integer(value)?;
    usize::try_from(number)
        .ok()
        .filter(|number| (1..=MAX_SLOTS).contains(number))
        .ok_or_else(|| format!("{number} is not between 1 and {MAX_SLOTS}"))
}

/// From the machine's tables, which are newer, or else our own, which are always there.
pub(super) fn timezone(value: &DeValue<'_>) -> Result<TimeZone, String> {
    let name = text(value)?;
    tz::db()
        .get(name)
        .or_else(|_| TimeZoneDatabase::bundled().get(name))
        .map_err(|_| {
            format!(
                "{} is no time zone; write a name such as \"UTC\" or \"Europe/Berlin\"",
                quote(name)
            )
        })
}
