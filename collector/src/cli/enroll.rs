//! `wan-collector enroll`: the line that a person pastes at a site.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::ArgGroup;
use jiff::tz::TimeZone;
use wan_settings::units;
use wan_wire::api::PathUrl;
use wan_wire::{LinkKind, SiteId, UnixMillis};

use super::agents::{active, local, open_existing, write_private};
use super::output::{block_on, csv, find_site, print, say};
use super::selection::{Selection, is_open};
use crate::config::Config;
use crate::inventory::{Register, Site};
use crate::secret::Secret;
use crate::store::{EnrolToken, Snapshot, Store as _};
use crate::{clock, tls};

const SHORTEST: Duration = Duration::from_secs(10 * 60);
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// Print the one line by which a site's agent is enrolled.
///
/// The line is pasted on the site's machine, where wan-agent is installed. It holds a token that works once and for a
/// limited time; with it the agent has a secret of its own accepted, which revokes the one that the site had. A new line for a
/// site revokes the former one; for a site that has had a secret it ends in --force, since its machine is enrolled already. Nothing has to be restarted here.
#[derive(Debug, clap::Args)]
#[command(
    group(ArgGroup::new("which").required(true).args(["sites", "all"])),
    after_help = "Examples:\n  wan-collector enroll ubnd-xa-tan-binh\n  \
        wan-collector enroll ubnd-xa-tan-binh --ttl 7d --url https://10.0.0.1:8443 --url https://wan.example.vn=internet\n  \
        wan-collector enroll --all --missing --ttl 14d --output lines.csv\n\n\
        One site: its line alone is written to standard output. Several: CSV of site, name, expires, line."
)]
pub struct Args {
    #[command(flatten)]
    which: Selection,
    /// How long the line works: 10m to 30d.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = ttl)]
    ttl: Duration,
    /// How the agent reaches this collector, instead of `urls` in the configuration; =PATH names the link by which
    /// (default wan). Again for each further one, preferred first.
    #[arg(long = "url", value_name = "URL[=PATH]", value_parser = Config::parse_url)]
    urls: Vec<PathUrl>,
    /// Write CSV to this new file, which only its owner can read.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// Mistakes in files, a refusal with its remedy, or what the store says.
pub fn run(file: &Path, args: &Args) -> anyhow::Result<ExitCode> {
    block_on(args.run(file))?;
    Ok(ExitCode::SUCCESS)
}

impl Args {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let urls = self.addresses(&config, file)?;
        let pins = if urls.iter().any(|url| url.url.starts_with("https:")) {
            tls::pins(&config)?
        } else {
            Vec::new()
        };
        let store = open_existing(&config).await?;
        let snapshot = store.snapshot().await?;
        let now = clock::now();
        let wanted = self.wanted(&config, &snapshot, now)?;
        if wanted.is_empty() {
            say("no site is without a secret: nothing was issued");
            return Ok(());
        }
        let expires =
            UnixMillis(now.0.saturating_add(i64::try_from(self.ttl.as_millis()).unwrap_or(i64::MAX)));
        // Their machines have files of a former enrolment, and would refuse the line without being told that it is meant.
        let enrolled: BTreeSet<SiteId> = snapshot.secrets.iter().map(|secret| secret.site.clone()).collect();
        let mut lines = Vec::with_capacity(wanted.len());
        let mut tokens = Vec::with_capacity(wanted.len());
        for site in wanted {
            let token = Secret::token()?;
            tokens.push(EnrolToken {
                site: site.id.clone(),
                hash: token.hash(),
                issued: now,
                expires,
                used: None,
                revoked: None,
            });
            lines.push((site, line(&urls, &token, &pins, enrolled.contains(&site.id))));
        }
        let list = || {
            let until = local(expires, &config);
            let rows = lines.iter().map(|(site, line)| {
                vec![site.id.to_string(), site.name.clone(), until.clone(), line.clone()]
            });
            csv(&["site", "name", "expires", "line"], rows)
        };
        // The file comes first: a token that is stored and shown nowhere would only have revoked the one before it.
        if let Some(path) = &self.output {
            write_private(path, &list()?)?;
        }
        if let Err(error) = store.issue_tokens(&tokens).await {
            if let Some(path) = &self.output {
                let _ = std::fs::remove_file(path);
            }
            return Err(error.into());
        }
        store.close().await;
        if let Some(path) = &self.output {
            return print(format_args!("{} lines written to {}\n", lines.len(), path.display()));
        }
        match lines.as_slice() {
            [(site, line)] if !self.which.all => {
                self.explain(site, &snapshot, expires, &config);
                print(format_args!("{line}\n"))
            }
            _ => print(list()?),
        }
    }

