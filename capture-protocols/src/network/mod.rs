//! What is wrong below and beside TCP: addresses and who gives them, names, routes, fragments, and packets that should not be.

mod dhcp;
mod dns;
mod echo;
mod fragments;
mod link;
mod loops;
mod malformed;
mod neighbours;
mod poisoning;
mod router;

use crate::{
    app::{
        dhcp::{CLIENT_PORT, SERVER_PORT},
        dhcpv6,
        dns::{LLMNR_PORT, MDNS_PORT, NBNS_PORT, PORT as DNS_PORT},
        ndp,
    },
    at_most::at_most,
    decode::{Decoded, Icmp, Ip, Tcp, Transport, Udp},
    facts::Facts,
    finding::Finding,
    report::DnsReport,
    seen::Seen,
};

/// The detectors.
#[derive(Clone, Debug, Default)]
pub struct Detectors {
    neighbours: neighbours::Detector,
    dhcp: dhcp::Detector,
    router: router::Detector,
    dns: dns::Detector,
    poisoning: poisoning::Detector,
    echo: echo::Detector,
    fragments: fragments::Detector,
    loops: loops::Detector,
    malformed: malformed::Detector,
}

impl Detectors {
    /// The hash of a packet that may come by again.
    #[inline]
    pub fn look_ahead(&self, headers: &Decoded<'_>, ip: &Ip) -> u64 {
        self.loops.look_ahead(headers, ip)
    }

    /// The hash of where a segment lies in its stream.
    #[inline]
    pub fn look_ahead_in_stream(&self, headers: &Decoded<'_>, ip: &Ip, tcp: &Tcp) -> u64 {
        self.malformed.look_ahead(headers, ip, tcp)
    }

    /// Looks at a packet.
    #[inline]
    pub fn packet(&mut self, seen: &Seen<'_, '_>) {
        self.malformed.packet(seen);
        let headers = seen.headers;
        if let Some(arp) = &headers.arp {
            return self.neighbours.arp(seen, arp);
        }
        let Some(ip) = &headers.ip else { return };
        self.loops.packet(seen, ip);
        if let Some(fragment) = ip.fragment {
            self.fragments.packet(seen, ip, fragment);
        }
        match &headers.transport {
            Transport::Tcp(tcp) => {
                self.malformed.tcp(seen, ip, tcp);
                if tcp.source_port == DNS_PORT || tcp.destination_port == DNS_PORT {
                    self.dns.segment(seen, tcp);
                }
            }
            Transport::Udp(udp) => self.datagram(seen, udp),
            Transport::Icmp(icmp) => self.icmp(seen, icmp),
            Transport::Sctp(_) | Transport::None => {}
        }
    }

    #[inline]
    fn datagram(&mut self, seen: &Seen<'_, '_>, udp: &Udp) {
        // The port of the server is the lower one of nearly all, and all that are looked at are below this.
        let (source, destination) = (udp.source_port, udp.destination_port);
        if source.min(destination) > LLMNR_PORT {
            return;
        }
        for port in [source, destination] {
            match port {
                DNS_PORT => return self.dns.datagram(seen),
                SERVER_PORT | CLIENT_PORT => return self.dhcp.v4(seen),
                dhcpv6::CLIENT_PORT | dhcpv6::SERVER_PORT => return self.dhcp.v6(seen),
                NBNS_PORT | LLMNR_PORT | MDNS_PORT => {
                    return self.poisoning.datagram(seen, port);
                }
                _ => {}
            }
        }
    }

    #[inline]
    fn icmp(&mut self, seen: &Seen<'_, '_>, icmp: &Icmp) {
        match (icmp.is_v6, icmp.kind) {
            (false, 0 | 8) | (true, 128 | 129) => self.echo.packet(seen, icmp),
            (false, 11) | (true, 3) if icmp.code == 0 => self.loops.expired(seen),
            (true, ndp::ROUTER_ADVERTISEMENT) => {
                if let Some(found) = ndp::RouterAdvertisement::new(icmp, seen.headers.payload) {
                    self.router.packet(seen, &found);
                }
            }
            (true, ndp::NEIGHBOUR_SOLICITATION | ndp::NEIGHBOUR_ADVERTISEMENT) => {
                self.neighbours.ndp(seen, icmp);
            }
            _ => {}
        }
    }

    /// Everything that is wrong.
    pub fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        let mut all = Vec::new();
        self.all_findings(facts, &mut all);
        all.sort_by_key(|finding| finding.code);
        for of_code in all.chunk_by(|one, other| one.code == other.code) {
            findings.extend(at_most(of_code));
        }
    }

    fn all_findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        neighbours::findings(&self.neighbours, facts, findings);
        self.dhcp.findings(facts, findings);
        self.router.findings(facts, findings);
        dns::findings(&self.dns, facts, findings);
        self.poisoning.findings(facts, findings);
        self.echo.findings(facts, findings);
        self.fragments.findings(facts, findings);
        self.loops.findings(facts, findings);
        self.malformed.findings(facts, findings);
    }

    /// DNS in the report.
    pub fn dns(&self) -> Option<DnsReport> {
        self.dns.report()
    }
}
