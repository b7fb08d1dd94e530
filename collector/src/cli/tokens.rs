//! `wan-collector tokens add | list | revoke`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};
use wan_settings::{nearest, units};

use super::agents::{local, write_private};
use super::output::{Format, block_on, list, print, say};
use super::users::warn_when_nobody_is_left;
use crate::access::credential::{TOKEN_PREFIX, fresh};
use crate::access::user::{Role, Token, UserName};
use crate::clock;
use crate::config::Config;
use crate::store::Store as _;
use crate::store::sqlite::SqliteStore;

/// A token that holds for less would be over before it is in place.
const SHORTEST: Duration = Duration::from_secs(1);
/// One that holds for longer is meant to hold for ever, and is then better made without a limit.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Tokens {
    /// Make a token for a scraper or script, and print it once.
    Add(Add),
    /// List the tokens.
    List(List),
    /// Revoke a token: it is refused from then on.
    Revoke(Revoke),
}

/// Runs one of the commands.
///
/// # Errors
/// Mistakes in the configuration, a refusal with its remedy, or what the store says.
pub fn run(file: &Path, command: &Tokens) -> anyhow::Result<ExitCode> {
    block_on(command.run(file))?;
    Ok(ExitCode::SUCCESS)
}

impl Tokens {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        match self {
            Self::Add(command) => command.run(file).await,
            Self::List(command) => command.run(file).await,
            Self::Revoke(command) => command.run(file).await,
        }
    }
}

/// Make a token for a scraper or script, and print it once.
///
/// It is sent as `Authorization: Bearer TOKEN`, or as the password of basic authentication with any name, and allows the
/// page, the API and /metrics. Only its hash is stored. Standard output is the token and nothing else, or, with --output,
/// nothing.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wan-collector tokens add prometheus --output /etc/prometheus/wanwatch.token\n  \
    wan-collector tokens add bao-cao --ttl 365d\n  \
    wan-collector tokens add automation --role operator --ttl 90d"
)]
pub struct Add {
    /// What it is for: lower-case letters, digits, “.”, “-”, “_”.
    #[arg(value_name = "NAME")]
    name: UserName,
    /// A viewer reads page, figures and /metrics; an operator also what agents are told and what became of it.
    #[arg(long, value_enum, default_value = "viewer")]
    role: Role,
    /// It expires after this long, such as 12h or 365d; without it, never.
    #[arg(long, value_name = "DURATION", value_parser = ttl)]
    ttl: Option<Duration>,
    /// Write the token to this new file, which only its owner can read: chown it to the user whose program uses it.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Add {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let store = SqliteStore::open(&config.database()).await?;
        let now = clock::now();
        let (text, hash) = fresh(TOKEN_PREFIX)?;
        let expires = self.ttl.map(|ttl| now.plus(ttl));
        let token =
            Token { name: self.name.clone(), hash, role: self.role, created: now, expires, revoked: None };
        // The file comes first: a token that is stored and shown nowhere would only take its name.
        if let Some(path) = &self.output {
            write_private(path, &format!("{text}\n"))?;
        }
        let added = store.add_reader_token(&token).await;
        if let (Some(path), Ok(false) | Err(_)) = (&self.output, &added) {
            let _ = std::fs::remove_file(path);
        }
        if !added? {
            bail!(
                "there is a token {name}; `wan-collector tokens revoke {name}` makes room for a new one, or take another name",
                name = self.name
            );
        }
        store.close().await;
        let until =
            expires.map_or("never expires".to_owned(), |at| format!("expires {}", local(at, &config)));
        if let Some(path) = &self.output {
            say(format_args!("token {} ({}, {until}); written to {}", self.name, self.role, path.display()));
            return Ok(());
        }
        say(format_args!("token {} ({}, {until}); it is shown once:", self.name, self.role));
        print(format_args!("{text}\n"))
    }
}

/// List the tokens.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wan-collector tokens list --format csv")]
pub struct List {
    /// How to write the list.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl List {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let store = SqliteStore::open_read_only(&config.database()).await?;
        let (tokens, now) = (store.reader_tokens().await?, clock::now());
        let good = tokens.iter().filter(|token| token.holds(now)).count();
        let summary = format!("{} tokens, {good} of them are accepted\n", tokens.len());
        let rows = tokens.iter().map(|token| {
            let state = match (token.holds(now), token.revoked) {
                (true, _) => "valid",
                (false, Some(_)) => "revoked",
                (false, None) => "expired",
            };
            vec![
                token.name.to_string(),
                token.role.to_string(),
                state.to_owned(),
                local(token.created, &config),
                token.expires.map(|at| local(at, &config)).unwrap_or_default(),
                token.revoked.map(|at| local(at, &config)).unwrap_or_default(),
            ]
        });
        let head = ["name", "role", "state", "created", "expires", "revoked"];
        list(self.format, &head, rows, &summary)
    }
}

/// Revoke a token: it is refused from then on.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wan-collector tokens revoke prometheus")]
pub struct Revoke {
    /// Names of tokens.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<UserName>,
}

impl Revoke {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let store = SqliteStore::open(&config.database()).await?;
        let tokens = store.reader_tokens().await?;
        let known = || tokens.iter().filter(|token| token.revoked.is_none()).map(|token| token.name.as_str());
        for name in &self.names {
            if !known().any(|known| known == name.as_str()) {
                match nearest(name.as_str(), known()) {
                    Some(meant) => bail!("there is no token {name}; did you mean {meant}?"),
                    None => bail!("there is no token {name}; `wan-collector tokens list` shows all"),
                }
            }
        }
        for name in &self.names {
            store.revoke_reader_token(name, clock::now()).await?;
            print(format_args!("the token {name} is revoked\n"))?;
        }
        warn_when_nobody_is_left(&store).await?;
        store.close().await;
        Ok(())
    }
}

fn ttl(text: &str) -> Result<Duration, String> {
    let duration = units::duration(text).filter(|duration| (SHORTEST..=LONGEST).contains(duration));
    duration.ok_or_else(|| "expected a duration from 1s to 3660d with a unit, such as 12h or 365d".to_owned())
}
