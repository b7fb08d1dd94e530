//! `wan-collector planned add | list | remove`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::{ArgGroup, Args, Subcommand};
use wan_wire::UnixMillis;

use super::output::{Format, block_on, list, print, who};
use crate::api::planned::{self, FULL_REMEDY, PlannedRow, full, not_removable};
use crate::clock;
use crate::config::Config;
use crate::counters::Counters;
use crate::localtime;
use crate::planned::draft::{Draft, Known};
use crate::planned::{PlannedId, PlannedWindow, Removal};
use crate::state::State;
use crate::store::sqlite::SqliteStore;
use crate::store::{AddedWindow, Store as _};

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Planned {
    /// Plan works: once, every week, every month, or by the calendar; also after the fact.
    Add(Box<Add>),
    /// List the planned windows.
    List(List),
    /// End planned windows, or take them back.
    Remove(Remove),
}

/// Runs one of the commands.
///
/// # Errors
/// Mistakes in the configuration, a refusal with its remedy, or what the store says.
pub fn run(file: &Path, command: &Planned) -> anyhow::Result<ExitCode> {
    block_on(async {
        match command {
            Planned::Add(command) => command.run(file).await,
            Planned::List(command) => command.run(file).await,
            Planned::Remove(command) => command.run(file).await,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Plan works: once, every week, every month, or by the calendar; also after the fact.
///
/// Planned time is in no figure (or counts as up, or as it was seen: `uptime --planned`), and the site shows as under maintenance.
/// What is measured goes on. A carrier's works excuse the links of that carrier and nothing else: not the LAN, and not the line of another.
/// A running server takes it over within a second or two.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("scope").required(true).args(["all", "site", "subtree", "tier", "district", "carrier"])),
    group(ArgGroup::new("recurrence").args(["every", "monthly", "calendar"])),
    after_help = "Examples:
  wan-collector planned add --site xa-tan-ha --from 2026-11-30T22:00 --to 23:30 --reason \"thay cáp quang\"
  wan-collector planned add --tier commune --every sat --from 22:00 --to 02:00 --reason \"cập nhật\"
  wan-collector planned add --carrier vnpt --monthly last-sun --from 00:00 --to 04:00 --reason \"bảo trì VNPT\"
  wan-collector planned add --all --calendar holidays --valid-from 2026-01-01 --reason \"nghỉ lễ\"
  wan-collector planned add --subtree hub-tan-chau --from -3h --to -1h --reason \"mất điện có báo trước\""
)]
pub struct Add {
    /// For every site.
    #[arg(long)]
    all: bool,
    /// For one site.
    #[arg(long, value_name = "ID")]
    site: Option<String>,
    /// For a site and all whose WAN path depends on it.
    #[arg(long, value_name = "ID")]
    subtree: Option<String>,
    /// For the sites of a tier.
    #[arg(long, value_name = "TIER")]
    tier: Option<String>,
    /// For the sites of a district.
    #[arg(long, value_name = "DISTRICT")]
    district: Option<String>,
    /// For the links of a carrier.
    #[arg(long, value_name = "CARRIER")]
    carrier: Option<String>,
    /// Start: 2026-11-30T22:00 (the province's time), -2h, now; of a recurring window a time of day.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// End, not part of it: likewise, or the next such time of day, 23:30.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// Every week on these days: sat, mon-fri, mon,thu, or day for all.
    #[arg(long, value_name = "WEEKDAYS")]
    every: Option<String>,
    /// Every month on a day: 15, last, 2-tue (the second Tuesday), last-sun.
    #[arg(long, value_name = "DAY")]
    monthly: Option<String>,
    /// By the configuration's calendar: outside-service-hours, or holidays.
    #[arg(long, value_name = "TIME")]
    calendar: Option<String>,
    /// First day of a recurring window [default: today].
    #[arg(long, value_name = "DAY")]
    valid_from: Option<String>,
    /// First day on which a recurring window holds no more [default: none].
    #[arg(long, value_name = "DAY")]
    valid_to: Option<String>,
    /// Why, in one line of at most 200 characters.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who plans it [default: the user of this terminal].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl Add {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let store = SqliteStore::open(&config.database()).await?;
        let register = store.snapshot().await?.register;
        let draft = Draft {
            all: self.all,
            site: self.site.as_deref(),
            subtree: self.subtree.as_deref(),
            tier: self.tier.as_deref(),
            district: self.district.as_deref(),
            carrier: self.carrier.as_deref(),
            from: self.from.as_deref(),
            to: self.to.as_deref(),
            every: self.every.as_deref(),
            monthly: self.monthly.as_deref(),
            calendar: self.calendar.as_deref(),
            valid_from: self.valid_from.as_deref(),
            valid_to: self.valid_to.as_deref(),
            reason: Some(&self.reason),
        };
        let (by, now) = (who(self.by.as_deref())?, clock::now());
        let known = Known { register: &register, plan: &config.plan, zone: &config.timezone, now };
        let work = draft.read(&by, &known)?;
        let added = store.add_planned(&work).await?;
        store.close().await;
        let id = match added {
            AddedWindow::Added(id) => id,
            AddedWindow::Already(id) => {
                bail!("the same is planned already, as window {id}; `wan-collector planned list` shows it")
            }
            AddedWindow::Full => bail!("{}; {FULL_REMEDY}", full()),
        };
        let row = PlannedRow::of(&PlannedWindow { id, work, removed: None }, false, now, &config.timezone);
        print(format_args!("window {id}: {}, {}{}\n", scope(&row), row.when, valid(&row)))
    }
}

/// List the planned windows: those that may cover time from now on, or all.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wan-collector planned list\n  wan-collector planned list --site xa-tan-ha --all --format json"
)]
pub struct List {
    /// Also those that are over, ended or void.
    #[arg(long)]
    all: bool,
    /// Only those for this site or any of its links.
    #[arg(long, value_name = "ID")]
    site: Option<String>,
    /// How to write the list.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl List {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let store = SqliteStore::open_read_only(&config.database()).await?;
        let counters = Arc::new(Counters::new().context("cannot register metrics")?);
        let state = State::new(config, None, counters);
        state.replace_register(store.snapshot().await?);
        let answer = planned::rows(&state, self.site.as_deref(), self.all, clock::now())?;
        let summary = format!("{} windows; times are those of {}\n", answer.windows.len(), answer.zone);
        let rows = answer.windows.iter().map(|row| {
            vec![
                row.id.to_string(),
                scope(row),
                row.when.clone(),
                row.valid_from.clone().unwrap_or_default(),
                row.valid_to.clone().unwrap_or_default(),
                row.state.as_str().to_owned(),
                row.reason.clone(),
                localtime::plain(UnixMillis(row.added), &state.config.timezone),
                row.added_by.clone(),
                row.removed
                    .map(|at| localtime::plain(UnixMillis(at), &state.config.timezone))
                    .unwrap_or_default(),
                row.removed_by.clone().unwrap_or_default(),
            ]
        });
        let head = [
            "id",
            "scope",
            "when",
            "valid_from",
            "valid_to",
            "state",
            "reason",
            "added",
            "added_by",
            "removed",
            "removed_by",
        ];
        list(self.format, &head, rows, &summary)
    }
}

