//! `wan-collector sites check | import | list`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::clock;
use crate::config::{Config, DEFAULT_PATH, Plan};
use crate::inventory::diff::{self, Absent, Change, changes};
use crate::inventory::read::{self, File, MAX_FILE_BYTES};
use crate::inventory::{Register, Site};
use crate::store::sqlite::SqliteStore;
use crate::store::{AgentSecret, Rotation, Snapshot, Store as _};
use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use wan_settings::{Mistakes, read_file};

use super::config::misfits;
use super::output::{block_on, print, say, table};

/// Fields of changed sites that are shown; a renamed column would else fill the screen.
const SHOWN_AT_MOST: usize = 50;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Sites {
    /// Check files of a register on their own, without a database.
    Check(Check),
    /// Bring the register up to date from files: all of it or nothing.
    Import(Import),
    /// List the register.
    List(List),
}

/// Runs one of the commands.
///
/// # Errors
/// Mistakes in files, a refusal with its remedy, or what the store says.
pub fn run(file: &Path, command: &Sites) -> anyhow::Result<ExitCode> {
    block_on(command.run(file))?;
    Ok(ExitCode::SUCCESS)
}

impl Sites {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        match self {
            Self::Check(command) => command.run(file),
            Self::Import(command) => command.run(file).await,
            Self::List(command) => command.run(file).await,
        }
    }
}

/// Check files of a register on their own, without a database.
///
/// All mistakes are listed at once with file, line and remedy. Several files are checked as one register. Tiers and branches
/// are those of the configuration, or the usual ones where there is none.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wan-collector sites check sites.csv\n  \
    wan-collector sites check party.csv state.yaml --config collector.yaml")]
pub struct Check {
    /// CSV or YAML files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Check {
    fn run(&self, file: &Path) -> anyhow::Result<()> {
        let usual = file == Path::new(DEFAULT_PATH) && !file.exists();
        let plan = if usual { Plan::default() } else { Config::load(file)?.plan };
        let sites = read_files(&self.files, &plan, &Register::default())?;
        print(format_args!("{} sites, no mistakes\n", sites.len()))
    }
}

/// Bring the register up to date from files: all of it or nothing.
///
/// Sites in the files are added or changed. Sites that the files do not name stay as they are, unless --replace says
/// that the files are the whole register: then these are closed today. A site is never deleted, since past coverage counts it;
/// only one that was to open later is taken out. A running server takes the new register over within seconds.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wan-collector sites import sites.csv --dry-run\n  \
    wan-collector sites import sites.csv --replace --config collector.yaml")]
pub struct Import {
    /// CSV or YAML files, taken together.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Show what would change and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// The files are the whole register: close sites that they do not name.
    #[arg(long)]
    replace: bool,
}

impl Import {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let database = config.database();
        // Nothing is made on the disk before all is known to be good.
        let store = match database.exists() {
            false => None,
            true if self.dry_run => Some(SqliteStore::open_read_only(&database).await?),
            true => Some(SqliteStore::open(&database).await?),
        };
        let before = match &store {
            Some(store) => store.snapshot().await?,
            None => Snapshot {
                revision: 0,
                register: Register::default(),
                secrets: Vec::new(),
                rotation: Rotation::default(),
            },
        };
        let sites = read_files(&self.files, &config.plan, &before.register)?;
        let absent = match self.replace {
            true => Absent::CloseOn(clock::today(&config.timezone)),
            false => Absent::Keep,
        };
        let unchanged = sites.len();
        let (changes, after) = changes(&before.register, sites, absent).map_err(|wrong| {
            let all: Vec<String> = wrong.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("the register would not be consistent: {}", all.join("; "))
        })?;
        let outside = after.outside(&config.plan).count();
        if outside > 0 {
            say(format_args!(
                "warning: {outside} sites of the register have a tier or branch that the configuration does not name; they are counted nowhere"
            ));
        }
        print(describe(&changes, unchanged))?;
        let told = match &store {
            Some(store) => store.agent_configs().await?,
            None => BTreeMap::new(),
        };
        let misfits = misfits(&config, &after, &told);
        if !misfits.is_empty() {
            let shown: Vec<String> =
                misfits.iter().take(SHOWN_AT_MOST).map(|misfit| format!("\n  {misfit}")).collect();
            say(format_args!(
                "warning: what agents are told does not fit this register; the sites that it concerns keep what they have:{}",
                shown.concat()
            ));
        }
        if self.dry_run {
            return print("dry run: nothing was written\n");
        }
        let store = match store {
            Some(store) => store,
            None => SqliteStore::open(&database).await?,
        };
        if !changes.is_empty() {
            store.change_register(before.revision, &changes).await?;
        }
        store.close().await;
        print(format_args!("the register has {} sites\n", after.len()))
    }
}

/// List the register.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wan-collector sites list --tier commune\n  \
    wan-collector sites list --format csv > sites.csv    (reads back with `sites import`)")]
pub struct List {
    /// Only sites of this tier.
    #[arg(long)]
    tier: Option<String>,
    /// Only sites of this branch.
    #[arg(long)]
    branch: Option<String>,
    /// How to write the list; csv and yaml read back with `sites import`.
    #[arg(long, value_enum, default_value = "table")]
    format: ListFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    Table,
    Json,
    Csv,
    Yaml,
}

