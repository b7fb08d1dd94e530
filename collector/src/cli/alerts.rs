//! `wan-collector alerts list | history | ack | unack | silence | silences | unsilence`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use clap::{ArgGroup, Args, Subcommand};
use wan_wire::UnixMillis;

use super::figures::{self, local};
use super::output::{Format, block_on, list, print, who};
use crate::alert::AlertId;
use crate::alert::endpoint::{FULL_REMEDY, may_be_added, may_be_taken, over};
use crate::alert::list::{AlertRow, AlertsAnswer, Asked, Question, SilenceRow, SilenceState, silences};
use crate::alert::orders::{AckDraft, SilenceDraft};
use crate::alert::record::{Acknowledgement, SilenceId, WantedAlerts};
use crate::clock;
use crate::config::Config;
use crate::localtime;
use crate::planned::draft::Known;
use crate::store::Store as _;
use crate::store::sqlite::SqliteStore;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Alerts {
    /// List the alerts that fire now.
    List(List),
    /// List the alerts of a time, also those that are over.
    History(History),
    /// Take an alert up: there are no reminders of it, and the others see who looks into it.
    Ack(Ack),
    /// Leave an alert to whoever takes it up next.
    Unack(Unack),
    /// Ask that alerts are not told for a while.
    Silence(Silence),
    /// List what is not told.
    Silences(Silences),
    /// End silences before their time.
    Unsilence(Unsilence),
}