    /// What a person should know about one line, on standard error.
    fn explain(&self, site: &Site, snapshot: &Snapshot, expires: UnixMillis, config: &Config) {
        say(format_args!("{} ({})", site.name, site.id));
        say(format_args!(
            "Paste this line on the site's machine, where wan-agent is installed. It works once, until {}:",
            local(expires, config)
        ));
        if let Some(since) = active(&snapshot.secrets).get(&site.id) {
            say(format_args!(
                "(The site has a secret since {}; when the line is used, the agent that holds it is refused.)",
                local(*since, config)
            ));
        }
    }

    fn wanted<'s>(
        &self,
        config: &Config,
        snapshot: &'s Snapshot,
        now: UnixMillis,
    ) -> anyhow::Result<Vec<&'s Site>> {
        let register = &snapshot.register;
        if !self.which.all {
            return chosen(register, &self.which.sites, &config.timezone, now);
        }
        let sites = self.which.open(config, register, now)?;
        Ok(self.which.lacking(sites, &active(&snapshot.secrets)))
    }

    /// How agents reach this collector: as the command line says, as the configuration says, or on this machine.
    fn addresses(&self, config: &Config, file: &Path) -> anyhow::Result<Vec<PathUrl>> {
        if !self.urls.is_empty() {
            return Ok(self.urls.clone());
        }
        if !config.urls.is_empty() {
            return Ok(config.urls.clone());
        }
        match listening(config) {
            Some((url, is_loopback)) => {
                if is_loopback {
                    say(format_args!(
                        "WARNING: the line names {url}, which leads from every other machine to itself: it works on this \
                         machine only. Write how agents reach this collector as `urls` into {}, or say --url \
                         https://10.0.0.1:8443",
                        file.display()
                    ));
                }
                Ok(vec![PathUrl { url, path: LinkKind::Wan.as_str().to_owned() }])
            }
            None => anyhow::bail!(
                "how do agents reach this collector? Write it as `urls` into {}, as in\n  urls:\n    - url: \
                 https://10.0.0.1:8443\nor say it here: --url https://10.0.0.1:8443",
                file.display()
            ),
        }
    }
}

/// The line to paste. Its words are safe in any shell: what is not plain is quoted.
fn line(urls: &[PathUrl], token: &Secret, pins: &[String], force: bool) -> String {
    let mut line = String::from("sudo wan-agent enroll");
    for PathUrl { url, path } in urls {
        let word = if path == LinkKind::Wan.as_str() { url.clone() } else { format!("{url}={path}") };
        line.push(' ');
        line.push_str(&quoted(&word));
    }
    line.push_str(" --token ");
    line.push_str(token.reveal());
    for pin in pins {
        line.push_str(" --pin ");
        line.push_str(&quoted(pin));
    }
    if force {
        line.push_str(" --force");
    }
    line
}

/// A word that every POSIX shell reads as it is.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The sites that a user named; closed ones are refused.
fn chosen<'r>(
    register: &'r Register,
    names: &[String],
    zone: &TimeZone,
    now: UnixMillis,
) -> anyhow::Result<Vec<&'r Site>> {
    let mut sites: BTreeMap<SiteId, &Site> = BTreeMap::new();
    for name in names {
        let id = find_site(register, name)?;
        let Some(site) = register.get(&id) else { continue };
        if !is_open(site, zone, now) {
            let day = site.valid_to.map(|day| day.to_string()).unwrap_or_default();
            anyhow::bail!(
                "the site {id} is closed since {day} (valid_to in the register); its agent would be refused"
            );
        }
        sites.insert(id, site);
    }
    Ok(sites.into_values().collect())
}

