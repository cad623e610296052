//! What is to be reached, and what was.

use serde::Serialize;
use serde_json::json;

/// A target and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Target {
    /// What is held to it.
    pub what: String,
    /// `None` where it was not measured.
    pub measured: Option<f64>,
    /// What must be reached.
    pub pass: f64,
    /// What should be.
    pub aim: f64,
    /// Unit of the three.
    pub unit: &'static str,
    /// Whether less is better.
    pub less: bool,
}

impl Target {
    /// A target that less is better for.
    pub fn at_most(
        what: String,
        measured: Option<f64>,
        [pass, aim]: [f64; 2],
        unit: &'static str,
    ) -> Self {
        Self {
            what,
            measured,
            pass,
            aim,
            unit,
            less: true,
        }
    }

    /// Whether it is as good as it must be; `None` where it was not measured.
    pub fn passed(&self) -> Option<bool> {
        self.measured
            .map(|measured| self.reaches(measured, self.pass))
    }

    /// In one word.
    pub fn verdict(&self) -> &'static str {
        match self.measured {
            None => "not measured",
            Some(measured) if self.reaches(measured, self.aim) => "aim reached",
            Some(measured) if self.reaches(measured, self.pass) => "passed",
            Some(_) => "MISSED",
        }
    }

    fn reaches(&self, measured: f64, bound: f64) -> bool {
        if self.less {
            measured <= bound
        } else {
            measured >= bound
        }
    }
}

impl Target {
    /// With its verdict.
    pub fn json(&self) -> serde_json::Value {
        let mut value = json!(self);
        value["passed"] = json!(self.passed());
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_goes_the_right_way() {
        let more = |measured| Target {
            less: false,
            ..Target::at_most(String::new(), measured, [1.1, 1.5], "x")
        };
        assert_eq!(more(None).verdict(), "not measured");
        assert_eq!(more(Some(1.0)).verdict(), "MISSED");
        assert_eq!(more(Some(1.2)).verdict(), "passed");
        assert_eq!(more(Some(1.6)).verdict(), "aim reached");
        let most = |measured| Target::at_most(String::new(), measured, [24.0, 12.0], "MiB");
        assert_eq!(most(Some(30.0)).verdict(), "MISSED");
        assert_eq!(most(Some(20.0)).verdict(), "passed");
        assert_eq!(most(Some(12.0)).verdict(), "aim reached");
    }
}
