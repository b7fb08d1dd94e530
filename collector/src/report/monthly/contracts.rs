//! What each contract owes and what was kept of it, link by link, with the lines that can be sent to the carrier.

use std::collections::BTreeMap;

use wan_wire::{LinkName, SiteId, UnixMillis};

use super::Frame;
use super::quality::{self, Promise};
use super::restated::{KeyFigures, Subject};
use super::sites::kind_word;
use super::words::{self, Words};
use crate::lang::Lang;
use crate::ledger::cause::Charge;
use crate::ledger::incident::{Incident, incidents};
use crate::ledger::periods::Periods;
use crate::province::SiteNow;
use crate::report::contract::{self, Account, Promised, breaks};
use crate::report::coverage::Standing;
use crate::report::model::{Cell, Column, Kind, Table};
use crate::report::quality::{Limit, Limits, Run, Tally};
use crate::report::uptime::HoursOf;

/// Most lines of evidence in a report; those with the most time are kept, and the note says how many there are.
const MOST_LINES: usize = 50_000;

/// One link under a contract.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// The contract's id; empty: the register promises an uptime and names no contract.
    contract: String,
    site: SiteId,
    name: String,
    link: LinkName,
    carrier: Option<String>,
    target: Option<f64>,
    account: Account,
    breaks: Vec<(Incident, i64)>,
    /// `None`: nothing is promised of quality.
    quality: Option<Promise>,
}

impl Line {
    /// Contract, site, name, link and carrier.
    fn named(&self, frame: &Frame<'_>) -> [Cell; 5] {
        [
            Cell::text(shown_id(&self.contract, frame)),
            Cell::text(self.site.as_str()),
            Cell::text(&self.name),
            Cell::text(self.link.as_str()),
            Cell::text(self.carrier.clone().unwrap_or_default()),
        ]
    }

    /// How it stands against the uptime that is promised.
    fn uptime_standing(&self) -> Option<Standing> {
        self.account.standing(self.target)
    }

    fn quality_standing(&self, limit: Limit) -> Option<Standing> {
        self.quality?.standing(limit)
    }

    /// How it stands against everything that is promised and could be measured: as it does against the worst kept of it.
    fn standing(&self) -> Option<Standing> {
        let quality = Limit::ALL.map(|limit| self.quality_standing(limit));
        worst(quality.into_iter().chain([self.uptime_standing()]).flatten())
    }
}

/// A link's account, where it is under a contract or is promised an uptime.
pub(super) fn line(
    frame: &Frame<'_>,
    site: &SiteNow<'_>,
    name: &LinkName,
    charges: &[Charge],
) -> Option<Line> {
    let config = frame.province.config();
    let promised = Promised::of(config, site.site, name)?;
    let hours = match promised.hours {
        HoursOf::All => None,
        HoursOf::Service => Some(&frame.service),
    };
    let timeline = frame.province.timeline(site, Some(name), frame.window)?;
    let planned: Periods = frame.province.planned_of(site, Some(name), frame.window);
    let until = timeline.window.end;
    let told = incidents(charges, until);
    let account = Account::of(name.kind(), &timeline.intervals, charges, &planned, hours);
    let breaks = breaks(name.kind(), &told, charges, &planned, hours);
    let measured = frame.quality.link(&site.site.id, name).and_then(|quality| quality.counted);
    let promise = |limits| Promise { limits, tally: measured.unwrap_or_default() };
    Some(Line {
        contract: promised.contract.to_owned(),
        site: site.site.id.clone(),
        name: site.site.name.clone(),
        link: name.clone(),
        carrier: promised.carrier.map(str::to_owned),
        target: promised.uptime,
        account,
        breaks: breaks.into_iter().map(|(incident, charged)| (incident.clone(), charged)).collect(),
        quality: contract::of_link(config, site.site, name).and_then(Limits::of).map(promise),
    })
}

/// The links under each contract.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    contracts: BTreeMap<String, Vec<Line>>,
    /// Contracts that links name and the configuration does not.
    pub(super) unknown: Vec<String>,
}