/// The address that it listens on, where one can be told from it: for other machines if there is one, else on this one; and
/// whether it is that.
fn listening(config: &Config) -> Option<(String, bool)> {
    let by_reach = |loopback: bool| {
        let mut addresses = config.listen.iter();
        addresses.find(|address| address.ip().to_canonical().is_loopback() == loopback)
    };
    let address =
        by_reach(false).or_else(|| by_reach(true)).filter(|address| !address.ip().is_unspecified())?;
    let scheme = if config.speaks_tls(address) { "https" } else { "http" };
    Some((format!("{scheme}://{address}"), address.ip().to_canonical().is_loopback()))
}

fn ttl(text: &str) -> Result<Duration, String> {
    let expected =
        || format!("expected a time from {} to {}", units::show_duration(SHORTEST), "30d, such as 24h or 7d");
    units::duration(text).filter(|time| (SHORTEST..=LONGEST).contains(time)).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(url: &str, path: &str) -> PathUrl {
        PathUrl { url: url.into(), path: path.into() }
    }

    #[test]
    fn a_line_is_plain_words_for_any_shell() {
        let token = Secret::token().unwrap();
        let urls = [url("https://10.0.0.1:8443", "wan"), url("https://wan.example.vn", "internet-ftth")];
        let said = line(&urls, &token, &["sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".into()], true);
        assert_eq!(
            said,
            format!(
                "sudo wan-agent enroll https://10.0.0.1:8443 https://wan.example.vn=internet-ftth --token {} \
                 --pin sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= --force",
                token.reveal()
            )
        );
        let said = line(&[url("http://[::1]:8080", "wan"), url("http://a/$(x)'", "wan")], &token, &[], false);
        assert!(!said.contains("--force"), "{said}");
        assert!(said.contains(r"enroll 'http://[::1]:8080' 'http://a/$(x)'\''' --token"), "{said}");
    }

    #[test]
    fn a_time_limit_is_within_ten_minutes_and_thirty_days() {
        assert_eq!(ttl("10m"), Ok(SHORTEST));
        assert_eq!(ttl("30d"), Ok(LONGEST));
        for text in ["9m", "31d", "0s", "24", "", "ever"] {
            assert_eq!(ttl(text), Err("expected a time from 10m to 30d, such as 24h or 7d".into()), "{text}");
        }
    }

    #[test]
    fn without_configured_addresses_the_one_that_it_listens_on_is_taken() {
        let said = |listen: &[&str]| {
            let listen = listen.iter().map(|address| address.parse().unwrap()).collect();
            listening(&Config { listen, ..Config::default() })
        };
        assert_eq!(said(&["127.0.0.1:8080"]), Some(("http://127.0.0.1:8080".into(), true)));
        assert_eq!(said(&["[::1]:1", "10.0.0.1:8443"]), Some(("https://10.0.0.1:8443".into(), false)));
        assert_eq!(
            said(&["127.0.0.1:8080", "0.0.0.0:8443"]),
            None,
            "any of this machine's addresses may be meant"
        );
    }

    #[test]
    fn an_address_may_name_the_link_by_which_it_is_reached() {
        assert_eq!(Config::parse_url("https://10.0.0.1:8443/"), Ok(url("https://10.0.0.1:8443", "wan")));
        assert_eq!(Config::parse_url("https://a.vn=internet"), Ok(url("https://a.vn", "internet")));
        assert_eq!(
            Config::parse_url("https://[fd79::2]:1/w=wan-vnpt"),
            Ok(url("https://[fd79::2]:1/w", "wan-vnpt"))
        );
        for text in
            ["", "a", "ftp://a", "https://", "https://a?b=internet", "https://u:p@a", "https://a#b", "=wan"]
        {
            assert!(Config::parse_url(text).is_err(), "{text}");
        }
    }
}
