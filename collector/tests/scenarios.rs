//! Runs every text scenario in `tests/scenarios/`: what happened in a few lines, and the rows that must follow.
//!
//! A scenario reads like a log; `tests/scenarios/README.md` describes the format. `SCENARIO_PRINT=1` prints what each
//! expectation gives now (with `--nocapture`), to be read, judged and pasted.
//!
//! Beside its expectations every scenario is run with its rounds in reverse and with each of them twice: the evidence must be
//! identical.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use wan_collector::ledger::span::{Periods, Spans};
use wan_collector::ledger::timeline::{Basis, Interval, LinkView, SiteView, State, Timeline, Window};
use wan_collector::report::coverage::{Coverage, Row, TierTarget};
use wan_collector::report::uptime::Uptime;
use wan_collector::verdict::{Facts, SILENCE_LIMIT, rounds_hold, silence_limit, standing};
use wan_wire::{LinkKind, LinkName, Outcome, UnixMillis};

/// A wrong scenario is a failure like a wrong result: what is wrong, to be shown with file and line.
type Told<T> = Result<T, String>;

#[test]
fn every_scenario_gives_the_rows_it_expects() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the scenarios' folder")
        .map(|entry| entry.expect("an entry of the scenarios' folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    assert!(files.len() >= 10, "only {} scenarios in {}", files.len(), folder.display());
    let mut wrong = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).expect("a scenario");
        let name = file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(file).display().to_string();
        wrong.extend(run(&name, &text));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_mistake_in_a_scenario_is_named_by_line() {
    let text = "site a commune state\nrounds a wan 08:00..08:10 upp\nrounds b wan 08:00..08:10 up\n";
    let wrong = run("x.txt", text);
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].starts_with("x.txt:2: outcome `upp`"), "{}", wrong[0]);
    assert!(wrong[1].starts_with("x.txt:3: no site `b`"), "{}", wrong[1]);
    let text = "site a commune state\nexpect timeline a over 08:00..08:10\n  08:00:00 08:10:00 up\n";
    assert!(run("x.txt", text)[0].starts_with("x.txt:3: expected `08:00:00 08:10:00 up`"));
}

/// Every deviation, as `file:line: what`.
fn run(name: &str, text: &str) -> Vec<String> {
    let print = std::env::var_os("SCENARIO_PRINT").is_some();
    let mut wrong = Vec::new();
    let mut scenario = match Scenario::new() {
        Ok(scenario) => scenario,
        Err(problem) => return vec![problem],
    };
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    while at < lines.len() {
        let number = at + 1;
        let words: Vec<&str> = content(lines[at]).split_whitespace().collect();
        at += 1;
        if words.first() != Some(&"expect") {
            wrong.extend(scenario.tell(&words).err().map(|problem| format!("{name}:{number}: {problem}")));
            continue;
        }
        let first = at;
        while at < lines.len() && lines[at].starts_with(' ') {
            at += 1;
        }
        let rows = (first..at).map(|row| (row + 1, squeeze(content(lines[row]))));
        let expected: Vec<(usize, String)> = rows.filter(|(_, row)| !row.is_empty()).collect();
        let evidence = scenario.evidence(scenario.rounds.iter());
        match scenario.ask(&evidence, &words[1..]) {
            Err(problem) => wrong.push(format!("{name}:{number}: {problem}")),
            Ok(actual) => {
                if print {
                    println!("{name}:{number}: {}", words.join(" "));
                    actual.iter().for_each(|row| println!("  {row}"));
                }
                wrong.extend(compare(name, number, &expected, &actual));
            }
        }
    }
    let twice = scenario.rounds.iter().rev().flat_map(|round| [round, round]);
    if scenario.evidence(twice) != scenario.evidence(scenario.rounds.iter()) {
        wrong.push(format!("{name}: the rounds in reverse and twice give other evidence"));
    }
    wrong
}

fn compare(name: &str, number: usize, expected: &[(usize, String)], actual: &[String]) -> Option<String> {
    let rows = expected.len().max(actual.len());
    let differs =
        |&row: &usize| expected.get(row).map(|e| &e.1) != actual.get(row).map(|a| squeeze(a)).as_ref();
    let row = (0..rows).find(differs)?;
    let line = expected.get(row).map_or(number, |e| e.0);
    let expected = expected.get(row).map_or("no more rows", |e| &e.1);
    let found = actual.get(row).map_or("no more rows", String::as_str);
    let mut text = format!("{name}:{line}: expected `{expected}`, found `{found}`; all of it:");
    for row in actual {
        let _ = write!(text, "\n  {row}");
    }
    Some(text)
}