impl Accounts {
    pub(super) fn of(frame: &Frame<'_>, lines: Vec<Line>) -> Self {
        let mut contracts: BTreeMap<String, Vec<Line>> = BTreeMap::new();
        for line in lines {
            contracts.entry(line.contract.clone()).or_default().push(line);
        }
        let config = frame.province.config();
        let unknown = contracts.keys().filter(|id| !id.is_empty() && config.contract(id).is_none());
        let unknown = unknown.cloned().collect();
        Self { contracts, unknown }
    }

    /// How many links stand how against their promise.
    pub(super) fn standings(&self) -> (i64, i64, i64) {
        let mut counts = (0, 0, 0);
        for line in self.contracts.values().flatten() {
            match line.standing() {
                Some(Standing::Met) => counts.0 += 1,
                Some(Standing::Missed) => counts.1 += 1,
                Some(Standing::Undecided) => counts.2 += 1,
                None => {}
            }
        }
        counts
    }

    pub(super) fn is_empty(&self) -> bool {
        self.contracts.is_empty()
    }

    pub(super) fn figures(&self, figures: &mut KeyFigures) {
        for (id, lines) in &self.contracts {
            let subject = Subject::Contract(id.clone());
            figures.account(&subject, &sum(lines));
            figures.quality(&subject, &measured(lines));
        }
    }

    pub(super) fn tables(&self, frame: &Frame<'_>) -> Vec<Table> {
        vec![
            self.contracts_table(frame),
            self.links_table(frame),
            self.quality_table(frame),
            self.evidence_table(frame),
        ]
    }

    fn contracts_table(&self, frame: &Frame<'_>) -> Table {
        let lang = frame.lang;
        let column = |id: &str, words: Words, kind| Column::new(id, words.in_lang(lang), kind);
        let row = |(id, lines): (&String, &Vec<Line>)| {
            let contract = frame.province.config().contract(id);
            let account = sum(lines);
            let count = |wanted: Standing| {
                Cell::count(lines.iter().filter(|line| line.standing() == Some(wanted)).count())
            };
            let over = |limit: Limit| {
                let promised =
                    lines.iter().filter(|line| line.quality.is_some_and(|quality| quality.promises(limit)));
                let over = |line: &&Line| line.quality_standing(limit) == Some(Standing::Missed);
                if promised.clone().next().is_none() {
                    Cell::Empty
                } else {
                    Cell::count(promised.filter(over).count())
                }
            };
            let carrier =
                contract.and_then(|contract| contract.carrier.clone()).or_else(|| common_carrier(lines));
            let standing = worst(lines.iter().filter_map(Line::standing));
            vec![
                Cell::text(shown_id(id, frame)),
                Cell::text(contract.map_or("", |contract| lang.pick(&contract.name.vi, &contract.name.en))),
                Cell::text(carrier.unwrap_or_default()),
                Cell::text(contract.map_or("", |contract| kind_word(contract.kind, lang))),
                Cell::text(words::hours(contract.map_or(HoursOf::All, |contract| contract.hours), lang)),
                Cell::count(lines.len()),
                Cell::share(contract.and_then(|contract| contract.uptime)),
                Cell::share(account.uptime()),
                Cell::share(account.low()),
                Cell::share(account.high()),
                Cell::Duration(account.charged_ms),
                Cell::Duration(account.undecided_ms),
                over(Limit::Rtt),
                over(Limit::Loss),
                count(Standing::Met),
                count(Standing::Missed),
                count(Standing::Undecided),
                Cell::text(standing.map_or("", |standing| words::standing(standing, lang))),
            ]
        };
        let mut note = words::contract_note(lang).to_owned();
        if !self.unknown.is_empty() {
            let names = self.unknown.join(", ");
            note.push_str(&match lang {
                Lang::Vi => format!(" Chưa khai báo trong cấu hình (contracts): {names}."),
                Lang::En => format!(" Not in the configuration (contracts): {names}."),
            });
        }
        Table {
            id: "contracts",
            name: lang.pick("Hợp đồng", "Contracts"),
            title: lang.pick("Thực hiện hợp đồng với nhà mạng", "Contracts with carriers").to_owned(),
            note,
            columns: vec![
                column("contract", words::CONTRACT, Kind::Text),
                column("name", words::CONTRACT_NAME, Kind::Text),
                column("carrier", words::CARRIER, Kind::Text),
                column("kind", words::KIND, Kind::Text),
                column("hours", words::HOURS, Kind::Text),
                column("links", words::LINKS, Kind::Count),
                column("target", words::PROMISE, Kind::Share),
                column("uptime", words::CONTRACT_UPTIME, Kind::Share),
                column("low", words::LOW, Kind::Share),
                column("high", words::HIGH, Kind::Share),
                column("charged", words::CHARGED, Kind::Duration),
                column("undecided", words::UNDECIDED, Kind::Duration),
                column("links_over_rtt", words::OVER_RTT, Kind::Count),
                column("links_over_loss", words::OVER_LOSS, Kind::Count),
                column("links_met", words::LINKS_MET, Kind::Count),
                column("links_missed", words::LINKS_MISSED, Kind::Count),
                column("links_undecided", words::LINKS_UNDECIDED, Kind::Count),
                column("standing", words::STANDING, Kind::Text),
            ],
            key: &[0],
            rows: self.contracts.iter().map(row).collect(),
            chart: None,
        }
    }

