use wan_wire::Outcome;

use super::*;
use crate::alert::correct::Found;
use crate::alert::notice::{Rule, Subject};
use crate::config::Config;
use crate::engine::Painting;
use crate::ledger::cause::Cause;
use crate::province::tests::{NOW, id, province_with};
use crate::state::Latest;
use crate::store::sqlite::SqliteStore;

const CHANNELS: &str = "
alerts:
  channels:
    - {name: all, command: {run: [/bin/true]}}
    - {name: ends, command: {run: [/bin/true]}}
    - {name: notes, command: {run: [/bin/true]}}
    - {name: am, alertmanager: {urls: ['http://127.0.0.1:1']}}
  routes:
    - {events: [fired, resolved], to: ends, continue: true}
    - {events: corrected, to: notes, continue: true}
    - {to: [all, am]}
";

/// A centre that watches a hub and two communes behind it, as it goes on from [`NOW`]; seconds are counted from there.
struct Scene {
    state: Arc<State>,
    store: SqliteStore,
    watcher: Watcher,
    now: i64,
    /// All that the looks have told: of which site, what.
    told: Vec<(String, Event)>,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let state = province_with(Config::parse("c", CHANNELS.as_bytes()).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("wanwatch.db")).await.unwrap();
        let watcher = Watcher::default();
        Self { state: Arc::new(state), store, watcher, now: -60, told: Vec::new(), folder }
    }

    /// What a vantage saw of a link between two seconds.
    fn see(&self, site: &str, link: &str, by: &str, (from, to): (i64, i64), outcome: Outcome) {
        let directory = self.state.directory();
        let runtime = &directory.runtimes[&id(site)];
        let track = runtime.track(&link.parse().unwrap(), &id(by)).unwrap();
        let (start, end) = (NOW.plus_millis(from * 1000), NOW.plus_millis(to * 1000));
        let latest = Latest { end, interval_ms: 5_000, sent: 5, received: 5, rtt_median: None, outcome };
        runtime.evidence_mut().paint(&Painting { about: None, track, start, end, outcome, latest });
    }

    /// Goes on for so many seconds, in which xa-1 is cut off or not; a round and a look every five.
    async fn go(&mut self, seconds: i64, cut: bool) {
        for _ in 0..seconds / 5 {
            let round = (self.now, self.now + 5);
            self.now += 5;
            for site in ["centre", "hub", "xa-1", "xa-2"] {
                let gone = cut && site == "xa-1";
                if !gone {
                    for link in ["lan", "wan", "internet"] {
                        self.see(site, link, site, round, Outcome::Up);
                    }
                    self.state.directory().runtimes[&id(site)].note_push(NOW.plus_millis(self.now * 1000));
                }
                if site != "centre" {
                    self.see(site, "wan", "centre", round, if gone { Outcome::Down } else { Outcome::Up });
                }
            }
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let now = NOW.plus_millis(self.now * 1000);
        let changes = self.watcher.look(&self.state, &self.store, now).await.unwrap();
        for (notice, _) in changes.notices {
            self.told.push((notice.subject.key(), notice.event));
        }
    }

    /// The backlog of xa-1: its WAN and Internet were so between two seconds, its LAN worked.
    fn backlog(&self, seconds: (i64, i64), outcome: Outcome) {
        self.see("xa-1", "lan", "xa-1", seconds, Outcome::Up);
        for link in ["wan", "internet"] {
            self.see("xa-1", link, "xa-1", seconds, outcome);
        }
    }

    /// What was told since this was last asked.
    fn told(&mut self) -> Vec<Event> {
        let told = std::mem::take(&mut self.told);
        assert!(told.iter().all(|(key, _)| key == "site/xa-1"), "{told:?}");
        told.into_iter().map(|(_, event)| event).collect()
    }

    async fn record(&self) -> Record {
        let mut records = self.store.alerts(&over_since(UnixMillis::MIN)).await.unwrap();
        assert_eq!(records.len(), 1, "{records:?}");
        records.remove(0)
    }

    /// What waits for a channel, also what is superseded.
    async fn waits(&self, channel: &str) -> Vec<Event> {
        let mut events = Vec::new();
        let channel = channel.parse().unwrap();
        let now = NOW.plus_millis(self.now * 1000);
        while let Some(due) = self.store.due_notices(&channel, now, 1).await.unwrap().pop() {
            events.push(due.notice.event);
            let done = crate::alert::outbox::Attempt::Delivered(None);
            self.store.note_delivery(due.number, &done, now).await.unwrap();
        }
        events
    }

    /// The collector is killed and started again: what it remembers is what is stored.
    async fn restart(&mut self) {
        self.store.close().await;
        self.store = SqliteStore::open(&self.folder.path().join("wanwatch.db")).await.unwrap();
        self.watcher = Watcher::default();
    }
}

#[tokio::test]
async fn a_backlog_corrects_what_was_told_with_one_note_to_those_who_were_told() {
    let mut scene = Scene::new().await;
    scene.go(60, false).await;
    scene.go(120, true).await;
    assert_eq!(scene.told(), [Event::Fired]);
    scene.go(60, false).await;
    assert_eq!(scene.told(), [Event::Resolved]);
    let before = scene.record().await;
    assert_eq!(before.cause, Some(Cause::Unknown));
    for channel in ["all", "ends", "am"] {
        assert_eq!(scene.waits(channel).await, [Event::Fired, Event::Resolved], "{channel}");
    }
    scene.backlog((0, 120), Outcome::Down);
    scene.go(50, false).await;
    assert_eq!(scene.told(), [], "it has not settled");
    scene.go(1_200, false).await;
    assert_eq!(scene.told(), [Event::Corrected], "once, and no alarm about the past");
    let after = scene.record().await;
    assert_eq!((after.id, after.fired), (before.id, before.fired));
    assert_eq!((after.since, after.until), (before.since, before.until));
    assert_eq!(after.cause, Some(Cause::Carrier));
    let [correction] = after.corrections[..] else { panic!("{:?}", after.corrections) };
    assert_eq!((correction.was.cause, correction.is.found), (Some(Cause::Unknown), Found::AsTold));
    assert!(after.why.en.contains("gateway"), "{}", after.why.en);
    assert_eq!(scene.waits("all").await, [Event::Corrected]);
    for (channel, why) in [
        ("ends", "no route of theirs tells of it"),
        ("notes", "nothing was told that would be corrected"),
        ("am", "it would tell nobody"),
    ] {
        assert_eq!(scene.waits(channel).await, [], "{why}");
    }
}

