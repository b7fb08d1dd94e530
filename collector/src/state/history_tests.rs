//! A track whose history is loaded late, against one that was never unloaded: random rounds, checkpoints that work or fail, kills,
//! and loading by steps, in any order.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Instants 0..T may hold evidence.
const T: i64 = 60;

#[derive(Debug, Clone)]
enum Step {
    /// A round comes, however late.
    Paint(i64, i64, Outcome),
    /// A checkpoint, which the store takes or refuses.
    Checkpoint(bool),
    /// `kill -9`: memory is gone; a start loads from here on and replays the journal.
    Kill(i64),
    /// The history is loaded back to here.
    Load(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop::sample::select(vec![Outcome::Fault, Outcome::Down, Outcome::Degraded, Outcome::Up]);
    prop_oneof![
        6 => (0..T, 1..12_i64, outcome).prop_map(|(start, length, outcome)| Step::Paint(start, start + length, outcome)),
        2 => any::<bool>().prop_map(Step::Checkpoint),
        1 => (-5..T + 20).prop_map(Step::Kill),
        2 => (-5..T).prop_map(Step::Load),
    ]
}

/// The table of spans, with what the statements of the store do to it.
#[derive(Debug, Default)]
struct Table {
    rows: BTreeMap<i64, Span>,
    position: usize,
}

impl Table {
    fn replace(&mut self, from: UnixMillis, spans: &[Span]) {
        self.rows.retain(|start, _| *start < from.0);
        self.rows.extend(spans.iter().map(|span| (span.start.0, *span)));
    }

    /// Spans from `since` on and the one before, up to `before`.
    fn read(&self, since: i64, before: i64) -> Vec<Span> {
        let from = self.rows.range(..since).next_back().map_or(since, |(start, _)| *start);
        self.rows.iter().filter(|(start, _)| (from..before).contains(*start)).map(|(_, span)| *span).collect()
    }

    fn all(&self) -> Vec<Span> {
        self.rows.values().copied().collect()
    }
}

struct Model {
    table: Table,
    journal: Vec<(i64, i64, Outcome)>,
    site: Arc<SiteRuntime>,
}

impl Model {
    fn series() -> Series {
        Series { site: "a".parse().unwrap(), link: "wan".parse().unwrap(), vantage: "a".parse().unwrap() }
    }

    fn start(table: Table, journal: Vec<(i64, i64, Outcome)>, since: i64) -> Self {
        let site = Arc::new(SiteRuntime::new("a".parse().unwrap()));
        let first = table.rows.keys().next().map(|start| UnixMillis(*start));
        let recent =
            Recent { id: SeriesId(1), series: Self::series(), first, spans: table.read(since, i64::MAX) };
        site.restore_recent(recent, UnixMillis(since));
        let model = Self { table, journal, site };
        for (start, end, outcome) in &model.journal[model.table.position..] {
            model.paint(*start, *end, *outcome);
        }
        model
    }

    fn paint(&self, start: i64, end: i64, outcome: Outcome) {
        let (start, end) = (UnixMillis(start), UnixMillis(end));
        let latest = Latest { end, interval_ms: 1, sent: 1, received: 0, rtt_median: None, outcome };
        self.site.evidence_mut().paint(&Painting { about: None, track: 0, start, end, outcome, latest });
    }

    fn load(&self, since: i64) {
        for (track, _, before) in self.site.wants_older(UnixMillis(since)) {
            self.site.merge_older(track, &self.table.read(since, before.0), UnixMillis(since));
        }
    }

    fn checkpoint(&mut self, works: bool) {
        let position = self.journal.len();
        let mut dirty = Vec::new();
        let all = self.site.take_dirty(&mut dirty);
        for track in dirty {
            if works {
                self.table.replace(track.from, &track.spans);
            } else {
                self.site.mark_dirty(track.track, track.from);
            }
        }
        if all && works {
            self.table.position = position;
        }
    }

