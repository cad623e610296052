//! Filter expressions of tcpdump as options, where options can say exactly the same: one protocol, hosts and nets of one
//! side or of both, a list of ports. Anything else is refused with what to type.

use std::net::IpAddr;

use capture_task::plan::expression_syntax::{self as syntax, Primitive, SyntaxError, Tree};
use ipnet::IpNet;

use super::options::NOT;
use crate::args::TaskArgs;

/// Where the other words can be read.
const HELP: &str = "`capture-agent run --help` has all options";

/// The options for an expression, put to the others.
///
/// # Errors
/// What options cannot say, with the words to type; a filter that is given twice.
pub(crate) fn into_options(mut args: TaskArgs) -> Result<TaskArgs, String> {
    let words = std::mem::take(&mut args.expression);
    if words.is_empty() {
        return Ok(args);
    }
    let given = [
        (args.protocol.is_some(), "--protocol"),
        (!args.ip.is_empty(), "--ip"),
        (!args.port.is_empty(), "--port"),
        (!args.peer_ip.is_empty(), "--peer-ip"),
        (!args.peer_port.is_empty(), "--peer-port"),
    ];
    if let Some((_, option)) = given.into_iter().find(|(is_given, _)| *is_given) {
        return Err(format!(
            "it cannot be used with {option}; give the whole filter as an expression, or all of it by options"
        ));
    }
    let tree = syntax::parse(&words).map_err(|error| sentence(&error))?;
    let mut filter = Filter::default();
    filter.add(tree)?;
    let Filter {
        protocol,
        hosts,
        ports,
    } = filter.checked()?;
    let mut hosts = hosts.into_iter();
    args.protocol = protocol;
    args.ip = hosts.next().unwrap_or_default();
    args.peer_ip = hosts.next().unwrap_or_default();
    args.port = ports.unwrap_or_default();
    Ok(args)
}

fn sentence(error: &SyntaxError) -> String {
    match error {
        SyntaxError::Ends => {
            "it ends too early; write one as in \"tcp port 443\" or \"host 10.0.0.5\"".to_owned()
        }
        SyntaxError::Unexpected(word) => format!(
            "{word:?} is not understood here; write one as in \"tcp port 443\" or \"host 10.0.0.5\", and an interface \
             with -i; {HELP}"
        ),
        SyntaxError::Beyond(word) => format!(
            "{word:?} has no option; capture more, and choose in what is printed, as in \
             `--print -Y FILTER` or `-w - | tcpdump -r - EXPRESSION`"
        ),
    }
}

/// What options can say.
#[derive(Debug, Default)]
struct Filter {
    protocol: Option<String>,
    /// Of one side, and of the other where that is asked for too.
    hosts: Vec<Vec<String>>,
    ports: Option<Vec<String>>,
}

impl Filter {
    /// Takes up a part that holds beside the others.
    fn add(&mut self, tree: Tree) -> Result<(), String> {
        match tree {
            Tree::And(parts) => parts.into_iter().try_for_each(|part| self.add(part)),
            Tree::Or(parts) => self.add_alternatives(parts),
            Tree::Not(_) => Err(NOT.to_owned()),
            Tree::Primitive(primitive) => self.add_primitive(primitive),
        }
    }

    fn add_primitive(&mut self, primitive: Primitive) -> Result<(), String> {
        let Primitive {
            protocol,
            side,
            kind,
            value,
        } = primitive;
        if side.is_some() {
            return Err(
                "src and dst have no option: both ways of a conversation are taken; `-Q ingress` or `-Q egress` takes \
                 one, and `--print -Y 'ip.src == ADDRESS'` prints one"
                    .to_owned(),
            );
        }
        self.add_protocol(protocol.as_deref(), kind.is_some())?;
        match (kind.as_deref(), value) {
            (Some("host" | "net"), Some(value)) => {
                self.add_hosts(vec![value]);
                Ok(())
            }
            (Some(_), Some(value)) => self.add_ports(vec![value]),
            _ => Ok(()),
        }
    }

