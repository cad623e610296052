//! Tokens: shown once, known by their hash, over when they are over.

use std::fs;

use super::*;
use crate::{
    access::{Account, Origin, Role, Who},
    error::ErrorKind,
};

fn new(name: &str) -> NewToken {
    NewToken {
        name: name.to_owned(),
        role: Role::Operator,
        account: None,
        expires_at: None,
    }
}

fn bearer(lab: &Lab, secret: &str) -> Option<Actor> {
    lab.store
        .token_verify(secret, Origin::Command)
        .expect("the database is read")
}

#[test]
fn a_token_becomes_an_actor() {
    let lab = Lab::new();
    let admin = Actor::command();
    let wanted = NewToken {
        role: Role::Viewer,
        account: Account::new("team"),
        ..new("ci")
    };
    let (info, secret) = lab.store.token_create(&wanted, &admin).expect("a token");
    assert_eq!((info.name.as_str(), info.role), ("ci", Role::Viewer));
    let from = Origin::Tcp("192.0.2.1:5000".parse().expect("an address"));
    let actor = lab
        .store
        .token_verify(secret.reveal(), from)
        .expect("it is read");
    let actor = actor.expect("it is a token");
    assert_eq!(actor.account.as_str(), "team");
    assert_eq!(actor.role, Role::Viewer);
    assert_eq!(
        actor.caller.who,
        Who::Token {
            id: info.id,
            name: "ci".to_owned()
        }
    );
    assert_eq!(actor.caller.from.to_string(), "tcp 192.0.2.1:5000");

    // Without an account it has one of its own name.
    let (_, secret) = lab
        .store
        .token_create(&new("lone"), &admin)
        .expect("a token");
    let actor = bearer(&lab, secret.reveal()).expect("it is a token");
    assert_eq!(actor.account.as_str(), "lone");
}

#[test]
fn other_secrets_are_nobody() {
    let lab = Lab::new();
    let (_, secret) = lab
        .store
        .token_create(&new("ci"), &Actor::command())
        .expect("a token");
    let secret = secret.reveal();
    assert_eq!(secret.len(), 4 + 64);
    assert!(bearer(&lab, secret).is_some());
    let mut last = secret.to_owned();
    last.replace_range(67.., if secret.ends_with('0') { "1" } else { "0" });
    for wrong in [
        "",
        "cap_",
        &secret[4..],
        &secret[..67],
        &format!("{secret}0"),
        &secret.to_uppercase(),
        &last,
        "ci",
        &"x".repeat(1 << 20),
    ] {
        assert_eq!(bearer(&lab, wrong), None);
    }
}

/// A tab key is no look at the tokens that anybody needs to hear of.
#[test]
fn unrevoked_tokens_are_read_without_a_line() {
    let lab = Lab::new();
    let admin = Actor::command();
    for name in ["a", "b"] {
        lab.store.token_create(&new(name), &admin).expect("a token");
    }
    lab.store.token_revoke("a", &admin).expect("it is revoked");
    let lines = || {
        let lines = lab.store.audit_list(&AuditFilter::default(), &admin);
        lines.expect("a log").len()
    };
    let before = lines();
    let tokens = lab.store.unrevoked_tokens().expect("the tokens");
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0].name, "b");
    // The first look at the log, and nothing else.
    assert_eq!(lines(), before + 1);
}

#[test]
fn secrets_are_stored_nowhere() {
    let lab = Lab::new();
    let (info, secret) = lab
        .store
        .token_create(&new("ci"), &Actor::command())
        .expect("a token");
    assert_eq!(format!("{secret:?}"), "Secret");
    bearer(&lab, secret.reveal()).expect("it is a token");
    lab.store.token_list(&Actor::command()).expect("a list");
    let hidden = &secret.reveal()[4..];
    let bits: Vec<u8> = (0..64)
        .step_by(2)
        .map(|at| u8::from_str_radix(&hidden[at..at + 2], 16).expect("hexadecimal"))
        .collect();
    for entry in fs::read_dir(lab.directory.path()).expect("its directory") {
        let content = fs::read(entry.expect("an entry").path()).expect("it is read");
        let holds = |what: &[u8]| content.windows(what.len()).any(|window| window == what);
        assert!(!holds(hidden.as_bytes()) && !holds(&bits));
    }
    // The search would have found it.
    let wal = fs::read(lab.directory.path().join("state.db-wal")).expect("the log");
    let id = info.id.to_string();
    assert!(wal.windows(id.len()).any(|window| window == id.as_bytes()));
}