    fn spans(&self) -> Arc<Spans> {
        Arc::clone(&self.site.evidence().tracks()[0].spans)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn evidence_whose_history_is_loaded_late_is_that_of_a_run_that_was_never_interrupted(steps in vec(step(), 0..60)) {
        let mut whole = Spans::new();
        let mut model = Model::start(Table::default(), Vec::new(), 0);
        model.site.track(&Model::series().link, &model.site.id);
        for step in steps {
            match step {
                Step::Paint(start, end, outcome) => {
                    whole.paint(UnixMillis(start), UnixMillis(end), outcome);
                    model.journal.push((start, end, outcome));
                    model.paint(start, end, outcome);
                }
                Step::Checkpoint(works) => model.checkpoint(works),
                Step::Kill(since) => model = Model::start(model.table, model.journal, since),
                Step::Load(since) => model.load(since),
            }
            // What is loaded is exact, whatever is missing before.
            let known = model.site.evidence().tracks()[0].loaded_from;
            let after = |spans: &Spans| spans.window(known, UnixMillis::MAX).collect::<Vec<_>>();
            prop_assert_eq!(after(&model.spans()), after(&whole));
            prop_assert_eq!(model.site.evidence().first_of(&model.site.id), whole.first().map(|span| span.start));
        }
        model.load(i64::MIN);
        prop_assert_eq!(&*model.spans(), &whole);
        model.checkpoint(true);
        prop_assert_eq!(model.table.all(), whole.as_slice());
        prop_assert_eq!(model.table.position, model.journal.len());
    }
}

#[test]
fn a_change_before_what_is_loaded_is_held_back_and_then_replaces_what_is_stored() {
    let span =
        |start: i64, end: i64, outcome| Span { start: UnixMillis(start), end: UnixMillis(end), outcome };
    let stored = [
        span(0, 10, Outcome::Up),
        span(10, 20, Outcome::Down),
        span(20, 30, Outcome::Up),
        span(30, 40, Outcome::Down),
    ];
    let mut table = Table::default();
    table.replace(UnixMillis::MIN, &stored);
    let mut model = Model::start(table, Vec::new(), 35);
    assert_eq!(model.spans().as_slice(), &stored[3..], "the last one, which reaches into what is asked for");
    assert_eq!(
        model.site.evidence().first_of(&model.site.id),
        Some(UnixMillis(0)),
        "equipped since its first evidence, loaded or not"
    );
    model.journal.push((12, 15, Outcome::Up));
    model.paint(12, 15, Outcome::Up);
    model.checkpoint(true);
    assert_eq!(
        (model.table.all().as_slice(), model.table.position),
        (&stored[..], 0),
        "nothing is replaced that is not known"
    );
    model.load(15);
    model.checkpoint(true);
    let expected = [
        stored[0],
        span(10, 12, Outcome::Down),
        span(12, 15, Outcome::Up),
        span(15, 20, Outcome::Down),
        stored[2],
        stored[3],
    ];
    assert_eq!((model.table.all().as_slice(), model.table.position), (&expected[..], 1));
    model.load(i64::MIN);
    assert_eq!(model.spans().as_slice(), &expected);
}

#[test]
fn rows_that_others_cover_are_taken_out_of_the_store_whenever_they_are_loaded() {
    let span =
        |start: i64, end: i64| Span { start: UnixMillis(start), end: UnixMillis(end), outcome: Outcome::Up };
    // At the start; of a track of which the store has more, which is loaded later; and the other way round.
    for (stored, since) in [
        (vec![span(0, 10), span(3, 6)], -5),
        (vec![span(-30, -20), span(0, 10), span(3, 6)], 1),
        (vec![span(0, 10), span(3, 6), span(20, 30)], 25),
    ] {
        let mut table = Table::default();
        table.replace(UnixMillis::MIN, &stored);
        let mut model = Model::start(table, Vec::new(), since);
        model.load(i64::MIN);
        model.checkpoint(true);
        let expected: Vec<Span> = stored.iter().copied().filter(|row| *row != span(3, 6)).collect();
        assert_eq!(model.spans().as_slice(), expected, "{stored:?}");
        assert_eq!(model.table.all(), expected, "{stored:?}");
    }
}
