//! `wan-collector agents issue | list | rotate | revoke`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::clock;
use crate::config::Config;
use crate::inventory::Site;
use crate::load;
use crate::secret::Secret;
use crate::state::SiteRuntime;
use crate::store::sqlite::SqliteStore;
use crate::store::{AgentSecret, Snapshot, Store as _, StoreError};
use anyhow::Context as _;
use clap::{ArgGroup, Args, Subcommand};
use wan_wire::{SiteId, UnixMillis};

use super::config::Configured;
use super::output::{Format, block_on, csv, find_site, print, say, table};
use super::selection::Selection;

/// The commands.
#[derive(Debug, Subcommand)]
#[allow(missing_docs, reason = "the help is each command's own; a comment here would take its place")]
pub enum Agents {
    Issue(Issue),
    List(List),
    Rotate(Rotate),
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
            Self::Rotate(command) => command.run(file).await,
            Self::Revoke(command) => command.run(file).await,
        }
    }
}

/// Issue a secret for the agent of a site, or of many sites.
///
/// For senders that cannot enrol, such as Prometheus; for wan-agent there is `wan-collector enroll`. A secret is shown once: only its hash
/// is stored. A site has one secret at a time, and an agent that holds the old one is refused as soon as a new one is issued;
/// so a site that has one is refused here unless --rotate says that this is meant.
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
    #[command(flatten)]
    which: Selection,
    /// Replace secrets that sites have already.
    #[arg(long, conflicts_with = "missing")]
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
            [(site, secret)] if !self.which.all => print(one(site, secret, &config)),
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
        if self.which.all {
            let sites = self.which.open(config, register, now)?;
            let had = sites.iter().filter(|site| active.contains_key(&site.id)).count();
            if had > 0 && !self.which.missing && !self.rotate {
                anyhow::bail!(
                    "{had} of these {} sites have a secret; --missing leaves them out, --rotate replaces their secrets",
                    sites.len()
                );
            }
            return Ok(self.which.lacking(sites, &active));
        }
        let mut sites = BTreeMap::new();
        for text in &self.which.sites {
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

/// List which sites have a secret, since when, and what is known of their agents.
///
/// What agents say of themselves is known of those whose pushes are still in the journal; that of a running server is.
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
        let Snapshot { register, secrets, rotation, .. } = store.snapshot().await?;
        let tokens = store.tokens().await?;
        let now = clock::now();
        let state = crate::load_read_only(config.clone()).await?;
        load::remembered(&state)?;
        let directory = state.directory();
        let configured = Configured::of(&config, &register, store.agent_configs().await?);
        // The last settled one of each site, or the last at all; the secrets are in the order of their issue.
        let settled = |secret: &&AgentSecret| !rotation.offered.contains(&secret.hash);
        let last: BTreeMap<&SiteId, &AgentSecret> =
            secrets.iter().filter(settled).map(|secret| (&secret.site, secret)).collect();
        let open: BTreeMap<&SiteId, UnixMillis> = tokens
            .iter()
            .filter(|token| token.used.is_none() && token.revoked.is_none() && now < token.expires)
            .map(|token| (&token.site, token.expires))
            .collect();
        let offered: BTreeSet<&SiteId> = secrets
            .iter()
            .filter(|secret| secret.revoked.is_none() && rotation.offered.contains(&secret.hash))
            .map(|secret| &secret.site)
            .collect();
        let head = [
            "site",
            "name",
            "state",
            "issued",
            "revoked",
            "line until",
            "rotation",
            "version",
            "last seen",
            "by",
            "clock off by",
            "configuration",
        ];
        let time = |at: Option<UnixMillis>| at.map(|at| local(at, &config)).unwrap_or_default();
        let rows: Vec<Vec<String>> = register
            .sites()
            .map(|site| {
                let secret = last.get(&site.id);
                let standing = match secret.map(|secret| secret.revoked) {
                    None => "none",
                    Some(None) => "active",
                    Some(Some(_)) => "revoked",
                };
                let rotation = match rotation.asked.get(&site.id) {
                    None => String::new(),
                    Some(_) if offered.contains(&site.id) => "offered".to_owned(),
                    Some(at) => format!("asked {}", local(*at, &config)),
                };
                let runtime = directory.runtimes.get(&site.id);
                let facts = runtime.map(|runtime| runtime.facts()).unwrap_or_default();
                vec![
                    site.id.to_string(),
                    site.name.clone(),
                    standing.to_owned(),
                    time(secret.map(|secret| secret.issued)),
                    time(secret.and_then(|secret| secret.revoked)),
                    time(open.get(&site.id).copied()),
                    rotation,
                    facts.version.clone().unwrap_or_default(),
                    time(
                        runtime
                            .and_then(|runtime| runtime.last_push())
                            .or_else(|| last_seen(runtime?, &site.id)),
                    ),
                    facts.path().map(ToString::to_string).unwrap_or_default(),
                    facts.clock_offset.map(|seconds| format!("{seconds:+.1} s")).unwrap_or_default(),
                    configured.word(&site.id),
                ]
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
                let keys = head.map(|name| name.replace(' ', "_"));
                let objects: Vec<BTreeMap<&String, &String>> =
                    rows.iter().map(|row| keys.iter().zip(row).collect()).collect();
                print(format_args!("{}\n", serde_json::to_string_pretty(&objects)?))
            }
            Format::Csv => {
                let keys = head.map(|name| name.replace(' ', "_"));
                print(csv(&keys.each_ref().map(String::as_str), rows)?)
            }
        }
    }
}

