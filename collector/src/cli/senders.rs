//! `wan-collector senders issue | list | revoke`.

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use wan_settings::nearest;
use wan_wire::SiteId;

use super::agents::{active, local, open_existing};
use super::output::{block_on, print, table};
use crate::clock;
use crate::config::Config;
use crate::config::senders::{Sender, SpeaksFor};
use crate::secret::Secret;
use crate::store::sqlite::SqliteStore;
use crate::store::{AgentSecret, Store as _};

/// The commands.
#[derive(Debug, Subcommand)]
#[allow(missing_docs, reason = "the help is each command's own; a comment here would take its place")]
pub enum Senders {
    Issue(Issue),
    /// List the senders of the configuration: since when each has a credential, and for whom it speaks.
    List,
    Revoke(Revoke),
}

/// Runs one of the commands.
///
/// # Errors
/// Mistakes in files, a refusal with its remedy, or what the store says.
pub fn run(file: &Path, command: &Senders) -> anyhow::Result<ExitCode> {
    block_on(async {
        match command {
            Senders::Issue(command) => command.run(file).await,
            Senders::List => list(file).await,
            Senders::Revoke(command) => command.run(file).await,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Issue the credential of a sender that the configuration names.
///
/// It is shown once: only its hash is stored. The sender sends it as a bearer token, or as the password of basic authentication with its name as
/// the user. A sender has one at a time; --rotate replaces it. A running server takes it over within seconds, and a sender that is new in the
/// configuration after a restart.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wan-collector senders issue prometheus-dc")]
pub struct Issue {
    /// The sender's name in the configuration.
    name: String,
    /// Replace the credential that it has already.
    #[arg(long)]
    rotate: bool,
}

impl Issue {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let sender = find(&config, &self.name)?;
        let store = open_existing(&config).await?;
        let snapshot = store.snapshot().await?;
        if snapshot.register.get(&sender.name).is_some() {
            anyhow::bail!("{} is a site of the register: give the sender another name", sender.name);
        }
        if let Some(since) = active(&snapshot.secrets).get(&sender.name)
            && !self.rotate
        {
            anyhow::bail!(
                "{} has a credential, issued {}; --rotate replaces it, and who sends the old one is refused from then on",
                sender.name,
                local(*since, &config)
            );
        }
        let secret = Secret::generate()?;
        let issued = AgentSecret {
            site: sender.name.clone(),
            hash: secret.hash(),
            issued: clock::now(),
            revoked: None,
        };
        store.issue_secrets(snapshot.revision, &[issued]).await?;
        store.close().await;
        print(format_args!(
            "# {}. This credential is shown once: a bearer token, or a password with the user {}\n{}\n",
            sender.name,
            sender.name,
            secret.reveal()
        ))
    }
}

async fn list(file: &Path) -> anyhow::Result<()> {
    let config = Config::load(file)?;
    let store = SqliteStore::open_read_only(&config.database()).await?;
    let active = active(&store.snapshot().await?.secrets);
    let rows = config.senders.iter().map(|sender| {
        let speaks_for = match &sender.sites {
            SpeaksFor::All => "all sites".to_owned(),
            SpeaksFor::Sites(sites) => join(sites.iter().map(SiteId::as_str)),
            SpeaksFor::Tiers(tiers) => format!("tiers {}", join(tiers.iter().map(|tier| tier.as_str()))),
        };
        let since = active.get(&sender.name).map_or("none".to_owned(), |since| local(*since, &config));
        vec![sender.name.to_string(), since, speaks_for, sender.rounds.len().to_string()]
    });
    print(table(&["SENDER", "CREDENTIAL SINCE", "SPEAKS FOR", "ROUNDS"], rows))
}

/// Revoke a sender's credential: it is refused from then on. What it has said stays evidence.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wan-collector senders revoke prometheus-dc")]
pub struct Revoke {
    /// The sender's name, whether or not the configuration still has it.
    name: String,
}

impl Revoke {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let store = open_existing(&config).await?;
        let snapshot = store.snapshot().await?;
        let name: SiteId = self.name.parse()?;
        if snapshot.register.get(&name).is_some() {
            anyhow::bail!(
                "{name} is a site of the register, and no sender: see `wan-collector agents revoke`"
            );
        }
        let revoked = store.revoke_secrets(&name, clock::now()).await?;
        store.close().await;
        if revoked == 0 {
            print(format_args!("{name} has no credential: nothing to revoke\n"))
        } else {
            print(format_args!("the credential of {name} is revoked\n"))
        }
    }
}

fn join<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

fn find<'c>(config: &'c Config, name: &str) -> anyhow::Result<&'c Sender> {
    if let Some(sender) = name.parse().ok().and_then(|name| config.sender(&name)) {
        return Ok(sender);
    }
    match nearest(name, config.senders.iter().map(|sender| sender.name.as_str())) {
        Some(meant) => anyhow::bail!("the configuration has no sender {name:?}; did you mean {meant}?"),
        None => anyhow::bail!("the configuration has no sender {name:?}: add it under `senders` first"),
    }
}