/// Runs one of the commands.
///
/// # Errors
/// Mistakes in the configuration, a refusal with its remedy, or what the store says.
pub fn run(file: &Path, command: &Alerts) -> anyhow::Result<ExitCode> {
    block_on(async {
        match command {
            Alerts::List(command) => command.run(file).await,
            Alerts::History(command) => command.run(file).await,
            Alerts::Ack(command) => command.run(file).await,
            Alerts::Unack(command) => command.run(file).await,
            Alerts::Silence(command) => command.run(file).await,
            Alerts::Silences(command) => command.run(file).await,
            Alerts::Unsilence(command) => command.run(file).await,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What lists of alerts have in common.
#[derive(Debug, Args)]
struct Sifting {
    /// Only this site and its links.
    #[arg(long, value_name = "ID")]
    site: Option<String>,
    /// Only alerts of this rule, such as site_offline.
    #[arg(long)]
    rule: Option<String>,
    /// Leave out those for which an alert about many stands.
    #[arg(long)]
    folded: bool,
    /// At most so many, those that fired last [default: 1000].
    #[arg(long, value_name = "NUMBER")]
    limit: Option<String>,
    /// Language of names and sentences: vi or en.
    #[arg(long, default_value = "en")]
    lang: String,
    /// How to print it.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// List the alerts that fire now.
///
/// Reads what the running server has written, which is at most a second old. An alert for which one about many stands says so; it was
/// not told for itself.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  wan-collector alerts list
  wan-collector alerts list --folded --lang vi
  wan-collector alerts list --site xa-tan-ha --format json")]
pub struct List {
    #[command(flatten)]
    sifting: Sifting,
}

impl List {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        self.sifting.print(file, None, None, true).await
    }
}

/// List the alerts of a time, also those that are over.
///
/// Those that fired in it, and those that still did. Without --from and --to: the last 24 hours.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  wan-collector alerts history --from -7d
  wan-collector alerts history --from 2026-11-01 --to 2026-12-01 --rule site_offline --format csv > offline.csv")]
pub struct History {
    /// Start: 2026-11-30T22:00 (the province's time), a day, -2h.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// End, not part of it [default: now].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    #[command(flatten)]
    sifting: Sifting,
}

impl History {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        self.sifting.print(file, self.from.as_deref(), self.to.as_deref(), false).await
    }
}

impl Sifting {
    async fn print(
        &self,
        file: &Path,
        from: Option<&str>,
        to: Option<&str>,
        open: bool,
    ) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let store = SqliteStore::open_read_only(&config.database()).await?;
        let now = clock::now();
        let question = Question {
            from,
            to,
            site: self.site.as_deref(),
            rule: self.rule.as_deref(),
            open: Some(if open { "true" } else { "false" }),
            folded: self.folded.then_some("true"),
            limit: self.limit.as_deref(),
            lang: Some(&self.lang),
        };
        let register = store.snapshot().await?.register;
        let asked = Asked::read(&question, &register, &config.timezone, now)?;
        let (records, silences) = (store.alerts(asked.wanted()).await?, store.silences(now).await?);
        let answer = asked.answer(&records, &silences, &register, &config, now);
        print(match self.format {
            Format::Table => table(&answer),
            Format::Json => serde_json::to_string(&answer)? + "\n",
            Format::Csv => csv(&answer)?,
        })
    }
}

fn table(answer: &AlertsAnswer) -> String {
    let what = match &answer.window {
        None => "Alerts that fire now".to_owned(),
        Some(window) => {
            format!("Alerts from {} up to {}", local(&window.start_local), local(&window.end_local))
        }
    };
    let mut text = format!("{what} ({})\n", answer.zone);
    if answer.alerts.is_empty() {
        text.push_str("none\n");
        return text;
    }
    let header = ["id", "severity", "rule", "about", "since", "lasted", "cause", "taken up by", "why"];
    let row = |row: &AlertRow| {
        let lasted = figures::duration(row.duration_ms);
        vec![
            row.id.clone(),
            row.severity_name.clone(),
            row.rule_name.clone(),
            row.about.clone(),
            local(&row.since_local),
            if row.until.is_some() { lasted } else { format!("{lasted}, goes on") },
            row.cause.map_or("–", |cause| cause.as_str()).to_owned(),
            row.ack.as_ref().filter(|ack| ack.holds).map(|ack| ack.by.clone()).unwrap_or_default(),
            remarks(row),
        ]
    };
    text.push_str(&figures::table(&header, header.len(), answer.alerts.iter().map(row)));
    if answer.more {
        text.push_str("there are more: ask for a shorter time, or raise --limit\n");
    }
    text
}

/// Why, and whatever else bears on what was told.
fn remarks(row: &AlertRow) -> String {
    let drill = row.drill.then(|| "drill".to_owned());
    let under = row.under_about.as_ref().map(|about| format!("one of many: {about}"));
    let members = (row.members_count > 0).then(|| format!("{} sites", row.members_count));
    let flaps = row.flaps.then(|| "flaps".to_owned());
    let silenced = row.silences.first().map(|silence| format!("silenced until {}", local(&silence.to_local)));
    let why = (!row.why.is_empty()).then(|| row.why.clone());
    let corrected = row.corrections.last().map(|correction| correction.text.clone());
    let parts = [drill, under, members, flaps, silenced, why, corrected];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn csv(answer: &AlertsAnswer) -> anyhow::Result<String> {
    let header = [
        "id",
        "rule",
        "severity",
        "subject",
        "about",
        "site",
        "link",
        "since",
        "fired",
        "until",
        "told",
        "duration_ms",
        "cause",
        "why",
        "under",
        "sites",
        "flaps",
        "drill",
        "taken_by",
        "taken_reason",
        "silenced_by",
        "corrections",
    ];
    let row = |row: &AlertRow| {
        let ack = row.ack.as_ref();
        let corrections: Vec<&str> = row.corrections.iter().map(|one| one.text.as_str()).collect();
        let silences: Vec<String> = row.silences.iter().map(|silence| silence.id.to_string()).collect();
        vec![
            row.id.clone(),
            row.rule.as_str().to_owned(),
            row.severity.as_str().to_owned(),
            row.subject.clone(),
            row.about.clone(),
            row.site.clone().unwrap_or_default(),
            row.link.clone().unwrap_or_default(),
            row.since_local.clone(),
            row.fired_local.clone(),
            row.until_local.clone().unwrap_or_default(),
            row.told_local.clone().unwrap_or_default(),
            row.duration_ms.to_string(),
            row.cause.map(|cause| cause.as_str().to_owned()).unwrap_or_default(),
            row.why.clone(),
            row.under.clone().unwrap_or_default(),
            row.members_count.to_string(),
            row.flaps.to_string(),
            row.drill.to_string(),
            ack.map(|ack| ack.by.clone()).unwrap_or_default(),
            ack.map(|ack| ack.reason.clone()).unwrap_or_default(),
            silences.join(" "),
            corrections.join(" | "),
        ]
    };
    figures::csv(&header, answer.alerts.iter().map(row))
}

/// Take alerts up: there are no reminders of them, and the others see who looks into it.
///
/// It holds until the alert is over, or as long as --until says. Whoever takes one up that another has takes it over.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  wan-collector alerts ack a1f0c2d3e4b5a697 --reason \"đã gọi VNPT, phiếu 4711\"
  wan-collector alerts ack a1f0c2d3e4b5a697 --reason \"chờ thợ\" --until 4h")]
pub struct Ack {
    /// Ids of alerts, as `alerts list` shows them.
    #[arg(required = true, value_name = "ALERT")]
    ids: Vec<String>,
    /// Why, or what is being done, in one line of at most 200 characters.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// How long it holds, or until when: 4h, 2026-11-30T07:00 [default: until the alert is over].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Who takes it up [default: the user of this terminal].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl Ack {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let draft = AckDraft { reason: Some(&self.reason), until: self.until.as_deref() };
        let taken = draft.read(&who(self.by.as_deref())?, &config.timezone, clock::now())?;
        take(&config, &self.ids, Some(&taken)).await
    }
}

