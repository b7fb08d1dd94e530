//! `wan-collector agents issue | list | revoke`.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::clock;
use crate::config::Config;
use crate::inventory::Site;
use crate::secret::Secret;
use crate::store::sqlite::SqliteStore;
use crate::store::{AgentSecret, Snapshot, Store as _, StoreError};
use anyhow::Context as _;
use clap::{ArgGroup, Args, Subcommand};
use wan_wire::{SiteId, UnixMillis};

use super::output::{Format, block_on, csv, find_site, print, say, table};

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Agents {
    /// Issue a secret for the agent of a site, or of many sites.
    Issue(Issue),
    /// List which sites have a secret, and since when.
    List(List),
    /// Revoke a site's secret: its agent is refused from then on.
    Revoke(Revoke),
}

/// Runs one of the commands.
///
/// # Errors
/// Mistakes in files, a refusal with its remedy, or what the store says.
pub fn run(file: &Path, command: &Agents) -> anyhow::Result<ExitCode> {
    block_on(command.run(file))?;
    Ok(ExitCode::SUCCESS)
}

impl Agents {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        match self {
            Self::Issue(command) => command.run(file).await,
            Self::List(command) => command.run(file).await,
            Self::Revoke(command) => command.run(file).await,
        }
    }
}

/// Issue a secret for the agent of a site, or of many sites.
///
/// A secret is shown once: only its hash is stored. A site has one secret at a time, and an agent that holds the old one is
/// refused as soon as a new one is issued; so a site that has one is refused here unless --rotate says that this is meant.
/// A site counts as equipped from the time at which its first secret was issued. A running server takes secrets over
/// within seconds.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("which").required(true).args(["sites", "all"])),
    after_help = "Examples:\n  wan-collector agents issue ubnd-xa-tan-binh\n  \
        wan-collector agents issue --all --missing --output secrets.csv\n  \
        wan-collector agents issue --all --tier commune --missing --output communes.csv\n  \
        wan-collector agents issue ubnd-xa-tan-binh --rotate"
)]
pub struct Issue {
    /// Ids of sites.
    #[arg(value_name = "SITE")]
    sites: Vec<String>,
    /// For all sites that are not closed; written as CSV.
    #[arg(long)]
    all: bool,
    /// With --all: only sites of this tier.
    #[arg(long, requires = "all")]
    tier: Option<String>,
    /// With --all: leave out sites that have a secret.
    #[arg(long, requires = "all", conflicts_with = "rotate")]
    missing: bool,
    /// Replace secrets that sites have already.
    #[arg(long)]
    rotate: bool,
    /// Write CSV to this new file, which only its owner can read.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Issue {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let store = open_existing(&config).await?;
        let snapshot = store.snapshot().await?;
        let now = clock::now();
        let wanted = self.wanted(&config, &snapshot, now)?;
        let mut rows = Vec::with_capacity(wanted.len());
        let mut secrets = Vec::with_capacity(wanted.len());
        for site in wanted {
            let secret = Secret::generate()?;
            secrets.push(AgentSecret {
                site: site.id.clone(),
                hash: secret.hash(),
                issued: now,
                revoked: None,
            });
            rows.push((site, secret));
        }
        if rows.is_empty() {
            say("no site is without a secret: nothing was issued");
            return Ok(());
        }
        let list = || {
            csv(
                &["site", "name", "secret"],
                rows.iter().map(|(site, secret)| {
                    vec![site.id.to_string(), site.name.clone(), secret.reveal().to_owned()]
                }),
            )
        };
        // The file comes first: a secret that is stored and shown nowhere would lock its agent out.
        if let Some(path) = &self.output {
            write_private(path, &list()?)?;
        }
        if let Err(error) = store.issue_secrets(snapshot.revision, &secrets).await {
            if let Some(path) = &self.output {
                std::fs::remove_file(path).with_context(|| format!("remove {}", path.display()))?;
            }
            return Err(error.into());
        }
        store.close().await;
        if let Some(path) = &self.output {
            return print(format_args!("{} secrets written to {}\n", rows.len(), path.display()));
        }
        match rows.as_slice() {
            [(site, secret)] if !self.all => print(one(site, secret, &config)),
            _ => print(list()?),
        }
    }

    /// The sites that get a secret.
    fn wanted<'s>(
        &self,
        config: &Config,
        snapshot: &'s Snapshot,
        now: UnixMillis,
    ) -> anyhow::Result<Vec<&'s Site>> {
        let active = active(&snapshot.secrets);
        let register = &snapshot.register;
        if self.all {
            if let Some(tier) = &self.tier
                && config.plan.tier(tier).is_none()
            {
                anyhow::bail!("there is no tier {tier:?} in the plan");
            }
            let open = |site: &&Site| site.valid_to_ms(&config.timezone).is_none_or(|closed| now < closed);
            let of_tier = |site: &&Site| self.tier.as_deref().is_none_or(|tier| site.tier.as_str() == tier);
            let sites: Vec<&Site> = register.sites().filter(open).filter(of_tier).collect();
            let had = sites.iter().filter(|site| active.contains_key(&site.id)).count();
            if had > 0 && !self.missing && !self.rotate {
                anyhow::bail!(
                    "{had} of these {} sites have a secret; --missing leaves them out, --rotate replaces their secrets",
                    sites.len()
                );
            }
            let skip = |site: &&Site| self.missing && active.contains_key(&site.id);
            return Ok(sites.into_iter().filter(|site| !skip(site)).collect());
        }
        let mut sites = BTreeMap::new();
        for text in &self.sites {
            let id = find_site(register, text)?;
            if let Some(since) = active.get(&id)
                && !self.rotate
            {
                anyhow::bail!(
                    "{id} has a secret, issued {}; --rotate replaces it, and the agent that holds it is refused from then on",
                    local(*since, config)
                );
            }
            if let Some(site) = register.get(&id) {
                sites.insert(id, site);
            }
        }
        Ok(sites.into_values().collect())
    }
}

