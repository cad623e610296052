//! Shares: what they open, how long, and that nothing of them is left.

use std::net::{Ipv4Addr, SocketAddr};

use jiff::SignedDuration;

use super::*;
use crate::access::{Origin, Who};

fn terms(lab: &Lab, hours: i64) -> NewShare {
    NewShare {
        expires_at: lab.clock.now() + SignedDuration::from_hours(hours),
        findings: true,
        packets: SharedPackets::Headers,
        anonymise: true,
        note: Some("for the vendor".to_owned()),
    }
}

fn share(lab: &Lab, task: &TaskId, hours: i64) -> (Share, String) {
    let made = lab
        .store
        .share_create(task, &terms(lab, hours), &Actor::daemon());
    match made.expect("it is stored") {
        Shared::Made(share, secret) => (share, secret.reveal().to_owned()),
        other => panic!("{other:?}"),
    }
}

fn from() -> Origin {
    Origin::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 7)))
}

fn verified(lab: &Lab, secret: &str) -> Option<Share> {
    lab.store.share_verify(secret).expect("it is read")
}

#[test]
fn a_secret_opens_its_share_until_its_time_is_over() {
    let lab = Lab::new();
    let task = ulid(&lab.create());
    let (first, secret) = share(&lab, &task, 1);
    let (second, other) = share(&lab, &task, 2);
    assert!(secret.starts_with("shr_") && secret.len() == 68, "{secret}");
    assert_eq!(
        lab.store.shares(&task).expect("a list"),
        [first.clone(), second.clone()]
    );
    assert_eq!(verified(&lab, &secret), Some(first.clone()));
    assert_eq!(verified(&lab, &other), Some(second.clone()));
    for wrong in [
        "",
        "shr_",
        &secret[..67],
        &secret.to_uppercase(),
        &secret.replace("shr_", "cap_"),
    ] {
        assert_eq!(verified(&lab, wrong), None, "{wrong}");
    }
    // Neither is a token, nor is a token a share.
    assert!(
        lab.store
            .token_verify(&secret, from())
            .expect("it is read")
            .is_none()
    );

    lab.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(verified(&lab, &secret), None);
    assert!(
        !lab.store
            .share_used(&first, "task", from())
            .expect("it is asked")
    );
    let left = lab.store.shares(&task).expect("a list");
    assert_eq!(left, std::slice::from_ref(&second));
    assert_eq!(
        lab.store
            .share_revoke(&first.id, &Actor::daemon())
            .expect("it is asked"),
        None
    );
    assert_eq!(lab.store.shares_expire().expect("it is stored"), [task]);
    assert_eq!(lab.store.shares_expire().expect("it is stored"), []);
    let rows: i64 = lab
        .raw()
        .query_row("SELECT count(*) FROM shares", [], |row| row.get(0))
        .expect("it is counted");
    assert_eq!(rows, 1);
    assert_eq!(verified(&lab, &other), Some(second));
}

#[test]
fn the_secret_is_nowhere() {
    let lab = Lab::new();
    let task = ulid(&lab.create());
    let (_, secret) = share(&lab, &task, 1);
    let texts: i64 = lab
        .raw()
        .query_row(
            "SELECT count(*) FROM shares WHERE instr(hex(hash), ?1) OR hash = ?1 OR note = ?1",
            [&secret[4..]],
            |row| row.get(0),
        )
        .expect("it is counted");
    assert_eq!(texts, 0);
    assert!(lab.log().iter().all(|line| !line.contains(&secret[4..])));
}

#[test]
fn a_share_ends_when_it_is_revoked_and_with_its_task() {
    let lab = Lab::new();
    let task = ulid(&lab.create());
    let (first, secret) = share(&lab, &task, 1);
    let (_, other) = share(&lab, &task, 1);
    let revoked = lab.store.share_revoke(&first.id, &Actor::daemon());
    assert_eq!(
        revoked.expect("it is stored").map(|share| share.id),
        Some(first.id)
    );
    assert_eq!(verified(&lab, &secret), None);
    assert!(
        !lab.store
            .share_used(&first, "task", from())
            .expect("it is asked")
    );
    let key = lab
        .store
        .pseudonym_key(&task)
        .expect("a key")
        .expect("the task is there");
    let again = lab.store.pseudonym_key(&task).expect("a key");
    assert_eq!(again, Some(key), "one a task");

    lab.store
        .delete(&task, &Actor::daemon())
        .expect("it is gone");
    assert_eq!(verified(&lab, &other), None);
    assert_eq!(lab.store.pseudonym_key(&task).expect("it is asked"), None);
    let keys: i64 = lab
        .raw()
        .query_row("SELECT count(*) FROM pseudonym_keys", [], |row| row.get(0))
        .expect("it is counted");
    assert_eq!(keys, 0);
    let made = lab
        .store
        .share_create(&task, &terms(&lab, 1), &Actor::daemon());
    assert!(matches!(made, Ok(Shared::NoTask)));
}

#[test]
fn each_use_is_counted_and_in_the_log_but_not_without_bound() {
    let lab = Lab::new();
    let task = ulid(&lab.create());
    let (share, secret) = share(&lab, &task, 1);
    for _ in 0..100 {
        assert!(
            lab.store
                .share_used(&share, "task", from())
                .expect("it is stored")
        );
    }
    assert!(
        lab.store
            .share_used(&share, "file", from())
            .expect("it is stored")
    );
    assert_eq!(verified(&lab, &secret).expect("it is there").uses, 101);
    lab.store.flush_audit(true).expect("it is stored");
    let lines = lab.log();
    let uses: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("share.use"))
        .collect();
    let of = format!("{task} share {}", share.id);
    let who = Who::Share { id: share.id };
    assert_eq!(
        uses,
        [
            &format!("{who} share.use {of}: task done"),
            &format!("{who} share.use {of}: file done"),
            &format!("{who} share.use {of}: task done: 99 more times"),
        ]
    );
}

#[test]
fn there_are_only_so_many_of_a_task() {
    let lab = Lab::new();
    let task = ulid(&lab.create());
    for _ in 0..MAX_SHARES {
        share(&lab, &task, 1);
    }
    let more = || {
        lab.store
            .share_create(&task, &terms(&lab, 1), &Actor::daemon())
    };
    assert!(matches!(more(), Ok(Shared::TooMany)));
    lab.clock.advance(SignedDuration::from_hours(2));
    assert!(matches!(more(), Ok(Shared::Made(..))));
}