/// Leave alerts to whoever takes them up next.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wan-collector alerts unack a1f0c2d3e4b5a697")]
pub struct Unack {
    /// Ids of alerts.
    #[arg(required = true, value_name = "ALERT")]
    ids: Vec<String>,
}

impl Unack {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        take(&Config::load(file)?, &self.ids, None).await
    }
}

/// Takes alerts up or leaves them: all, or where one of them cannot be, none.
async fn take(config: &Config, ids: &[String], taken: Option<&Acknowledgement>) -> anyhow::Result<()> {
    let store = SqliteStore::open(&config.database()).await?;
    let mut records = Vec::new();
    for text in ids {
        let wanted = AlertId::parse(text).map(|id| WantedAlerts {
            ids: Some(vec![id]),
            open: false,
            ..WantedAlerts::open()
        });
        let found = match &wanted {
            Some(wanted) => store.alerts(wanted).await?.pop(),
            None => None,
        };
        let Some(record) = found else {
            bail!("there is no alert {text:?}; `wan-collector alerts list` shows those that fire");
        };
        if let Err(why) = may_be_taken(&record, taken.is_some()) {
            bail!("{why}; `wan-collector alerts list` shows those that fire");
        }
        records.push(record);
    }
    for record in records {
        store.acknowledge(&record.id, taken).await?;
        let what = match taken {
            Some(taken) => format!("is taken up by {}", taken.by),
            None => "is left to whoever takes it up next".to_owned(),
        };
        print(format_args!("alert {} {what}\n", record.id))?;
    }
    store.close().await;
    Ok(())
}

/// Ask that alerts are not told for a while.
///
/// They fire all the same, and are listed and counted; what still fires when the silence is over is told then. Work that is planned is better
/// planned (`wan-collector planned add`): then its time is in no figure either.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("scope").required(true).args(["all", "site", "subtree", "tier", "district", "carrier"])),
    group(ArgGroup::new("end").required(true).args(["to", "length"])),
    after_help = "Examples:
  wan-collector alerts silence --site xa-tan-ha --for 2h --reason \"thợ đang sửa\"
  wan-collector alerts silence --carrier vnpt --from 22:00 --to 23:30 --reason \"VNPT bảo trì\"
  wan-collector alerts silence --all --rule clock_wrong --for 7d --reason \"đang thay pin\""
)]
pub struct Silence {
    /// Everything, the collector and tiers included.
    #[arg(long)]
    all: bool,
    /// One site and its links.
    #[arg(long, value_name = "ID")]
    site: Option<String>,
    /// A site and all whose WAN path depends on it.
    #[arg(long, value_name = "ID")]
    subtree: Option<String>,
    /// The sites of a tier, and its coverage.
    #[arg(long, value_name = "TIER")]
    tier: Option<String>,
    /// The sites of a district.
    #[arg(long, value_name = "DISTRICT")]
    district: Option<String>,
    /// The links of a carrier, and the sites that have one.
    #[arg(long, value_name = "CARRIER")]
    carrier: Option<String>,
    /// Only alerts of this rule.
    #[arg(long)]
    rule: Option<String>,
    /// Start: 2026-11-30T22:00 (the province's time), or the next such time of day, 22:00 [default: now].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// End, not part of it: likewise, 23:30.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// For how long: 30m, 2h, 1d12h; at most 90 days.
    #[arg(long = "for", value_name = "DURATION")]
    length: Option<String>,
    /// Why, in one line of at most 200 characters.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who asks for it [default: the user of this terminal].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl Silence {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let store = SqliteStore::open(&config.database()).await?;
        let register = store.snapshot().await?.register;
        let (by, now) = (who(self.by.as_deref())?, clock::now());
        let draft = SilenceDraft {
            all: self.all,
            site: self.site.as_deref(),
            subtree: self.subtree.as_deref(),
            tier: self.tier.as_deref(),
            district: self.district.as_deref(),
            carrier: self.carrier.as_deref(),
            rule: self.rule.as_deref(),
            from: self.from.as_deref(),
            to: self.to.as_deref(),
            length: self.length.as_deref(),
            reason: Some(&self.reason),
        };
        let known = Known { register: &register, plan: &config.plan, zone: &config.timezone, now };
        let silence = draft.read(&by, &known)?;
        if let Err(why) = may_be_added(&store.silences(now).await?) {
            bail!("{why}; {FULL_REMEDY}");
        }
        let id = store.add_silence(&silence).await?;
        store.close().await;
        let rule = silence.rule.map(|rule| format!(", {rule}")).unwrap_or_default();
        let plain = |at: UnixMillis| localtime::plain(at, &config.timezone);
        let (from, to) = (plain(silence.from), plain(silence.to));
        print(format_args!("silence {}: {}{rule}, {from} to {to}\n", id.0, silence.scope))
    }
}

