//! TLS to a remote daemon (rustls with ring). Its certificate is one of an authority that the system trusts, or of one
//! in the file of `--ca`, or is itself in that file: `openssl req -x509` makes certificates that are their own
//! authority, which webpki takes for no server's (rustls/webpki#114).

use std::{io, path::Path, sync::Arc};

use capture_task::{Cause, error::ErrorKind};
use jiff::Timestamp;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::ring,
    pki_types::{
        CertificateDer, ServerName, UnixTime,
        pem::{self, PemObject as _},
    },
    server::ParsedCertificate,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use x509_cert::der::Decode as _;

use crate::{
    address::in_brackets,
    error::{Error, Result},
};

/// What makes TLS of connections to one daemon.
pub(crate) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
    /// For messages: `HOST:PORT`.
    shown: String,
    /// Whether it trusts a file in place of the system.
    has_ca: bool,
}

impl Tls {
    /// For a daemon at this host and port.
    pub(crate) fn new(host: &str, port: u16, ca: Option<&Path>) -> Result<Self> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            Error::usage(format!(
                "{host:?} is neither the name of a host nor its address"
            ))
        })?;
        let trusted = match ca {
            Some(path) => of_file(path)?,
            None => of_system()?,
        };
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        // Some in the system's bundle are older than what is understood.
        roots.add_parsable_certificates(trusted.iter().cloned());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let failed = |error: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Runtime, format!("cannot set up TLS: {error}"))
        };
        let verifier = Verifier {
            by_authority: verifier.build().map_err(|error| failed(&error))?,
            // Only what somebody has named is trusted without an authority.
            named: if ca.is_some() { trusted } else { Vec::new() },
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            name,
            shown: format!("{}:{port}", in_brackets(host)),
            has_ca: ca.is_some(),
        })
    }

    /// Makes TLS of a connection.
    pub(crate) async fn over(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>> {
        let connected = self.connector.connect(self.name.clone(), stream).await;
        connected.map_err(|error| Error::unreachable(self.sentence(&error)))
    }

    fn sentence(&self, error: &io::Error) -> String {
        let shown = &self.shown;
        let cause = error.get_ref().and_then(|error| error.downcast_ref());
        match cause {
            Some(rustls::Error::InvalidCertificate(fault)) => self.of_certificate(fault),
            Some(rustls::Error::InvalidMessage(_)) => format!(
                "{shown} does not speak TLS; is it another port, or has that daemon no `http.tls_cert`?"
            ),
            Some(other) => format!("no TLS with {shown}: {other}"),
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                format!(
                    "{shown} ends the connection where TLS begins; is it another service's port?"
                )
            }
            None => format!("no TLS with {shown}: {}", Cause(error)),
        }
    }

    fn of_certificate(&self, fault: &CertificateError) -> String {
        let shown = &self.shown;
        match fault {
            CertificateError::NotValidForNameContext { presented, .. } => {
                let names: Vec<_> = presented.iter().map(|name| plain_name(name)).collect();
                let names = match names.as_slice() {
                    [] => "for no name at all".to_owned(),
                    names => format!("for {}", names.join(", ")),
                };
                format!(
                    "the certificate of {shown} is {names}, and not for {}; use its name in --url",
                    self.name.to_str()
                )
            }
            CertificateError::ExpiredContext { not_after, .. } => format!(
                "the certificate of {shown} expired on {}; renew it there, and reload the daemon",
                day(*not_after)
            ),
            CertificateError::NotValidYetContext { not_before, .. } => format!(
                "the certificate of {shown} is not valid before {}; are the clocks right?",
                day(*not_before)
            ),
            other if is_of_unknown(other) => match self.has_ca {
                true => format!(
                    "the certificate of {shown} is not from the authority in the file of --ca"
                ),
                false => format!(
                    "the certificate of {shown} is from an authority that this system does not know; name the file with the authority's certificate, or with that of the daemon, by --ca"
                ),
            },
            other => format!("the certificate of {shown} is not valid: {other}"),
        }
    }
}

/// Not from a known authority, or its own authority.
fn is_of_unknown(fault: &CertificateError) -> bool {
    match fault {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => true,
        CertificateError::Other(other) => matches!(
            other.0.downcast_ref(),
            Some(webpki::Error::CaUsedAsEndEntity)
        ),
        _ => false,
    }
}

/// `DnsName("a.example")` and `IpAddress(10.0.0.1)` as rustls writes them, without the kind.
fn plain_name(name: &str) -> &str {
    let inside = name
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.unwrap_or(name).trim_matches('"')
}

fn day(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(
        || "a day that cannot be told".to_owned(),
        |time| time.strftime("%Y-%m-%d").to_string(),
    )
}

/// The certificates of a file.
fn of_file(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let shown = path.display();
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(Error::usage(format!(
            "the file {shown} of --ca holds no certificate in PEM"
        ))),
        Err(pem::Error::Io(error)) => {
            let kind = match error.kind() {
                io::ErrorKind::NotFound => ErrorKind::NotFound,
                _ => ErrorKind::Usage,
            };
            let cause = Cause(&error);
            Err(Error::new(
                kind,
                format!("the file {shown} of --ca cannot be read: {cause}"),
            ))
        }
        Err(error) => Err(Error::usage(format!(
            "the file {shown} of --ca is no PEM: {error}"
        ))),
    }
}

/// The certificates that the system trusts.
fn of_system() -> Result<Vec<CertificateDer<'static>>> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.first().map(|error| format!(" ({error})"));
        return Err(Error::unreachable(format!(
            "this system has no certificates of authorities{}; install the package ca-certificates, or name a file by --ca",
            why.unwrap_or_default()
        )));
    }
    Ok(found.certs)
}

/// Trusts authorities, and certificates that are named themselves.
#[derive(Debug)]
struct Verifier {
    by_authority: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.named.iter().any(|named| named == end_entity) {
            in_time(end_entity, now)?;
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        self.by_authority.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.by_authority.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.by_authority.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_authority.supported_verify_schemes()
    }
}

/// Whether a certificate is neither too young nor too old.
fn in_time(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), rustls::Error> {
    let parsed = x509_cert::Certificate::from_der(certificate)
        .map_err(|_| rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
    let validity = parsed.tbs_certificate().validity();
    let not_before = UnixTime::since_unix_epoch(validity.not_before.to_unix_duration());
    let not_after = UnixTime::since_unix_epoch(validity.not_after.to_unix_duration());
    let fault = if now < not_before {
        CertificateError::NotValidYetContext {
            time: now,
            not_before,
        }
    } else if now > not_after {
        CertificateError::ExpiredContext {
            time: now,
            not_after,
        }
    } else {
        return Ok(());
    };
    Err(rustls::Error::InvalidCertificate(fault))
}