/// End planned windows, or take them back.
///
/// A window that is ended covers nothing from now on; what it covered before stays planned. One that was a mistake is made void: it
/// covers nothing, as if it had never been, and figures of the past change with it. The list shows either with who and when.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wan-collector planned remove 7\n  wan-collector planned remove 7 --void"
)]
pub struct Remove {
    /// Numbers of windows.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<i64>,
    /// It was a mistake: take it back, also in the past.
    #[arg(long)]
    void: bool,
    /// Who does it [default: the user of this terminal].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl Remove {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let by = who(self.by.as_deref())?;
        let store = SqliteStore::open(&config.database()).await?;
        let planned = store.snapshot().await?.planned;
        let (now, zone) = (clock::now(), &config.timezone);
        for id in self.ids.iter().copied().map(PlannedId) {
            let Some(window) = planned.get(id) else {
                bail!("there is no window {id}; `wan-collector planned list --all` shows all");
            };
            if let Err(why) = window.may_be_removed(self.void, now, zone) {
                bail!("{}; --void takes it back altogether", not_removable(&why, id, zone));
            }
        }
        for id in self.ids.iter().copied().map(PlannedId) {
            let removal = Removal { at: now, by: by.clone(), void: self.void };
            if !store.remove_planned(id, &removal).await? {
                bail!("somebody else ended window {id} just now");
            }
            let what = if self.void { "is void" } else { "is ended; what it covered before stays planned" };
            print(format_args!("window {id} {what}\n"))?;
        }
        store.close().await;
        Ok(())
    }
}

fn scope(row: &PlannedRow) -> String {
    match &row.of {
        None => row.scope.clone(),
        Some(of) => format!("{} {of}", row.scope),
    }
}

fn valid(row: &PlannedRow) -> String {
    let from = row.valid_from.as_ref().map(|day| format!(", from {day}"));
    let to = row.valid_to.as_ref().map(|day| format!(" up to {day}"));
    from.into_iter().chain(to).collect()
}
