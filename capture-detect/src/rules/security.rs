//! What hosts do to each other: scans, floods, guessing, beacons, and unusual volumes.

use super::rule::{Rule, Threshold};
use crate::severity::Severity;

pub const USER_SUCCESS: Threshold = Threshold {
    name: "share of the first contacts of a user that are answered",
    value: 0.8,
    unit: "share",
    reason: "who uses services mostly knows where they are",
    source: "Jung et al. 2004, Fast Portscan Detection Using Sequential Hypothesis Testing, section 4",
};

pub const SCANNER_SUCCESS: Threshold = Threshold {
    name: "share of the first contacts of a scanner that are answered",
    value: 0.2,
    unit: "share",
    reason: "who looks for services mostly finds none",
    source: "Jung et al. 2004, section 4",
};

pub const FALSE_ALARMS: Threshold = Threshold {
    name: "share of users that may be taken for scanners, and of scanners for users",
    value: 0.01,
    unit: "share",
    reason: "the walk ends where one is 99 times as likely as the other",
    source: "Jung et al. 2004, section 4",
};

pub const SCANNED_PORTS: Threshold = Threshold {
    name: "ports of one host that did not answer",
    value: 15.0,
    unit: "ports",
    reason: "a program that cannot find its service tries a few",
    source: "Zeek, policy/misc/scan.zeek, port_scan_threshold",
};

pub const SCANNED_HOSTS: Threshold = Threshold {
    name: "hosts that did not answer on one port",
    value: 25.0,
    unit: "hosts",
    reason: "a client knows a handful of servers; a check of many finds most of them up",
    source: "Zeek, policy/misc/scan.zeek, addr_scan_threshold",
};

pub const MANY_PORTS: Threshold = Threshold {
    name: "ports tried, to be of high confidence",
    value: 100.0,
    unit: "ports",
    reason: "no program tries a hundred ports of a host by mistake",
    source: "nmap(1): the fastest scan, -F, has 100 ports",
};

pub const SILENT_PORTS: Threshold = Threshold {
    name: "ports of UDP tried where nothing is said of them",
    value: 200.0,
    unit: "ports",
    reason: "datagrams need no answer; a traceroute uses 90 ports",
    source: "traceroute(8): 30 hops, 3 probes each",
};

pub const TRIES_EACH: Threshold = Threshold {
    name: "tries of each port or host, from which on it is no scan",
    value: 5.0,
    unit: "tries",
    reason: "a scan tries once, and a few times where nothing comes back; a check of servers goes on for ever",
    source: "nmap(1), --max-retries",
};

pub const ARP_RATE: Threshold = Threshold {
    name: "new addresses asked for by ARP in a second",
    value: 20.0,
    unit: "addresses",
    reason: "answers to others go past a capture, so that only a burst means something",
    source: "Linux, Documentation/networking/ip-sysctl.rst: a host asks for each peer once",
};

pub const PROBES: Threshold = Threshold {
    name: "ports that got a segment without ACK that opens nothing",
    value: 3.0,
    unit: "ports",
    reason: "no stack sends one; fewer may be damaged",
    source: "RFC 9293 section 3.1: after the SYN, ACK is always set",
};

pub const SYN_RATE: Threshold = Threshold {
    name: "SYNs in one second",
    value: 200.0,
    unit: "SYNs/s",
    reason: "fills a queue of 4,096 half-open connections within the half minute for which they are kept",
    source: "RFC 4987 section 2; Linux, tcp_max_syn_backlog",
};

pub const HALF_OPEN: Threshold = Threshold {
    name: "connections that stay half-open, of those begun",
    value: 0.8,
    unit: "share",
    reason: "clients complete the handshake; a flood does not",
    source: "RFC 4987 section 2.2",
};

pub const INSISTED: Threshold = Threshold {
    name: "half-open connections whose SYN was sent again, from which on it is no flood",
    value: 0.2,
    unit: "share",
    reason: "a kernel that wants to connect asks again after a second; forged senders do not",
    source: "RFC 6298 section 2.1",
};

pub const SYN_RESENT: Threshold = Threshold {
    name: "time after which a SYN would have been sent again",
    value: 3.0,
    unit: "s",
    reason: "a shorter capture does not show who insists",
    source: "RFC 6298 section 2.1",
};

pub const FLOOD_FACTOR: Threshold = Threshold {
    name: "rate against that before",
    value: 10.0,
    unit: "times",
    reason: "busy hours are a few times the quiet ones",
    source: "display only",
};

pub const BACKSCATTER: Threshold = Threshold {
    name: "SYN/ACKs without a SYN",
    value: 100.0,
    unit: "packets",
    reason: "a capture that begins in the middle of handshakes has a few",
    source: "Moore et al. 2006, Inferring Internet Denial-of-Service Activity",
};

