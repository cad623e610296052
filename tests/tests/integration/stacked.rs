//! Interfaces above, below and beside others: bridge, macvlan, vxlan, tap, loopback, and tunnels that
//! have no link header. What the agent takes is what tcpdump takes on the same interface at the same
//! time, byte for byte.

use std::{net::UdpSocket, thread};

use capture_tests::{
    agent::{self, Ended},
    cpus,
    netns::{HOST_IF, HOST_MAC, HOST4, HOST6, Lab, Netns, PEER_IF, PEER4, PEER6},
    or_skip,
    peer_tools::Tcpdump,
    readers,
    traffic::{self, Ipv4, Tap, UDP, numbered},
};

/// `WTAP_ENCAP_ETHERNET` and `WTAP_ENCAP_RAW_IP` (wiretap/wtap.h), as tshark shows them.
const ETHERNET: &str = "1";
const RAW_IP: &str = "7";

/// Captures on each of the interfaces by the agent and by tcpdump, all at once, and compares; gives
/// the numbers that each interface has shown. The traffic comes from one CPU, and so in one order.
fn beside_tcpdump(
    namespace: &Netns,
    interfaces: &[(&str, &str)],
    traffic: impl FnOnce() + Send,
) -> Vec<Vec<u32>> {
    let running: Vec<_> = interfaces
        .iter()
        .map(|(interface, _)| {
            let theirs = Tcpdump::start(namespace, interface, "");
            let ours = agent::capture(namespace, &["-i", interface, "-w", "o.pcapng"]);
            (ours, theirs)
        })
        .collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            cpus::stay_on_one();
            traffic();
            // Comes behind what is still on its way on this CPU; both have seen it then.
            let address = "127.0.0.1:7001".parse().expect("an address");
            traffic::udp_echo(namespace, namespace, address, 20, 64);
        });
    });
    let compared = running.into_iter().zip(interfaces);
    compared
        .map(|((ours, theirs), (interface, encapsulation))| {
            let ended = ours.stop().expect_whole("user");
            let ours = ended.packets();
            let theirs = theirs.packets(ours.len());
            let same = ours.len() == theirs.len()
                && ours.iter().zip(&theirs).all(|(one, other)| {
                    (&one.bytes, one.original_len) == (&other.bytes, other.original_len)
                });
            ended.check(
                same,
                format_args!("{interface}: ours {ours:02x?}\ntcpdump's {theirs:02x?}"),
            );
            encapsulated(&ended, interface, encapsulation);
            let numbers = readers::numbers(&ours);
            numbers.collect()
        })
        .collect()
}

fn encapsulated(ended: &Ended, interface: &str, encapsulation: &str) {
    let types = readers::fields(&ended.file(), "", &["frame.encap_type"]).concat();
    ended.check(
        types.iter().all(|there| there == encapsulation),
        format_args!("{interface}: encapsulation {types:?}, {encapsulation} expected"),
    );
}

/// A numbered UDP frame to a MAC address.
fn frame_to(mac: [u8; 6], number: u32) -> Vec<u8> {
    let from = "192.0.2.1:1000".parse().expect("an address");
    let to = "192.0.2.2:53".parse().expect("an address");
    let mut frame = traffic::udp_frame(from, to, number, 200);
    frame[..6].copy_from_slice(&mac);
    frame
}

/// A numbered datagram by the stack.
fn datagram(namespace: &Netns, from: &str, to: &str, number: u32) {
    namespace.within(|| {
        let socket = UdpSocket::bind((from, 5000)).expect("the address is there");
        let payload = numbered(number, 300);
        socket.send_to(&payload, (to, 5001)).expect("sent");
    });
}