#[tokio::test]
async fn a_site_that_was_never_cut_off_is_said_not_to_have_been() {
    let mut scene = Scene::new().await;
    scene.go(60, false).await;
    scene.go(120, true).await;
    scene.go(60, false).await;
    assert_eq!(scene.told(), [Event::Fired, Event::Resolved]);
    // The newest first, in pieces, as an agent sends it.
    for piece in (0..12).rev() {
        scene.backlog((piece * 10, piece * 10 + 10), Outcome::Up);
        scene.go(30, false).await;
    }
    scene.go(300, false).await;
    assert_eq!(scene.told(), [Event::Corrected]);
    let record = scene.record().await;
    assert_eq!((record.corrections[0].is.found, record.cause), (Found::Worked, None));
    // The same once more changes nothing.
    scene.backlog((0, 120), Outcome::Up);
    scene.go(1_200, false).await;
    assert_eq!(scene.told(), []);
    assert_eq!(scene.record().await, record);
}

#[tokio::test]
async fn a_restart_at_any_moment_neither_loses_a_correction_nor_makes_it_twice() {
    for restart_after in [0, 5, 30, 60, 70, 80] {
        let mut scene = Scene::new().await;
        scene.go(60, false).await;
        scene.go(60, true).await;
        scene.go(30, false).await;
        scene.backlog((0, 60), Outcome::Down);
        scene.go(restart_after, false).await;
        scene.restart().await;
        scene.go(200, false).await;
        scene.restart().await;
        scene.go(100, false).await;
        assert_eq!(scene.told(), [Event::Fired, Event::Resolved, Event::Corrected], "{restart_after}");
        assert_eq!(scene.record().await.corrections.len(), 1);
        assert_eq!(scene.waits("all").await, [Event::Fired, Event::Resolved, Event::Corrected]);
    }
}

#[tokio::test]
async fn a_look_that_cannot_be_written_is_made_up_for() {
    let mut scene = Scene::new().await;
    scene.go(60, false).await;
    scene.go(60, true).await;
    scene.go(30, false).await;
    scene.backlog((0, 60), Outcome::Down);
    scene.go(60, false).await;
    assert_eq!(scene.told(), [Event::Fired, Event::Resolved]);
    // The store is away while the correction becomes due.
    scene.store.close().await;
    for seconds in 1..=20 {
        let now = NOW.plus_millis((scene.now + seconds) * 1000);
        assert!(scene.watcher.look(&scene.state, &scene.store, now).await.is_err(), "{seconds}");
    }
    scene.store = SqliteStore::open(&scene.folder.path().join("wanwatch.db")).await.unwrap();
    scene.go(200, false).await;
    assert_eq!(scene.told(), [Event::Corrected]);
}

#[tokio::test]
async fn a_backlog_about_a_time_of_which_nothing_was_told_opens_nothing() {
    let mut scene = Scene::new().await;
    scene.go(60, false).await;
    // Hours of the past, of several sites, in which nobody else had looked.
    for site in ["hub", "xa-1", "xa-2"] {
        for link in ["lan", "wan", "internet"] {
            scene.see(site, link, site, (-30_000, -10_000), Outcome::Down);
        }
        scene.see(site, "wan", "centre", (-30_000, -10_000), Outcome::Down);
    }
    scene.go(600, false).await;
    assert_eq!(scene.told(), []);
    assert_eq!(scene.store.alerts(&over_since(UnixMillis::MIN)).await.unwrap(), []);
}

#[tokio::test]
async fn a_silence_keeps_a_correction_until_it_is_over() {
    let mut scene = Scene::new().await;
    scene.go(60, false).await;
    scene.go(60, true).await;
    scene.go(30, false).await;
    assert_eq!(scene.told(), [Event::Fired, Event::Resolved]);
    let silence = Silence {
        scope: crate::planned::Scope::Site(id("xa-1")),
        rule: Some(Rule::SiteOffline),
        from: NOW,
        to: NOW.plus_millis(600_000),
        reason: "x".to_owned(),
        by: "an".to_owned(),
        added: NOW,
        ended: None,
        ended_by: None,
    };
    scene.store.add_silence(&silence).await.unwrap();
    scene.backlog((0, 60), Outcome::Down);
    scene.go(500, false).await;
    assert_eq!(scene.told(), []);
    scene.go(100, false).await;
    assert_eq!(scene.told(), [Event::Corrected]);
    let subject = Subject::Site { site: id("xa-1") };
    assert_eq!(scene.record().await.subject, subject);
}

#[test]
fn a_look_is_followed_by_a_rest_ten_times_as_long_but_by_no_long_one() {
    let millis = Duration::from_millis;
    for (took, rest) in [(0, 500), (50, 500), (51, 510), (200, 2_000), (500, 5_000), (30_000, 5_000)] {
        assert_eq!(rest_after(millis(took)), millis(rest), "after {took} ms");
    }
    assert_eq!(rest_after(Duration::MAX), LONGEST_REST);
}
