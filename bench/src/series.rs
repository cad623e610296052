//! Runs of several tools, interleaved: in every round each tool has its turn, and each round begins with
//! another tool, so that what the machine does meanwhile meets all of them. Medians, and ratios within rounds.

use anyhow::Result;
use capture_bench::median::median;
use serde::Serialize;

use crate::{interrupt, measure::Sample, tool::Tool};

/// All runs of a tool in one case.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Series {
    pub(crate) case: String,
    pub(crate) tool: Tool,
    pub(crate) samples: Vec<Sample>,
}

/// A tool that a case is without.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LeftOut {
    pub(crate) case: String,
    pub(crate) tool: Tool,
    pub(crate) reason: String,
}

/// All that was measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Results {
    pub(crate) series: Vec<Series>,
    pub(crate) left_out: Vec<LeftOut>,
}

impl Results {
    /// Runs each tool so many times. One that fails has no further turn and is left out; only an
    /// interruption ends all.
    pub(crate) fn rounds(
        &mut self,
        case: &str,
        tools: &[Tool],
        rounds: usize,
        mut run: impl FnMut(Tool) -> Result<Sample>,
    ) -> Result<()> {
        let mut taken: Vec<(Tool, Vec<Sample>)> = Vec::new();
        taken.extend(tools.iter().map(|tool| (*tool, Vec::new())));
        for round in 0..rounds {
            eprintln!("{case}: round {} of {rounds}", round + 1);
            let mut failed = Vec::new();
            // What one run leaves behind, as memory that was a file, does not always meet the same tool.
            let first = round % taken.len().max(1);
            let (before, after) = taken.split_at_mut(first);
            for (tool, samples) in after.iter_mut().chain(before) {
                interrupt::check()?;
                match run(*tool) {
                    Ok(sample) => samples.push(sample),
                    Err(error) => {
                        interrupt::check()?;
                        failed.push(*tool);
                        self.leave_out(case, *tool, format!("{error:#}"));
                    }
                }
            }
            taken.retain(|(tool, _)| !failed.contains(tool));
        }
        self.series
            .extend(taken.into_iter().map(|(tool, samples)| Series {
                case: case.to_owned(),
                tool,
                samples,
            }));
        Ok(())
    }

    /// Notes, and says, that a case is without a tool.
    pub(crate) fn leave_out(&mut self, case: &str, tool: Tool, reason: String) {
        eprintln!("{case}: {} left out: {reason}", tool.name());
        self.left_out.push(LeftOut {
            case: case.to_owned(),
            tool,
            reason,
        });
    }

    /// The runs of a tool in a case.
    pub(crate) fn find(&self, case: &str, tool: Tool) -> Option<&Series> {
        self.series
            .iter()
            .find(|series| series.case == case && series.tool == tool)
    }

    /// The cases in the order they were measured.
    pub(crate) fn cases(&self) -> Vec<&str> {
        let mut cases: Vec<&str> = self.series.iter().map(|series| &*series.case).collect();
        cases.dedup();
        cases
    }

    /// How many times the other's figure a tool's is: the median of the rounds' ratios.
    pub(crate) fn ratio(
        &self,
        case: &str,
        [tool, other]: [Tool; 2],
        figure: impl Fn(&Sample) -> f64,
    ) -> Option<f64> {
        let [tool, other] = [self.find(case, tool)?, self.find(case, other)?];
        let pairs = tool.samples.iter().zip(&other.samples);
        median(pairs.map(|(one, two)| figure(one) / figure(two)))
    }
}

impl Series {
    pub(crate) fn median(&self, figure: impl Fn(&Sample) -> f64) -> f64 {
        median(self.samples.iter().map(figure)).unwrap_or(f64::NAN)
    }
}

/// The highest value in a range, to within a part of it, for which `holds` twice in a row; `None` where
/// there is none above the low end.
pub(crate) fn highest(
    [mut low, mut high]: [f64; 2],
    precision: f64,
    mut holds: impl FnMut(f64) -> Result<bool>,
) -> Result<Option<f64>> {
    if holds(high)? && holds(high)? {
        return Ok(Some(high));
    }
    let mut found = None;
    while high / low > 1.0 + precision {
        let middle = (low * high).sqrt();
        if holds(middle)? && holds(middle)? {
            low = middle;
            found = Some(middle);
        } else {
            high = middle;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn bisection_finds_the_bound_from_below() {
        let mut asked = 0;
        let found = highest([10.0, 1000.0], 0.05, |value| {
            asked += 1;
            Ok(value <= 300.0)
        });
        let found = found.expect("nothing fails").expect("it holds somewhere");
        assert!((285.0..=300.0).contains(&found), "{found}");
        assert!(asked < 20, "{asked}");
    }

    #[test]
    fn bisection_knows_all_and_nothing() {
        assert_eq!(
            highest([1.0, 2.0], 0.05, |_| Ok(true)).expect("nothing fails"),
            Some(2.0)
        );
        assert_eq!(
            highest([1.0, 2.0], 0.05, |_| Ok(false)).expect("nothing fails"),
            None
        );
        assert!(highest([1.0, 2.0], 0.05, |_| bail!("broken")).is_err());
    }

    #[test]
    fn a_ratio_is_taken_within_rounds() {
        let mut results = Results::default();
        // The second round begins with the second tool.
        let mut seconds = [1.0, 2.0, 40.0, 10.0, 3.0, 3.0].into_iter();
        let run = |_| {
            Ok(Sample {
                seconds: seconds.next().unwrap_or_default(),
                ..Sample::default()
            })
        };
        let tools = [Tool::AgentTc, Tool::Tcpdump];
        results.rounds("case", &tools, 3, run).expect("no failure");
        let ratio = results.ratio("case", tools, |sample| sample.seconds);
        assert_eq!(ratio, Some(0.5));
    }

    #[test]
    fn a_tool_that_fails_is_left_out() {
        let mut results = Results::default();
        let run = |tool| match tool {
            Tool::Xdpdump => bail!("no such device"),
            _ => Ok(Sample::default()),
        };
        let tools = [Tool::None, Tool::Xdpdump];
        results
            .rounds("case", &tools, 2, run)
            .expect("the rest goes on");
        assert_eq!(results.series.len(), 1);
        assert_eq!(results.left_out.len(), 1);
    }
}