#[test]
fn a_bridge_and_its_ports() {
    const BRIDGE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];
    let lab = Lab::new();
    lab.pair("out0", "outpeer0");
    lab.host.ip(&format!("addr flush dev {HOST_IF}"));
    lab.host.bridge("br0", &[HOST_IF, "out0"]);
    lab.host.ip("link set br0 address 02:00:00:00:00:07");
    lab.host.ip("addr add 10.7.0.1/24 dev br0\nneigh replace 10.7.0.9 lladdr 02:00:00:00:00:99 dev br0 nud permanent");
    let interfaces = [(HOST_IF, ETHERNET), ("out0", ETHERNET), ("br0", ETHERNET)];
    let seen = beside_tcpdump(&lab.host, &interfaces, || {
        // To a stranger, to everybody, to the bridge itself, and out of it.
        traffic::send(&lab.peer, PEER_IF, 0, [frame_to([2, 0, 0, 0, 0, 0x55], 1)]);
        traffic::send(&lab.peer, PEER_IF, 0, [frame_to([0xff; 6], 2)]);
        traffic::send(&lab.peer, PEER_IF, 0, [frame_to(BRIDGE_MAC, 3)]);
        datagram(&lab.host, "10.7.0.1", "10.7.0.9", 4);
    });
    // tcpdump makes the bridge promiscuous, so it is shown all that comes in.
    assert_eq!(seen, [vec![1, 2, 3, 4], vec![1, 2, 4], vec![1, 2, 3, 4]]);
}

#[test]
fn a_macvlan_and_the_interface_below() {
    let lab = Lab::new();
    lab.host.macvlan("mv0", HOST_IF);
    lab.host.ip("link set mv0 address 02:00:00:00:00:08");
    let interfaces = [(HOST_IF, ETHERNET), ("mv0", ETHERNET)];
    let seen = beside_tcpdump(&lab.host, &interfaces, || {
        traffic::send(&lab.peer, PEER_IF, 0, [frame_to([2, 0, 0, 0, 0, 8], 1)]);
        traffic::send(&lab.peer, PEER_IF, 0, [frame_to(HOST_MAC, 2)]);
        traffic::send(&lab.host, "mv0", 0, [frame_to([2, 0, 0, 0, 0, 0x55], 3)]);
    });
    assert_eq!(seen, [vec![1, 2, 3], vec![1, 3]]);
}

/// On the device are the inner frames, below it the outer datagrams.
#[test]
fn a_vxlan_and_the_interface_below() {
    let lab = Lab::new();
    for (namespace, interface, local, remote, last) in [
        (&lab.host, HOST_IF, HOST4, PEER4, 1),
        (&lab.peer, PEER_IF, PEER4, HOST4, 2),
    ] {
        let other = 3 - last;
        namespace.ip(&format!(
            "link add vx0 type vxlan id 5 local {local} remote {remote} dstport 4789 dev {interface}\n\
             link set vx0 address 02:00:00:00:05:0{last} arp off up\n\
             addr add 10.5.0.{last}/24 dev vx0\n\
             neigh replace 10.5.0.{other} lladdr 02:00:00:00:05:0{other} dev vx0 nud permanent"
        ));
    }
    let interfaces = [("vx0", ETHERNET), (HOST_IF, ETHERNET)];
    let outer = [
        "-i",
        HOST_IF,
        "-w",
        "o.pcapng",
        "--port",
        "4789",
        "--protocol",
        "udp",
    ];
    let outer = agent::capture(&lab.host, &outer);
    // Tunnels are not looked into: the inner addresses are not those of the outer packet.
    let inner = ["-i", HOST_IF, "-w", "o.pcapng", "--ip", "10.5.0.1"];
    let inner = agent::capture(&lab.host, &inner);
    let seen = beside_tcpdump(&lab.host, &interfaces, || {
        datagram(&lab.peer, "10.5.0.2", "10.5.0.1", 1);
        datagram(&lab.host, "10.5.0.1", "10.5.0.2", 2);
    });
    // The unreachable port is answered with the number in the quotation.
    assert_eq!(seen[0][..2], [1, 1]);
    assert!(seen[0].contains(&2), "{seen:?}");
    assert_eq!(seen[0], seen[1]);
    let outer = outer.stop().expect_whole("user");
    let rows = readers::fields(&outer.file(), "", &["vxlan.vni", "ip.src"]);
    outer.check(rows.len() == seen[1].len(), format_args!("{rows:?}"));
    let is_inside = |row: &Vec<String>| row[0] == "5" && row[1].contains("10.0.0.");
    outer.check(rows.iter().all(is_inside), format_args!("{rows:?}"));
    let inner = inner.stop().expect_whole("user");
    inner.check(inner.packets().is_empty(), "none by the inner address");
}

