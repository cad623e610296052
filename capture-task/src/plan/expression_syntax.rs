//! The syntax of filter expressions, as far as simple ones go (pcap-filter(7)): words become a tree of primitives with
//! `and`, `or`, `not` and parentheses. What it means is for others to say.

/// Deepest nesting of parentheses and `not`.
const DEEPEST: usize = 32;

/// A part of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tree {
    /// All of them.
    And(Vec<Tree>),
    /// One of them, at least.
    Or(Vec<Tree>),
    /// The contrary.
    Not(Box<Tree>),
    /// Packets of one kind.
    Primitive(Primitive),
}

/// `tcp port 443`, `host 10.0.0.1`, `udp`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Primitive {
    /// `tcp`, `udp`, `icmp`, `icmp6`, `ip`, `ip6`.
    pub protocol: Option<String>,
    /// `src`, `dst`.
    pub side: Option<String>,
    /// `host`, `net`, `port`, `portrange`.
    pub kind: Option<String>,
    /// What stands behind the qualifiers.
    pub value: Option<String>,
}

const PROTOCOLS: &[&str] = &["tcp", "udp", "icmp", "icmp6", "ip", "ip6"];
const KINDS: &[&str] = &["host", "net", "port", "portrange"];

/// Words of the language that have no translation: the rest of what follows is not read.
const BEYOND: &[&str] = &[
    "ether",
    "vlan",
    "mpls",
    "arp",
    "rarp",
    "sctp",
    "proto",
    "protochain",
    "broadcast",
    "multicast",
    "gateway",
    "less",
    "greater",
    "len",
    "inbound",
    "outbound",
    "ifname",
    "geneve",
    "vxlan",
    "pppoes",
    "link",
    "wlan",
    "igmp",
    "stp",
];

/// Whether an expression may begin with this word.
pub fn begins_expression(word: &str) -> bool {
    let word = word.trim_start_matches(['(', '!', ' ']);
    let word = word.split_whitespace().next().unwrap_or(word);
    [PROTOCOLS, KINDS, BEYOND, &["src", "dst", "not"]]
        .iter()
        .any(|words| words.contains(&word))
}

/// Why the words are no expression that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyntaxError {
    /// It ends where something is missing.
    Ends,
    /// Something else is expected here.
    Unexpected(String),
    /// Part of the language, and not read here.
    Beyond(String),
}

/// Reads the words of an expression. As in libpcap, `and` and `or` bind alike, from left to right.
pub fn parse(words: &[String]) -> Result<Tree, SyntaxError> {
    let text = words.join(" ");
    let mut parser = Parser {
        tokens: tokens(&text),
        at: 0,
        depth: 0,
        last: Primitive::default(),
    };
    let tree = parser.expression()?;
    match parser.peek() {
        None => Ok(tree),
        Some(token) => Err(unexpected(token)),
    }
}

fn tokens(text: &str) -> Vec<String> {
    let mut spaced = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let is_pair = matches!(character, '&' | '|') && characters.peek() == Some(&character);
        match character {
            '(' | ')' => spaced.extend([' ', character, ' ']),
            '!' if characters.peek() != Some(&'=') => spaced.push_str(" not "),
            '&' if is_pair => spaced.push_str(" and "),
            '|' if is_pair => spaced.push_str(" or "),
            other => spaced.push(other),
        }
        if is_pair {
            characters.next();
        }
    }
    spaced.split_whitespace().map(str::to_owned).collect()
}

struct Parser {
    tokens: Vec<String>,
    at: usize,
    depth: usize,
    /// Whose qualifiers a bare value has: `port 80 or 443`.
    last: Primitive,
}

