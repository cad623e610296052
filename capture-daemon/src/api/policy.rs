//! What the API takes from the configuration, in force until the next reload.

use std::sync::{Arc, PoisonError, RwLock};

use capture_store::access::SocketAccess;

use super::host_check::AllowedHosts;
use crate::config::{Config, QuotaRules};

/// Who may come in, as the configuration says.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    /// Names of this daemon.
    pub(super) hosts: AllowedHosts,
    /// Who may use the Unix socket.
    pub(super) access: SocketAccess,
    /// How many tasks accounts may create.
    pub(super) quota: QuotaRules,
    /// Whether shares show anything.
    pub(super) shares: bool,
}

impl Policy {
    /// The policy of a configuration.
    pub(super) fn of(config: &Config) -> crate::error::Result<Self> {
        Ok(Self {
            hosts: AllowedHosts::new(&config.http.allowed_hosts),
            access: SocketAccess::of_group(&config.access.socket_group)?,
            quota: config.quota.clone(),
            shares: config.shares.enabled,
        })
    }
}

/// The policy of the moment.
#[derive(Debug)]
pub(super) struct Policies(RwLock<Arc<Policy>>);

impl Policies {
    pub(super) fn new(policy: Policy) -> Arc<Self> {
        Arc::new(Self(RwLock::new(Arc::new(policy))))
    }

    pub(super) fn current(&self) -> Arc<Policy> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set(&self, policy: Policy) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }
}