/// VXLAN-GPE carries bare IP packets, on a device without link header.
#[test]
fn a_vxlan_device_without_link_header() {
    let lab = Lab::new();
    lab.host
        .ip("link add gpe0 type vxlan gpe external dstport 4790\n\
         link set gpe0 up\n\
         addr add 10.6.0.1/24 dev gpe0\n\
         route add 10.66.0.0/24 encap ip id 9 dst 10.0.0.2 dev gpe0");
    let inner =
        Ipv4::new("10.6.0.9", "10.6.0.1", UDP).packet(&traffic::udp(5, 6, &numbered(1, 64)));
    // RFC draft-ietf-nvo3-vxlan-gpe: flags I and P, next protocol 1 for IPv4, and the identifier.
    let gpe = [&[0x0c, 0, 0, 1, 0, 0, 9, 0], &inner[..]].concat();
    let mut outer = Ipv4::new(PEER4, HOST4, UDP).frame(&traffic::udp(40_000, 4790, &gpe));
    outer[..6].copy_from_slice(&HOST_MAC);
    let seen = beside_tcpdump(&lab.host, &[("gpe0", RAW_IP), (HOST_IF, ETHERNET)], || {
        traffic::send(&lab.peer, PEER_IF, 0, [outer]);
        datagram(&lab.host, "10.6.0.1", "10.66.0.9", 2);
    });
    assert!(seen[0].contains(&1) && seen[0].contains(&2), "{seen:?}");
}

#[test]
fn a_tap_device() {
    let lab = Lab::new();
    let tap = Tap::new(&lab.host, "tap0");
    let seen = beside_tcpdump(&lab.host, &[("tap0", ETHERNET)], || {
        tap.receive(&frame_to([2, 0, 0, 0, 0, 0x55], 1));
        traffic::send(&lab.host, "tap0", 0, [frame_to([2, 0, 0, 0, 0, 0x55], 2)]);
    });
    assert_eq!(seen, [[1, 2]]);
}

/// Datagrams larger than a page, and super-frames, each once.
#[test]
fn loopback() {
    let lab = Lab::new();
    let data = numbered(9, 2_000_000);
    beside_tcpdump(&lab.host, &[("lo", ETHERNET)], || {
        let address = "127.0.0.1:7000".parse().expect("an address");
        traffic::udp_echo(&lab.host, &lab.host, address, 20, 40_000);
        let address = "[::1]:7000".parse().expect("an address");
        let received = traffic::tcp_transfer(&lab.host, &lab.host, address, &data);
        assert!(received == data, "the transfer is unharmed");
    });
}

#[test]
fn an_ipip_tunnel() {
    tunnel_without_link_header("ipip", [HOST4, PEER4]);
}

#[test]
fn a_sit_tunnel() {
    tunnel_without_link_header("sit", [HOST4, PEER4]);
}

#[test]
fn a_gre_tunnel() {
    tunnel_without_link_header("gre", [HOST4, PEER4]);
}

#[test]
fn an_ip6tnl_tunnel() {
    tunnel_without_link_header("ip6tnl", [HOST6, PEER6]);
}

#[test]
fn an_ip6gre_tunnel() {
    tunnel_without_link_header("ip6gre", [HOST6, PEER6]);
}

/// A tunnel of the kernel between the addresses of both sides.
fn tunnel_without_link_header(kind: &str, [host, peer]: [&str; 2]) {
    let lab = Lab::new();
    or_skip!(lab.host.tunnel("tnl0", kind, host, peer));
    or_skip!(lab.peer.tunnel("tnl0", kind, peer, host));
    for (namespace, address) in [(&lab.host, "10.80.0.1"), (&lab.peer, "10.80.0.2")] {
        namespace.ip(&format!("addr add {address}/24 dev tnl0\nlink set tnl0 up"));
    }
    let seen = beside_tcpdump(&lab.host, &[("tnl0", RAW_IP)], || {
        datagram(&lab.peer, "10.80.0.2", "10.80.0.1", 1);
        datagram(&lab.host, "10.80.0.1", "10.80.0.2", 2);
    });
    assert!(
        seen[0].contains(&1) && seen[0].contains(&2),
        "{kind}: {seen:?}"
    );
}
