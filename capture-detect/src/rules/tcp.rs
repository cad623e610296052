//! TCP, and what it shows of the network and of applications.

use super::rule::{Rule, Threshold};
use crate::severity::Severity;

pub const UNANSWERED_SYNS: Threshold = Threshold {
    name: "SYNs of one connection without an answer",
    value: 2.0,
    unit: "packets",
    reason: "one may be lost on the way; a second, a second later, hardly",
    source: "RFC 6298 section 5.7",
};

pub const REJECTIONS: Threshold = Threshold {
    name: "rejections of one service",
    value: 1.0,
    unit: "packets",
    reason: "a device that rejects says so on purpose",
    source: "RFC 1812 section 5.2.7.1",
};

pub const LOSS_SHARE: Threshold = Threshold {
    name: "segments that were sent again",
    value: 0.01,
    unit: "share",
    reason: "below one in a hundred, loss recovery hides it from people",
    source: "Mathis et al. 1997: at 1 % and 100 ms a connection is limited to about 1.4 Mbit/s",
};

pub const LOSS_HIGH: Threshold = Threshold {
    name: "segments that were sent again, to be of high severity",
    value: 0.05,
    unit: "share",
    reason: "timeouts dominate from here on",
    source: "Padhye et al. 1998",
};

pub const LOSS_SEGMENTS: Threshold = Threshold {
    name: "segments that were sent again",
    value: 5.0,
    unit: "segments",
    reason: "fewer are chance",
    source: "display only",
};

pub const LOSS_EPISODES: Threshold = Threshold {
    name: "separate losses",
    value: 2.0,
    unit: "episodes",
    reason: "one burst may be a change of the route",
    source: "RFC 5681 section 4.3: losses of one window are one event",
};

pub const RESENDS_IN_VAIN: Threshold = Threshold {
    name: "resends of one segment that was never acknowledged",
    value: 3.0,
    unit: "resends",
    reason: "three losses in a row of the same segment are no chance",
    source: "RFC 6298 section 5.5; RFC 1122 section 4.2.3.5, R1",
};

pub const FULL_SIZE: Threshold = Threshold {
    name: "payload of a segment that is large",
    value: 1000.0,
    unit: "bytes",
    reason: "below that, packets pass any link of IPv6",
    source: "RFC 8200 section 5: 1,280 bytes pass everywhere",
};

pub const REORDERED: Threshold = Threshold {
    name: "packets that were overtaken",
    value: 10.0,
    unit: "packets",
    reason: "single ones do no harm",
    source: "RFC 4737",
};

pub const REORDERED_SHARE: Threshold = Threshold {
    name: "packets that were overtaken",
    value: 0.01,
    unit: "share",
    reason: "from here on, senders take it for loss",
    source: "RFC 4737; Linux, tcp_reordering",
};

pub const DOUBLED: Threshold = Threshold {
    name: "packets that the network delivered twice",
    value: 5.0,
    unit: "packets",
    reason: "fewer may come from a change of the route",
    source: "RFC 5560",
};

pub const DOUBLED_SHARE: Threshold = Threshold {
    name: "packets that the network delivered twice",
    value: 0.001,
    unit: "share",
    reason: "networks that work do not double packets",
    source: "RFC 5560",
};

pub const SLOW_HANDSHAKE: Threshold = Threshold {
    name: "time from the SYN to its answer",
    value: 1.0,
    unit: "s",
    reason: "the first resend of a SYN comes after one second",
    source: "RFC 6298 section 2.1",
};

pub const SLOW_HANDSHAKE_FACTOR: Threshold = Threshold {
    name: "time from the SYN to its answer, against the shortest round trip",
    value: 5.0,
    unit: "times",
    reason: "a host that is not busy answers within a round trip",
    source: "RFC 6298",
};

pub const SLOW_HANDSHAKE_FLOOR: Threshold = Threshold {
    name: "time from the SYN to its answer, to be compared",
    value: 0.2,
    unit: "s",
    reason: "people do not notice less",
    source: "ITU-T G.1010",
};

pub const RTT_FACTOR: Threshold = Threshold {
    name: "95th percentile of the round trip against the shortest",
    value: 5.0,
    unit: "times",
    reason: "routes vary by less; queues do not",
    source: "RFC 7567; Gettys 2011",
};

pub const RTT_MEDIAN_FACTOR: Threshold = Threshold {
    name: "median of the round trip against the shortest",
    value: 2.5,
    unit: "times",
    reason: "delayed acknowledgements alone raise the 95th percentile, not the median",
    source: "RFC 1122 section 4.2.3.2",
};

pub const RTT_ADDED: Threshold = Threshold {
    name: "what the queue adds to the median round trip",
    value: 0.03,
    unit: "s",
    reason: "speech and games notice from here on",
    source: "ITU-T G.114",
};