fn content(line: &str) -> &str {
    line.split('#').next().unwrap_or("")
}

fn squeeze(row: &str) -> String {
    row.split_whitespace().collect::<Vec<_>>().join(" ")
}

// ---------------------------------------------------------------------------------------------- what happened

struct Scenario {
    zone: TimeZone,
    day: Date,
    now: Option<UnixMillis>,
    required: Vec<LinkKind>,
    plan: Vec<(String, f64)>,
    sites: BTreeMap<String, Site>,
    rounds: Vec<Round>,
    stopped: Vec<Window>,
    planned: Vec<(String, Window)>,
}

struct Site {
    tier: String,
    branch: String,
    from: UnixMillis,
    to: Option<UnixMillis>,
    secret: Option<UnixMillis>,
    heard: Option<UnixMillis>,
    parent_cut_off: Option<UnixMillis>,
}

struct Round {
    /// Site, link, vantage (the site's own name: its own agent).
    line: (String, LinkName, String),
    window: Window,
    outcome: Outcome,
}

type Evidence = BTreeMap<(String, LinkName, String), Spans>;

impl Scenario {
    fn new() -> Told<Self> {
        Ok(Self {
            zone: zone("Asia/Ho_Chi_Minh")?,
            day: Date::constant(2026, 11, 2),
            now: None,
            required: vec![LinkKind::Lan, LinkKind::Wan, LinkKind::Internet],
            plan: Vec::new(),
            sites: BTreeMap::new(),
            rounds: Vec::new(),
            stopped: Vec::new(),
            planned: Vec::new(),
        })
    }

    /// Takes one line of what happened.
    fn tell(&mut self, words: &[&str]) -> Told<()> {
        match words {
            [] => {}
            ["zone", name] => self.zone = zone(name)?,
            ["day", day] => self.day = day.parse().map_err(|e| format!("day `{day}`: {e}"))?,
            ["now", rest @ ..] => self.now = Some(self.instant(&rest.join(" "))?),
            ["require", kinds @ ..] => self.required = kinds.iter().map(|k| kind(k)).collect::<Told<_>>()?,
            ["plan", tier, share] => self.plan.push(((*tier).to_owned(), percent(share)?)),
            ["site", id, tier, branch, rest @ ..] => {
                let mut site = Site {
                    tier: (*tier).to_owned(),
                    branch: (*branch).to_owned(),
                    from: self.instant("2026-01-01")?,
                    to: None,
                    secret: None,
                    heard: None,
                    parent_cut_off: None,
                };
                for (key, value) in pairs(rest)? {
                    match key {
                        "from" => site.from = self.instant(value)?,
                        "to" => site.to = Some(self.instant(value)?),
                        "secret" => site.secret = Some(self.instant(value)?),
                        _ => return Err(format!("`{key}`: expected from, to or secret")),
                    }
                }
                self.sites.insert((*id).to_owned(), site);
            }
            ["rounds", id, link, window, outcome, rest @ ..] => {
                self.site(id)?;
                let link = LinkName::parse(link).map_err(|e| e.to_string())?;
                let (mut by, mut every) = (*id, 5);
                for (key, value) in pairs(rest)? {
                    match key {
                        "by" => by = value,
                        "every" => {
                            let seconds = value.strip_suffix('s').and_then(|s| s.parse().ok());
                            every = seconds.ok_or(format!("`{value}`: expected seconds, as in 5s"))?;
                        }
                        "target" => {}
                        _ => return Err(format!("`{key}`: expected by, every or target")),
                    }
                }
                let outcome = Outcome::from_word(outcome)
                    .ok_or(format!("outcome `{outcome}`: expected fault, down, degraded or up"))?;
                let whole = self.window(window)?;
                let mut start = whole.start;
                while start < whole.end {
                    let end = start.plus(Duration::from_secs(every)).min(whole.end);
                    let line = ((*id).to_owned(), link.clone(), by.to_owned());
                    self.rounds.push(Round { line, window: Window::new(start, end), outcome });
                    start = end;
                }
            }
            ["collector", "stopped", window] => self.stopped.push(self.window(window)?),
            ["planned", id, window] => {
                self.site(id)?;
                self.planned.push(((*id).to_owned(), self.window(window)?));
            }
            ["heard", id, at] => {
                let at = self.instant(at)?;
                self.site_mut(id)?.heard = Some(at);
            }
            ["parent-cut-off", id, at] => {
                let at = self.instant(at)?;
                self.site_mut(id)?.parent_cut_off = Some(at);
            }
            [word, ..] => return Err(format!("`{word}`: not a line that a scenario knows, or not complete")),
        }
        Ok(())
    }

