//! What a dry run says of a task, for people.

use capture_task::{
    bytes_text, count_text,
    preview::{Preview, QuotaPreview},
    preview_lines::{capture_lines, ends_text, text as lines_text},
};
use serde_json::Value;

use crate::error::{Error, Result};

/// The answer of a daemon in lines, the first of which is `valid`.
pub(super) fn text(told: Value) -> Result<String> {
    let preview: Preview = serde_json::from_value(told)
        .map_err(|error| Error::runtime(format!("reading the answer of the daemon: {error}")))?;
    let Preview {
        valid: _,
        spec,
        summary,
        expression,
        expression_caveats,
        cli: _,
        curl,
        hooks,
        worst_case_bytes,
        disk_free,
        budget,
        budget_left,
        budget_left_after,
        quota,
        running,
        max_running,
        starts,
        ends_at,
        warnings,
    } = preview;
    let mut lines = capture_lines(&spec, summary, expression, expression_caveats, &hooks);
    let starts = match starts.as_str() {
        "waits" => format!("waits: {running} of {max_running} tasks run"),
        "now" => format!("now, beside {running} of {max_running} tasks"),
        other => other.to_owned(),
    };
    lines.push(("starts", starts));
    lines.push((
        "ends",
        ends_text(&spec, ends_at.as_deref(), "when it is stopped"),
    ));
    lines.push((
        "size",
        format!(
            "{} at most; {} are free on the disk",
            bytes_text(worst_case_bytes),
            bytes_text(disk_free)
        ),
    ));
    lines.push((
        "budget",
        format!(
            "{} of {} of the disk budget are left, and {} after it at the worst",
            bytes_text(budget_left),
            bytes_text(budget),
            bytes_text(budget_left_after)
        ),
    ));
    lines.push(("quota", quota_text(&quota)));
    lines.push(("curl", curl));
    let warnings = warnings.into_iter();
    lines.extend(warnings.map(|warning| ("warning", warning.detail)));
    Ok(format!("valid\n{}", lines_text(&lines)))
}

fn quota_text(quota: &QuotaPreview) -> String {
    let QuotaPreview {
        used,
        limit,
        left_after,
        resets_at,
    } = quota;
    match (limit, left_after) {
        (Some(limit), Some(left)) => format!(
            "{} of {} tasks left today after this one, {} used; the next day begins {resets_at}",
            count_text((*left).into()),
            count_text((*limit).into()),
            count_text((*used).into())
        ),
        _ => "no limit".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_preview_in_lines() {
        let told = json!({
            "valid": true, "spec": {"name": "n", "interfaces": ["eth0"], "duration": 60},
            "summary": "TCP packets", "expression": "tcp", "expression_caveats": ["a caveat"],
            "cli": "capture-agent …", "curl": "curl …", "worst_case_bytes": 1000, "disk_free": 2000,
            "budget": 4000, "budget_left": 3000, "budget_left_after": 2000, "running": 1,
            "hooks": [
                {"interface": "eth0", "hook": "tc", "mode": "tcx ingress+egress", "conflict": null},
                {"interface": "e\u{1b}", "hook": "xdp", "mode": "native ingress", "conflict": "it is taken"},
            ],
            "quota": {"used": 3, "limit": 50, "left_after": 46, "resets_at": "2026-03-02T00:00:00.000Z"},
            "max_running": 64, "starts": "now", "ends_at": "2026-03-01T12:01:00.000Z",
            "warnings": [{"pointer": "", "code": "ssh_session", "detail": "mind it"}],
        });
        assert_eq!(
            text(told.clone()).expect("a preview"),
            "valid\n\
             name     n\n\
             filter   TCP packets\n\
             tcpdump  tcp\n         a caveat\n\
             on       eth0 (tc, tcx ingress+egress)\n         e\\u{1b} (xdp) is not possible: it is taken\n\
             frames   both ways, whole, pcapng\n\
             starts   now, beside 1 of 64 tasks\n\
             ends     2026-03-01T12:01:00.000Z (duration 1m)\n\
             size     1.0 kB at most; 2.0 kB are free on the disk\n\
             budget   3.0 kB of 4.0 kB of the disk budget are left, and 2.0 kB after it at the worst\n\
             quota    46 of 50 tasks left today after this one, 3 used; the next day begins 2026-03-02T00:00:00.000Z\n\
             curl     curl …\n\
             warning  mind it\n"
        );
        let mut waits = told;
        waits["starts"] = json!("waits");
        waits["ends_at"] = Value::Null;
        waits["expression"] = json!("");
        waits["hooks"] = json!(vec![waits["hooks"][0].clone(); 12]);
        waits["quota"]["limit"] = Value::Null;
        let waits = text(waits).expect("a preview");
        assert!(
            waits.contains("starts   waits: 1 of 64 tasks run\n"),
            "{waits}"
        );
        assert!(waits.contains("\n         2 more interfaces\n"), "{waits}");
        assert!(waits.contains("quota    no limit\n"), "{waits}");
        assert!(
            waits.contains("ends     1m after its start\n") && !waits.contains("tcpdump"),
            "{waits}"
        );
        assert!(text(json!({"valid": true})).is_err());
    }
}