pub const RTT_SAMPLES: Threshold = Threshold {
    name: "round trips measured",
    value: 20.0,
    unit: "samples",
    reason: "a 95th percentile of fewer is one value",
    source: "display only",
};

pub const LOADED: Threshold = Threshold {
    name: "payload under which the round trip grew",
    value: 200_000.0,
    unit: "bytes",
    reason: "a queue needs load",
    source: "RFC 7567",
};

pub const CLOSED_LONGEST: Threshold = Threshold {
    name: "time for which a window was closed at once",
    value: 0.5,
    unit: "s",
    reason: "shorter ones come with any application that pauses",
    source: "RFC 9293 section 3.8.6.1",
};

pub const CLOSED_SHARE: Threshold = Threshold {
    name: "time for which the window was closed, of the time of the connections",
    value: 0.1,
    unit: "share",
    reason: "the transfer takes a tenth longer",
    source: "display only",
};

pub const CLOSED_TOTAL: Threshold = Threshold {
    name: "time for which the window was closed in all",
    value: 0.2,
    unit: "s",
    reason: "people do not notice less",
    source: "ITU-T G.1010",
};

pub const LIMITED_SHARE: Threshold = Threshold {
    name: "time in which the window was full, of the time with data outstanding",
    value: 0.3,
    unit: "share",
    reason: "below, something else limits most of the time",
    source: "Zhang et al. 2002, rate limiting factors",
};

pub const LIMITED_BUSY: Threshold = Threshold {
    name: "time with data outstanding",
    value: 1.0,
    unit: "s",
    reason: "shorter transfers end before the window grows",
    source: "RFC 7323",
};

pub const LIMITED_RATE: Threshold = Threshold {
    name: "rate against what window and round trip allow",
    value: 0.5,
    unit: "share",
    reason: "far below, the window is not what limits",
    source: "RFC 7323 section 1.1",
};

pub const LIMITED_BOUND: Threshold = Threshold {
    name: "rate that window and round trip allow",
    value: 125_000_000.0,
    unit: "bytes/s",
    reason: "above 1 Gbit/s hosts and links limit first",
    source: "display only",
};

pub const BACKLOG_SYNS: Threshold = Threshold {
    name: "connections whose SYN was not answered at first, while others to the port were",
    value: 3.0,
    unit: "connections",
    reason: "one or two may be loss",
    source: "Linux, TcpExtListenOverflows",
};

pub const ODD_TTL: Threshold = Threshold {
    name: "difference of the time to live of a reset to that of its sender",
    value: 2.0,
    unit: "hops",
    reason: "routes change by a hop now and then",
    source: "Weaver et al. 2009, forged resets",
};

pub const RESETS: Threshold = Threshold {
    name: "resets in the middle of connections",
    value: 1.0,
    unit: "packets",
    reason: "an orderly end is a FIN",
    source: "RFC 9293 section 3.6",
};

pub const IDLE: Threshold = Threshold {
    name: "silence after which the connection was gone",
    value: 300.0,
    unit: "s",
    reason: "boxes on the way forget connections; they should not within two hours",
    source: "RFC 5382 section 5, REQ-5",
};

pub const DELAYED_WRITES: Threshold = Threshold {
    name: "small writes that waited for a delayed acknowledgement",
    value: 5.0,
    unit: "writes",
    reason: "a few belong to the end of any request",
    source: "RFC 896; RFC 1122 section 4.2.3.2",
};

pub const SLOW_ANSWER: Threshold = Threshold {
    name: "time from request to answer, 95th percentile",
    value: 0.5,
    unit: "s",
    reason: "people notice from here on",
    source: "ITU-T G.1010",
};

pub const SLOW_ANSWER_FACTOR: Threshold = Threshold {
    name: "time from request to answer against the round trip",
    value: 5.0,
    unit: "times",
    reason: "then it is not the network's",
    source: "display only",
};

pub const SLOW_ANSWERS: Threshold = Threshold {
    name: "answers that were slow",
    value: 2.0,
    unit: "answers",
    reason: "one may be the first use of something",
    source: "display only",
};

/// Ports of shells, where an answer takes as long as the command of the user: SSH and Telnet (IANA).
pub const SHELL_PORTS: [u16; 2] = [22, 23];

pub static NO_ANSWER: Rule = Rule {
    code: "tcp.no_answer",
    severity: Severity::High,
    definition: "SYNs were sent again and nothing came back, no SYN/ACK, no RST, no ICMP error.",
    alternatives: &[
        "A firewall drops them in silence",
        "The host is down",
        "The answers take another way than the capture sees",
    ],
    advice: "Ask whether the host is up and whether a firewall on the way drops this port; capture at the server to see whether the SYNs arrive.",
    reference: "RFC 9293 section 3.5; RFC 6298 section 5.7",
    thresholds: &[&UNANSWERED_SYNS],
};