    fn evidence<'a>(&self, rounds: impl Iterator<Item = &'a Round>) -> Evidence {
        let mut evidence = Evidence::new();
        for round in rounds {
            let spans = evidence.entry(round.line.clone()).or_default();
            spans.paint(round.window.start, round.window.end, round.outcome);
        }
        evidence
    }

    fn site(&self, id: &str) -> Told<&Site> {
        self.sites.get(id).ok_or_else(|| format!("no site `{id}` so far"))
    }

    fn site_mut(&mut self, id: &str) -> Told<&mut Site> {
        self.sites.get_mut(id).ok_or_else(|| format!("no site `{id}` so far"))
    }

    // ------------------------------------------------------------------------------------------ what follows

    /// The rows that an `expect` line asks for.
    fn ask(&self, evidence: &Evidence, words: &[&str]) -> Told<Vec<String>> {
        let now = self.now()?;
        let running = self.running(now);
        let basis = |hold| Basis { now, running: &running, hold, required: &self.required };
        let views: BTreeMap<&str, SiteView<'_>> =
            self.sites.iter().map(|(id, site)| (id.as_str(), self.view(id, site, evidence))).collect();
        let find = |id: &str| views.get(id).ok_or_else(|| format!("no site `{id}`"));
        match words {
            [what @ ("timeline" | "uptime"), id, rest @ ..] => {
                let (link, rest) = match rest {
                    [link, rest @ ..] if *link != "over" => (Some(*link), rest),
                    rest => (None, rest),
                };
                let ["over", window] = rest else {
                    return Err("expected `over` and a window at the end".to_owned());
                };
                let (site, window, basis) = (find(id)?, self.window(window)?, basis(Duration::ZERO));
                let timeline = match link {
                    None => Timeline::of_site(site, &basis, window),
                    Some(name) => {
                        let name = LinkName::parse(name).map_err(|e| e.to_string())?;
                        let link = links(id, evidence).position(|link| link == name);
                        let link = link.ok_or_else(|| format!("site `{id}` has no link `{name}`"))?;
                        Timeline::of_link(site, &site.links[link], &basis, window)
                    }
                };
                if *what == "timeline" {
                    return Ok(timeline.intervals.iter().map(|i| self.interval(i)).collect());
                }
                let planned = self.planned.iter().filter(|planned| planned.0 == **id);
                let planned = planned.map(|(_, window)| (window.start, window.end)).collect();
                Ok(self.figures(&Uptime::of(&timeline, &planned)))
            }
            ["coverage", how @ ("over" | "at"), when] => {
                let sites: Vec<SiteView<'_>> = views.into_values().collect();
                let plan = self.plan.iter().map(|(tier, share)| TierTarget { tier, target: Some(*share) });
                let plan: Vec<_> = plan.collect();
                let coverage = if *how == "at" {
                    Coverage::at(&sites, &plan, &basis(SILENCE_LIMIT), self.instant(when)?)
                } else {
                    Coverage::over(&sites, &plan, &basis(Duration::ZERO), self.window(when)?)
                };
                let rows = coverage.cells.iter().chain(&coverage.tiers).chain([&coverage.total]);
                Ok(rows.map(|row| coverage_row(&coverage, row)).collect())
            }
            ["verdict", id] => {
                let site = self.site(id)?;
                let facts = Facts {
                    enrolled: site.secret,
                    planned: self
                        .planned
                        .iter()
                        .find(|(of, window)| of == id && window.start <= now && now < window.end)
                        .map(|(_, window)| window.start),
                    last_push: site.heard,
                    parent_cut_off: site.parent_cut_off,
                    hears_since: running.as_slice().last().map(|period| period.start),
                    silence_limit: silence_limit(
                        SILENCE_LIMIT,
                        self.last_round(|(of, _, by)| of == id && by == id),
                    ),
                };
                let standing = standing(find(id)?, &facts, &basis(SILENCE_LIMIT));
                Ok(vec![format!(
                    "{} since {} {}",
                    standing.verdict.as_str(),
                    self.clock(standing.since),
                    word(&standing.rule)
                )])
            }
            _ => {
                Err("expected a timeline, uptime, coverage or verdict, of what and over which window"
                    .to_owned())
            }
        }
    }

    /// The length of the last round of the lines that are wanted.
    fn last_round(&self, wanted: impl Fn(&(String, LinkName, String)) -> bool) -> Option<Duration> {
        let last =
            self.rounds.iter().filter(|round| wanted(&round.line)).max_by_key(|round| round.window.end);
        last.map(|round| round.window.end.since(round.window.start))
    }

    fn view<'a>(&self, id: &'a str, site: &'a Site, evidence: &'a Evidence) -> SiteView<'a> {
        let mut view = view(id, site, evidence);
        for (name, link) in links(id, evidence).zip(&mut view.links) {
            let by = evidence.keys().filter(|key| key.0 == id && key.1 == name);
            let rounds = by.filter_map(|key| self.last_round(|line| line == key));
            link.hold = rounds_hold(rounds.max().unwrap_or_default());
        }
        view
    }

    /// The present: as told, else an hour after the last round.
    fn now(&self) -> Told<UnixMillis> {
        let last = self.rounds.iter().map(|round| round.window.end).max();
        Ok(match (self.now, last) {
            (Some(now), _) => now,
            (None, Some(last)) => last.plus(Duration::from_secs(3600)),
            (None, None) => self.instant("23:59:59")?,
        })
    }

    /// When the collector ran: always, but when it was stopped.
    fn running(&self, now: UnixMillis) -> Periods {
        let mut stopped: Vec<_> = self.stopped.iter().map(|stop| (stop.start, stop.end)).collect();
        stopped.sort_unstable();
        let mut running = Periods::new();
        let mut from = UnixMillis(0);
        for (start, end) in stopped {
            running.add(from, start);
            from = from.max(end);
        }
        running.add(from, now);
        running
    }

    fn interval(&self, interval: &Interval) -> String {
        let state = match interval.state {
            State::Up => "up".to_owned(),
            State::Degraded => "degraded".to_owned(),
            State::Down => "down".to_owned(),
            State::Unknown(why) => format!("unknown {}", word(&why)),
        };
        format!("{}  {}  {state}", self.clock(interval.start), self.clock(interval.end))
    }

    fn figures(&self, figures: &Uptime) -> Vec<String> {
        let d = &figures.durations;
        let mut times = format!(
            "up {}  degraded {}  down {}  unknown {}",
            length(d.up_ms),
            length(d.degraded_ms),
            length(d.down_ms),
            length(d.unknown_ms)
        );
        if d.planned_ms > 0 {
            let _ = write!(times, "  planned {}", length(d.planned_ms));
        }
        let ratios = format!(
            "uptime {}  availability {}  observed {}  low {}  high {}",
            share(figures.uptime),
            share(figures.availability),
            share(figures.observed_share),
            share(figures.low),
            share(figures.high)
        );
        let mut outages = format!("outages {}", figures.outages);
        if let Some(longest) = figures.longest_outage {
            let _ =
                write!(outages, "  longest {} from {}", length(longest.down_ms), self.clock(longest.start));
        }
        vec![times, ratios, outages]
    }

    // ------------------------------------------------------------------------------------------ time, in the zone

    /// `08:00`, `08:00:05` on the scenario's day; `2026-11-03` its midnight; `2026-11-03T08:00`.
    fn instant(&self, text: &str) -> Told<UnixMillis> {
        let civil: DateTime = if text == "24:00" {
            self.day.tomorrow().map_err(|e| e.to_string())?.into()
        } else if text.contains('-') {
            text.parse().map_err(|e| format!("time `{text}`: {e}"))?
        } else {
            self.day.to_datetime(text.parse::<Time>().map_err(|e| format!("time `{text}`: {e}"))?)
        };
        let zoned = civil.to_zoned(self.zone.clone()).map_err(|e| format!("time `{text}`: {e}"))?;
        Ok(UnixMillis(zoned.timestamp().as_millisecond()))
    }

    /// `08:00..09:00`, or a whole day.
    fn window(&self, text: &str) -> Told<Window> {
        if let Some((from, to)) = text.split_once("..") {
            return Ok(Window::new(self.instant(from)?, self.instant(to)?));
        }
        let day: Date = text.parse().map_err(|_| format!("`{text}`: expected FROM..TO or a day"))?;
        let midnight = |day: Date| self.instant(&day.to_string());
        Ok(Window::new(midnight(day)?, midnight(day.checked_add(1.day()).map_err(|e| e.to_string())?)?))
    }

    /// On the scenario's day the time alone, else with its date.
    fn clock(&self, at: UnixMillis) -> String {
        let Ok(timestamp) = Timestamp::from_millisecond(at.0) else { return at.to_string() };
        let zoned = timestamp.to_zoned(self.zone.clone());
        if zoned.date() == self.day {
            zoned.strftime("%H:%M:%S").to_string()
        } else {
            zoned.strftime("%Y-%m-%dT%H:%M:%S").to_string()
        }
    }
}

