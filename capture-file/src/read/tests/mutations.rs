//! Any damage at all: reading ends, within bounds, and what is before the damage stands.

use proptest::{prelude::*, sample::Index};

use super::{
    build::{Builder, End, everything},
    compression::{gzip, zstd},
    *,
};

/// One change of a file.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Word(Index, u32),
    Cut(Index),
    Drop(Index, u8),
    Insert(Index, Vec<u8>),
    Repeat(Index, u8),
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        if file.is_empty() {
            return;
        }
        let len = file.len();
        match self {
            Self::Flip(at, bits) => file[at.index(len)] ^= bits,
            Self::Word(at, word) => {
                let at = at.index(len) / 4 * 4;
                for (place, byte) in file[at..].iter_mut().zip(word.to_le_bytes()) {
                    *place = byte;
                }
            }
            Self::Cut(at) => file.truncate(at.index(len + 1)),
            Self::Drop(at, count) => {
                let at = at.index(len);
                file.drain(at..len.min(at + usize::from(*count)));
            }
            Self::Insert(at, bytes) => {
                let at = at.index(len);
                file.splice(at..at, bytes.iter().copied());
            }
            Self::Repeat(at, count) => {
                let at = at.index(len);
                let piece = file[at..len.min(at + usize::from(*count))].to_vec();
                file.splice(at..at, piece);
            }
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let word = prop_oneof![
        any::<u32>(),
        0..64_u32,
        (0..32_u32).prop_map(|bit| 1 << bit),
        Just(u32::MAX),
        Just(u32::MAX - 3),
        Just(262_144),
    ];
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, bits)| Change::Flip(at, bits)),
        (any::<Index>(), word).prop_map(|(at, word)| Change::Word(at, word)),
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), any::<u8>()).prop_map(|(at, count)| Change::Drop(at, count)),
        (any::<Index>(), proptest::collection::vec(any::<u8>(), 1..9))
            .prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, count)| Change::Repeat(at, count)),
    ]
}

fn pcap() -> Vec<u8> {
    let mut b = Builder::new(End::Little);
    b.pcap(0xa1b2_3c4d);
    for n in 1..20 {
        b.record(n, n, &vec![n as u8; 7 * n as usize]);
    }
    b.out
}

/// Reads all of it, and checks that it ends within bounds.
fn ends_well(file: &[u8], content_len: usize) {
    let mut reader = Reader::new(file);
    let mut items = 0;
    let mut comments = 0;
    while let Ok(Some(item)) = reader.next() {
        items += 1;
        if let Item::Packet(packet) = &item {
            comments += packet.comments().map(|text| text.len()).sum::<usize>();
            assert!(packet.data.len() <= 262_144);
        }
        assert!(items <= content_len, "an item takes bytes");
    }
    assert!(
        reader.next().is_ok_and(|item| item.is_none()),
        "it has ended"
    );
    // A byte that is no UTF-8 becomes three.
    assert!(comments <= 3 * content_len);
    assert!(reader.buffer_len() <= 16 * 1024 * 1024);
}

proptest! {
    /// Each case is eight files. `PROPTEST_CASES=12500` makes 100,000 of them.
    #[test]
    fn any_damage_ends_well(changes in proptest::collection::vec(change(), 1..6)) {
        let contents = [everything(), pcap()];
        for content in contents {
            let mut damaged = content.clone();
            for change in &changes {
                change.apply(&mut damaged);
            }
            ends_well(&damaged, damaged.len());
            // However its pieces come.
            let (kept, error) = read_until_fault(&damaged[..]);
            let (kept_slowly, error_slowly) = read_until_fault(OneByte(&damaged));
            prop_assert_eq!(kept, kept_slowly);
            prop_assert_eq!(format!("{error:?}"), format!("{error_slowly:?}"));
            // Damage beneath a compression that is whole, and damage of the compression: what comes out of it is at
            // most what can be repeated by six changes.
            ends_well(&gzip(&damaged), damaged.len());
            for compress in [gzip, zstd] {
                let mut compressed = compress(&content);
                for change in &changes {
                    change.apply(&mut compressed);
                }
                ends_well(&compressed, 1 << 20);
            }
        }
    }

    /// A cut file gives what is whole before the cut, and says that it is cut.
    #[test]
    fn a_cut_keeps_what_is_before(at in any::<Index>()) {
        for file in [everything(), pcap()] {
            let whole = read(&file[..]);
            let at = at.index(file.len());
            let (kept, error) = read_until_fault(&file[..at]);
            prop_assert_eq!(&kept[..], &whole[..kept.len()]);
            match error.map(|error| error.cause) {
                None | Some(ErrorCause::Cut { .. }) => {}
                Some(ErrorCause::Empty) => prop_assert_eq!(at, 0),
                Some(fault) => prop_assert!(false, "{}", fault),
            }
        }
    }
}