    fn links_table(&self, frame: &Frame<'_>) -> Table {
        let lang = frame.lang;
        let column = |id: &str, words: Words, kind| Column::new(id, words.in_lang(lang), kind);
        let row = |line: &Line| {
            let account = &line.account;
            let standing = line.uptime_standing();
            let mut row = line.named(frame).to_vec();
            row.extend([
                Cell::share(line.target),
                Cell::share(account.uptime()),
                Cell::share(account.low()),
                Cell::share(account.high()),
                Cell::Duration(account.charged_ms),
                Cell::Duration(account.excused_ms),
                Cell::Duration(account.undecided_ms),
                Cell::count(line.breaks.len()),
                Cell::text(standing.map_or("", |standing| words::standing(standing, lang))),
            ]);
            row
        };
        Table {
            id: "contract_links",
            name: lang.pick("Hợp đồng theo đường", "Contract links"),
            title: lang
                .pick("Thực hiện hợp đồng theo từng đường truyền", "Contracts, link by link")
                .to_owned(),
            note: words::contract_note(lang).to_owned(),
            columns: named_columns(
                lang,
                [
                    column("target", words::PROMISE, Kind::Share),
                    column("uptime", words::CONTRACT_UPTIME, Kind::Share),
                    column("low", words::LOW, Kind::Share),
                    column("high", words::HIGH, Kind::Share),
                    column("charged", words::CHARGED, Kind::Duration),
                    column("excused", words::EXCUSED, Kind::Duration),
                    column("undecided", words::UNDECIDED, Kind::Duration),
                    column("outages", words::CHARGED_OUTAGES, Kind::Count),
                    column("standing", words::UPTIME_STANDING, Kind::Text),
                ],
            ),
            key: &[0, 1, 3],
            rows: self.contracts.values().flatten().map(row).collect(),
            chart: None,
        }
    }