pub const UDP_RATE: Threshold = Threshold {
    name: "new flows to one host in one second",
    value: 500.0,
    unit: "flows/s",
    reason: "hosts that get so many are servers, and answer",
    source: "display only",
};

pub const UDP_ANSWERED: Threshold = Threshold {
    name: "flows that were answered, from which on it is no flood",
    value: 0.1,
    unit: "share",
    reason: "a service that answers is used",
    source: "display only",
};

pub const FLOOD_ENDS: Threshold = Threshold {
    name: "addresses and ports that datagrams to higher ports come from",
    value: 16.0,
    unit: "ends",
    reason: "what a server says to clients that were not seen comes from one",
    source: "RFC 6056: clients take high ports",
};

pub const UDP_EACH: Threshold = Threshold {
    name: "datagrams of a flow, from which on it is no flood",
    value: 20.0,
    unit: "datagrams",
    reason: "media and tests send long streams; a flood changes ports and addresses",
    source: "display only",
};

pub const ECHO_RATE: Threshold = Threshold {
    name: "echo messages to one host in one second",
    value: 500.0,
    unit: "messages/s",
    reason: "a ping sends one a second, and a sweep one to each host",
    source: "ping(8), option -f: a hundred or more",
};

pub const AMPLIFICATION: Threshold = Threshold {
    name: "payload of the replies against that of the requests",
    value: 10.0,
    unit: "times",
    reason: "the services of a host answer with a few times as much on average",
    source: "Rossow 2014, Amplification Hell, table 3; US-CERT TA14-017A",
};

pub const AMPLIFIED: Threshold = Threshold {
    name: "payload of the replies",
    value: 1_000_000.0,
    unit: "bytes",
    reason: "less disturbs nobody",
    source: "display only",
};

pub const AMPLIFIED_EACH: Threshold = Threshold {
    name: "payload of one reply on average",
    value: 200.0,
    unit: "bytes",
    reason: "ordinary replies of these services are smaller",
    source: "Rossow 2014, table 3",
};

pub const FAILED_LOGINS: Threshold = Threshold {
    name: "logins that the server refused in clear words",
    value: 20.0,
    unit: "logins",
    reason: "people give up or ask for help after a few",
    source: "Zeek, policy/protocols/ftp/detect-bruteforcing.zeek, bruteforce_threshold",
};

pub const LOGIN_SESSIONS: Threshold = Threshold {
    name: "short sessions of equal size",
    value: 30.0,
    unit: "sessions",
    reason: "people log in a few times in an hour",
    source: "Zeek, policy/protocols/ssh/detect-bruteforcing.zeek, password_guesses_limit",
};

pub const LOGIN_INTERVAL: Threshold = Threshold {
    name: "time between logins on average, at most",
    value: 40.0,
    unit: "s",
    reason: "tools wait for half a minute where a server closes the connection; jobs, and clients with an old password, come once a minute or more seldom",
    source: "hydra(1), -w",
};

pub const LOGIN_TIME: Threshold = Threshold {
    name: "time that a session lasts on average, at most",
    value: 30.0,
    unit: "s",
    reason: "a few passwords and the pause after each take less",
    source: "sshd_config(5), MaxAuthTries and LoginGraceTime",
};

pub const LOGIN_BYTES: Threshold = Threshold {
    name: "payload in each direction",
    value: 400.0,
    unit: "bytes",
    reason: "who only looks whether the port answers sends no keys",
    source: "RFC 4253 section 7.1: an SSH_MSG_KEXINIT alone is longer",
};

pub const LOGIN_MOST_BYTES: Threshold = Threshold {
    name: "payload of a session in one direction, from which on it did more than to log in",
    value: 20_000.0,
    unit: "bytes",
    reason: "keys, certificates and six tries of SSH, SMB or RDP take a few thousand; who moves more has got in",
    source: "RFC 4253 section 7; sshd_config(5), MaxAuthTries",
};

pub const LOGIN_SPREAD: Threshold = Threshold {
    name: "standard deviation of the payload, of its mean, from which on sessions are not equal",
    value: 0.2,
    unit: "share",
    reason: "work makes sessions of any size; failed logins are all alike",
    source: "Hofstede et al. 2014, SSH Compromise Detection using NetFlow/IPFIX",
};

pub const BEACONS: Threshold = Threshold {
    name: "intervals between connections",
    value: 20.0,
    unit: "intervals",
    reason: "fewer are even by chance",
    source: "RITA, unique connections of a beacon",
};

