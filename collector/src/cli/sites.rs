//! `wan-collector sites check | import | list | show`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::clock;
use crate::config::{Config, Contract, DEFAULT_PATH, Plan};
use crate::inventory::diff::{self, Absent, Change, changes};
use crate::inventory::read::{self, File, MAX_FILE_BYTES};
use crate::inventory::{Register, Site, parse_day};
use crate::planned::Planned;
use crate::store::sqlite::SqliteStore;
use crate::store::{AgentSecret, Rotation, Snapshot, Store as _};
use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use jiff::civil::Date;
use wan_settings::{Mistakes, nearest, read_file};

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
    /// List the register, of now or of a past day.
    List(List),
    /// Show one site as the register has it, with what it formerly was.
    Show(Show),
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
            Self::Show(command) => command.run(file).await,
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
        let config = if usual { Config::default() } else { Config::load(file)? };
        let sites = read_files(&self.files, &config.plan, &config.contracts, &Register::default())?;
        let count = sites.len();
        // Parents that are in no file are mistakes here, so these sites are a register.
        warn(&Register::new(sites).map(|register| register.oddities()).unwrap_or_default());
        print(format_args!("{count} sites, no mistakes\n"))
    }
}

/// Bring the register up to date from files: all of it or nothing.
///
/// Sites in the files are added or changed. Sites that the files do not name stay as they are, unless --replace says
/// that the files are the whole register: then these are closed today. A site is never deleted, since past coverage counts it;
/// only one that was to open later is taken out. A running server takes the new register over within seconds.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wan-collector sites import sites.csv --dry-run\n  \
    wan-collector sites import sites.csv --since 2025-07-01   the names, tiers and parents in it hold from that day on\n  \
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
    /// Names, tiers, branches, parents and districts in the files hold from this day on; what the register says now held until
    /// then and is kept. For files that do not tell it themselves.
    #[arg(long, value_name = "DAY", value_parser = day)]
    since: Option<Date>,
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
                planned: Planned::default(),
            },
        };
        let mut sites = read_files(&self.files, &config.plan, &config.contracts, &before.register)?;
        let mut forgotten = 0;
        for site in sites.iter_mut().filter(|site| site.former.is_empty()) {
            let Some(before) = before.register.get(&site.id) else { continue };
            match self.since {
                Some(day) => *site = site.clone().since(day, before),
                None => forgotten += usize::from(!before.former.is_empty()),
            }
        }
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
        if forgotten > 0 {
            say(format_args!(
                "warning: {forgotten} sites lose what the register says they formerly were: the files do not tell it; --since DAY keeps it"
            ));
        }
        warn(&after.oddities());
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
    /// The register of this day: only the sites that were registered then, as they were [default: all, as they are].
    #[arg(long, value_name = "DAY", value_parser = day)]
    at: Option<Date>,
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
        let today = self.at.unwrap_or_else(|| clock::today(&config.timezone));
        let wanted = |site: &&Site| {
            let registered = site.as_of(today);
            self.tier.as_deref().is_none_or(|tier| registered.tier.as_str() == tier)
                && self.branch.as_deref().is_none_or(|branch| registered.branch.as_str() == branch)
                && self.at.is_none_or(|day| site.registered_on(day))
        };
        let sites: Vec<&Site> = register.sites().filter(wanted).collect();
        match self.format {
            ListFormat::Table => print(show(&sites, &secrets, today)),
            ListFormat::Json => print(format_args!("{}\n", serde_json::to_string_pretty(&sites)?)),
            ListFormat::Csv => print(read::write(&sites, read::Format::Csv)),
            ListFormat::Yaml => print(read::write(&sites, read::Format::Yaml)),
        }
    }
}

/// Show one site.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wan-collector sites show ubnd-xa-phuoc-chi\n  \
    wan-collector sites show ubnd-xa-phuoc-chi > site.yaml    (to change it, and read it back with `sites import`)")]
pub struct Show {
    /// The site's id.
    #[arg(value_name = "SITE")]
    site: String,
    /// How to write it.
    #[arg(long, value_enum, default_value = "yaml")]
    format: ListFormat,
}

impl Show {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let store = SqliteStore::open_read_only(&config.database()).await?;
        let Snapshot { register, secrets, .. } = store.snapshot().await?;
        let Some(site) = self.site.parse().ok().and_then(|id| register.get(&id)) else {
            let meant = nearest(&self.site, register.sites().map(|site| site.id.as_str()));
            let remedy = meant.map(|id| format!("; did you mean {id}?")).unwrap_or_default();
            anyhow::bail!("there is no site {:?} in the register{remedy}", self.site);
        };
        match self.format {
            ListFormat::Table => print(show(&[site], &secrets, clock::today(&config.timezone))),
            ListFormat::Json => print(format_args!("{}\n", serde_json::to_string_pretty(site)?)),
            ListFormat::Csv => print(read::write(&[site], read::Format::Csv)),
            ListFormat::Yaml => print(read::write(&[site], read::Format::Yaml)),
        }
    }
}

/// What is odd, in a line each.
fn warn<T: std::fmt::Display>(oddities: &[T]) {
    for oddity in oddities.iter().take(SHOWN_AT_MOST) {
        say(format_args!("warning: {oddity}"));
    }
    if oddities.len() > SHOWN_AT_MOST {
        say(format_args!("warning: … and {} more", oddities.len() - SHOWN_AT_MOST));
    }
}

fn day(text: &str) -> Result<Date, String> {
    parse_day(text).ok_or_else(|| "not a day that exists, as 2025-07-01 or 1/7/2025".to_owned())
}

/// The sites of the files. Contracts that the configuration does not have are told as warnings.
fn read_files(
    paths: &[PathBuf],
    plan: &Plan,
    contracts: &[Contract],
    present: &Register,
) -> anyhow::Result<Vec<Site>> {
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
        Ok(sites) if mistakes.is_empty() => {
            // A register may keep numbers of contracts whose terms nobody has configured.
            if !contracts.is_empty() {
                let known = contracts.iter().map(|contract| contract.id.as_str()).collect();
                warn(&read::unknown_contracts(&files, &known));
            }
            Ok(sites)
        }
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

fn show(sites: &[&Site], secrets: &[AgentSecret], day: Date) -> String {
    let equipped: std::collections::BTreeSet<_> =
        secrets.iter().filter(|secret| secret.revoked.is_none()).map(|secret| &secret.site).collect();
    let rows = sites.iter().map(|site| {
        let links = site.links.iter().filter(|link| {
            link.valid_from.is_none_or(|from| from <= day) && link.valid_to.is_none_or(|to| day < to)
        });
        let links: Vec<&str> = links.map(|link| link.name.as_str()).collect();
        let mut closed = site.valid_to.map(|day| day.to_string()).unwrap_or_default();
        if let Some(into) = &site.merged_into {
            closed.push_str(&format!(" → {into}"));
        }
        let registered = site.as_of(day);
        let agent = if equipped.contains(&site.id) { "yes" } else { "–" };
        vec![
            site.id.to_string(),
            registered.name.to_owned(),
            registered.tier.to_string(),
            registered.branch.to_string(),
            registered.parent.map(ToString::to_string).unwrap_or_default(),
            links.join(" "),
            agent.to_owned(),
            closed,
        ]
    });
    let head = ["ID", "NAME", "TIER", "BRANCH", "PARENT", "LINKS", "AGENT", "CLOSED"];
    format!("{}{} sites\n", table(&head, rows), sites.len())
}