pub static REFUSED: Rule = Rule {
    code: "tcp.refused",
    severity: Severity::Warn,
    definition: "The answer to a SYN was a reset: nothing listens on the port.",
    alternatives: &["A firewall rejects with resets"],
    advice: "Look whether the service runs and on which address and port it listens.",
    reference: "RFC 9293 section 3.5.2",
    thresholds: &[],
};

pub static REJECTED: Rule = Rule {
    code: "tcp.rejected",
    severity: Severity::High,
    definition: "An ICMP error says that a connection is not let through.",
    alternatives: &["The route to the host is gone"],
    advice: "Look at the rules and routes of the device that sends the error.",
    reference: "RFC 1812 section 5.2.7.1; RFC 4443 section 3.1",
    thresholds: &[&REJECTIONS],
};

pub static LOSS: Rule = Rule {
    code: "tcp.loss",
    severity: Severity::Warn,
    definition: "Segments were sent again, often enough to slow the transfer down. Of severity info where nearly all of them had arrived.",
    alternatives: &["Packets overtake each other or are late, so that resends were not needed"],
    advice: "Look at errors and drops of the interfaces on the way, duplex and cables, and full queues; capture at the other end to see on which side of it they are lost.",
    reference: "RFC 5681; RFC 6298; RFC 2883; RFC 8985",
    thresholds: &[&LOSS_SHARE, &LOSS_HIGH, &LOSS_SEGMENTS, &LOSS_EPISODES],
};

pub static DEAD_PATH: Rule = Rule {
    code: "tcp.dead_path",
    severity: Severity::High,
    definition: "A segment of an established connection was sent again and again, later each time, and never acknowledged.",
    alternatives: &[
        "The other host crashed",
        "The acknowledgements take another way than the capture sees",
    ],
    advice: "Look whether the other host was still there, and whether a route or a link changed at that time.",
    reference: "RFC 6298 section 5.5; RFC 1122 section 4.2.3.5",
    thresholds: &[&RESENDS_IN_VAIN],
};

pub static SLOW_SETUP: Rule = Rule {
    code: "tcp.slow_handshake",
    severity: Severity::Warn,
    definition: "The answer to a SYN came late.",
    alternatives: &[
        "The first SYN or its answer was lost",
        "The server's queue of new connections was full",
    ],
    advice: "One second and then three are lost SYNs; anything else is a busy host or a proxy.",
    reference: "RFC 6298 section 2.1",
    thresholds: &[
        &SLOW_HANDSHAKE,
        &SLOW_HANDSHAKE_FACTOR,
        &SLOW_HANDSHAKE_FLOOR,
    ],
};

pub static INFLATION: Rule = Rule {
    code: "rtt.inflation",
    severity: Severity::Warn,
    definition: "Round trips grow to a multiple of the shortest while data flows.",
    alternatives: &[
        "The receiver acknowledges late as it is busy",
        "The route changed",
    ],
    advice: "Look for the narrowest link and its queue; active queue management (fq_codel) keeps it short.",
    reference: "RFC 7323 section 4; RFC 7567",
    thresholds: &[
        &RTT_FACTOR,
        &RTT_MEDIAN_FACTOR,
        &RTT_ADDED,
        &RTT_SAMPLES,
        &LOADED,
    ],
};

pub static CLOSED: Rule = Rule {
    code: "tcp.zero_window",
    severity: Severity::High,
    definition: "A host closed its receive window: its application does not read what arrives.",
    alternatives: &["The receive buffer is too small"],
    advice: "Look at the receiving application: it is busy, blocked, or waits for something else, such as its disk.",
    reference: "RFC 9293 section 3.8.6.1",
    thresholds: &[&CLOSED_LONGEST, &CLOSED_SHARE, &CLOSED_TOTAL],
};

pub static LIMITED: Rule = Rule {
    code: "tcp.window_limited",
    severity: Severity::Warn,
    definition: "The sender waits for the receive window most of the time: window over round trip bounds the rate.",
    alternatives: &[
        "The receiving application reads slowly",
        "A proxy limits the rate",
    ],
    advice: "Raise the receiver's buffer (`net.ipv4.tcp_rmem`), and look whether something on the way removes the window scale option.",
    reference: "RFC 7323 section 1.1",
    thresholds: &[&LIMITED_SHARE, &LIMITED_BUSY, &LIMITED_RATE, &LIMITED_BOUND],
};

pub static BACKLOG: Rule = Rule {
    code: "tcp.backlog",
    severity: Severity::High,
    definition: "SYNs to a port were not answered at first while others to it were: its queue of new connections is full.",
    alternatives: &[
        "SYNs are lost on the way, though nothing else is",
        "A firewall limits the rate of new connections",
    ],
    advice: "Look at `nstat -az TcpExtListenOverflows TcpExtListenDrops` on the server, its backlog, and whether it accepts fast enough.",
    reference: "listen(2); Linux, Documentation/networking/ip-sysctl.rst, tcp_max_syn_backlog",
    thresholds: &[&BACKLOG_SYNS, &LOSS_SHARE],
};

