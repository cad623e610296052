//! Every row of the task's table: what is taken, what is refused, and with which field and code.

use capture_common::Direction;
use proptest::prelude::*;

use super::*;
use crate::plan::Wording;

fn text(text: &str) -> Option<Quantity> {
    Some(Quantity::Text(text.to_owned()))
}

/// A request on eth0 with `change` made to it.
fn spec(change: impl FnOnce(&mut TaskSpec)) -> TaskSpec {
    let mut spec = TaskSpec {
        interfaces: vec!["eth0".into()],
        ..TaskSpec::default()
    };
    change(&mut spec);
    spec
}

fn plan(change: impl FnOnce(&mut TaskSpec)) -> Plan {
    Plan::resolve(&spec(change), RequestOrigin::Run).expect("the request is valid")
}

fn faults(change: impl FnOnce(&mut TaskSpec)) -> Vec<(String, &'static str)> {
    Plan::resolve(&spec(change), RequestOrigin::Run)
        .expect_err("the request is not valid")
        .into_iter()
        .map(|fault| {
            let detail = fault.kind.sentence(Wording::API);
            assert!(!detail.is_empty() && !detail.contains('\n'), "{fault:?}");
            (fault.pointer, fault.kind.code())
        })
        .collect()
}

/// Asserts that `change` causes exactly one fault.
#[track_caller]
fn refused(pointer: &str, code: &'static str, change: impl FnOnce(&mut TaskSpec)) {
    assert_eq!(faults(change), [(pointer.to_owned(), code)]);
}

#[test]
fn defaults_of_run() {
    assert_eq!(
        plan(|_| ()),
        Plan {
            name: "eth0".into(),
            interfaces: InterfaceSelection::Named(vec!["eth0".into()]),
            directions: Directions::Both,
            hook: Hook::Auto,
            filter: Filter::default(),
            max_bytes: None,
            oversize: Oversize::Truncate,
            duration: None,
            max_packets: None,
            max_file_bytes: None,
            format: Format::Pcapng,
            rotate: None,
        }
    );
}

#[test]
fn defaults_of_the_daemon() {
    let named = spec(|spec| spec.name = Some("dns".into()));
    let plan = Plan::resolve(&named, RequestOrigin::Daemon).expect("valid");
    assert_eq!(plan.duration, Some(Duration::from_secs(60)));
    assert_eq!(plan.max_file_bytes, Some(1 << 30));
    let faults = Plan::resolve(&spec(|_| ()), RequestOrigin::Daemon).expect_err("no name");
    assert_eq!(
        (faults[0].pointer.as_str(), faults[0].kind.code()),
        ("/name", "required")
    );
}

#[test]
fn name() {
    plan(|spec| spec.name = Some("Ärger mit \"DNS\" 🔥".into()));
    plan(|spec| spec.name = Some("é".repeat(128)));
    refused("/name", "out_of_range", |spec| {
        spec.name = Some("é".repeat(129))
    });
    for bad in ["", "  ", "a\nb", "\u{1b}[31m", "a\u{202e}b", "\u{7f}"] {
        refused("/name", "invalid", |spec| spec.name = Some(bad.into()));
    }
    let derived = plan(|spec| spec.interfaces = vec!["a".into(), "b".into()]);
    assert_eq!(derived.name, "a,b");
}

#[test]
fn interfaces() {
    let any = plan(|spec| spec.interfaces = vec!["any".into()]);
    assert_eq!(any.interfaces, InterfaceSelection::Any);
    assert_eq!(any.name, "any");
    plan(|spec| spec.interfaces = vec!["fifteen-bytes-x".into(), "br0.100@x".into()]);
    refused("/interfaces", "required", |spec| spec.interfaces = vec![]);
    refused("/interfaces", "conflict", |spec| {
        spec.interfaces.push("any".into())
    });
    refused("/interfaces/1", "conflict", |spec| {
        spec.interfaces.push("eth0".into())
    });
    for bad in [
        "",
        "sixteen-bytes-xx",
        "a/b",
        "a b",
        "a\0b",
        "a:1",
        ".",
        "..",
        "é.é.é.é.é.é",
    ] {
        refused("/interfaces/1", "invalid", |spec| {
            spec.interfaces.push(bad.into())
        });
    }
}

