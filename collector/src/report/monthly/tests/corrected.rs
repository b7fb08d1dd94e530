//! Incidents that were told otherwise before, in the report of the month.

use super::*;
use crate::incidents::Teller;
use crate::ledger::cause::Rule;
use crate::ledger::incident::IncidentKind;
use crate::ledger::told::{Because, Gone, Restatement, Told, Word};
use crate::store::sqlite::SqliteStore;
use crate::store::{Store as _, Wanted};

fn month() -> Month {
    subject(Lang::En).month
}

/// What is told of a site whose WAN fails at 58:00 and of which nothing else is heard, by somebody who looks at 61:00.
struct Scene {
    runtime: tokio::runtime::Runtime,
    store: SqliteStore,
    state: Arc<State>,
    teller: Teller,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let store = runtime.block_on(SqliteStore::open(&folder.path().join("wanwatch.db"))).unwrap();
        let sites = vec![site("trung-tam", "Trung tâm dữ liệu", "province"), site("xa-a", "Xã A", "commune")];
        let mut seen = month_of("trung-tam", &[]);
        seen.extend([
            ("xa-a", "lan", 0.0, 744.0, Outcome::Up),
            ("xa-a", "internet", 0.0, 744.0, Outcome::Up),
            ("xa-a", "wan", 0.0, 58.0, Outcome::Up),
            ("xa-a", "wan", 58.0, 60.0, Outcome::Down),
            ("xa-a", "wan", 60.0, 744.0, Outcome::Up),
        ]);
        let state = Arc::new(state(sites, Vec::new(), &seen));
        let mut scene = Self { runtime, store, state, teller: Teller::default(), _folder: folder };
        scene.tell(61.0);
        scene
    }

    fn tell(&mut self, hours: f64) {
        self.runtime.block_on(self.teller.pass(&self.state, &self.store, at(hours))).unwrap();
    }

    fn load(&self, province: &Province<'_>) -> Kept {
        self.runtime.block_on(Kept::load(&self.store, province, month(), &mut |_, _| {})).unwrap()
    }

    /// The report as it is made after so many hours.
    fn report(&self, hours: f64, lang: Lang) -> Report {
        let province = Province::of(&self.state, at(hours));
        let kept = self.load(&province);
        report(&province, subject(lang), &kept, &mut |_, _| {}).unwrap().report
    }

    fn told(&self) -> Told {
        let wanted = Wanted { sites: true, ..Wanted::all(Window::new(at(57.0), at(61.0))) };
        self.runtime.block_on(self.store.incidents(&wanted)).unwrap().remove(0)
    }
}

fn rows(report: &Report) -> &[Vec<Cell>] {
    let table = report.tables.iter().find(|table| table.id == "restated_incidents");
    table.map(|table| table.rows.as_slice()).unwrap_or_default()
}

#[test]
fn an_incident_that_a_backlog_corrects_is_told_with_both_words_and_the_reason() {
    let mut scene = Scene::new();
    assert_eq!(rows(&scene.report(800.0, Lang::En)), [] as [Vec<Cell>; 0], "nothing was said otherwise yet");
    // Another probe of the link answered: it was down for half an hour only.
    paint(&scene.state, "xa-a", "wan", at(58.5), at(60.0), Outcome::Up);
    scene.tell(100.0);
    let restated = scene.report(800.0, Lang::En);
    let id = scene.told().id.to_string();
    let said = |from: f64, to: f64| {
        let cause = Cell::text("Carrier (WAN)");
        [Cell::text("Down"), Cell::Instant(at(from)), Cell::Instant(at(to)), cause]
    };
    let mut expected = vec![Cell::text(&id), Cell::text("xa-a"), Cell::text("Xã A")];
    expected.extend(said(58.0, 60.0));
    expected.extend(said(58.0, 58.5));
    expected.extend([Cell::text("other evidence"), Cell::Instant(at(100.0)), Cell::Count(1)]);
    assert_eq!(rows(&restated), [expected]);
    for lang in [Lang::Vi, Lang::En] {
        let report = scene.report(800.0, lang);
        for format in Format::ALL {
            assert_eq!(verify(&write(&report, format).unwrap(), &report).unwrap().differences, []);
        }
    }
    // Taken back altogether, after the first report was made.
    paint(&scene.state, "xa-a", "wan", at(58.0), at(58.5), Outcome::Up);
    scene.tell(900.0);
    assert_eq!(rows(&scene.report(800.0, Lang::En)), rows(&restated), "made again as it was");
    let now = scene.report(950.0, Lang::En);
    let row = &rows(&now)[0];
    assert_eq!(row[7..11], [Cell::text("No incident"), Cell::Empty, Cell::Empty, Cell::Empty]);
    assert_eq!(row[12..], [Cell::Instant(at(900.0)), Cell::Count(2)]);
    assert_eq!(rows(&scene.report(950.0, Lang::Vi))[0][7], Cell::text("Không phải sự cố"));
}

