//! TLS for the TCP listener (rustls with ring, versions 1.2 and 1.3). The certificate can be replaced while
//! connections are open.

use std::{
    io,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use capture_file::open_failure;
use capture_store::ownership::own_name;
use capture_task::Cause;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio_rustls::TlsAcceptor;
use x509_cert::der::Decode as _;

use crate::error::{Error, Result};

/// The certificate with its key, as the files had it when they were last read.
#[derive(Debug)]
pub(super) struct Certificate(RwLock<Arc<CertifiedKey>>);

impl Certificate {
    /// Reads the chain and the key, both PEM.
    pub(super) fn load(chain: &Path, key: &Path) -> Result<Arc<Self>> {
        Ok(Arc::new(Self(RwLock::new(pair(chain, key)?))))
    }

    /// Handshakes from now on show this one.
    pub(super) fn set(&self, certified: Arc<CertifiedKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certified;
    }

    /// When the first certificate of the chain expires, seconds since 1970; none where a date cannot be read.
    pub(super) fn expiry(&self) -> Option<u64> {
        let current = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        let expiries = current.cert.iter().map(|certificate| {
            let parsed = x509_cert::Certificate::from_der(certificate).ok()?;
            let validity = parsed.tbs_certificate().validity();
            Some(validity.not_after.to_unix_duration().as_secs())
        });
        expiries.collect::<Option<Vec<_>>>()?.into_iter().min()
    }

    /// What makes TLS of accepted connections.
    pub(super) fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::runtime(format!("cannot set up TLS: {error}")))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current))
    }
}

/// A chain and its key, as [`Certificate::load`] reads them.
pub(super) fn pair(chain: &Path, key: &Path) -> Result<Arc<CertifiedKey>> {
    read(chain, key, &ring::default_provider()).map(Arc::new)
}

fn read(chain: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey> {
    let in_file = |path: &Path, error: &dyn std::fmt::Display| {
        Error::usage(format!("TLS: {}: {error}", path.display()))
    };
    let of_pem = |path: &Path, error: &pem::Error| match error {
        pem::Error::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let name = own_name();
            in_file(
                path,
                &format_args!("{}; the user {name} must be able to read it", Cause(error)),
            )
        }
        pem::Error::Io(error) => in_file(path, &open_failure(path, error)),
        _ => in_file(path, error),
    };
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect)
        .map_err(|error| of_pem(chain, &error))?;
    if certificates.is_empty() {
        return Err(in_file(chain, &"there is no certificate in it"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| of_pem(key, &error))?;
    CertifiedKey::from_der(certificates, private, provider).map_err(|error| {
        Error::usage(format!(
            "TLS: the key in {} is not that of the certificate in {}: {error}",
            key.display(),
            chain.display()
        ))
    })
}