#[test]
fn lists_have_bounds() {
    let names = |count: usize| (0..count).map(|n| format!("veth{n}")).collect();
    plan(|spec| spec.interfaces = names(256));
    // One fault, and not one more for each of its items.
    refused("/interfaces", "out_of_range", |spec| {
        spec.interfaces = names(257)
    });
    refused("/interfaces", "out_of_range", |spec| {
        spec.interfaces = vec![String::new(); 10_000]
    });
    let ports = |count: usize| vec![Quantity::Number(70_000); count];
    let many = faults(|spec| spec.ports = ports(1024));
    assert_eq!(many.len(), 1024);
    refused("/ports", "out_of_range", |spec| spec.ports = ports(1025));
    refused("/peer_ports", "out_of_range", |spec| {
        spec.ip = Some("10.0.0.1".into());
        spec.peer_ip = Some("10.0.0.2".into());
        spec.peer_ports = ports(10_000);
    });
}

#[test]
fn words() {
    let all = plan(|spec| {
        spec.direction = Some("egress".into());
        spec.hook = Some("xdp-generic".into());
        spec.protocol = Some("icmp".into());
        spec.oversize = Some("discard".into());
        spec.format = Some("pcap".into());
    });
    assert_eq!(all.directions, Directions::Only(Direction::Egress));
    assert_eq!(all.hook, Hook::XdpGeneric);
    assert_eq!(all.filter.protocol, Protocol::Icmp);
    assert_eq!(all.oversize, Oversize::Discard);
    assert_eq!(all.format, Format::Pcap);
    refused("/direction", "unknown", |spec| {
        spec.direction = Some("in".into())
    });
    refused("/hook", "unknown", |spec| spec.hook = Some("ebpf".into()));
    let upper = plan(|spec| {
        spec.hook = Some("XDP".into());
        spec.protocol = Some(" Tcp ".into());
    });
    assert_eq!(
        (upper.hook, upper.filter.protocol),
        (Hook::Xdp, Protocol::Tcp)
    );
    refused("/protocol", "unknown", |spec| {
        spec.protocol = Some("sctp".into())
    });
    refused("/oversize", "unknown", |spec| {
        spec.oversize = Some(String::new())
    });
    refused("/format", "unknown", |spec| {
        spec.format = Some("erf".into())
    });
    refused("/address_type", "unknown", |spec| {
        spec.address_type = Some("pair".into())
    });
    let detail = Plan::resolve(
        &spec(|s| s.direction = Some("in".into())),
        RequestOrigin::Run,
    )
    .expect_err("unknown word")[0]
        .kind
        .sentence(Wording::API);
    assert_eq!(
        detail,
        r#""in" is not known (did you mean "ingress"?); allowed are "both", "ingress", "egress""#
    );
}

#[test]
fn several_protocols_are_told_from_unknown_words() {
    for (text, is_several) in [
        ("tcp,udp", true),
        ("TCP | icmp", true),
        ("tcp udp", true),
        ("tcp,sctp", false),
        ("tcp,", false),
        ("tpc", false),
    ] {
        let spec = spec(|spec| spec.protocol = Some(text.into()));
        let faults = Plan::resolve(&spec, RequestOrigin::Run).expect_err(text);
        let found = matches!(faults[0].kind, FaultKind::SeveralProtocols { .. });
        assert_eq!((faults.len(), found), (1, is_several), "{text}");
    }
}