pub const BEACON_INTERVAL: Threshold = Threshold {
    name: "median interval",
    value: 1.0,
    unit: "s",
    reason: "what comes faster is one piece of work",
    source: "display only",
};

pub const BEACON_SKEW: Threshold = Threshold {
    name: "skew of the intervals by their quartiles, at most",
    value: 0.3,
    unit: "of 1",
    reason: "jitter goes to both sides; use by people has a long tail",
    source: "RITA, Bowley skewness",
};

pub const BEACON_EVEN: Threshold = Threshold {
    name: "distance of the quartiles, of the median interval, at which the skew means nothing",
    value: 0.02,
    unit: "share",
    reason: "the skew of a few milliseconds is that of the clock",
    source: "display only",
};

pub const BEACON_SPREAD: Threshold = Threshold {
    name: "median absolute deviation of the intervals, of their median, at most",
    value: 0.15,
    unit: "share",
    reason: "covers a jitter of up to a quarter",
    source: "RITA, median absolute deviation",
};

pub const WATCHED: Threshold = Threshold {
    name: "services in the same rhythm, to be a check of services",
    value: 5.0,
    unit: "services",
    reason: "a beacon has one server, or a few to fall back to",
    source: "display only",
};

pub const EXFIL_BYTES: Threshold = Threshold {
    name: "payload from a host inside to one outside",
    value: 50_000_000.0,
    unit: "bytes",
    reason: "documents and pictures that people send are smaller",
    source: "display only",
};

pub const EXFIL_RATIO: Threshold = Threshold {
    name: "payload out against payload in",
    value: 10.0,
    unit: "times",
    reason: "use of the Internet brings in more than it sends out",
    source: "MITRE ATT&CK T1048, detection",
};

pub const NEW_TALKERS: Threshold = Threshold {
    name: "new hosts inside that are told one by one",
    value: 10.0,
    unit: "hosts",
    reason: "more is another network",
    source: "display only",
};

pub static SCAN_PORTS: Rule = Rule {
    code: "scan.ports",
    severity: Severity::High,
    definition: "A host tried many ports of another one, most of which do not answer.",
    alternatives: &[
        "An inventory or vulnerability scanner of your own",
        "A program that looks for a service which moved",
    ],
    advice: "Ask whether the scan was meant; if not, find out on the source which process sends it.",
    reference: "Jung et al. 2004; MITRE ATT&CK T1046",
    thresholds: &[
        &SCANNED_PORTS,
        &MANY_PORTS,
        &SILENT_PORTS,
        &TRIES_EACH,
        &USER_SUCCESS,
        &SCANNER_SUCCESS,
        &FALSE_ALARMS,
    ],
};

pub static SCAN_HOSTS: Rule = Rule {
    code: "scan.hosts",
    severity: Severity::High,
    definition: "A host tried many others in the same way, most of which do not answer.",
    alternatives: &[
        "An inventory or monitoring system of your own",
        "A router that looks for hosts which somebody tries through it",
        "A peer-to-peer program",
    ],
    advice: "Ask whether the scan was meant; if not, find out on the source which process sends it.",
    reference: "Jung et al. 2004; MITRE ATT&CK T1018",
    thresholds: &[
        &SCANNED_HOSTS,
        &ARP_RATE,
        &TRIES_EACH,
        &USER_SUCCESS,
        &SCANNER_SUCCESS,
        &FALSE_ALARMS,
    ],
};

pub static STEALTH: Rule = Rule {
    code: "scan.stealth",
    severity: Severity::High,
    definition: "A host probed ports with segments that belong to no connection: without flags, with FIN alone, with FIN, PSH and URG, or with ACK alone.",
    alternatives: &[
        "Connections that a firewall or load balancer forgot, where the probes have ACK",
    ],
    advice: "Find the source; a filter that keeps state drops such segments.",
    reference: "RFC 9293 section 3.10.7.1; nmap(1), -sN -sF -sX -sA",
    thresholds: &[&PROBES, &SCANNED_PORTS],
};

pub static FLOOD_SYN: Rule = Rule {
    code: "flood.syn",
    severity: Severity::High,
    definition: "A port gets very many SYNs of connections that nobody completes, or answers those that others send in forged names (backscatter).",
    alternatives: &[
        "A load test that does not complete connections",
        "A capture with a filter for SYNs",
        "The other direction of the traffic takes another way than the capture sees",
    ],
    advice: "Turn on SYN cookies (`net.ipv4.tcp_syncookies`) and filter as near to the senders as possible; addresses may be forged.",
    reference: "RFC 4987",
    thresholds: &[
        &SYN_RATE,
        &HALF_OPEN,
        &INSISTED,
        &SYN_RESENT,
        &FLOOD_FACTOR,
        &BACKSCATTER,
    ],
};