impl List {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        if let Some(tier) = &self.tier
            && config.plan.tier(tier).is_none()
        {
            let known: Vec<&str> = config.plan.tiers.iter().map(|tier| tier.id.as_str()).collect();
            anyhow::bail!("there is no tier {tier:?}; the plan has {}", known.join(", "));
        }
        if let Some(branch) = &self.branch
            && config.plan.branch(branch).is_none()
        {
            let known: Vec<&str> = config.plan.branches.iter().map(|branch| branch.id.as_str()).collect();
            anyhow::bail!("there is no branch {branch:?}; the plan has {}", known.join(", "));
        }
        let store = SqliteStore::open_read_only(&config.database()).await?;
        let Snapshot { register, secrets, .. } = store.snapshot().await?;
        let wanted = |site: &&Site| {
            self.tier.as_deref().is_none_or(|tier| site.tier.as_str() == tier)
                && self.branch.as_deref().is_none_or(|branch| site.branch.as_str() == branch)
        };
        let sites: Vec<&Site> = register.sites().filter(wanted).collect();
        match self.format {
            ListFormat::Table => print(show(&sites, &secrets)),
            ListFormat::Json => print(format_args!("{}\n", serde_json::to_string_pretty(&sites)?)),
            ListFormat::Csv => print(read::write(&sites, read::Format::Csv)),
            ListFormat::Yaml => print(read::write(&sites, read::Format::Yaml)),
        }
    }
}

fn read_files(paths: &[PathBuf], plan: &Plan, present: &Register) -> anyhow::Result<Vec<Site>> {
    let mut contents = Vec::with_capacity(paths.len());
    let mut mistakes = Vec::new();
    for path in paths {
        let opened = read::Format::of(path)
            .and_then(|format| Ok((path.display().to_string(), read_file(path, MAX_FILE_BYTES)?, format)));
        match opened {
            Ok(content) => contents.push(content),
            Err(unreadable) => mistakes.extend(unreadable.into_vec()),
        }
    }
    let files: Vec<File<'_>> =
        contents.iter().map(|(name, bytes, format)| File { name, bytes, format: *format }).collect();
    match read::read(&files, plan, present) {
        Ok(sites) if mistakes.is_empty() => Ok(sites),
        Ok(_) => Err(Mistakes::new(mistakes)).context("nothing was read"),
        Err(more) => {
            mistakes.extend(more.into_vec());
            Err(Mistakes::new(mistakes).into())
        }
    }
}

/// The changes line by line, and their counts. `named` is the number of sites in the files.
fn describe(changes: &[Change], named: usize) -> String {
    let (mut added, mut changed, mut closed, mut dropped) = (0, 0, 0, 0);
    let mut out = String::new();
    let mut shown = 0;
    for change in changes {
        let mut lines = Vec::new();
        match change {
            Change::Added(site) => {
                added += 1;
                lines.push(format!("+ {}  {}", site.id, site.name));
            }
            Change::Changed { before, after } => {
                changed += 1;
                lines.push(format!("~ {}  {}", after.id, after.name));
                for (field, before, after) in diff::differences(before, after) {
                    lines.push(format!("    {field}: {before} → {after}"));
                }
            }
            Change::Closed { after, .. } => {
                closed += 1;
                let day = after.valid_to.map(|day| day.to_string()).unwrap_or_default();
                lines.push(format!("- {}  {} (closed on {day})", after.id, after.name));
            }
            Change::Dropped(site) => {
                dropped += 1;
                lines.push(format!("- {}  {} (had not opened)", site.id, site.name));
            }
        }
        shown += 1;
        if shown <= SHOWN_AT_MOST {
            lines.iter().for_each(|line| out.push_str(&format!("{line}\n")));
        }
    }
    if shown > SHOWN_AT_MOST {
        out.push_str(&format!("… and {} more changes\n", shown - SHOWN_AT_MOST));
    }
    let same = named - added - changed;
    out.push_str(&format!(
        "{added} added, {changed} changed, {same} unchanged, {closed} closed, {dropped} taken out\n"
    ));
    out
}

fn show(sites: &[&Site], secrets: &[AgentSecret]) -> String {
    let equipped: std::collections::BTreeSet<_> =
        secrets.iter().filter(|secret| secret.revoked.is_none()).map(|secret| &secret.site).collect();
    let rows = sites.iter().map(|site| {
        let links: Vec<&str> = site.links.iter().map(|link| link.name.as_str()).collect();
        let closed = site.valid_to.map(|day| day.to_string()).unwrap_or_default();
        let agent = if equipped.contains(&site.id) { "yes" } else { "–" };
        vec![
            site.id.to_string(),
            site.name.clone(),
            site.tier.to_string(),
            site.branch.to_string(),
            site.parent.as_ref().map(ToString::to_string).unwrap_or_default(),
            links.join(" "),
            agent.to_owned(),
            closed,
        ]
    });
    let head = ["ID", "NAME", "TIER", "BRANCH", "PARENT", "LINKS", "AGENT", "CLOSED"];
    format!("{}{} sites\n", table(&head, rows), sites.len())
}