    fn add_protocol(&mut self, protocol: Option<&str>, is_qualifier: bool) -> Result<(), String> {
        let protocol = match protocol {
            None => return Ok(()),
            Some("ip" | "ip6") if is_qualifier => return Ok(()),
            Some("ip") => return Err("`--ip 0.0.0.0/0` takes IPv4".to_owned()),
            Some("ip6") => return Err("`--ip ::/0` takes IPv6".to_owned()),
            Some("icmp6") => return Err("`--protocol icmp` takes ICMP and ICMPv6 alike".to_owned()),
            Some(protocol) => protocol.to_owned(),
        };
        match self.protocol.replace(protocol.clone()) {
            Some(before) if before != protocol => {
                Err(format!("no packet is both {before} and {protocol}"))
            }
            _ => Ok(()),
        }
    }

    fn add_hosts(&mut self, hosts: Vec<String>) {
        if !self.hosts.contains(&hosts) {
            self.hosts.push(hosts);
        }
    }

    fn add_ports(&mut self, ports: Vec<String>) -> Result<(), String> {
        match self.ports.replace(ports) {
            Some(_) => Err(
                "two ports at once are those of both sides: `--ip ADDRESS --port PORT --peer-ip ADDRESS --peer-port \
                 PORT`; for either of them write `port A or B`"
                    .to_owned(),
            ),
            None => Ok(()),
        }
    }

    /// Alternatives that are one criterion: hosts and nets, ports of one protocol, or ICMP of both versions.
    fn add_alternatives(&mut self, parts: Vec<Tree>) -> Result<(), String> {
        let mut primitives = Vec::new();
        for part in parts {
            collect(part, &mut primitives)?;
        }
        let is_icmp = |primitive: &Primitive| {
            primitive.kind.is_none()
                && matches!(primitive.protocol.as_deref(), Some("icmp" | "icmp6"))
        };
        if primitives.iter().all(is_icmp) {
            return self.add_protocol(Some("icmp"), false);
        }
        if primitives.iter().all(|primitive| primitive.kind.is_none()) {
            return Err(
                "a task has one protocol; leave it out to take all, or make a task of each with `--tasks FILE`"
                    .to_owned(),
            );
        }
        let is_host = |primitive: &Primitive| {
            primitive.side.is_none()
                && matches!(primitive.protocol.as_deref(), None | Some("ip" | "ip6"))
                && matches!(primitive.kind.as_deref(), Some("host" | "net"))
        };
        let values = |primitives: Vec<Primitive>| {
            let values = primitives.into_iter();
            values.filter_map(|primitive| primitive.value).collect()
        };
        if primitives.iter().all(is_host) {
            self.add_hosts(values(primitives));
            return Ok(());
        }
        let first = primitives[0].protocol.clone();
        let is_port = |primitive: &Primitive| {
            primitive.side.is_none()
                && primitive.protocol == first
                && matches!(primitive.kind.as_deref(), Some("port" | "portrange"))
        };
        if !primitives.iter().all(is_port) {
            return Err(
                "only ports or only hosts can be alternatives, as in \"port 80 or 443\" and \"host 10.0.0.5 or \
                 10.0.0.9\"; make a task of each part with `--tasks FILE`"
                    .to_owned(),
            );
        }
        self.add_protocol(first.as_deref(), true)?;
        self.add_ports(values(primitives))
    }