    fn quality_table(&self, frame: &Frame<'_>) -> Table {
        let lang = frame.lang;
        let column = |id: &str, words: Words, kind| Column::new(id, words.in_lang(lang), kind);
        let row = |line: &Line| {
            let promise = line.quality?;
            let mut row = line.named(frame).to_vec();
            row.push(Cell::Count(i64::from(promise.tally.hours)));
            row.extend(promise.cells(Limit::Rtt, lang));
            row.extend(promise.cells(Limit::Loss, lang));
            Some(row)
        };
        Table {
            id: "contract_quality",
            name: lang.pick("Chất lượng theo hợp đồng", "Contract quality"),
            title: lang
                .pick(
                    "Độ trễ và mất gói so với cam kết của hợp đồng",
                    "Round-trip time and loss against contracts",
                )
                .to_owned(),
            note: words::contract_quality_note(lang).to_owned(),
            columns: named_columns(
                lang,
                [
                    column("hours_measured", words::HOURS_MEASURED, Kind::Count),
                    column("rtt_limit_ms", words::RTT_LIMIT, Kind::Number),
                    column("rtt_mean_ms", words::RTT_MEAN, Kind::Number),
                    column("rtt_standing", words::RTT_STANDING, Kind::Text),
                    column("loss_limit", words::LOSS_LIMIT, Kind::Share),
                    column("loss_while_up", words::LOSS_WHILE_UP, Kind::Share),
                    column("loss_standing", words::LOSS_STANDING, Kind::Text),
                ],
            ),
            key: &[0, 1, 3],
            rows: self.contracts.values().flatten().filter_map(row).collect(),
            chart: None,
        }
    }

    fn evidence_table(&self, frame: &Frame<'_>) -> Table {
        let lang = frame.lang;
        let column = |id: &str, words: Words, kind| Column::new(id, words.in_lang(lang), kind);
        let (lines, all) = self.evidence(frame);
        let row = |(line, fact): &(&Line, Fact<'_>)| {
            let mut row = line.named(frame).to_vec();
            row.extend(fact.cells(line, frame));
            row
        };
        let mut note = words::evidence_note(lang).to_owned();
        if all > MOST_LINES {
            note.push_str(&match lang {
                Lang::Vi => format!(" Liệt kê {MOST_LINES} dòng trong số {all}: các lần mất kết nối trước, lần dài nhất trước."),
                Lang::En => format!(" {MOST_LINES} of {all} are listed: outages first, and the longest."),
            });
        }
        Table {
            id: "evidence",
            name: lang.pick("Bằng chứng gửi nhà mạng", "Evidence for carriers"),
            title: lang
                .pick(
                    "Các lần mất kết nối và vượt mức cam kết tính cho nhà mạng",
                    "What carriers are charged with",
                )
                .to_owned(),
            note,
            columns: named_columns(
                lang,
                [
                    column("what", words::WHAT, Kind::Text),
                    column("from", words::STARTED, Kind::Instant),
                    column("to", words::ENDED, Kind::Instant),
                    column("charged", words::CHARGED, Kind::Duration),
                    column("rule", words::RULE, Kind::Prose),
                    column("evidence", words::EVIDENCE, Kind::Prose),
                ],
            ),
            key: &[0, 1, 3, 5, 6],
            rows: lines.iter().map(row).collect(),
            chart: None,
        }
    }

    /// The lines that are listed, by link and time, and how many there are in all.
    fn evidence<'f>(&'f self, frame: &Frame<'f>) -> (Vec<(&'f Line, Fact<'f>)>, usize) {
        let exceeded = quality::exceeded(frame);
        let mut lines: Vec<(&Line, Fact<'_>)> = Vec::new();
        for line in self.contracts.values().flatten() {
            lines.extend(
                line.breaks.iter().map(|(incident, charged)| (line, Fact::Outage(incident, *charged))),
            );
            let runs = exceeded.get(&(&line.site, &line.link)).into_iter().flatten();
            lines.extend(runs.map(|run| (line, Fact::Exceeded(run))));
        }
        // Those that were left out when the hours were read are among them.
        let unread = frame.quality.all_exceeded.saturating_sub(frame.quality.exceeded.len());
        let all = lines.len().saturating_add(unread);
        if lines.len() > MOST_LINES {
            lines.sort_by_key(|(_, fact)| fact.rank());
            lines.truncate(MOST_LINES);
        }
        let key = |(line, fact): &(&Line, Fact<'_>)| -> (String, SiteId, LinkName, UnixMillis, u8) {
            (line.contract.clone(), line.site.clone(), line.link.clone(), fact.start(), fact.order())
        };
        lines.sort_by_cached_key(key);
        (lines, all)
    }
}

