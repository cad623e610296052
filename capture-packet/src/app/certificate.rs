//! Certificates (RFC 5280): until when they are good, and for whom.

use std::net::IpAddr;

use x509_cert::{
    Certificate as Parsed,
    der::{
        Decode as _,
        asn1::{Ia5StringRef, PrintableStringRef, TeletexStringRef, Utf8StringRef},
        oid::ObjectIdentifier,
    },
    ext::pkix::{SubjectAltName, name::GeneralName},
    name::Name,
};

/// Most names that are kept.
const MOST_NAMES: usize = 256;

/// The attribute with the common name.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// It is not good before, seconds since the Unix epoch.
    pub not_before: u64,
    /// It is not good after.
    pub not_after: u64,
    /// Whether whom it is for says so itself.
    pub is_self_signed: bool,
    /// Common name of whom it is for, as it stands there.
    pub common_name: Option<String>,
    /// Whom it is signed by, likewise: the common name, or else everything that is said.
    pub issuer: String,
    /// Names of hosts that it is for.
    pub names: Vec<String>,
    /// Addresses that it is for.
    pub addresses: Vec<IpAddr>,
    /// There are more names than are kept.
    pub has_more: bool,
}

impl Certificate {
    /// The certificate in these bytes (DER); `None` where it is none, or breaks the rules of its format.
    pub fn new(der: &[u8]) -> Option<Self> {
        let parsed = Parsed::from_der(der).ok()?;
        let tbs = parsed.tbs_certificate();
        let mut certificate = Self {
            not_before: tbs.validity().not_before.to_unix_duration().as_secs(),
            not_after: tbs.validity().not_after.to_unix_duration().as_secs(),
            is_self_signed: tbs.issuer() == tbs.subject(),
            common_name: common_name(tbs.subject()),
            issuer: common_name(tbs.issuer()).unwrap_or_else(|| tbs.issuer().to_string()),
            names: Vec::new(),
            addresses: Vec::new(),
            has_more: false,
        };
        let names = tbs.get_extension::<SubjectAltName>().ok()?;
        for name in names.into_iter().flat_map(|(_, names)| names.0) {
            if certificate.names.len() + certificate.addresses.len() >= MOST_NAMES {
                certificate.has_more = true;
                break;
            }
            certificate.add(&name);
        }
        Some(certificate)
    }

    fn add(&mut self, name: &GeneralName) {
        match name {
            GeneralName::DnsName(name) => self.names.push(name.as_str().to_owned()),
            GeneralName::IpAddress(bytes) => {
                let bytes = bytes.as_bytes();
                let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
                let address = v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
                self.addresses.extend(address);
            }
            _ => {}
        }
    }

    /// Whether it is for a host of this name (RFC 9525 section 6.3). Where it has no names at all, the common name counts,
    /// as older clients have it.
    pub fn is_for(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        if self.has_more || self.names.iter().any(|name| matches(name, host)) {
            return true;
        }
        let is_nameless = self.names.is_empty() && self.addresses.is_empty();
        let common = self.common_name.as_deref().filter(|_| is_nameless);
        common.is_some_and(|name| matches(name, host))
    }
}

/// Whether a name of a certificate covers a host: a star stands for exactly the first label.
fn matches(name: &str, host: &str) -> bool {
    let name = name.trim_end_matches('.');
    match name.strip_prefix("*.") {
        Some(domain) => host
            .split_once('.')
            .is_some_and(|(_, behind)| behind.eq_ignore_ascii_case(domain)),
        None => name.eq_ignore_ascii_case(host),
    }
}

fn common_name(name: &Name) -> Option<String> {
    let attribute = name.iter().find(|attribute| attribute.oid == COMMON_NAME)?;
    let value = &attribute.value;
    let text = Utf8StringRef::try_from(value)
        .map(|text| text.as_str().to_owned())
        .or_else(|_| PrintableStringRef::try_from(value).map(|text| text.as_str().to_owned()))
        .or_else(|_| Ia5StringRef::try_from(value).map(|text| text.as_str().to_owned()))
        .or_else(|_| TeletexStringRef::try_from(value).map(|text| text.as_str().to_owned()));
    text.ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{START, tcp_frame, tls, tshark};

    fn example<'a>(names: &[&'a str]) -> tls::Certificate<'a> {
        tls::Certificate {
            issuer: "Example CA",
            subject: "www.example.org",
            validity: ["260101000000Z", "260401120000Z"],
            names: names.to_vec(),
        }
    }

    #[test]
    fn it_is_read_as_tshark_reads_it() {
        let der = example(&["www.example.org", "*.example.net"]).der();
        let found = Certificate::new(&der).expect("a certificate");
        assert_eq!(
            (found.not_before, found.not_after),
            (1_767_225_600, 1_775_044_800)
        );
        assert_eq!(found.issuer, "Example CA");
        assert!(!found.is_self_signed);
        let payload = tls::record(22, &tls::certificates(&[der]));
        let frame = tcp_frame(("10.0.0.2", 443), ("10.0.0.1", 40_000), 0x018, 1, &payload);
        let names = [
            "-T",
            "fields",
            "-e",
            "x509ce.dNSName",
            "-e",
            "x509sat.uTF8String",
        ];
        if let Some(rows) = tshark(1, &[(START, frame)], &names) {
            let ours = [
                found.names.join(","),
                format!("{},www.example.org", found.issuer),
            ];
            assert_eq!(rows, [ours.join("\t")]);
        }
        let own = tls::Certificate {
            issuer: "www.example.org",
            ..example(&[])
        };
        let own = Certificate::new(&own.der()).expect("a certificate");
        assert!(own.is_self_signed);
    }

    #[test]
    fn whom_it_is_for() {
        let of = |names: &[&str]| Certificate::new(&example(names).der()).expect("a certificate");
        let two = of(&["a.example", "*.example.net"]);
        for (host, is_for) in [
            ("a.example", true),
            ("A.Example.", true),
            ("x.example.net", true),
            ("example.net", false),
            ("x.y.example.net", false),
            // With other names, the common name means nothing.
            ("www.example.org", false),
        ] {
            assert_eq!(two.is_for(host), is_for, "{host}");
        }
        let none = of(&[]);
        assert!(none.is_for("www.example.org") && !none.is_for("a.example"));
    }

    proptest! {
        #[test]
        fn changed_bytes_are_no_danger(place in any::<prop::sample::Index>(), byte: u8, len in 0usize..400) {
            let mut der = example(&["a.example"]).der();
            let place = place.index(der.len());
            der[place] = byte;
            der.truncate(len.max(1));
            if let Some(found) = Certificate::new(&der) {
                let _ = found.is_for("a.example");
            }
        }
    }
}
