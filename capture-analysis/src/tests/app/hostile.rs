//! Whoever sends chooses the bytes and how they are cut: neither is a danger, and how they are cut changes nothing.

use proptest::prelude::*;

use crate::testing::Lab;
use crate::tests::app::{
    logins::{ALL, Script, Who},
    talk::Talk,
};

/// Codes that are found where each thing is said in segments of this size.
fn found(port: u16, script: Script, size: usize) -> Vec<&'static str> {
    let mut lab = Lab::new();
    let mut talk = Talk::new(&mut lab, 40_000, port).in_pieces_of(size);
    for (who, bytes) in script {
        talk = match who {
            Who::Client => talk.client(bytes),
            Who::Server => talk.server(bytes),
        };
    }
    talk.close();
    let outcome = lab.end();
    let codes = outcome.codes();
    // Small writes are another matter.
    codes
        .into_iter()
        .filter(|code| !code.starts_with("tcp."))
        .collect()
}

#[test]
fn it_does_not_matter_how_messages_are_cut() {
    // A terminal has none.
    for (name, port, script) in ALL.into_iter().filter(|(name, ..)| *name != "Telnet") {
        for size in [1, 2, 3, 7] {
            assert_eq!(
                found(port, script, size),
                ["cred.cleartext"],
                "{name} in pieces of {size}"
            );
        }
    }
}

proptest! {
    /// Conversations with some bytes changed, and bytes of any kind after them.
    #[test]
    fn changed_conversations_are_no_danger(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        more in prop::collection::vec(any::<u8>(), 0..600),
        size in 1usize..200,
    ) {
        let (_, port, script) = *which.get(&ALL);
        let mut lab = Lab::new();
        let mut talk = Talk::new(&mut lab, 40_000, port).in_pieces_of(size);
        for (who, bytes) in script {
            let mut bytes = bytes.to_vec();
            for (at, byte) in &changes {
                let place = at.index(bytes.len());
                bytes[place] = *byte;
            }
            talk = match who {
                Who::Client => talk.client(bytes),
                Who::Server => talk.server(bytes),
            };
        }
        talk.client(&more).server(&more).close();
        lab.end();
    }

    /// Requests and responses that are put together at random.
    #[test]
    fn any_messages_are_no_danger(parts in prop::collection::vec((any::<bool>(), 0usize..12), 0..40), size in 1usize..300) {
        const PARTS: [&str; 12] = [
            "GET / HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\n", "Content-Length: 18446744073709551615\r\n", "Content-Length: 3\r\n",
            "Transfer-Encoding: chunked\r\n", "\r\n", "ffffffffffffffff\r\n", "0\r\n", "CONNECT a:1 HTTP/1.1\r\n",
            "HTTP/1.1 101 Go\r\n", "HTTP/1.1 401 No\r\n", "Authorization: Basic YTpi\r\n",
        ];
        let mut lab = Lab::new();
        let mut talk = Talk::new(&mut lab, 40_000, 80).in_pieces_of(size);
        for (is_client, part) in parts {
            talk = match is_client {
                true => talk.client(PARTS[part]),
                false => talk.server(PARTS[part]),
            };
        }
        talk.close();
        lab.end();
    }
}
