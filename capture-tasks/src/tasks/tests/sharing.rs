//! What is left of shares that are over: no view, no copy.

use capture_inspector::view::{Question, ViewRequest};
use capture_store::{NewShare, Share, SharedPackets, access::Origin};

use super::{expiry::leave, *};
use crate::{
    storage::SharedCopy,
    views::{Viewed, ViewedCopy},
};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// A pcap file of no packets.
const EMPTY: [u8; 24] = [
    0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0,
];

/// A task that has ended, with a capture.
async fn ended(setup: &Setup) -> TaskId {
    let id = leave(setup, [HOUR * 240]).await[0];
    fs::write(setup.captures(&id).join("capture.pcapng"), EMPTY).expect("a file");
    id
}

/// Shares packets for an hour.
async fn share(setup: &Setup, tasks: &Tasks, id: TaskId, packets: SharedPackets) -> Share {
    let terms = NewShare {
        expires_at: setup.clock.now() + HOUR,
        findings: false,
        packets,
        anonymise: packets == SharedPackets::Headers,
        note: None,
    };
    let made = tasks.share(id, terms, &Actor::daemon()).await;
    made.expect("it is shared").0
}

async fn look(tasks: &Tasks, share: &Share) -> Result<(), TaskError> {
    let request = ViewRequest {
        file: None,
        filter: String::new(),
        question: Question::PositionOfNumber(1),
    };
    let answer = tasks.shared_view(share.clone(), Origin::Internal, request);
    answer.await.map(|_| ())
}

fn is_gone(answer: Result<(), TaskError>) -> bool {
    matches!(answer, Err(TaskError::NotFound))
}

#[test]
fn what_shows_packets_ends_with_the_last_share_that_needs_it() {
    let setup = Setup::new("");
    block_on(async {
        let id = ended(&setup).await;
        let tasks = setup.tasks();
        let [first, second, whole] = [
            share(&setup, &tasks, id, SharedPackets::Headers).await,
            share(&setup, &tasks, id, SharedPackets::Headers).await,
            share(&setup, &tasks, id, SharedPackets::Whole).await,
        ];
        for share in [&first, &second, &whole] {
            look(&tasks, share).await.expect("it is shown");
        }
        let viewed = |copy| Viewed { task: id, copy };
        let anonymous = viewed(ViewedCopy::Shared(SharedCopy::Anonymous));
        let views = &tasks.0.views;
        let shown = [anonymous, viewed(ViewedCopy::Whole)].map(|one| views.has(&one));
        assert_eq!(shown, [true, true]);
        let revoke = async |share: &Share| tasks.revoke_share(share.id, &Actor::daemon()).await;
        revoke(&first).await.expect("it is in force");
        assert!(is_gone(look(&tasks, &first).await));
        assert!(views.has(&anonymous), "another share needs it");
        look(&tasks, &second).await.expect("it is shown still");
        revoke(&second).await.expect("it is in force");
        assert!(!views.has(&anonymous) && views.has(&viewed(ViewedCopy::Whole)));
        // Time ends the other one.
        setup.clock.advance(HOUR);
        assert!(is_gone(look(&tasks, &whole).await));
        tasks.0.sweep();
        assert!(!views.has(&viewed(ViewedCopy::Whole)));
        // With the files goes what shows them.
        let last = share(&setup, &tasks, id, SharedPackets::Whole).await;
        look(&tasks, &last).await.expect("it is shown");
        tasks.0.views.forget(&id);
        assert!(!views.has(&viewed(ViewedCopy::Whole)));
        end(tasks).await;
    });
}

/// As after a kill between the end of a share and the removal of its copy, or while a copy was written.
#[test]
fn copies_that_no_share_needs_go_at_the_next_start_and_later() {
    let setup = Setup::new("");
    block_on(async {
        let id = ended(&setup).await;
        let tasks = setup.tasks();
        let used = tasks.stored_bytes();
        share(&setup, &tasks, id, SharedPackets::Headers).await;
        let copy = setup.captures(&id).join("shared-anonymous.pcapng");
        assert!(copy.exists());
        let bytes = fs::read(&copy).expect("a copy");
        setup.clock.advance(HOUR / 2);
        let later = share(&setup, &tasks, id, SharedPackets::Headers).await;
        end(tasks).await;
        // The rows go, and the copy does not.
        setup.clock.advance(HOUR);
        let store = setup.store();
        assert_eq!(store.shares_expire().expect("it is stored"), [id]);
        assert!(!store.share_is_in_force(later.id).expect("it is read"));
        drop(store);
        let begun = setup.captures(&id).join("shared-headers.new");
        fs::write(&begun, &bytes).expect("written");
        let unknown = setup.captures(&TaskId::from_parts(1, 1));
        fs::create_dir(&unknown).expect("made");
        fs::write(unknown.join("shared-headers.pcapng"), &bytes).expect("written");

        let tasks = setup.tasks();
        let gone = async || {
            while copy.exists() || begun.exists() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(SOON, gone()).await.expect("they go");
        let left = bytes.len() as u64;
        assert_eq!(tasks.stored_bytes(), used + left, "but of no task of ours");
        assert!(unknown.join("shared-headers.pcapng").exists());
        // Whatever keeps one from going, later rounds find it; one in force stays.
        share(&setup, &tasks, id, SharedPackets::Headers).await;
        fs::write(setup.captures(&id).join("shared-headers.pcapng"), &bytes).expect("written");
        tasks.0.sweep_copies();
        assert!(copy.exists());
        assert!(!setup.captures(&id).join("shared-headers.pcapng").exists());
        end(tasks).await;
    });
}
