//! What analyses said, as it is kept.

use super::*;

fn done(lab: &Lab, sizes: &[u64]) -> TaskRecord {
    let record = lab.create();
    update(lab, &record, started(lab)).expect("it starts");
    update(lab, &record, ended(lab.clock.now(), sizes)).expect("it ends");
    record
}

#[test]
fn they_are_kept_replaced_and_go_with_the_task() {
    let lab = Lab::new();
    let id = ulid(&done(&lab, &[10]));
    assert_eq!(lab.store.findings(&id).expect("it is read"), None);
    for analyzed in [
        Analyzed::Failed("analysis ended".to_owned()),
        Analyzed::Report("{}".to_owned()),
    ] {
        assert!(lab.store.put_findings(&id, &analyzed).expect("it is kept"));
        assert_eq!(lab.store.findings(&id).expect("it is read"), Some(analyzed));
    }
    lab.store.delete(&id, &Actor::daemon()).expect("it is gone");
    assert_eq!(lab.store.findings(&id).expect("it is read"), None);
    let rows: i64 = lab
        .raw()
        .query_row("SELECT count(*) FROM findings", [], |row| row.get(0))
        .expect("it is counted");
    assert_eq!(rows, 0);
    // What ends after its task was deleted leaves nothing.
    let late = Analyzed::Report("{}".to_owned());
    assert!(!lab.store.put_findings(&id, &late).expect("nothing to keep"));
}

#[test]
fn what_is_still_to_be_analyzed() {
    let lab = Lab::new();
    let first = ulid(&done(&lab, &[10]));
    let second = ulid(&done(&lab, &[10]));
    let analyzed = ulid(&done(&lab, &[10]));
    done(&lab, &[]);
    let expired = done(&lab, &[10]);
    let at = lab.clock.now();
    update(&lab, &expired, Change::FilesRemoved { at }).expect("they are removed");
    let running = lab.create();
    update(&lab, &running, started(&lab)).expect("it starts");
    let report = Analyzed::Report("{}".to_owned());
    lab.store
        .put_findings(&analyzed, &report)
        .expect("it is kept");
    assert_eq!(lab.store.unanalyzed(9).expect("a list"), [second, first]);
    assert_eq!(lab.store.unanalyzed(1).expect("a list"), [second]);
}

#[test]
fn they_are_counted_beside_the_task() {
    let lab = Lab::new();
    let record = done(&lab, &[10]);
    let id = ulid(&record);
    let counted = || stored(&lab, &record).record.findings;
    let put = |analyzed| lab.store.put_findings(&id, &analyzed).expect("it is kept");
    assert_eq!(counted(), None);
    let severities = ["high", "info", "warn", "info"];
    let findings = severities.map(|severity| format!(r#"{{"severity":"{severity}","code":"x"}}"#));
    let report = format!(r#"{{"findings":[{}]}}"#, findings.join(","));
    put(Analyzed::Report(report));
    let counts = FindingCounts {
        high: 1,
        warn: 1,
        info: 2,
    };
    assert_eq!(counted(), Some(counts));
    put(Analyzed::Failed("analysis ended".to_owned()));
    assert_eq!(counted(), None);
    put(Analyzed::Report(r#"{"findings":[]}"#.to_owned()));
    assert_eq!(counted(), Some(FindingCounts::default()));
}