    /// Refuses what the options would understand in another way.
    fn checked(self) -> Result<Self, String> {
        if self.hosts.len() > 2 {
            return Err("a packet has two addresses, and these are more".to_owned());
        }
        let nets = |hosts: &[String]| {
            hosts
                .iter()
                .filter_map(|host| net(host))
                .collect::<Vec<_>>()
        };
        if let [one, other] = self.hosts.as_slice()
            && nets(one).iter().any(|one| {
                let mut others = nets(other).into_iter();
                others.any(|other| one.contains(&other) || other.contains(one))
            })
        {
            return Err("one of the two addresses covers the other; give the smaller one alone, or `--ip` and `--peer-ip`".to_owned());
        }
        let Some(ports) = self.ports.as_ref().filter(|_| !self.hosts.is_empty()) else {
            return Ok(self);
        };
        let ports = ports.join(",");
        Err(match self.hosts.as_slice() {
            [hosts] => {
                let is_v6 = |net: &IpNet| net.addr().is_ipv6();
                let all = match (nets(hosts).iter().all(is_v6), nets(hosts).iter().any(is_v6)) {
                    (_, false) => "0.0.0.0/0",
                    (true, _) => "::/0",
                    _ => "0.0.0.0/0,::/0",
                };
                let hosts = hosts.join(",");
                format!(
                    "say whose port it is: `--ip {hosts} --port {ports}` for that of {hosts}, or `--ip {hosts} --peer-ip {all} \
                     --peer-port {ports}` for that of the other side"
                )
            }
            hosts => {
                let [one, other] = [0, 1].map(|side| hosts[side].join(","));
                format!(
                    "say whose port it is: `--ip {one} --port {ports} --peer-ip {other}`, or `--ip {other} --port {ports} --peer-ip {one}`"
                )
            }
        })
    }
}

/// The primitives of alternatives within alternatives.
fn collect(tree: Tree, primitives: &mut Vec<Primitive>) -> Result<(), String> {
    match tree {
        Tree::Or(parts) => parts.into_iter().try_for_each(|part| collect(part, primitives)),
        Tree::Primitive(primitive) => {
            primitives.push(primitive);
            Ok(())
        }
        Tree::Not(_) => Err(NOT.to_owned()),
        Tree::And(_) => Err(
            "\"and\" within \"or\" has no option (they bind alike, from left to right: use parentheses); make a task \
             of each part with `--tasks FILE`"
                .to_owned(),
        ),
    }
}