/// List what is not told: silences that hold or are to come, or all.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wan-collector alerts silences --all --format json")]
pub struct Silences {
    /// Also those that are over or ended.
    #[arg(long)]
    all: bool,
    /// How to write the list.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl Silences {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let store = SqliteStore::open_read_only(&config.database()).await?;
        let now = clock::now();
        let after = if self.all { UnixMillis::MIN } else { now };
        let answer = silences(&store.silences(after).await?, self.all, now, &config.timezone);
        if self.format == Format::Json {
            return print(serde_json::to_string(&answer)? + "\n");
        }
        let row = |row: &SilenceRow| {
            vec![
                row.id.to_string(),
                row.of.as_ref().map_or_else(|| row.scope.clone(), |of| format!("{} {of}", row.scope)),
                row.rule.map(|rule| rule.as_str().to_owned()).unwrap_or_default(),
                local(&row.from_local),
                local(&row.to_local),
                row.state.as_str().to_owned(),
                row.reason.clone(),
                row.by.clone(),
                row.ended_local.as_deref().map(local).unwrap_or_default(),
                row.ended_by.clone().unwrap_or_default(),
            ]
        };
        let head = ["id", "scope", "rule", "from", "to", "state", "reason", "by", "ended", "ended by"];
        let summary = format!("{} silences; times are those of {}\n", answer.silences.len(), answer.zone);
        list(self.format, &head, answer.silences.iter().map(row), &summary)
    }
}

/// End silences before their time. What still fires is told within a second.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wan-collector alerts unsilence 7")]
pub struct Unsilence {
    /// Numbers of silences, as `alerts silences` shows them.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<i64>,
    /// Who ends them [default: the user of this terminal].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl Unsilence {
    async fn run(&self, file: &Path) -> anyhow::Result<()> {
        let config = Config::load(file)?;
        let store = SqliteStore::open(&config.database()).await?;
        let (by, now) = (who(self.by.as_deref())?, clock::now());
        let known = store.silences(UnixMillis::MIN).await?;
        for id in self.ids.iter().copied().map(SilenceId) {
            let Some((_, silence)) = known.iter().find(|(known, _)| *known == id) else {
                bail!("there is no silence {}; `wan-collector alerts silences --all` shows all", id.0);
            };
            if !SilenceState::of(silence, now).lasts() {
                bail!("{}", over(id));
            }
        }
        for id in self.ids.iter().copied().map(SilenceId) {
            if !store.end_silence(id, &by, now).await? {
                bail!("somebody else ended silence {} just now", id.0);
            }
            print(format_args!("silence {} is ended\n", id.0))?;
        }
        store.close().await;
        Ok(())
    }
}