#[test]
fn addresses() {
    let pair = plan(|spec| {
        spec.ip = Some("10.0.0.1".into());
        spec.ports = vec![Quantity::Number(443), Quantity::Text("8000-8100".into())];
        spec.peer_ip = Some("10.9.9.9/8".into());
        spec.peer_ports = vec![Quantity::Text("1024-65535".into())];
        spec.address_type = Some("ip_pair".into());
    });
    assert_eq!(
        pair.filter.local.addresses,
        Some(vec!["10.0.0.1/32".parse().expect("address")])
    );
    assert_eq!(pair.filter.local.ports, Some(vec![443..=443, 8000..=8100]));
    assert_eq!(
        pair.filter.peer.addresses,
        Some(vec!["10.0.0.0/8".parse().expect("prefix")])
    );
    assert_eq!(pair.filter.peer.ports, Some(vec![1024..=65535]));

    refused("/ip", "invalid", |spec| {
        spec.ip = Some("example.org".into())
    });
    refused("/ip", "required", |spec| {
        spec.peer_ip = Some("10.0.0.2".into())
    });
    refused("/peer_ip", "conflict", |spec| {
        spec.ip = Some("10.0.0.1".into());
        spec.peer_ip = Some("::1".into());
    });
    // One pair of a version is enough.
    plan(|spec| {
        spec.ip = Some("10.0.0.1,::2".into());
        spec.peer_ip = Some("::1".into());
    });
    refused("/peer_ip", "conflict", |spec| {
        spec.ip = Some("10.0.0.1,10.1.0.0/16".into());
        spec.peer_ip = Some("::1,::2".into());
    });
    // What is wrong with an address comes before what would follow from the others.
    refused("/ip/1", "invalid", |spec| {
        let texts = ["10.0.0.1", "example.org"].map(str::to_owned);
        spec.ip = Some(Addresses::List(texts.to_vec()));
        spec.peer_ip = Some("::1".into());
    });
    refused("/ip", "required", |spec| {
        spec.ip = Some(Addresses::List(Vec::new()));
    });
    refused("/peer_ports", "conflict", |spec| {
        spec.ip = Some("10.0.0.1".into());
        spec.peer_ports = vec![Quantity::Number(80)];
    });
    for (field, pointer) in [(false, "/ports/0"), (true, "/peer_ports/0")] {
        refused(pointer, "out_of_range", |spec| {
            spec.ip = Some("10.0.0.1".into());
            spec.peer_ip = Some("10.0.0.2".into());
            let ports = if field {
                &mut spec.peer_ports
            } else {
                &mut spec.ports
            };
            *ports = vec![Quantity::Number(70_000)];
        });
    }
    refused("/ports/1", "invalid", |spec| {
        spec.ports = vec![Quantity::Number(443), Quantity::Text(String::new())];
    });
}

#[test]
fn address_type_agrees_with_the_addresses() {
    let with = |kind: &'static str, ip: bool, peer: bool| {
        move |spec: &mut TaskSpec| {
            spec.address_type = Some(kind.into());
            spec.ip = ip.then(|| "10.0.0.1".into());
            spec.peer_ip = peer.then(|| "10.0.0.2".into());
        }
    };
    plan(with("any", false, false));
    plan(with("ip", true, false));
    plan(with("ip_pair", true, true));
    refused("/ip", "conflict", with("any", true, false));
    refused("/peer_ip", "conflict", with("any", false, true));
    refused("/ip", "required", with("ip", false, false));
    refused("/peer_ip", "conflict", with("ip", true, true));
    refused("/peer_ip", "required", with("ip_pair", true, false));
    refused("/ip", "required", with("ip_pair", false, true));
    assert_eq!(
        faults(with("ip_pair", false, false)),
        [("/ip".into(), "required"), ("/peer_ip".into(), "required")]
    );
    assert_eq!(
        faults(|spec| {
            with("any", false, false)(spec);
            spec.peer_ports = vec![Quantity::Number(1)];
        }),
        [("/peer_ports".into(), "conflict")]
    );
}

#[test]
fn icmp_has_no_ports() {
    refused("/ports", "conflict", |spec| {
        spec.protocol = Some("icmp".into());
        spec.ports = vec![Quantity::Number(80)];
    });
}

#[test]
fn max_bytes() {
    assert_eq!(
        plan(|spec| spec.max_bytes = Some(Quantity::Number(0))).max_bytes,
        None
    );
    assert_eq!(
        plan(|spec| spec.max_bytes = text("65535")).max_bytes,
        Some(65535)
    );
    refused("/max_bytes", "out_of_range", |spec| {
        spec.max_bytes = text("65536")
    });
    refused("/max_bytes", "out_of_range", |spec| {
        spec.max_bytes = Some(Quantity::Number(-1))
    });
    refused("/max_bytes", "invalid", |spec| {
        spec.max_bytes = text("many")
    });
}

