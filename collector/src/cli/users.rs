//! `wan-collector users add | passwd | role | list | disable | enable | remove`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use wan_settings::nearest;

use super::agents::local;
use super::ask::new_password;
use super::output::{Format, block_on, list, print, say};
use crate::access::password;
use crate::access::user::{Role, User, UserName};
use crate::clock;
use crate::config::Config;
use crate::store::Store as _;
use crate::store::sqlite::SqliteStore;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Users {
    /// Add a user, who can then log in.
    Add(Add),
    /// Give a user another password, and end all their sessions.
    Passwd(Passwd),
    /// Make a user a viewer or an operator.
    Role(Change),
    /// List the users.
    List(List),
    /// Let a user in no more, from now on; the user stays in the list.
    Disable(Names),
    /// Let a disabled user in again.
    Enable(Names),
    /// Remove a user.
    Remove(Names),
}

/// Runs one of the commands.
///
/// # Errors
/// Mistakes in the configuration, a refusal with its remedy, or what the store says.
pub fn run(file: &Path, command: &Users) -> anyhow::Result<ExitCode> {
    block_on(command.run(file))?;
    Ok(ExitCode::SUCCESS)
}

impl Users {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        match self {
            Self::Add(command) => command.run(file).await,
            Self::Passwd(command) => command.run(file).await,
            Self::Role(command) => command.run(file).await,
            Self::List(command) => command.run(file).await,
            Self::Disable(names) => names.run(file, Standing::Disable).await,
            Self::Enable(names) => names.run(file, Standing::Enable).await,
            Self::Remove(names) => names.run(file, Standing::Remove).await,
        }
    }
}

/// Add a user, who can then log in.
///
/// The password is asked for twice on the terminal, or read from a file; never from the command line, which others see.
/// It has at least 10 characters. A running server lets the user in at once.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wan-collector users add binh --role operator\n  \
    wan-collector users add man-hinh --password-file /root/man-hinh.password\n  \
    pass show wanwatch/binh | wan-collector users add binh --password-file -")]
pub struct Add {
    /// The user's name: lower-case letters, digits, “.”, “-”, “_”.
    #[arg(value_name = "NAME")]
    name: UserName,
    /// A viewer reads page, figures and /metrics; an operator also what agents are told and what became of it.
    #[arg(long, value_enum, default_value = "viewer")]
    role: Role,
    /// Read the password from this file, or from standard input with “-”.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl Add {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let store = SqliteStore::open(&config.database()).await?;
        if store.user(&self.name).await?.is_some() {
            bail!(
                "there is a user {name}; `wan-collector users passwd {name}` gives another password",
                name = self.name
            );
        }
        let password = new_password(self.name.as_str(), self.password_file.as_deref())?;
        let user = User {
            name: self.name.clone(),
            hash: password::hash(&password)?,
            role: self.role,
            created: clock::now(),
            disabled: None,
            last_seen: None,
        };
        if !store.add_user(&user).await? {
            bail!("a user {} was added by someone else in the meantime; nothing was changed", self.name);
        }
        store.close().await;
        print(format_args!("{} can log in as {}\n", user.name, user.role))
    }
}

/// Give a user another password, and end all their sessions.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wan-collector users passwd binh\n  \
    wan-collector users passwd binh --password-file /root/binh.password")]
pub struct Passwd {
    /// The user's name.
    #[arg(value_name = "NAME")]
    name: UserName,
    /// Read the password from this file, or from standard input with “-”.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl Passwd {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let store = SqliteStore::open(&config.database()).await?;
        find(&store, &self.name).await?;
        let password = new_password(self.name.as_str(), self.password_file.as_deref())?;
        if !store.set_password(&self.name, &password::hash(&password)?).await? {
            bail!("the user {} was removed in the meantime", self.name);
        }
        store.close().await;
        print(format_args!("{} has a new password; earlier logins are over\n", self.name))
    }
}

/// Make a user a viewer or an operator.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wan-collector users role binh operator\n\n\
    A running server takes it over with the next request; nobody has to log in again.")]
pub struct Change {
    /// The user's name.
    #[arg(value_name = "NAME")]
    name: UserName,
    /// A viewer reads page, figures and /metrics; an operator also what agents are told and what became of it.
    #[arg(value_enum)]
    role: Role,
}

impl Change {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let store = SqliteStore::open(&config.database()).await?;
        find(&store, &self.name).await?;
        if !store.set_role(&self.name, self.role).await? {
            bail!("the user {} was removed in the meantime", self.name);
        }
        store.close().await;
        print(format_args!("{} is {} from now on\n", self.name, self.role))
    }
}

/// List the users.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wan-collector users list --format json")]
pub struct List {
    /// How to write the list.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl List {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let store = SqliteStore::open_read_only(&config.database()).await?;
        let users = store.users().await?;
        let enabled = users.iter().filter(|user| user.disabled.is_none()).count();
        let summary = format!("{} users, {enabled} of them can log in\n", users.len());
        let rows = users.iter().map(|user| {
            vec![
                user.name.to_string(),
                user.role.to_string(),
                if user.disabled.is_none() { "enabled" } else { "disabled" }.to_owned(),
                local(user.created, &config),
                user.last_seen.map(|at| local(at, &config)).unwrap_or_default(),
                user.disabled.map(|at| local(at, &config)).unwrap_or_default(),
            ]
        });
        let head = ["name", "role", "state", "created", "last_seen", "disabled"];
        list(self.format, &head, rows, &summary)
    }
}

/// Which users.
#[derive(Debug, Args)]
#[command(
    after_help = "A running server takes it over with the next request; logins of these users are over."
)]
pub struct Names {
    /// Names of users.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<UserName>,
}

#[derive(Clone, Copy, Debug)]
enum Standing {
    Disable,
    Enable,
    Remove,
}

impl Names {
    async fn run(&self, file: &Path, change: Standing) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let store = SqliteStore::open(&config.database()).await?;
        for name in &self.names {
            find(&store, name).await?;
        }
        for name in &self.names {
            let done = match change {
                Standing::Disable => {
                    store.set_disabled(name, Some(clock::now())).await?;
                    "is disabled; their logins are over"
                }
                Standing::Enable => {
                    store.set_disabled(name, None).await?;
                    "can log in"
                }
                Standing::Remove => {
                    store.remove_user(name).await?;
                    "is removed; their logins are over"
                }
            };
            print(format_args!("{name} {done}\n"))?;
        }
        warn_when_nobody_is_left(&store).await?;
        store.close().await;
        Ok(())
    }
}

/// Says that the collector will not start again on an address that others reach.
pub(super) async fn warn_when_nobody_is_left(store: &SqliteStore) -> anyhow::Result<()> {
    if !store.somebody_may_read(clock::now()).await? {
        say(
            "warning: there is no enabled user and no valid token left: nobody can log in, and the collector will start on \
             127.0.0.1 only",
        );
    }
    Ok(())
}

async fn find(store: &SqliteStore, name: &UserName) -> anyhow::Result<()> {
    let users = store.users().await?;
    if users.iter().any(|user| &user.name == name) {
        return Ok(());
    }
    match nearest(name.as_str(), users.iter().map(|user| user.name.as_str())) {
        Some(meant) => bail!("there is no user {name}; did you mean {meant}?"),
        None => bail!("there is no user {name}; `wan-collector users list` shows all"),
    }
}
