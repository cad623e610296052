//! Going back: from every place on the same comes as when it was read first.

use super::{
    build::{Builder, End, everything},
    *,
};

/// Reads a file, and again from each of its places while, and after, it is read.
fn check(file: &[u8]) -> usize {
    let mut reader = Reader::new(file);
    let (mut all, mut places) = (Vec::new(), Vec::new());
    loop {
        let place = reader.place();
        places.extend(place.map(|place| (place, all.len())));
        match reader.next().expect("a sound file") {
            Some(item) => all.push(Kept::from(item)),
            None => break,
        }
    }
    assert_eq!(reader.place(), None, "after the end");
    for (place, before) in &places {
        let start = place.offset as usize;
        let mut again = reader.from_place(*place, &file[start..]);
        let mut rest = Vec::new();
        loop {
            match reader_item(&mut again) {
                Kept::Pending => break,
                item => rest.push(item),
            }
        }
        assert_eq!(rest, all[*before..], "from {place:?}");
        assert_eq!(again.packets(), reader.packets());
    }
    places.len()
}

fn reader_item(reader: &mut Reader<&[u8]>) -> Kept {
    let item = reader.next().expect("what was sound before");
    item.expect("no end, as the file may grow").into()
}

#[test]
fn everything_comes_again_from_each_place() {
    // All items but the first, which nothing is known before.
    assert_eq!(check(&everything()), read(&everything()[..]).len());
    let three = [everything(), everything(), everything()].concat();
    assert!(check(&three) > 30);
}

#[test]
fn pcap_in_both_orders() {
    for end in [End::Little, End::Big] {
        for magic in [0xa1b2_c3d4, 0xa1b2_3c4d] {
            let mut b = Builder::new(end);
            b.pcap(magic);
            for n in 0..50 {
                b.record(1_700_000_000 + n, 7, &vec![1; n as usize]);
            }
            assert_eq!(check(&b.out), 51);
        }
    }
}

#[test]
fn an_interface_that_is_described_later_is_described_again() {
    let mut b = Builder::new(End::Little);
    b.section();
    for n in 0..20 {
        b.interface(0, |b| {
            b.option(2, format!("eth{n}").as_bytes());
        });
        b.packet(n, 5, &[1; 60], |_| {});
        b.packet(0, 5, &[1; 60], |_| {});
    }
    check(&b.out);
}

#[test]
fn damage_leaves_the_places_before_it() {
    let mut file = everything();
    let len = file.len();
    file.truncate(len - 5);
    let mut reader = Reader::new(&file[..]);
    let mut places = Vec::new();
    while let Ok(Some(_)) = reader.next() {
        places.extend(reader.place());
    }
    let first = places[0];
    let mut again = reader.from_place(first, &file[first.offset as usize..]);
    while !matches!(again.next(), Ok(Some(Item::Pending))) {}
    assert_eq!(again.packets(), reader.packets());
}

#[test]
fn compressed_content_has_no_places() {
    let file = zstd::encode_all(&everything()[..], 1).expect("it is compressed");
    let mut reader = Reader::new(&file[..]);
    while reader.next().expect("a sound file").is_some() {
        assert_eq!(reader.place(), None);
    }
}