#[test]
fn limits() {
    let limits = plan(|spec| {
        spec.duration = text("1h30m");
        spec.max_packets = text("1");
        spec.max_file_bytes = text("10MB");
    });
    assert_eq!(limits.duration, Some(Duration::from_secs(5400)));
    assert_eq!(limits.max_packets, Some(1));
    assert_eq!(limits.max_file_bytes, Some(10_000_000));
    refused("/duration", "out_of_range", |spec| {
        spec.duration = text("0")
    });
    refused("/duration", "invalid", |spec| spec.duration = text("soon"));
    refused("/max_packets", "out_of_range", |spec| {
        spec.max_packets = text("0")
    });
    refused("/max_packets", "invalid", |spec| {
        spec.max_packets = text("1k")
    });
    refused("/max_packets", "out_of_range", |spec| {
        spec.max_packets = text("-1")
    });
    refused("/max_file_bytes", "out_of_range", |spec| {
        spec.max_file_bytes = text("0")
    });
}

#[test]
fn rotate() {
    let with = |bytes, seconds, files| {
        move |spec: &mut TaskSpec| {
            spec.rotate = Some(RotateSpec {
                bytes,
                seconds,
                files,
            })
        }
    };
    assert_eq!(
        plan(with(text("10MB"), text("1h"), text("3"))).rotate,
        Some(Rotate {
            bytes: Some(10_000_000),
            seconds: Some(3600),
            files: Some(3)
        })
    );
    refused("/rotate", "required", with(None, None, text("3")));
    refused("/rotate", "required", with(None, None, None));
    refused("/rotate/bytes", "out_of_range", with(text("0"), None, None));
    refused(
        "/rotate/seconds",
        "out_of_range",
        with(None, text("0"), None),
    );
    refused(
        "/rotate/files",
        "out_of_range",
        with(text("1k"), None, text("0")),
    );
}

/// In the daemon a ring must not be millions of tiny files; on one's own terminal it may.
#[test]
fn rotation_of_the_daemon() {
    let of_daemon = |rotate: &[(&str, i64)], change: fn(&mut TaskSpec)| {
        let of = |field: &str| {
            let given = rotate.iter().find(|(name, _)| *name == field);
            given.map(|(_, number)| Quantity::Number(*number))
        };
        let spec = spec(|spec| {
            spec.name = Some("n".into());
            spec.rotate = Some(RotateSpec {
                bytes: of("bytes"),
                seconds: of("seconds"),
                files: of("files"),
            });
            change(spec);
        });
        assert!(Plan::resolve(&spec, RequestOrigin::Run).is_ok());
        let plan = Plan::resolve(&spec, RequestOrigin::Daemon);
        plan.map_err(|faults| {
            let faults = faults.into_iter();
            let faults = faults.map(|fault| (fault.pointer, fault.kind.code()));
            faults.collect::<Vec<_>>()
        })
    };
    let refused = |rotate: &[(&str, i64)], change: fn(&mut TaskSpec), pointer: &str| {
        let faults = of_daemon(rotate, change).expect_err("it is refused");
        assert_eq!(faults, [(pointer.to_owned(), "out_of_range")], "{rotate:?}");
    };
    let as_is: fn(&mut TaskSpec) = |_| ();
    refused(&[("bytes", 65_535)], as_is, "/rotate/bytes");
    refused(
        &[("bytes", 65_536), ("files", 10_001)],
        as_is,
        "/rotate/files",
    );
    refused(&[("seconds", 1), ("files", 10_001)], as_is, "/rotate/files");
    of_daemon(&[("bytes", 65_536), ("files", 10_000)], as_is).expect("a ring");

    // Without `files` there are as many as the limits of the task make.
    let long: fn(&mut TaskSpec) = |spec| spec.duration = Some(Quantity::Number(10_001));
    refused(&[("seconds", 1)], long, "/rotate/seconds");
    of_daemon(&[("seconds", 2)], long).expect("5,001 files");
    of_daemon(&[("seconds", 1), ("files", 5)], long).expect("5 files");
    let large: fn(&mut TaskSpec) = |spec| spec.max_file_bytes = text("1GiB");
    refused(&[("bytes", 100_000)], large, "/rotate/bytes");
    of_daemon(&[("bytes", 110_000)], large).expect("9,762 files");
    of_daemon(&[("bytes", 100_000), ("files", 5)], large).expect("5 files");
    // The default gives way.
    let plan = of_daemon(&[("bytes", 65_536)], as_is).expect("a default");
    assert_eq!(plan.max_file_bytes, Some(655_360_000));
    let plan = of_daemon(&[("bytes", 10_000_000)], as_is).expect("a default");
    assert_eq!(plan.max_file_bytes, Some(1 << 30));
}