/// What a line of evidence tells.
#[derive(Debug, Clone, Copy)]
enum Fact<'f> {
    /// An outage, and how many milliseconds of it are charged to the carrier.
    Outage(&'f Incident, i64),
    /// Hours over a limit.
    Exceeded(&'f Run),
}

impl Fact<'_> {
    /// Of facts that begin together, which is told first.
    const fn order(&self) -> u8 {
        match self {
            Self::Outage(_, _) => 0,
            Self::Exceeded(run) => match run.limit {
                Limit::Rtt => 1,
                Limit::Loss => 2,
            },
        }
    }

    /// What is listed first where not all are: outages before hours over a limit, then the longer.
    fn rank(&self) -> (u8, std::cmp::Reverse<i64>) {
        match self {
            Self::Outage(_, charged) => (0, std::cmp::Reverse(*charged)),
            Self::Exceeded(run) => (1, std::cmp::Reverse(run.end.millis_since(run.start))),
        }
    }

    fn start(&self) -> UnixMillis {
        match self {
            Self::Outage(incident, _) => incident.start,
            Self::Exceeded(run) => run.start,
        }
    }

    fn cells(&self, line: &Line, frame: &Frame<'_>) -> [Cell; 6] {
        let lang = frame.lang;
        match self {
            Self::Outage(incident, charged) => [
                Cell::text(words::BAD_DOWN.in_lang(lang)),
                Cell::Instant(incident.start),
                if incident.ongoing { Cell::Empty } else { Cell::Instant(incident.end) },
                Cell::Duration(*charged),
                Cell::text(incident.rule.sentence(lang)),
                Cell::text(incident.scene.evidence(lang)),
            ],
            Self::Exceeded(run) => [
                Cell::text(quality::what(run.limit).in_lang(lang)),
                Cell::Instant(run.start),
                Cell::Instant(run.end),
                Cell::Empty,
                Cell::text(
                    line.quality
                        .map_or_else(String::new, |promise| quality::why(promise.limits, run.limit, lang)),
                ),
                Cell::text(quality::evidence(frame, run)),
            ],
        }
    }
}

/// The columns of [`Line::named`], and more.
fn named_columns(lang: Lang, more: impl IntoIterator<Item = Column>) -> Vec<Column> {
    let named = [
        ("contract", words::CONTRACT),
        ("site", words::SITE),
        ("name", words::NAME),
        ("link", words::LINK),
        ("carrier", words::CARRIER),
    ];
    let named = named.map(|(id, words)| Column::new(id, words.in_lang(lang), Kind::Text));
    named.into_iter().chain(more).collect()
}

/// A contract's id, or that there is none.
pub(super) fn shown_id(id: &str, frame: &Frame<'_>) -> String {
    if id.is_empty() { frame.lang.pick("(không ghi)", "(none named)").to_owned() } else { id.to_owned() }
}

fn sum(lines: &[Line]) -> Account {
    let mut account = Account::default();
    lines.iter().for_each(|line| account.add(&line.account));
    account
}

/// The carrier that all of the links have.
fn common_carrier(lines: &[Line]) -> Option<String> {
    let first = lines.first()?.carrier.clone()?;
    lines.iter().all(|line| line.carrier.as_ref() == Some(&first)).then_some(first)
}

/// What was measured of all of the links that are promised quality.
fn measured(lines: &[Line]) -> Tally {
    let mut tally = Tally::default();
    lines.iter().filter_map(|line| line.quality).for_each(|promise| tally.add(&promise.tally));
    tally
}

/// Missed where one is, else undecided where one is.
fn worst(standings: impl Iterator<Item = Standing>) -> Option<Standing> {
    standings.max_by_key(|standing| match standing {
        Standing::Met => 0,
        Standing::Undecided => 1,
        Standing::Missed => 2,
    })
}