pub static FLOOD_UDP: Rule = Rule {
    code: "flood.udp",
    severity: Severity::High,
    definition: "A host gets datagrams of very many new flows, which it does not answer.",
    alternatives: &[
        "Logs or metrics that are sent by datagrams from many sockets",
        "A service that went down while clients go on asking",
    ],
    advice: "Filter as near to the senders as possible; addresses may be forged.",
    reference: "RFC 4732 section 2.1.2",
    thresholds: &[
        &FLOOD_ENDS,
        &UDP_RATE,
        &UDP_ANSWERED,
        &UDP_EACH,
        &FLOOD_FACTOR,
        &SCANNED_PORTS,
    ],
};

pub static FLOOD_ICMP: Rule = Rule {
    code: "flood.icmp",
    severity: Severity::High,
    definition: "A host gets very many echo requests, or replies that it did not ask for.",
    alternatives: &["A test with ping -f"],
    advice: "Limit the rate of echo messages where they come in.",
    reference: "RFC 4732 section 2.1.2; RFC 2644",
    thresholds: &[&ECHO_RATE, &FLOOD_FACTOR],
};

pub static AMPLIFIED_FLOOD: Rule = Rule {
    code: "flood.amplification",
    severity: Severity::High,
    definition: "Services of UDP send a host a multiple of what they were asked with, as somebody asks in its name.",
    alternatives: &[
        "The host itself asks for large answers, such as whole zones or cached objects",
    ],
    advice: "Close or limit the services that reflect; for the victim, filter their port upstream.",
    reference: "Rossow 2014; US-CERT TA14-017A; RFC 2827",
    thresholds: &[&AMPLIFICATION, &AMPLIFIED, &AMPLIFIED_EACH],
};

pub static BRUTEFORCE: Rule = Rule {
    code: "auth.bruteforce",
    severity: Severity::High,
    definition: "A client logs in again and again without success: the server says so, or sessions of SSH, SMB, RDP or VNC are many, short and of equal size.",
    alternatives: &[
        "Automation that logs in again and again",
        "A client with an old password",
    ],
    advice: "Look at the log of logins on the server; limit tries (fail2ban, MaxAuthTries) and allow keys alone.",
    reference: "MITRE ATT&CK T1110",
    thresholds: &[
        &FAILED_LOGINS,
        &LOGIN_SESSIONS,
        &LOGIN_INTERVAL,
        &LOGIN_TIME,
        &LOGIN_BYTES,
        &LOGIN_MOST_BYTES,
        &LOGIN_SPREAD,
    ],
};

pub static BEACON: Rule = Rule {
    code: "beacon",
    severity: Severity::Warn,
    definition: "A host connects to the same service at even intervals.",
    alternatives: &[
        "A program that looks for updates or mail",
        "Monitoring, health checks or a schedule (cron)",
        "A cache that asks again when its entry expires",
        "Names or time by other ports than usual",
        "A program that opens a connection for each keep-alive",
    ],
    advice: "Find out which process connects, and whose the server is.",
    reference: "RITA, beacon analysis; MITRE ATT&CK T1071",
    thresholds: &[
        &BEACONS,
        &BEACON_INTERVAL,
        &BEACON_SKEW,
        &BEACON_EVEN,
        &BEACON_SPREAD,
        &WATCHED,
    ],
};

pub static EXFIL: Rule = Rule {
    code: "exfil.volume",
    severity: Severity::Info,
    definition: "A host inside sends far more to one outside than it gets back.",
    alternatives: &["A backup, an upload, or a video call"],
    advice: "Ask whose server it is and which process sends.",
    reference: "MITRE ATT&CK T1048",
    thresholds: &[&EXFIL_BYTES, &EXFIL_RATIO],
};

pub static NEW_TALKER: Rule = Rule {
    code: "new_talker",
    severity: Severity::Info,
    definition: "A host talks that is not in the capture which this one is compared with.",
    alternatives: &[
        "The earlier capture is too short to have all hosts",
        "An address of DHCP that changed",
    ],
    advice: "Find the host by its address and ask what it is for.",
    reference: "MITRE ATT&CK T1200",
    thresholds: &[&NEW_TALKERS],
};

pub(super) static RULES: &[&Rule] = &[
    &SCAN_PORTS,
    &SCAN_HOSTS,
    &STEALTH,
    &FLOOD_SYN,
    &FLOOD_UDP,
    &FLOOD_ICMP,
    &AMPLIFIED_FLOOD,
    &BRUTEFORCE,
    &BEACON,
    &EXFIL,
    &NEW_TALKER,
];
