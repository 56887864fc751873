//! What was typed to start the daemon, what its configuration file says, and what the two mean together.
//! Knows flags and the file's keys; must not know what they switch on.

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use swarm_model::{FEATURE_LEVEL, is_dns_name};

/// Cluster manager for container networks: one daemon on each host.
#[derive(Debug, Parser)]
#[command(name = "swarmd", version, about, long_about = None)]
pub struct Args {
    /// Read these settings from a TOML file; a flag wins over the file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where this host's identity and state are kept [default: /var/lib/swarmd]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Where the local socket and the named namespaces are [default: /run/swarmd]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Name of this host in the cluster [default: the system's]
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// error, warn, info, debug or trace, or a filter such as swarm_worker=debug [default: info]
    #[arg(long, value_name = "L")]
    log_level: Option<String>,
    /// How log lines are written [default: text]
    #[arg(long, value_enum)]
    log_format: Option<LogFormat>,
    /// Serve this host's figures at http://IP:PORT/metrics, for Prometheus; to anybody who reaches that address
    /// [default: nowhere]
    #[arg(long, value_name = "IP:PORT")]
    metrics_addr: Option<SocketAddr>,
    /// Announce and keep to an older feature level, as an older release would: to rehearse an upgrade of a cluster
    #[arg(long, value_name = "N", hide = true, default_value_t = FEATURE_LEVEL,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(FEATURE_LEVEL)))]
    feature_level: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    state_dir: Option<PathBuf>,
    run_dir: Option<PathBuf>,
    hostname: Option<String>,
    log_level: Option<String>,
    log_format: Option<LogFormat>,
    metrics_addr: Option<SocketAddr>,
}

/// The daemon's settings, flags and file merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub state_dir: PathBuf,
    pub run_dir: PathBuf,
    pub hostname: String,
    pub log_level: String,
    pub log_format: LogFormat,
    pub metrics_addr: Option<SocketAddr>,
    /// What this node announces and keeps to.
    pub features: u32,
}

impl Args {
    /// # Errors
    /// The file cannot be read, has a key that is not known, or no host name is to be had.
    pub fn resolve(self) -> anyhow::Result<Config> {
        let file = self.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let hostname = match self.hostname.or(file.hostname) {
            Some(name) => name,
            None => {
                let own = nix::unistd::gethostname()
                    .context("cannot read this host's name; give it with --hostname")?;
                as_dns_name(&own.to_string_lossy())
            }
        };
        if !is_dns_name(&hostname) {
            bail!(
                "host name {hostname:?} is not usable: expected a DNS name, labels of 1 to 63 letters, digits, '-' or '_' with \
                 dots between them (--hostname)"
            );
        }
        Ok(Config {
            state_dir: absolute(self.state_dir.or(file.state_dir), "/var/lib/swarmd")?,
            run_dir: absolute(self.run_dir.or(file.run_dir), "/run/swarmd")?,
            hostname,
            log_level: self.log_level.or(file.log_level).unwrap_or_else(|| "info".into()),
            log_format: self.log_format.or(file.log_format).unwrap_or(LogFormat::Text),
            metrics_addr: self.metrics_addr.or(file.metrics_addr),
            features: self.feature_level,
        })
    }
}

/// The kernel takes any bytes for a host's name; other nodes are told one that they may print and look up.
fn as_dns_name(own: &str) -> String {
    let plain: String = own.chars().map(|c| if c == '.' || is_inner(c) { c } else { '-' }).collect();
    let edges = |label: &str| label.trim_matches(['-', '_']).to_owned();
    let labels: Vec<String> = plain.split('.').map(edges).filter(|label| !label.is_empty()).collect();
    let name = labels.join(".");
    if name != own {
        eprintln!(
            "swarmd: this host's name {own:?} is no DNS name: the node is called {name:?}; choose another with --hostname"
        );
    }
    name
}

fn is_inner(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

fn read(path: &Path) -> anyhow::Result<File> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read configuration file {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("configuration file {} is not valid", path.display()))
}

fn absolute(given: Option<PathBuf>, default: &str) -> anyhow::Result<PathBuf> {
    let path = given.unwrap_or_else(|| default.into());
    std::path::absolute(&path).with_context(|| format!("{} is not a usable path", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_s_own_name_becomes_a_dns_name_and_one_that_was_typed_must_be_one() {
        for (own, name) in [
            ("node-3.example.com", "node-3.example.com"),
            ("h_1", "h_1"),
            ("-my host!.lan.", "my-host.lan"),
            ("bür\u{1b}[7mo", "b-r--7mo"),
        ] {
            assert_eq!(as_dns_name(own), name);
            assert!(is_dns_name(name));
        }
        for typed in ["a b", "a\nb", "-a"] {
            let flag = format!("--hostname={typed}");
            let error = Args::parse_from(["swarmd", &flag]).resolve().unwrap_err();
            assert!(error.to_string().contains("DNS name"), "{error}");
        }
    }

    #[test]
    fn a_flag_wins_over_the_file_and_unknown_keys_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("swarmd.toml");
        std::fs::write(
            &path,
            "state-dir = \"/a\"\nrun-dir = \"/b\"\nhostname = \"h\"\nmetrics-addr = \"127.0.0.1:9\"\n",
        )
        .unwrap();
        let file = path.to_str().unwrap();
        let config = Args::parse_from(["swarmd", "--config", file, "--run-dir", "/c"]).resolve().unwrap();
        assert_eq!((config.state_dir, config.run_dir), ("/a".into(), "/c".into()));
        assert_eq!((config.hostname.as_str(), config.metrics_addr), ("h", "127.0.0.1:9".parse().ok()));

        std::fs::write(&path, "statedir = \"/a\"\n").unwrap();
        let error = Args::parse_from(["swarmd", "--config", file]).resolve().unwrap_err();
        let said = format!("{error:#}");
        assert!(said.contains("statedir") && said.matches("run-dir").count() == 1, "{said}");
    }
}
