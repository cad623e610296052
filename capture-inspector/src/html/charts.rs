//! Charts of rate, round trips and resends over time, as SVG in the page. An interval is one unit wide, the greatest value
//! 100 units high, and the picture is stretched to the width that there is.

use std::fmt::Write as _;

use capture_analysis::Series;
use maud::{Markup, html};

use super::words;

/// Fewer intervals show nothing.
const FEWEST: usize = 4;

pub(super) fn section(series: &Series) -> Markup {
    if series.packets.len() < FEWEST {
        return html! {};
    }
    html! {
        section {
            h2 { "Over time" }
            div.charts {
                (rate(series))
                (round_trips(series))
                (resent(series))
            }
        }
    }
}

fn rate(series: &Series) -> Markup {
    let bits = |bytes: f64| bytes * 8.0 / series.interval;
    let most = series.bytes.iter().copied().max().unwrap_or(0);
    let mean = series.bytes.iter().sum::<u64>() as f64 / series.bytes.len() as f64;
    let caption = format!(
        "Rate: at most {}, {} on average",
        words::rate(bits(most as f64)),
        words::rate(bits(mean))
    );
    chart(
        series,
        &caption,
        html! {},
        html! { path.rate d=(steps(&series.bytes, most)) {} },
    )
}

fn round_trips(series: &Series) -> Markup {
    let (Some(p50), Some(p95)) = (&series.rtt_p50_us, &series.rtt_p95_us) else {
        return html! {};
    };
    let p95: Vec<_> = p95.iter().map(|us| us.unwrap_or(0)).collect();
    let most = p95.iter().copied().max().unwrap_or(0);
    let caption = format!(
        "Round trip of TCP: 95th percentile up to {}",
        words::microseconds(most)
    );
    let key = html! {
        span.faint {
            span.key.is-p50 {} "median" span.key.is-p95 {} "95th percentile"
        }
    };
    let lines = html! {
        path.p95 d=(steps(&p95, most)) {}
        path.p50 d=(dashes(p50, most)) {}
    };
    chart(series, &caption, key, lines)
}

fn resent(series: &Series) -> Markup {
    let Some(resent) = &series.retransmissions else {
        return html! {};
    };
    let all: u64 = resent.iter().sum();
    let most = resent.iter().copied().max().unwrap_or(0);
    let caption = format!(
        "Resends of TCP: {}, at most {} in {}",
        words::count(all),
        words::count(most),
        words::seconds(series.interval)
    );
    let bars = html! { path.resent d=(steps(resent, most)) {} };
    chart(series, &caption, html! {}, bars)
}

fn chart(series: &Series, caption: &str, key: Markup, content: Markup) -> Markup {
    let intervals = series.packets.len();
    let duration = intervals as f64 * series.interval;
    html! {
        figure {
            figcaption { (caption) (key) }
            svg viewBox=(format!("0 -4 {intervals} 104")) preserveAspectRatio="none" role="img" aria-label=(caption) {
                (content)
            }
            div.ends {
                span { "0 s" }
                span { (words::seconds(duration / 2.0)) }
                span { (words::seconds(duration)) }
            }
        }
    }
}

fn height(value: u64, most: u64) -> f64 {
    100.0 - 100.0 * value as f64 / most.max(1) as f64
}

/// The outline of columns; runs of equal ones are one.
fn steps(values: &[u64], most: u64) -> String {
    let mut path = String::from("M0 100");
    let mut end = 0;
    for run in values.chunk_by(|one, other| one == other) {
        end += run.len();
        // Writing into a string does not fail.
        let _ = write!(path, "V{:.1}H{end}", height(run[0], most));
    }
    path.push_str("V100Z");
    path
}

/// A dash for each interval that has a value.
fn dashes(values: &[Option<u64>], most: u64) -> String {
    let mut path = String::new();
    for (index, value) in values.iter().enumerate() {
        if let Some(value) = value {
            let _ = write!(path, "M{index} {:.1}h1", height(*value, most));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_high_as_their_values() {
        assert_eq!(
            steps(&[0, 5, 5, 10], 10),
            "M0 100V100.0H1V50.0H3V0.0H4V100Z"
        );
        assert_eq!(steps(&[0, 0], 0), "M0 100V100.0H2V100Z");
        assert_eq!(
            dashes(&[None, Some(10), None, Some(0)], 10),
            "M1 0.0h1M3 100.0h1"
        );
    }
}
