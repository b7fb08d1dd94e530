//! `wan-collector config check | show`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use wan_settings::Mistakes;
use wan_wire::SiteId;

use super::output::{block_on, find_site, print};
use crate::central::compile::{Basis, Compiled, compile, without_file};
use crate::central::{Progress, Told, follow};
use crate::clock;
use crate::config::Config;
use crate::inventory::Register;
use crate::localtime;
use crate::store::sqlite::SqliteStore;
use crate::store::{Store as _, StoreError};

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the configuration and, against the register, what it says about agents; list all mistakes at once.
    Check,
    /// Show what the agent of a site is told to probe, and what became of it there.
    Show(Show),
}

/// Show what the agent of a site is told to probe, and what became of it there.
///
/// This is what the file and the register say now. A running server takes a change over within seconds.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wan-collector config show ubnd-xa-tan-binh")]
pub struct Show {
    /// The site's id.
    #[arg(value_name = "SITE")]
    site: String,
}

/// Runs one of the commands.
///
/// # Errors
/// All mistakes of the files, or what the store says.
pub fn run(file: &Path, command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check => block_on(check(file)),
        Command::Show(show) => block_on(show.run(file)),
    }?;
    Ok(ExitCode::SUCCESS)
}

async fn check(file: &Path) -> anyhow::Result<()> {
    let config = Config::load(file)?;
    let plan = &config.plan;
    let known = Known::of(&config).await?;
    let compiled = known.compile(&config)?;
    print(format_args!(
        "{}: good\nlisten {}, data {}, time zone {}, {} tiers, {} branches\n",
        file.display(),
        config.listen.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        config.data.display(),
        config.timezone.iana_name().unwrap_or("UTC"),
        plan.tiers.len(),
        plan.branches.len()
    ))?;
    if let Some(agents) = &config.agents {
        let against = match &known.register {
            Some(register) => format!("{} of {} sites get a configuration", compiled.len(), register.len()),
            None => {
                "there is no register of this version yet, so the names of sites were not checked".to_owned()
            }
        };
        print(format_args!("{}: good; {against}\n", agents.display()))?;
    }
    Ok(())
}

impl Show {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let known = Known::of(&config).await?;
        let Some(register) = &known.register else {
            anyhow::bail!("there is no register yet; `wan-collector sites import` makes one");
        };
        let site = find_site(register, &self.site)?;
        let compiled = known.compile(&config)?;
        let told = known.told.get(&site);
        let Some(compiled) = compiled.get(&site) else {
            return print(format_args!("# nothing is said of {site}: its agent's own file holds\n"));
        };
        let document = &compiled.document;
        let said = match (Progress::of(Some(document), told), told) {
            (Progress::Applied, Some(told)) => {
                format!("in force since {}", localtime::rfc3339(told.at, &config.timezone))
            }
            (Progress::Refused, Some(told)) => {
                format!("refused {}: {}", localtime::rfc3339(told.at, &config.timezone), told.reason)
            }
            (Progress::Applied | Progress::Refused | Progress::Waiting | Progress::None, _) => {
                "not heard of yet".to_owned()
            }
        };
        print(format_args!(
            "# ETag {}; {} links, {} targets; at the agent: {said}\n{}",
            document.tag(),
            compiled.probes.links.len(),
            compiled.probes.targets(),
            document.body
        ))
    }
}

/// What the store knows, where there is one.
struct Known {
    register: Option<Register>,
    told: BTreeMap<SiteId, Told>,
}

impl Known {
    async fn of(config: &Config) -> anyhow::Result<Self> {
        let database = config.database();
        if !database.exists() {
            return Ok(Self { register: None, told: BTreeMap::new() });
        }
        let store = match SqliteStore::open_read_only(&database).await {
            Ok(store) => store,
            // Before the first start of a newer version: the files can be checked all the same.
            Err(StoreError::Older { .. }) => return Ok(Self { register: None, told: BTreeMap::new() }),
            Err(error) => return Err(error.into()),
        };
        let register = Some(store.snapshot().await?.register);
        Ok(Self { register, told: store.agent_configs().await? })
    }

    fn compile(&self, config: &Config) -> Result<BTreeMap<SiteId, Compiled>, Mistakes> {
        let former: BTreeSet<SiteId> = self.told.keys().cloned().collect();
        let basis = Basis {
            plan: &config.plan,
            register: self.register.as_ref(),
            zone: &config.timezone,
            now: clock::now(),
            former: &former,
        };
        match &config.agents {
            Some(path) => compile(&path.display().to_string(), &follow::read(path)?, &basis),
            None => without_file(&basis),
        }
    }
}

/// How far what is said to agents has come, for lists.
pub(super) struct Configured {
    /// `None` while the file has mistakes: then what agents are told is not known here.
    compiled: Option<BTreeMap<SiteId, Compiled>>,
    told: BTreeMap<SiteId, Told>,
}

impl Configured {
    pub(super) fn of(config: &Config, register: &Register, told: BTreeMap<SiteId, Told>) -> Self {
        let known = Known { register: Some(register.clone()), told };
        let compiled = known.compile(config).ok();
        Self { compiled, told: known.told }
    }

    /// `applied`, `waiting` or `refused: why`; nothing where nothing is said.
    pub(super) fn word(&self, site: &SiteId) -> String {
        let told = self.told.get(site);
        let Some(compiled) = &self.compiled else { return "the file has mistakes".to_owned() };
        let progress = Progress::of(compiled.get(site).map(|compiled| &compiled.document), told);
        match (progress, told) {
            (Progress::None, _) => String::new(),
            (Progress::Refused, Some(told)) => format!("refused: {}", told.reason),
            (Progress::Refused | Progress::Waiting | Progress::Applied, _) => progress.as_str().to_owned(),
        }
    }
}