#[test]
fn what_was_first_reported_is_of_the_time_before_a_report() {
    let scene = Scene::new();
    let first = FirstReport { at: at(800.0), figures: KeyFigures::default() };
    scene.runtime.block_on(scene.store.keep_first_report(month(), &first)).unwrap();
    let load = |hours| scene.load(&Province::of(&scene.state, at(hours)));
    assert_eq!((load(800.0).first, load(801.0).first), (None, Some(first)));
}

/// Kind, start and end in hours, rule.
type Said = (IncidentKind, f64, Option<f64>, Rule);

/// What is listed of one incident that was told at 58:00, and restated after so many minutes to words of kind, start, end (in hours) and rule.
fn listed(words: &[(i64, Option<Said>)], gone: Option<(i64, Gone)>) -> Vec<Vec<Cell>> {
    let scene = Scene::new();
    let base = scene.told();
    let minute = |minute: i64| at(58.0).plus_millis(minute * 60_000);
    let word =
        |(kind, start, end, rule): Said| Word { kind, start: at(start), end: end.map(at), bad_ms: 1, rule };
    let mut was = word(words[0].1.unwrap());
    let mut restatements = Vec::new();
    for (after, now) in &words[1..] {
        let is = now.map(word);
        let because = Because::Backlog;
        restatements.push(Restatement { id: base.id.clone(), at: minute(*after), was, is, because });
        was = is.unwrap_or(was);
    }
    let gone = gone.map(|(after, gone)| (minute(after), gone));
    let told = Told { word: was, since: minute(words[0].0), gone, ..base };
    let kept = Kept { restated: Restated::of(vec![told], restatements, false), ..Kept::default() };
    let province = Province::of(&scene.state, CLOSED);
    let made = report(&province, subject(Lang::En), &kept, &mut |_, _| {}).unwrap();
    rows(&made.report).to_vec()
}

#[test]
fn how_an_incident_develops_in_its_first_minutes_is_no_correction() {
    use IncidentKind::{Gap, Outage};
    let gap = Some((Gap, 58.0, None, Rule::NotYetTold));
    let cut = Some((Outage, 58.0, Some(59.0), Rule::GatewayAnswers));
    let power = Some((Outage, 58.0, Some(59.0), Rule::BootInGap));
    let shorter = Some((Outage, 58.0, Some(58.99), Rule::GatewayAnswers));
    assert_eq!(listed(&[(0, gap), (5, cut)], None).len(), 0, "news");
    assert_eq!(listed(&[(0, gap), (60, cut)], None).len(), 1, "an hour was a gap that nobody could explain");
    assert_eq!(
        listed(&[(0, gap), (5, cut), (60, power), (61, cut)], None).len(),
        0,
        "the first word after all"
    );
    assert_eq!(listed(&[(0, cut), (200, shorter)], None).len(), 0, "an edge of half a minute");
    assert_eq!(listed(&[(0, gap), (5, None)], Some((5, Gone::Withdrawn))).len(), 0, "gone at once");
    let rows = listed(&[(0, gap), (5, cut), (60, power)], None);
    assert_eq!(
        rows[0][6],
        Cell::text("Carrier (WAN)"),
        "first is what was said after ten minutes: {:?}",
        rows[0]
    );
    assert_eq!(rows[0][5], Cell::Empty, "when it would end was not known then");
    assert_eq!(rows[0][13], Cell::Count(1));
}

#[test]
fn one_that_is_part_of_another_says_of_which() {
    let gap = Some((IncidentKind::Gap, 58.0, Some(58.1), Rule::NotYetTold));
    let of = Scene::new().told().id;
    let rows = listed(&[(0, gap), (60, None)], Some((60, Gone::Into(of.clone()))));
    assert_eq!(rows[0][7], Cell::text(format!("Part of {of}")));
}

#[test]
fn what_moved_out_of_the_month_is_listed_in_it_and_what_never_touched_it_is_not() {
    let kind = IncidentKind::Outage;
    let word = |start: f64, end: f64| Some((kind, start, Some(end), Rule::GatewayAnswers));
    assert_eq!(listed(&[(0, word(-1.0, 1.0)), (900, word(-1.0, -0.5))], None).len(), 1);
    assert_eq!(listed(&[(0, word(-2.0, -1.0)), (900, word(-1.5, -1.0))], None).len(), 0);
}