impl Parser {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.at).map(String::as_str)
    }

    fn next_if(&mut self, words: &[&str]) -> Option<String> {
        let token = self
            .peek()
            .filter(|token| words.contains(token))?
            .to_owned();
        self.at += 1;
        Some(token)
    }

    fn expression(&mut self) -> Result<Tree, SyntaxError> {
        let mut tree = self.term()?;
        while let Some(joint) = self.next_if(&["and", "or"]) {
            let next = self.term()?;
            tree = match (joint.as_str(), tree) {
                ("and", Tree::And(mut parts)) => {
                    parts.push(next);
                    Tree::And(parts)
                }
                ("and", one) => Tree::And(vec![one, next]),
                (_, Tree::Or(mut parts)) => {
                    parts.push(next);
                    Tree::Or(parts)
                }
                (_, one) => Tree::Or(vec![one, next]),
            };
        }
        Ok(tree)
    }

    fn term(&mut self) -> Result<Tree, SyntaxError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(SyntaxError::Beyond("(".to_owned()));
        }
        let tree = if self.next_if(&["not"]).is_some() {
            Tree::Not(Box::new(self.term()?))
        } else if self.next_if(&["("]).is_some() {
            let inner = self.expression()?;
            match self.next_if(&[")"]) {
                Some(_) => inner,
                None => return Err(self.peek().map_or(SyntaxError::Ends, unexpected)),
            }
        } else {
            self.primitive()?
        };
        self.depth -= 1;
        Ok(tree)
    }

    fn primitive(&mut self) -> Result<Tree, SyntaxError> {
        let mut primitive = Primitive {
            protocol: self.next_if(PROTOCOLS),
            side: self.side(),
            kind: self.next_if(KINDS),
            value: None,
        };
        let has_qualifier = primitive != Primitive::default();
        if primitive.kind.is_none() && primitive.side.is_none() && primitive.protocol.is_some() {
            self.last = primitive.clone();
            return Ok(Tree::Primitive(primitive));
        }
        // `port (80 or 443)`.
        if primitive.kind.is_some() && self.peek() == Some("(") {
            self.last = primitive;
            return self.term();
        }
        let Some(value) = self.peek() else {
            return Err(SyntaxError::Ends);
        };
        if is_reserved(value) {
            return Err(unexpected(value));
        }
        if !has_qualifier {
            // A word alone has the qualifiers of the one before, and is a host else.
            primitive = Primitive {
                value: None,
                ..self.last.clone()
            };
            if primitive.kind.is_none() && !value.contains(['.', ':']) {
                return Err(unexpected(value));
            }
        }
        primitive.kind.get_or_insert_with(|| "host".to_owned());
        primitive.value = Some(value.to_owned());
        self.at += 1;
        if self.next_if(&["mask"]).is_some() {
            let mask = self.peek().ok_or(SyntaxError::Ends)?.to_owned();
            self.at += 1;
            primitive.value = primitive.value.map(|net| format!("{net}/{mask}"));
        }
        self.last = primitive.clone();
        Ok(Tree::Primitive(primitive))
    }

    /// `src`, `dst`; `src or dst` is either, as without.
    fn side(&mut self) -> Option<String> {
        let side = self.next_if(&["src", "dst"])?;
        let rest = self.tokens.get(self.at..self.at + 2);
        if let Some([joint, other]) = rest
            && ["src", "dst"].contains(&other.as_str())
            && *other != side
        {
            match joint.as_str() {
                "or" => {
                    self.at += 2;
                    return None;
                }
                "and" => {
                    self.at += 2;
                    return Some("src and dst".to_owned());
                }
                _ => {}
            }
        }
        Some(side)
    }
}

fn is_reserved(word: &str) -> bool {
    let joints = ["and", "or", "not", "(", ")", "src", "dst", "mask"];
    [PROTOCOLS, KINDS, BEYOND, &joints]
        .iter()
        .any(|words| words.contains(&word))
        || word.contains(['[', '&', '='])
}

fn unexpected(token: &str) -> SyntaxError {
    let is_beyond = BEYOND.contains(&token) || token.contains(['[', '&', '=', '<', '>']);
    match is_beyond {
        true => SyntaxError::Beyond(token.to_owned()),
        false => SyntaxError::Unexpected(token.to_owned()),
    }
}