/// The end of the newest evidence that a site's own agent gave.
fn last_seen(runtime: &SiteRuntime, site: &SiteId) -> Option<UnixMillis> {
    let evidence = runtime.evidence();
    let own = evidence.tracks().iter().filter(|track| track.vantage == *site);
    own.filter_map(|track| track.spans.last()).map(|span| span.end).max()
}

/// Have the agents of sites take new secrets, without a visit.
///
/// An agent that is asked makes a new secret, offers it under its present one and changes over; both are accepted until it has.
/// It is asked with the next answer to a push, so this takes seconds where the site is online, and waits where it is not;
/// `agents list` shows how far it is. Senders that are not wan-agent, and agents whose configuration holds the secret itself
/// (`secret:`), go on with the old one: issue them another. A secret that others may know is not rotated but revoked (`agents
/// revoke`), and the site enrolled anew (`enroll`).
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("which").required(true).args(["sites", "all"])),
    after_help = "Examples:\n  wan-collector agents rotate ubnd-xa-tan-binh\n  wan-collector agents rotate --all"
)]
pub struct Rotate {
    /// Ids of sites.
    #[arg(value_name = "SITE")]
    sites: Vec<String>,
    /// All sites that have a secret.
    #[arg(long)]
    all: bool,
}

impl Rotate {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let store = open_existing(&config).await?;
        let snapshot = store.snapshot().await?;
        let active = active(&snapshot.secrets);
        let ids: BTreeSet<SiteId> = if self.all {
            snapshot
                .register
                .sites()
                .map(|site| site.id.clone())
                .filter(|id| active.contains_key(id))
                .collect()
        } else {
            let ids = self.sites.iter().map(|text| find_site(&snapshot.register, text));
            ids.collect::<anyhow::Result<_>>()?
        };
        if let Some(id) = ids.iter().find(|id| !active.contains_key(*id)) {
            anyhow::bail!(
                "{id} has no secret to replace; `wan-collector enroll {id}` prints the line that enrols its agent"
            );
        }
        let ids: Vec<SiteId> = ids.into_iter().collect();
        store.ask_rotation(&ids, clock::now()).await?;
        store.close().await;
        match ids.as_slice() {
            [] => print("no site has a secret: nobody was asked\n"),
            [id] => print(format_args!("the agent of {id} is asked for a new secret with its next push\n")),
            _ => {
                print(format_args!("{} agents are asked for new secrets with their next pushes\n", ids.len()))
            }
        }
    }
}

/// Revoke a site's secret and its unused enrolment line: its agent is refused from then on.
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
            let now = clock::now();
            // The line first: were this to end in between, it would bring the agent a new secret.
            let tokens = store.revoke_tokens(&id, now).await?;
            let secrets = store.revoke_secrets(&id, now).await?;
            match (secrets, tokens) {
                (0, 0) => print(format_args!("{id} has no secret: nothing to revoke\n"))?,
                (0, _) => print(format_args!("the enrolment line of {id} is revoked\n"))?,
                (_, 0) => print(format_args!("the secret of {id} is revoked\n"))?,
                (_, _) => print(format_args!("the secret and the enrolment line of {id} are revoked\n"))?,
            }
        }
        store.close().await;
        Ok(())
    }
}

/// Opens the database for writing, but makes none: without a register there is nobody to issue a secret to.
pub(super) async fn open_existing(config: &Config) -> Result<SqliteStore, StoreError> {
    let path = config.database();
    if !path.exists() {
        return Err(StoreError::Missing { path });
    }
    SqliteStore::open(&path).await
}

/// The sites with a secret that is accepted, and when it was issued.
pub(super) fn active(secrets: &[AgentSecret]) -> BTreeMap<SiteId, UnixMillis> {
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

pub(super) fn local(at: UnixMillis, config: &Config) -> String {
    let shown = jiff::Timestamp::from_millisecond(at.0)
        .map(|at| at.to_zoned(config.timezone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string());
    shown.unwrap_or_else(|_| at.0.to_string())
}

/// Writes a new file that only its owner can read, down to the disk.
pub(super) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).with_context(|| {
            format!("cannot make the file {} (one that exists is not overwritten)", path.display())
        })?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write {}", path.display()))
}