#[test]
fn over_is_over() {
    let lab = Lab::new();
    let admin = Actor::command();
    let short = NewToken {
        expires_at: "2026-11-25T13:00:00Z".parse().ok(),
        ..new("short")
    };
    let is_in_use = |id| lab.store.token_is_in_use(id).expect("the database is read");
    let (info, secret) = lab.store.token_create(&short, &admin).expect("a token");
    lab.clock.set("2026-11-25T12:59:59.999Z");
    assert!(bearer(&lab, secret.reveal()).is_some() && is_in_use(info.id));
    lab.clock.set("2026-11-25T13:00:00Z");
    assert!(bearer(&lab, secret.reveal()).is_none() && !is_in_use(info.id));

    let late = lab
        .store
        .token_create(&short, &admin)
        .expect_err("it would be over");
    assert_eq!(late.kind, ErrorKind::Usage);

    let (info, secret) = lab.store.token_create(&new("ci"), &admin).expect("a token");
    assert!(bearer(&lab, secret.reveal()).is_some() && is_in_use(info.id));
    // Another process revokes it.
    let other = open(&lab.path(), &lab.clock);
    let revoked = other.token_revoke("ci", &admin).expect("it is revoked");
    assert_eq!(revoked.revoked_at, Some(lab.clock.now()));
    assert!(bearer(&lab, secret.reveal()).is_none() && !is_in_use(info.id));
    assert!(!is_in_use(ulid::Ulid::new()));

    // Its name is free again, and the list has both.
    let (second, _) = lab.store.token_create(&new("ci"), &admin).expect("a token");
    lab.store
        .token_revoke(&second.id.to_string(), &admin)
        .expect("it is revoked");
    let tokens = lab.store.token_list(&admin).expect("a list");
    assert_eq!(tokens.len(), 3);
    assert!(tokens.iter().any(|token| token.id == info.id));
    assert_eq!(
        lab.store
            .token_revoke("ci", &admin)
            .expect_err("none is in use")
            .kind,
        ErrorKind::NotFound
    );
    assert_eq!(
        lab.store
            .token_revoke(&info.id.to_string(), &admin)
            .expect_err("it is revoked")
            .kind,
        ErrorKind::NotFound
    );
}

#[test]
fn names() {
    let lab = Lab::new();
    let admin = Actor::command();
    lab.store.token_create(&new("ci"), &admin).expect("a token");
    let twice = lab
        .store
        .token_create(&new("ci"), &admin)
        .expect_err("it is in use");
    assert_eq!(twice.kind, ErrorKind::Conflict);
    for name in ["", "a b", "a\u{1b}[31m", "../a"] {
        let error = lab.store.token_create(&new(name), &admin).expect_err(name);
        assert_eq!(error.kind, ErrorKind::Usage);
    }
}

#[test]
fn all_of_it_is_in_the_log() {
    let lab = Lab::new();
    let admin = Actor::command();
    let (info, _) = lab.store.token_create(&new("ci"), &admin).expect("a token");
    lab.store.token_list(&admin).expect("a list");
    lab.store.token_revoke("ci", &admin).expect("it is revoked");
    let uid = nix::unistd::getuid();
    let id = info.id;
    assert_eq!(
        lab.log(),
        [
            format!("uid {uid} token.create ci {id} done"),
            format!("uid {uid} token.list tokens done"),
            format!("uid {uid} token.revoke ci {id} done"),
        ]
    );
}

#[test]
fn as_json() {
    let lab = Lab::new();
    let (info, _) = lab
        .store
        .token_create(&new("ci"), &Actor::command())
        .expect("a token");
    let json = serde_json::to_string(&info).expect("it is written");
    assert_eq!(
        json,
        format!(
            r#"{{"id":"{}","name":"ci","role":"operator","account":"ci","created_at":"2026-11-25T12:00:00.000Z","expires_at":null,"revoked_at":null,"used_at":null}}"#,
            info.id
        )
    );
}

#[test]
fn the_use_of_a_token_is_noted_now_and_then() {
    let lab = Lab::new();
    let actor = Actor::command();
    let (info, secret) = lab.store.token_create(&new("ci"), &actor).expect("a token");
    let used = || {
        let tokens = lab.store.token_list(&actor).expect("a list");
        tokens[0].used_at.map(|at| at.to_string())
    };
    assert_eq!(used(), None);
    bearer(&lab, "cap_other");
    assert_eq!(used(), None);
    bearer(&lab, secret.reveal());
    assert_eq!(used().as_deref(), Some("2026-11-25T12:00:00Z"));
    lab.clock.advance(jiff::SignedDuration::from_mins(4));
    bearer(&lab, secret.reveal());
    assert_eq!(used().as_deref(), Some("2026-11-25T12:00:00Z"));
    lab.clock.advance(jiff::SignedDuration::from_mins(1));
    bearer(&lab, secret.reveal());
    assert_eq!(used().as_deref(), Some("2026-11-25T12:05:00Z"));
    assert_eq!(lab.store.tokens_in_use().expect("a set"), [info.id].into());
    lab.store.token_revoke("ci", &actor).expect("it is revoked");
    assert!(lab.store.tokens_in_use().expect("a set").is_empty());
}