pub static RESET_MID: Rule = Rule {
    code: "tcp.reset_mid",
    severity: Severity::Warn,
    definition: "A connection was reset in the middle, without a FIN.",
    alternatives: &[
        "The application closes connections this way on purpose",
        "A box on the way ends the connection for both",
    ],
    advice: "Look at the log of the application at the end that reset.",
    reference: "RFC 9293 section 3.10.7",
    thresholds: &[&RESETS],
};

pub static RESET_INJECTED: Rule = Rule {
    code: "tcp.reset_injected",
    severity: Severity::High,
    definition: "A reset does not come from the host that it claims to come from: its time to live is another, or that host goes on sending.",
    alternatives: &["The route changed at that moment"],
    advice: "Look for a firewall, an intrusion prevention system or a proxy on the way; the time to live says how far away.",
    reference: "RFC 5961; Weaver et al. 2009",
    thresholds: &[&ODD_TTL],
};

pub static IDLE_DROPPED: Rule = Rule {
    code: "tcp.idle_dropped",
    severity: Severity::Warn,
    definition: "After a long silence the first data of a connection was not answered, or with a reset: something on the way forgot it.",
    alternatives: &["The other host was restarted"],
    advice: "Use keep-alives more often than the timeout of the firewall or NAT, or raise that.",
    reference: "RFC 5382 section 5; RFC 1122 section 4.2.3.6",
    thresholds: &[&IDLE],
};

pub static DELACK: Rule = Rule {
    code: "tcp.delack_nagle",
    severity: Severity::Info,
    definition: "Small writes wait for delayed acknowledgements, 40 or 200 ms each time.",
    alternatives: &["The application pauses for as long by chance"],
    advice: "Write whole messages at once, or set TCP_NODELAY.",
    reference: "RFC 896; RFC 1122 section 4.2.3.2",
    thresholds: &[&DELAYED_WRITES],
};

pub static REORDERING: Rule = Rule {
    code: "net.reordering",
    severity: Severity::Warn,
    definition: "The network delivers packets in another order than they were sent in.",
    alternatives: &["Resends without timestamps that tell"],
    advice: "Look for links that are used in parallel packet by packet, or several queues of one device.",
    reference: "RFC 4737",
    thresholds: &[&REORDERED, &REORDERED_SHARE],
};

pub static DUPLICATION: Rule = Rule {
    code: "net.duplication",
    severity: Severity::Warn,
    definition: "The network delivers packets twice.",
    alternatives: &[
        "The capture sees packets on two ports of a switch (mirror of both directions)",
    ],
    advice: "Look for a loop of layer 2, or a mirror port that sends both directions.",
    reference: "RFC 5560; RFC 6864",
    thresholds: &[&DOUBLED, &DOUBLED_SHARE],
};

pub static BLACKHOLE: Rule = Rule {
    code: "pmtu.blackhole",
    severity: Severity::High,
    definition: "Large segments are never acknowledged while small ones are: a link on the way has a smaller MTU and nobody says so.",
    alternatives: &["Loss that hits long packets more"],
    advice: "Let ICMP \"fragmentation needed\" and \"packet too big\" pass, or clamp the MSS; find the size with `ping -M do -s SIZE`.",
    reference: "RFC 4821; RFC 8899; RFC 2923",
    thresholds: &[&RESENDS_IN_VAIN, &FULL_SIZE],
};

pub static APP_SLOW: Rule = Rule {
    code: "app.slow",
    severity: Severity::Warn,
    definition: "The server's application answers late, though the network does not lose and acknowledges fast.",
    alternatives: &[
        "The connection is meant to wait (long polling, push)",
        "A proxy waits for a server behind it",
        "In a shell a command takes as long as it takes, which is of severity info",
    ],
    advice: "Look at the server: what it does between the request and the first byte of the answer.",
    reference: "RFC 9293; ITU-T G.1010",
    thresholds: &[&SLOW_ANSWER, &SLOW_ANSWER_FACTOR, &SLOW_ANSWERS],
};

pub(super) static RULES: &[&Rule] = &[
    &NO_ANSWER,
    &REFUSED,
    &REJECTED,
    &LOSS,
    &DEAD_PATH,
    &SLOW_SETUP,
    &INFLATION,
    &CLOSED,
    &LIMITED,
    &BACKLOG,
    &RESET_MID,
    &RESET_INJECTED,
    &IDLE_DROPPED,
    &DELACK,
    &REORDERING,
    &DUPLICATION,
    &BLACKHOLE,
    &APP_SLOW,
];