/// A site's links, each once, in order of name.
fn links<'a>(id: &'a str, evidence: &'a Evidence) -> impl Iterator<Item = LinkName> + 'a {
    let mut names: Vec<LinkName> =
        evidence.keys().filter(|key| key.0 == id).map(|key| key.1.clone()).collect();
    names.dedup();
    names.into_iter()
}

fn view<'a>(id: &'a str, site: &'a Site, evidence: &'a Evidence) -> SiteView<'a> {
    let link = |name: LinkName| {
        let seen = |own: bool| {
            let of_link = evidence.iter().filter(|(key, _)| key.0 == id && key.1 == name).collect::<Vec<_>>();
            of_link.into_iter().filter(move |(key, _)| (key.2 == id) == own).map(|(_, spans)| spans)
        };
        let (own, others) = (seen(true).next(), seen(false).map(Into::into).collect());
        LinkView { kind: name.kind(), own, others, hold: Duration::ZERO }
    };
    SiteView {
        tier: &site.tier,
        branch: &site.branch,
        valid_from: site.from,
        valid_to: site.to,
        equipped_from: site.secret,
        links: links(id, evidence).map(link).collect(),
    }
}

fn coverage_row(coverage: &Coverage, row: &Row) -> String {
    let sites = |count| coverage.sites(count).map_or("-".to_owned(), |sites| format!("{sites:.3}"));
    let sites = |count| sites(count).trim_end_matches('0').trim_end_matches('.').to_owned();
    let c = &row.counts;
    let mut text = format!(
        "{} {}: registered {}  equipped {}  covered {}  not {}  unknown {}  low {}  high {}",
        row.tier.as_deref().unwrap_or("all"),
        row.branch.as_deref().unwrap_or("all"),
        sites(c.registered),
        sites(c.equipped),
        sites(c.covered),
        sites(c.not_covered),
        sites(c.unknown),
        share(row.low),
        share(row.high)
    );
    if let Some(standing) = &row.standing {
        let _ = write!(text, "  {}", word(standing));
    }
    text
}

/// `key value` pairs.
fn pairs<'a>(words: &[&'a str]) -> Told<Vec<(&'a str, &'a str)>> {
    let pair = |pair: &[&'a str]| match pair {
        [key, value] => Ok((*key, *value)),
        _ => Err(format!("`{}`: a value is missing", pair.join(" "))),
    };
    words.chunks(2).map(pair).collect()
}

fn zone(name: &str) -> Told<TimeZone> {
    TimeZone::get(name).map_err(|e| format!("zone `{name}`: {e}"))
}

fn kind(text: &str) -> Told<LinkKind> {
    text.parse().map_err(|e| format!("{e}"))
}

fn percent(text: &str) -> Told<f64> {
    let number = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    number.map(|number| number / 100.0).ok_or(format!("`{text}`: expected a share, as in 50%"))
}

fn share(ratio: Option<f64>) -> String {
    ratio.map_or("-".to_owned(), |ratio| format!("{:.3}%", ratio * 100.0))
}

fn length(millis: i64) -> String {
    let (seconds, rest) = (millis / 1000, millis % 1000);
    let text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if rest == 0 { text } else { format!("{text}.{rest:03}") }
}

/// The word that the JSON API has for it.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => format!("{other:?}"),
    }
}