fn net(text: &str) -> Option<IpNet> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<IpAddr>().map(IpNet::from).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(expression: &str) -> Result<TaskArgs, String> {
        into_options(TaskArgs {
            expression: expression.split('_').map(str::to_owned).collect(),
            ..TaskArgs::default()
        })
    }

    #[test]
    fn simple_expressions_are_options() {
        for (expression, protocol, ip, peer_ip, ports) in [
            ("host 10.0.0.5", "", "10.0.0.5", "", ""),
            ("10.0.0.5", "", "10.0.0.5", "", ""),
            ("net 10.0.0.0/8", "", "10.0.0.0/8", "", ""),
            (
                "net 10.0.0.0 mask 255.0.0.0",
                "",
                "10.0.0.0/255.0.0.0",
                "",
                "",
            ),
            ("ip6 host ::1", "", "::1", "", ""),
            ("src or dst host 10.0.0.5", "", "10.0.0.5", "", ""),
            (
                "host 10.0.0.5 and host 10.0.0.9",
                "",
                "10.0.0.5",
                "10.0.0.9",
                "",
            ),
            ("host 10.0.0.5 and 10.0.0.9", "", "10.0.0.5", "10.0.0.9", ""),
            (
                "host 10.0.0.5 or host 10.0.0.9",
                "",
                "10.0.0.5 10.0.0.9",
                "",
                "",
            ),
            (
                "tcp and (host 10.0.0.5 or 10.0.0.9 or net 10.1.0.0/16 or ip6 host ::1)",
                "tcp",
                "10.0.0.5 10.0.0.9 10.1.0.0/16 ::1",
                "",
                "",
            ),
            (
                "(host 10.0.0.5 or 10.0.0.9) and host 10.0.0.1",
                "",
                "10.0.0.5 10.0.0.9",
                "10.0.0.1",
                "",
            ),
            ("port 443", "", "", "", "443"),
            ("port_https", "", "", "", "https"),
            ("portrange 8000-8100", "", "", "", "8000-8100"),
            ("port 80 or port 443", "", "", "", "80 443"),
            ("port 80 or 443 or 8080", "", "", "", "80 443 8080"),
            ("port (80 or 443)", "", "", "", "80 443"),
            ("(port 80 || portrange 90-91)", "", "", "", "80 90-91"),
            ("tcp", "tcp", "", "", ""),
            ("icmp or icmp6", "icmp", "", "", ""),
            ("tcp port 443", "tcp", "", "", "443"),
            ("tcp_and_port_443", "tcp", "", "", "443"),
            ("tcp && port 443", "tcp", "", "", "443"),
            ("udp and (port 53 or port 5353)", "udp", "", "", "53 5353"),
            (
                "tcp portrange 8000-8100 or tcp port 443",
                "tcp",
                "",
                "",
                "8000-8100 443",
            ),
            ("tcp and host 10.0.0.5", "tcp", "10.0.0.5", "", ""),
            ("((tcp))", "tcp", "", "", ""),
        ] {
            let args = of(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
            let text = |value: Option<String>| value.unwrap_or_default();
            assert_eq!(
                (
                    text(args.protocol),
                    args.ip.join(" "),
                    args.peer_ip.join(" "),
                    args.port.join(" ")
                ),
                (
                    protocol.to_owned(),
                    ip.to_owned(),
                    peer_ip.to_owned(),
                    ports.to_owned()
                ),
                "{expression}"
            );
        }
    }

    #[test]
    fn the_rest_is_answered_with_what_to_type() {
        for (expression, words) in [
            ("not port 22", "--print -Y"),
            ("port 443 and !host 10.0.0.1", "--print -Y"),
            ("src host 10.0.0.5", "-Q ingress"),
            (
                "host 10.0.0.5 and port 443",
                "`--ip 10.0.0.5 --port 443` for that of 10.0.0.5, or `--ip 10.0.0.5 --peer-ip 0.0.0.0/0 --peer-port 443`",
            ),
            ("host ::5 and port 443", "--peer-ip ::/0"),
            (
                "host 10.0.0.1 and 10.0.0.2 and tcp port 80",
                "`--ip 10.0.0.1 --port 80 --peer-ip 10.0.0.2`",
            ),
            ("host 10.0.0.1 or port 80", "only ports or only hosts"),
            (
                "(host 10.0.0.1 or ::1) and port 80",
                "`--ip 10.0.0.1,::1 --port 80` for that of 10.0.0.1,::1, or `--ip 10.0.0.1,::1 --peer-ip 0.0.0.0/0,::/0",
            ),
            (
                "(host 10.0.0.1 or 10.0.0.2) and net 10.0.0.0/30",
                "covers the other",
            ),
            (
                "src host 10.0.0.1 or src host 10.0.0.2",
                "only ports or only hosts",
            ),
            ("tcp or udp", "a task has one protocol"),
            ("host 10.0.0.1 and port 80 or port 443", "parentheses"),
            ("port 80 or tcp port 443", "only ports"),
            ("port 80 and port 443", "both sides"),
            ("net 10.0.0.0/8 and host 10.0.0.1", "covers the other"),
            ("tcp and udp", "no packet is both"),
            ("ip6", "--ip ::/0"),
            ("tcp[13] & 2 != 0", "has no option"),
            ("vlan 5", "has no option"),
            ("ether host 00:11:22:33:44:55", "has no option"),
            ("tcp port", "ends too early"),
            ("tcp and", "ends too early"),
            ("(tcp", "ends too early"),
            ("tcp)", "not understood"),
            ("eth0", "an interface with -i"),
            ("tcp tcp", "not understood"),
        ] {
            let refusal = of(expression).expect_err(expression);
            assert!(refusal.contains(words), "{expression}: {refusal}");
        }
    }

    #[test]
    fn a_filter_is_given_once() {
        let args = TaskArgs {
            expression: vec!["tcp".to_owned()],
            port: vec!["443".to_owned()],
            ..TaskArgs::default()
        };
        let refusal = into_options(args).expect_err("two filters");
        assert!(
            refusal.starts_with("it cannot be used with --port;"),
            "{refusal}"
        );
    }

    #[test]
    fn no_depth_is_too_much() {
        for expression in [
            "(".repeat(100_000),
            "not ".repeat(100_000),
            "tcp and ".repeat(10_000) + "tcp",
        ] {
            let _ = of(&expression);
        }
    }
}