/// List which sites have a secret, and since when.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wan-collector agents list --format csv")]
pub struct List {
    /// How to write the list.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl List {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let store = SqliteStore::open_read_only(&config.database()).await?;
        let Snapshot { register, secrets, .. } = store.snapshot().await?;
        // The last one of each site; the secrets are in the order of their issue.
        let last: BTreeMap<&SiteId, &AgentSecret> =
            secrets.iter().map(|secret| (&secret.site, secret)).collect();
        let head = ["site", "name", "state", "issued", "revoked"];
        let rows: Vec<Vec<String>> = register
            .sites()
            .map(|site| {
                let secret = last.get(&site.id);
                let state = match secret.map(|secret| secret.revoked) {
                    None => "none",
                    Some(None) => "active",
                    Some(Some(_)) => "revoked",
                };
                let issued = secret.map(|secret| local(secret.issued, &config)).unwrap_or_default();
                let revoked = secret.and_then(|secret| secret.revoked).map(|at| local(at, &config));
                let revoked = revoked.unwrap_or_default();
                vec![site.id.to_string(), site.name.clone(), state.to_owned(), issued, revoked]
            })
            .collect();
        match self.format {
            Format::Table => {
                let active =
                    rows.iter().filter(|row| row.get(2).is_some_and(|state| state == "active")).count();
                let total = rows.len();
                let head = head.map(str::to_uppercase);
                let shown = table(&head.each_ref().map(String::as_str), rows);
                print(format_args!("{shown}{active} of {total} sites have a secret\n"))
            }
            Format::Json => {
                let objects: Vec<BTreeMap<&str, &String>> =
                    rows.iter().map(|row| head.into_iter().zip(row).collect()).collect();
                print(format_args!("{}\n", serde_json::to_string_pretty(&objects)?))
            }
            Format::Csv => print(csv(&head, rows)?),
        }
    }
}

/// Revoke a site's secret: its agent is refused from then on.
///
/// The agent keeps what it measures; after a new secret it brings everything in.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wan-collector agents revoke ubnd-xa-tan-binh")]
pub struct Revoke {
    /// Ids of sites.
    #[arg(required = true, value_name = "SITE")]
    sites: Vec<String>,
}

impl Revoke {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let store = open_existing(&config).await?;
        let snapshot = store.snapshot().await?;
        let ids = self.sites.iter().map(|text| find_site(&snapshot.register, text));
        for id in ids.collect::<anyhow::Result<Vec<_>>>()? {
            match store.revoke_secrets(&id, clock::now()).await? {
                0 => print(format_args!("{id} has no secret: nothing to revoke\n"))?,
                _ => print(format_args!("the secret of {id} is revoked\n"))?,
            }
        }
        store.close().await;
        Ok(())
    }
}

/// Opens the database for writing, but makes none: without a register there is nobody to issue a secret to.
async fn open_existing(config: &Config) -> Result<SqliteStore, StoreError> {
    let path = config.database();
    if !path.exists() {
        return Err(StoreError::Missing { path });
    }
    SqliteStore::open(&path).await
}

/// The sites with a secret that is accepted, and when it was issued.
fn active(secrets: &[AgentSecret]) -> BTreeMap<SiteId, UnixMillis> {
    let active = secrets.iter().filter(|secret| secret.revoked.is_none());
    active.map(|secret| (secret.site.clone(), secret.issued)).collect()
}

/// The lines to put into the agent's configuration.
fn one(site: &Site, secret: &Secret, config: &Config) -> String {
    let scheme = |address| if config.speaks_tls(address) { "https" } else { "http" };
    let url = match (config.urls.first(), config.listen.last()) {
        (Some(known), _) => known.url.clone(),
        (None, Some(any)) if any.ip().is_unspecified() => {
            format!("{}://ADDRESS-OF-THIS-COLLECTOR:{}", scheme(any), any.port())
        }
        (None, Some(address)) => format!("{}://{address}", scheme(address)),
        (None, None) => "https://ADDRESS-OF-THIS-COLLECTOR".to_owned(),
    };
    format!(
        "# {} ({}). This secret is shown once; put it into the agent's configuration:\n\
         collector:\n  urls:\n    - url: {url}\n  secret: {}\n",
        site.id,
        site.name,
        secret.reveal()
    )
}

fn local(at: UnixMillis, config: &Config) -> String {
    let shown = jiff::Timestamp::from_millisecond(at.0)
        .map(|at| at.to_zoned(config.timezone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string());
    shown.unwrap_or_else(|_| at.0.to_string())
}

/// Writes a new file that only its owner can read, down to the disk.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).with_context(|| {
            format!("cannot make the file {} (one that exists is not overwritten)", path.display())
        })?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write {}", path.display()))
}
