//! What each contract owes and what was kept of it, link by link, with the lines that can be sent to the carrier.

use std::collections::BTreeMap;

use wan_wire::{LinkKind, LinkName, SiteId, UnixMillis};

use super::Frame;
use super::restated::{KeyFigures, Subject};
use super::sites::kind_word;
use super::words::{self, Words};
use crate::config::Contract;
use crate::ledger::cause::Charge;
use crate::ledger::incident::{Incident, incidents};
use crate::ledger::periods::Periods;
use crate::province::SiteNow;
use crate::report::contract::{Account, breaks};
use crate::report::coverage::Standing;
use crate::report::model::{Cell, Column, Kind, Table};
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
}

/// A link's account, where it is under a contract or is promised an uptime.
pub(super) fn line(
    frame: &Frame<'_>,
    site: &SiteNow<'_>,
    name: &LinkName,
    charges: &[Charge],
) -> Option<Line> {
    let entry = site.site.link(name)?;
    let contracts = &frame.province.config().contracts;
    let contract = entry.contract.as_deref().and_then(|id| contracts.iter().find(|known| known.id == id));
    let target = entry.uptime.or(contract.and_then(|contract| contract.uptime));
    if !matches!(name.kind(), LinkKind::Wan | LinkKind::Internet)
        || (entry.contract.is_none() && target.is_none())
    {
        return None;
    }
    let hours = match contract.map_or(HoursOf::All, |contract| contract.hours) {
        HoursOf::All => None,
        HoursOf::Service => Some(&frame.service),
    };
    let timeline = frame.province.timeline(site, Some(name), frame.window)?;
    let planned: Periods = frame.province.planned_of(site, Some(name), frame.window);
    let until = timeline.window.end;
    let told = incidents(charges, until);
    let account = Account::of(name.kind(), &timeline.intervals, charges, &planned, hours);
    let breaks = breaks(name.kind(), &told, charges, &planned, hours);
    Some(Line {
        contract: entry.contract.clone().unwrap_or_default(),
        site: site.site.id.clone(),
        name: site.site.name.clone(),
        link: name.clone(),
        carrier: entry.carrier.clone().or_else(|| contract.and_then(|contract| contract.carrier.clone())),
        target,
        account,
        breaks: breaks.into_iter().map(|(incident, charged)| (incident.clone(), charged)).collect(),
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
        let unknown = contracts.keys().filter(|id| !id.is_empty() && known(frame, id).is_none());
        let unknown = unknown.cloned().collect();
        Self { contracts, unknown }
    }

    /// How many links stand how against their promise.
    pub(super) fn standings(&self) -> (i64, i64, i64) {
        let mut counts = (0, 0, 0);
        for line in self.contracts.values().flatten() {
            match line.account.standing(line.target) {
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
        }
    }

    pub(super) fn tables(&self, frame: &Frame<'_>) -> Vec<Table> {
        vec![self.contracts_table(frame), self.links_table(frame), self.evidence_table(frame)]
    }

    fn contracts_table(&self, frame: &Frame<'_>) -> Table {
        let lang = frame.lang;
        let column = |id: &str, words: Words, kind| Column::new(id, words.in_lang(lang), kind);
        let row = |(id, lines): (&String, &Vec<Line>)| {
            let contract = known(frame, id);
            let account = sum(lines);
            let count = |wanted: Standing| {
                let stand = |line: &&Line| line.account.standing(line.target) == Some(wanted);
                Cell::Count(i64::try_from(lines.iter().filter(stand).count()).unwrap_or(i64::MAX))
            };
            let carrier =
                contract.and_then(|contract| contract.carrier.clone()).or_else(|| common_carrier(lines));
            let standing = worst(lines);
            vec![
                Cell::text(shown_id(id, frame)),
                Cell::text(contract.map_or("", |contract| lang.pick(&contract.name.vi, &contract.name.en))),
                Cell::text(carrier.unwrap_or_default()),
                Cell::text(contract.map_or("", |contract| kind_word(contract.kind, lang))),
                Cell::text(words::hours(contract.map_or(HoursOf::All, |contract| contract.hours), lang)),
                Cell::Count(i64::try_from(lines.len()).unwrap_or(i64::MAX)),
                Cell::share(contract.and_then(|contract| contract.uptime)),
                Cell::share(account.uptime()),
                Cell::share(account.low()),
                Cell::share(account.high()),
                Cell::Duration(account.charged_ms),
                Cell::Duration(account.undecided_ms),
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
                crate::lang::Lang::Vi => format!(" Chưa khai báo trong cấu hình (contracts): {names}."),
                crate::lang::Lang::En => format!(" Not in the configuration (contracts): {names}."),
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
            let standing = account.standing(line.target);
            vec![
                Cell::text(shown_id(&line.contract, frame)),
                Cell::text(line.site.as_str()),
                Cell::text(&line.name),
                Cell::text(line.link.as_str()),
                Cell::text(line.carrier.clone().unwrap_or_default()),
                Cell::share(line.target),
                Cell::share(account.uptime()),
                Cell::share(account.low()),
                Cell::share(account.high()),
                Cell::Duration(account.charged_ms),
                Cell::Duration(account.excused_ms),
                Cell::Duration(account.undecided_ms),
                Cell::Count(i64::try_from(line.breaks.len()).unwrap_or(i64::MAX)),
                Cell::text(standing.map_or("", |standing| words::standing(standing, lang))),
            ]
        };
        Table {
            id: "contract_links",
            name: lang.pick("Hợp đồng theo đường", "Contract links"),
            title: lang
                .pick("Thực hiện hợp đồng theo từng đường truyền", "Contracts, link by link")
                .to_owned(),
            note: words::contract_note(lang).to_owned(),
            columns: vec![
                column("contract", words::CONTRACT, Kind::Text),
                column("site", words::SITE, Kind::Text),
                column("name", words::NAME, Kind::Text),
                column("link", words::LINK, Kind::Text),
                column("carrier", words::CARRIER, Kind::Text),
                column("target", words::PROMISE, Kind::Share),
                column("uptime", words::CONTRACT_UPTIME, Kind::Share),
                column("low", words::LOW, Kind::Share),
                column("high", words::HIGH, Kind::Share),
                column("charged", words::CHARGED, Kind::Duration),
                column("excused", words::EXCUSED, Kind::Duration),
                column("undecided", words::UNDECIDED, Kind::Duration),
                column("outages", words::CHARGED_OUTAGES, Kind::Count),
                column("standing", words::STANDING, Kind::Text),
            ],
            key: &[0, 1, 3],
            rows: self.contracts.values().flatten().map(row).collect(),
            chart: None,
        }
    }

    fn evidence_table(&self, frame: &Frame<'_>) -> Table {
        let lang = frame.lang;
        let column = |id: &str, words: Words, kind| Column::new(id, words.in_lang(lang), kind);
        let mut lines: Vec<(&Line, &Incident, i64)> = Vec::new();
        for line in self.contracts.values().flatten() {
            lines.extend(line.breaks.iter().map(|(incident, charged)| (line, incident, *charged)));
        }
        let all = lines.len();
        lines.sort_by_key(|(_, _, charged)| std::cmp::Reverse(*charged));
        lines.truncate(MOST_LINES);
        lines.sort_by(|a, b| {
            let key =
                |(line, incident, _): &(&Line, &Incident, i64)| -> (String, SiteId, LinkName, UnixMillis) {
                    (line.contract.clone(), line.site.clone(), line.link.clone(), incident.start)
                };
            key(a).cmp(&key(b))
        });
        let row = |(line, incident, charged): &(&Line, &Incident, i64)| {
            let end = if incident.ongoing { Cell::Empty } else { Cell::Instant(incident.end) };
            vec![
                Cell::text(shown_id(&line.contract, frame)),
                Cell::text(line.site.as_str()),
                Cell::text(&line.name),
                Cell::text(line.link.as_str()),
                Cell::text(line.carrier.clone().unwrap_or_default()),
                Cell::Instant(incident.start),
                end,
                Cell::Duration(*charged),
                Cell::text(incident.rule.sentence(lang)),
                Cell::text(incident.scene.evidence(lang)),
            ]
        };
        let mut note = words::evidence_note(lang).to_owned();
        if all > MOST_LINES {
            note.push_str(&match lang {
                crate::lang::Lang::Vi => format!(" Liệt kê {MOST_LINES} lần dài nhất trong số {all} lần."),
                crate::lang::Lang::En => format!(" The {MOST_LINES} longest of {all} are listed."),
            });
        }
        Table {
            id: "evidence",
            name: lang.pick("Bằng chứng gửi nhà mạng", "Evidence for carriers"),
            title: lang
                .pick("Các lần mất kết nối tính cho nhà mạng", "Outages that are charged to carriers")
                .to_owned(),
            note,
            columns: vec![
                column("contract", words::CONTRACT, Kind::Text),
                column("site", words::SITE, Kind::Text),
                column("name", words::NAME, Kind::Text),
                column("link", words::LINK, Kind::Text),
                column("carrier", words::CARRIER, Kind::Text),
                column("from", words::STARTED, Kind::Instant),
                column("to", words::ENDED, Kind::Instant),
                column("charged", words::CHARGED, Kind::Duration),
                column("rule", words::RULE, Kind::Prose),
                column("evidence", words::EVIDENCE, Kind::Prose),
            ],
            key: &[0, 1, 3, 5],
            rows: lines.iter().map(row).collect(),
            chart: None,
        }
    }
}

fn known<'f>(frame: &'f Frame<'_>, id: &str) -> Option<&'f Contract> {
    frame.province.config().contracts.iter().find(|contract| contract.id == id)
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

/// Missed where one link is, else undecided where one is.
fn worst(lines: &[Line]) -> Option<Standing> {
    let standings = lines.iter().filter_map(|line| line.account.standing(line.target));
    standings.max_by_key(|standing| match standing {
        Standing::Met => 0,
        Standing::Undecided => 1,
        Standing::Missed => 2,
    })
}
