//! The line of the log that says what a daemon runs on, written once it answers.

use std::net::SocketAddr;

use capture_store::ownership::own_name;
use capture_task::{bytes_text, plan::Keyword as _};

use super::{
    api::About,
    config::{Config, LiveConfig},
};

/// Writes the line.
pub(super) fn write(live: &LiveConfig, about: About, listening: &[SocketAddr], stored: u64) {
    let config = live.get();
    let file = live.file().map(|file| file.display().to_string());
    let listen = addresses(&config, listening);
    let (user, urls) = (own_name(), listen.join(" "));
    log::info!(
        event = "started",
        version = about.version,
        commit = about.commit,
        config = file.as_deref().unwrap_or("defaults"),
        user = user.as_str(),
        socket:% = config.paths.socket.display(),
        listen = urls.as_str(),
        tasks_per_day = config.quota.limit(),
        disk_budget = config.limits.disk_budget,
        stored_bytes = stored;
        "started: {}, {}",
        about.text(),
        described(&config, file.as_deref(), &listen, stored)
    );
}

/// As URLs.
fn addresses(config: &Config, listening: &[SocketAddr]) -> Vec<String> {
    let scheme = match config.http.tls {
        Some(_) => "https",
        None => "http",
    };
    let urls = listening.iter();
    urls.map(|address| format!("{scheme}://{address}"))
        .collect()
}

fn described(config: &Config, file: Option<&str>, listen: &[String], stored: u64) -> String {
    let source = match file {
        Some(file) => format!("configuration {file}"),
        None => "no configuration file, so defaults".to_owned(),
    };
    let mut parts = vec![
        source,
        format!("user {}", own_name()),
        format!("socket {}", config.paths.socket.display()),
    ];
    parts.extend(listen.iter().map(|url| format!("listening on {url}")));
    let edition = config.quota.edition.keyword();
    parts.push(match config.quota.limit() {
        Some(limit) => format!("quota {edition}, {limit} tasks a day"),
        None => format!("quota {edition}, no limit a day"),
    });
    parts.push(format!(
        "disk budget {}, {} of it in use",
        bytes_text(config.limits.disk_budget),
        bytes_text(stored)
    ));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_it_runs_on_is_in_the_line() {
        let config = Config::default();
        let listening = ["127.0.0.1:8080".parse().expect("an address")];
        let listen = addresses(&config, &listening);
        let user = own_name();
        assert_eq!(
            described(&config, None, &listen, 2_000),
            format!(
                "no configuration file, so defaults, user {user}, socket /run/capture-agent/api.sock, \
                 listening on http://127.0.0.1:8080, quota ultimate, 50 tasks a day, disk budget 10.7 GB, \
                 2.0 kB of it in use"
            )
        );
        let mut config = config;
        config.quota.edition = crate::config::Edition::Unlimited;
        let file = Some("/srv/config.toml");
        let line = described(&config, file, &[], 0);
        assert!(
            line.starts_with("configuration /srv/config.toml, user "),
            "{line}"
        );
        assert!(line.contains("quota unlimited, no limit a day"), "{line}");
    }
}
