//! The interfaces of the daemon's host, as far as a command needs them.

use serde::Deserialize;

use super::{Client, Result};

/// An interface in the daemon's network namespace.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Interface {
    /// Its name, which may hold any character but `/`, `:` and spaces.
    pub name: String,
    /// Whether it can be captured on.
    pub capturable: bool,
    /// Whether a default route leads out here. Earlier daemons do not say it.
    #[serde(default)]
    pub default_route: bool,
    /// With the length of their prefixes.
    #[serde(default)]
    pub addresses: Vec<String>,
}

#[derive(Deserialize)]
struct Answer {
    interfaces: Vec<Interface>,
}

impl Client {
    /// All interfaces, by index.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn interfaces(&self) -> Result<Vec<Interface>> {
        let Answer { interfaces } = self.get("/interfaces").await?;
        Ok(interfaces)
    }
}
