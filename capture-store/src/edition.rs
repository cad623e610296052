//! Section `[quota]` of the configuration: how many tasks an account may create on one day. The store does the
//! counting.

use std::fmt;

use capture_task::plan::Keyword;
use jiff::tz::TimeZone;
use serde::Serialize;
use utoipa::ToSchema;

/// What was bought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Edition {
    /// May not capture.
    Basic,
    /// May not capture.
    Premium,
    /// 20 tasks a day.
    Enterprise,
    /// 50 tasks a day.
    #[default]
    Ultimate,
    /// As many as there is room for.
    Unlimited,
}

impl Keyword for Edition {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("basic", Self::Basic),
        ("premium", Self::Premium),
        ("enterprise", Self::Enterprise),
        ("ultimate", Self::Ultimate),
        ("unlimited", Self::Unlimited),
    ];
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.keyword())
    }
}

impl Edition {
    /// Tasks a day; `None` is no limit.
    fn tasks_per_day(self) -> Option<u32> {
        match self {
            Self::Basic | Self::Premium => Some(0),
            Self::Enterprise => Some(20),
            Self::Ultimate => Some(50),
            Self::Unlimited => None,
        }
    }
}

/// Section `[quota]` of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct QuotaRules {
    /// What was bought.
    pub edition: Edition,
    /// In place of the edition's number.
    pub tasks_per_day: Option<u32>,
    /// Where the day changes.
    pub timezone: TimeZone,
}

impl Default for QuotaRules {
    fn default() -> Self {
        Self {
            edition: Edition::default(),
            tasks_per_day: None,
            timezone: TimeZone::UTC,
        }
    }
}

impl QuotaRules {
    /// Tasks a day; `None` is no limit.
    pub fn limit(&self) -> Option<u32> {
        self.tasks_per_day.or(self.edition.tasks_per_day())
    }

    /// Whether there is any day on which a task may be created.
    pub fn may_capture(&self) -> bool {
        self.limit() != Some(0)
    }
}
