//! `wan-collector config check | show`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use wan_settings::{Mistake, Mistakes};
use wan_wire::SiteId;

use super::output::{block_on, find_site, print, say};
use crate::alert::route;
use crate::alert::text::{Setting, load};
use crate::central::compile::{Basis, Compilation, compile, compile_again, without_file};
use crate::central::{Document, Progress, Told, follow};
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
    let mut mistakes = compiled.faults;
    mistakes.extend(of_alerts(&config, known.register.as_ref()));
    if !mistakes.is_empty() {
        return Err(Mistakes::new(mistakes).into());
    }
    print(format_args!(
        "{}: good\nlisten {}, data {}, time zone {}, {} tiers, {} branches\n",
        file.display(),
        config.listen.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        config.data.display(),
        config.timezone.iana_name().unwrap_or("UTC"),
        plan.tiers.len(),
        plan.branches.len()
    ))?;
    // A register may keep numbers of contracts whose terms nobody has configured.
    if let Some(register) = known.register.as_ref().filter(|_| !config.contracts.is_empty()) {
        for (contract, links) in register.contracts() {
            if config.contracts.iter().all(|known| known.id != contract) {
                say(format_args!(
                    "warning: {}: contracts: links of the register name “{contract}” ({links} of them), which is not here; write its terms, or \
                     correct the register",
                    file.display()
                ));
            }
        }
    }
    if let Some(agents) = &config.agents {
        let against = match &known.register {
            Some(register) => {
                format!("{} of {} sites get a configuration", compiled.sites.len(), register.len())
            }
            None => {
                "there is no register of this version yet, so the names of sites were not checked".to_owned()
            }
        };
        print(format_args!("{}: good; {against}\n", agents.display()))?;
    }
    if config.alerts.channels.is_empty() {
        print(format_args!("alerts: no channel is configured, so nobody is told of any\n"))?;
    } else {
        let channels: Vec<&str> =
            config.alerts.channels.iter().map(|channel| channel.name.as_str()).collect();
        print(format_args!("alerts are told by {}\n", channels.join(", ")))?;
        for rule in route::unheard(&config.alerts) {
            print(format_args!("note: no route tells anybody of {rule}\n"))?;
        }
    }
    Ok(())
}

/// What is wrong with the templates of channels, and with names of routes that only the register knows.
fn of_alerts(config: &Config, register: Option<&Register>) -> Vec<Mistake> {
    let mut mistakes = register.map(|register| config.alerts.unknown_places(register)).unwrap_or_default();
    for channel in &config.alerts.channels {
        mistakes.extend(load(channel, &Setting::of(channel, &config.alerts, config)).mistakes);
    }
    mistakes
}

impl Show {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let known = Known::of(&config).await?;
        let Some(register) = &known.register else {
            anyhow::bail!("there is no register yet; `wan-collector sites import` makes one");
        };
        let site = find_site(register, &self.site)?;
        let (compiled, bad) = known.present(&config)?;
        if let Some(bad) = &bad {
            print(format_args!("# {bad}; the last good one says:\n"))?;
        }
        let kept = follow::kept_documents(&config.data);
        if let Some(why) = compiled.held.get(&site) {
            let what = match kept.get(&site) {
                Some(_) => "its agent is told what it was told before",
                None => "its agent keeps what it has",
            };
            print(format_args!("# no new configuration can be made for {site}: {why}\n# {what}\n"))?;
        }
        let document = told_now(&compiled, &kept, &site);
        let Some(document) = document else {
            if !compiled.held.contains_key(&site) {
                print(format_args!("# nothing is said of {site}: its agent's own file holds\n"))?;
            }
            return Ok(());
        };
        let told = known.told.get(&site);
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
        let links = match compiled.sites.get(&site) {
            Some(compiled) if compiled.names_links => {
                format!("{} links, {} targets; ", compiled.probes.links.len(), compiled.probes.targets())
            }
            Some(_) => "the links of the agent's own file; ".to_owned(),
            None => String::new(),
        };
        print(format_args!("# ETag {}; {links}at the agent: {said}\n{}", document.tag(), document.body))
    }
}