#[test]
fn all_faults_at_once() {
    let found = faults(|spec| {
        spec.interfaces = vec![];
        spec.protocol = Some("tpc".into());
        spec.ip = Some("host".into());
        spec.ports = vec![Quantity::Number(-1), Quantity::Text("2-1".into())];
        spec.max_packets = text("0");
    });
    let pointers: Vec<_> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(
        pointers,
        [
            "/interfaces",
            "/protocol",
            "/ip",
            "/ports/0",
            "/ports/1",
            "/max_packets"
        ]
    );
}

fn any_quantity() -> impl Strategy<Value = Quantity> {
    prop_oneof![
        any::<i64>().prop_map(Quantity::Number),
        "\\PC{0,12}".prop_map(Quantity::Text),
        "[0-9]{1,20}[a-zA-Z]{0,3}-?[0-9]{0,6}".prop_map(Quantity::Text),
    ]
}

fn any_addresses() -> impl Strategy<Value = Option<Addresses>> {
    let item = prop_oneof![
        any::<String>(),
        "(10.0.0.[1-9]|::[1-9]/64|fe80::1%e|1.2.3.4/99|10.0.0.[1-9]-10.0.0.[1-9]|::1,::2)",
    ];
    prop_oneof![
        any_text().prop_map(|text| text.map(Addresses::One)),
        prop::collection::vec(item, 0..4).prop_map(|texts| Some(Addresses::List(texts))),
    ]
}

fn any_text() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        Just(None),
        any::<String>().prop_map(Some),
        "(any|ip|ip_pair|tcp|udp|icmp|all|both|auto|10.0.0.1|::1/64|fe80::1%e|1.2.3.4/99)"
            .prop_map(Some),
    ]
}

prop_compose! {
    fn any_spec()(
        texts in prop::array::uniform7(any_text()),
        (ip, peer_ip) in (any_addresses(), any_addresses()),
        interfaces in prop::collection::vec(any::<String>(), 0..3),
        ports in prop::collection::vec(any_quantity(), 0..4),
        peer_ports in prop::collection::vec(any_quantity(), 0..4),
        numbers in prop::array::uniform7(prop::option::of(any_quantity())),
        rotated in any::<bool>(),
    ) -> TaskSpec {
        let [name, direction, hook, protocol, address_type, oversize, format] = texts;
        let [max_bytes, duration, max_packets, max_file_bytes, bytes, seconds, files] = numbers;
        TaskSpec {
            name, interfaces, direction, hook, protocol, address_type, ip, ports, peer_ip,
            peer_ports, icmp_errors: false, max_bytes, oversize, duration, max_packets, max_file_bytes, format,
            rotate: rotated.then_some(RotateSpec { bytes, seconds, files }),
        }
    }
}

proptest! {
    #[test]
    fn any_request_gets_a_plan_or_faults(spec in any_spec()) {
        for face in [RequestOrigin::Run, RequestOrigin::Daemon] {
            if let Err(faults) = Plan::resolve(&spec, face) {
                prop_assert!(!faults.is_empty());
                for Fault { pointer, kind } in faults {
                    let (code, detail) = (kind.code(), kind.sentence(Wording::API));
                    prop_assert!(pointer.starts_with('/'));
                    prop_assert!(["required", "invalid", "out_of_range", "conflict", "unknown"]
                        .contains(&code));
                    // What goes over HTTP says the same there.
                    let json = serde_json::to_string(&kind).expect("serializes");
                    prop_assert_eq!(serde_json::from_str::<FaultKind>(&json).expect("deserializes"), kind);
                    prop_assert!(!detail.contains(char::is_control), "{detail:?}");
                }
            }
        }
    }

    #[test]
    fn a_request_survives_json(spec in any_spec()) {
        let json = serde_json::to_string(&spec).expect("serializes");
        let back: TaskSpec = serde_json::from_str(&json).expect("deserializes");
        prop_assert_eq!(back, spec);
    }
}
