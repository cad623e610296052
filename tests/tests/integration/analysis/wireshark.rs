//! Wireshark's classes of TCP segments on captures of others, packet by packet. tshark 4.0 is what is equalled.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use capture_analysis::{Analyzer, Interface, Options, Packet, WiresharkClasses};
use capture_file::read::{Item, Reader};

/// Our classes of each packet that could be read.
fn ours(path: &Path) -> Vec<String> {
    let mut analyzer = Analyzer::new(Options {
        wireshark_classes: true,
        ..Options::default()
    });
    let mut reader = Reader::new(File::open(path).expect("it is there"));
    let mut classes = Vec::new();
    while let Ok(Some(item)) = reader.next() {
        match item {
            Item::Interface(interface) => {
                let described = Interface {
                    link_type: interface.link_type,
                    ..Interface::default()
                };
                analyzer.interface(interface.id, described);
            }
            Item::Packet(packet) => {
                analyzer.packet(&Packet {
                    number: packet.number,
                    timestamp_ns: packet.timestamp_ns.unwrap_or(0),
                    interface: packet.interface,
                    direction: packet.direction,
                    original_len: packet.original_len,
                    lost_before: 0,
                    data: packet.data,
                });
                classes.push(analyzer.wireshark_classes().to_string());
            }
            _ => {}
        }
    }
    classes
}

/// tshark's classes of each packet, in the same words; none for what is not TCP.
fn theirs(path: &Path) -> Vec<Option<String>> {
    let mut command = Command::new("tshark");
    command.args(["-n", "-T", "fields", "-e", "tcp.stream", "-r"]);
    command.arg(path);
    for name in WiresharkClasses::NAMES {
        command.args(["-e", &format!("tcp.analysis.{name}")]);
    }
    let done = command.output().expect("tshark runs");
    let text = String::from_utf8_lossy(&done.stdout);
    let words = |row: &str| {
        let (stream, classes) = row.split_once('\t')?;
        let values = WiresharkClasses::NAMES.iter().zip(classes.split('\t'));
        let set = values.filter(|(_, value)| !value.is_empty());
        let set = set.map(|(name, _)| *name).collect::<Vec<_>>().join(" ");
        (!stream.is_empty()).then_some(set)
    };
    text.lines().map(words).collect()
}

#[test]
#[ignore = "run by hand, on captures that CAPTURE_TEST_CAPTURES names"]
fn captures_of_others_have_the_same_classes() {
    let directory = env::var_os("CAPTURE_TEST_CAPTURES").expect("CAPTURE_TEST_CAPTURES is set");
    let entries = fs::read_dir(directory).expect("it is a directory");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let (mut with_tcp, mut same) = (0, 0);
    for path in files {
        let (ours, theirs) = (ours(&path), theirs(&path));
        if theirs.iter().all(Option::is_none) {
            continue;
        }
        with_tcp += 1;
        let unlike: Vec<_> = (1..)
            .zip(ours.iter().zip(&theirs))
            .map(|(number, (ours, theirs))| (number, (ours, theirs.clone().unwrap_or_default())))
            .filter(|(_, (ours, theirs))| *ours != theirs)
            .collect();
        match unlike.first() {
            None => same += 1,
            Some((number, (of_us, of_tshark))) => println!(
                "{}: {} of {} packets, first {number}: [{of_us}], tshark [{of_tshark}]",
                path.display(),
                unlike.len(),
                ours.len()
            ),
        }
    }
    println!("{same} of {with_tcp} captures with TCP have the same classes");
    assert!(with_tcp > 0, "there are captures with TCP");
    assert!(same * 100 >= with_tcp * 95, "{same} of {with_tcp}");
}