/// What the agent of a site is told: what is made for it now, or what it was told before where nothing can be made.
fn told_now<'d>(
    compiled: &'d Compilation,
    kept: &'d BTreeMap<SiteId, Document>,
    site: &SiteId,
) -> Option<&'d Document> {
    let made = compiled.sites.get(site).map(|compiled| &compiled.document);
    made.or_else(|| kept.get(site).filter(|_| compiled.held.contains_key(site)))
}

/// What is wrong of the agents' configuration together with this register.
pub(super) fn misfits(config: &Config, register: &Register, told: &BTreeMap<SiteId, Told>) -> Vec<Mistake> {
    let known = Known { register: Some(register.clone()), told: told.clone() };
    let compiled = match &config.agents {
        // A file that cannot be read says nothing of the register.
        Some(path) => {
            follow::read(path).and_then(|bytes| known.again(config, &path.display().to_string(), &bytes))
        }
        None => known.compile(config),
    };
    compiled.map(|compiled| compiled.faults).unwrap_or_default()
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

    fn compile(&self, config: &Config) -> Result<Compilation, Mistakes> {
        match &config.agents {
            Some(path) => {
                let bytes = follow::read(path)?;
                self.with_basis(config, |basis| compile(&path.display().to_string(), &bytes, basis))
            }
            None => Ok(self.with_basis(config, without_file)),
        }
    }

    fn again(&self, config: &Config, file: &str, bytes: &[u8]) -> Result<Compilation, Mistakes> {
        self.with_basis(config, |basis| compile_again(file, bytes, basis))
    }

    fn with_basis<T>(&self, config: &Config, work: impl FnOnce(&Basis<'_>) -> T) -> T {
        let former: BTreeSet<SiteId> = self.told.keys().cloned().collect();
        work(&Basis {
            plan: &config.plan,
            register: self.register.as_ref(),
            zone: &config.timezone,
            now: clock::now(),
            former: &former,
        })
    }

    /// What a running server makes of the files: where the one that is there has mistakes, it goes on with the last good one, and
    /// that is said.
    fn present(&self, config: &Config) -> Result<(Compilation, Option<String>), Mistakes> {
        let mistakes = match self.compile(config) {
            Ok(compiled) => return Ok((compiled, None)),
            Err(mistakes) => mistakes,
        };
        let Some(path) = &config.agents else { return Err(mistakes) };
        let last_good = config.data.join(follow::LAST_GOOD);
        let Ok(bytes) = follow::read(&last_good) else { return Err(mistakes) };
        let compiled = self.again(config, &last_good.display().to_string(), &bytes)?;
        let bad = format!("{} has mistakes, see `wan-collector config check`", path.display());
        Ok((compiled, Some(bad)))
    }
}

/// How far what is said to agents has come, for lists.
pub(super) struct Configured {
    /// `None` while the file has mistakes and there is no last good one.
    compiled: Option<Compilation>,
    kept: BTreeMap<SiteId, Document>,
    told: BTreeMap<SiteId, Told>,
}

impl Configured {
    pub(super) fn of(config: &Config, register: &Register, told: BTreeMap<SiteId, Told>) -> Self {
        let known = Known { register: Some(register.clone()), told };
        let compiled = known.present(config).ok().map(|(compiled, bad)| {
            if let Some(bad) = bad {
                say(format_args!("warning: {bad}; the configuration is that of the last good one"));
            }
            compiled
        });
        Self { compiled, kept: follow::kept_documents(&config.data), told: known.told }
    }

    /// `applied`, `waiting` or `refused: why`; nothing where nothing is said.
    pub(super) fn word(&self, site: &SiteId) -> String {
        let told = self.told.get(site);
        let Some(compiled) = &self.compiled else { return "the file has mistakes".to_owned() };
        let progress = Progress::of(told_now(compiled, &self.kept, site), told);
        let word = match (progress, told) {
            (Progress::None, _) => String::new(),
            (Progress::Refused, Some(told)) => format!("refused: {}", told.reason),
            (Progress::Refused | Progress::Waiting | Progress::Applied, _) => progress.as_str().to_owned(),
        };
        match compiled.held.get(site) {
            Some(why) if word.is_empty() => format!("no new one: {why}"),
            Some(why) => format!("{word}; no new one: {why}"),
            None => word,
        }
    }
}
