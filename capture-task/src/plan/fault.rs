//! Faults on their way to the caller: what a parser found wrong, and the collector that gives each its
//! field. [`Plan::resolve`](super::Plan::resolve) collects, so that
//! people see all faults of a request at once.
//!
//! In every message the user's own text stands in double quotes and a field's name in backticks;
//! the command line replaces the latter by its option.

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// JSON pointer (RFC 6901) of the field, `/peer_ip`.
    pub pointer: String,
    /// Stable word for programs: `required`, `invalid`, `out_of_range`, `conflict`, `unknown`.
    pub code: &'static str,
    /// One sentence for people: what is wrong, and what to do about it.
    pub detail: String,
}

/// What is wrong with a value, before it is known which field it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueError {
    /// As [`Fault::code`].
    pub code: &'static str,
    /// As [`Fault::detail`].
    pub detail: String,
}

impl ValueError {
    /// The value cannot be read.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self {
            code: "invalid",
            detail: detail.into(),
        }
    }

    /// The value can be read, and is too small or too large.
    pub fn out_of_range(detail: impl Into<String>) -> Self {
        Self {
            code: "out_of_range",
            detail: detail.into(),
        }
    }

    pub(super) fn required(detail: impl Into<String>) -> Self {
        Self {
            code: "required",
            detail: detail.into(),
        }
    }

    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self {
            code: "conflict",
            detail: detail.into(),
        }
    }

    /// The value is none of the words that are allowed.
    pub fn unknown(detail: impl Into<String>) -> Self {
        Self {
            code: "unknown",
            detail: detail.into(),
        }
    }
}

/// Collects the faults of one request.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    /// Notes a fault of the field at `pointer`.
    pub(super) fn add(&mut self, pointer: impl Into<String>, problem: ValueError) {
        let ValueError { code, detail } = problem;
        self.0.push(Fault {
            pointer: pointer.into(),
            code,
            detail,
        });
    }

    /// The value, or nothing and a fault noted.
    pub(super) fn check<T>(
        &mut self,
        pointer: impl Into<String>,
        value: Result<T, ValueError>,
    ) -> Option<T> {
        value.map_err(|problem| self.add(pointer, problem)).ok()
    }

    /// [`Self::check`] for a field that may be absent.
    pub(super) fn check_given<T, U>(
        &mut self,
        pointer: &str,
        field: Option<&T>,
        parse: impl FnOnce(&T) -> Result<U, ValueError>,
    ) -> Option<U> {
        field.and_then(|value| self.check(pointer, parse(value)))
    }

    /// Everything noted.
    pub(super) fn into_vec(self) -> Vec<Fault> {
        self.0
    }
}
