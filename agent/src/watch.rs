//! The rounds: a shell around [`schedule`](crate::schedule), [`plan`](crate::plan), [`probe`](crate::probe) and
//! [`round`](crate::round). Nothing in here waits for a push.
//!
//! A round is one task for each link, which waits for all its packets and then for the round's end. The next round begins at
//! its boundary whether the packets of this one have come back or not.
//!
//! Boundaries are moments since boot, in whole milliseconds; the host's wall clock is not asked where a round begins or ends.
//! A round that was under way when the host went to sleep is not reported: packets that were due meanwhile were not sent, and
//! answers that came were not heard, which says nothing about the network.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use wan_wire::{LinkName, Outcome, OutcomeRule, RoundFacts, UnixMillis, classify};

use crate::central::Current;
use crate::clock::{self, Stamp, Timekeeper};
use crate::config::Config;
use crate::link::{Boot, gateway};
use crate::plan::{LinkPlan, Planner, Series, TargetPlan};
use crate::probe::{IcmpPool, Prober, Question, TargetTurn, Way, probe_target, prober};
use crate::push::trust::{Times, TlsTimes, times_of};
use crate::round::{Attempt, End, TargetRound, sum_up};
use crate::schedule::{self, Ruler, Schedule, Turn};

/// How long after a round's end (and the ordinary timeout) its push waits for links that are not done.
const PUSH_GRACE: Duration = Duration::from_millis(100);

/// One link's round: what all its targets showed over one span.
#[derive(Debug, Clone)]
pub struct LinkRound {
    /// The link.
    pub link: LinkName,
    /// The rule that this agent judges it by.
    pub rule: OutcomeRule,
    /// When it ended.
    pub end: Stamp,
    /// How long it was. Where the rounds before and after have times that touch, so do they under their wall times.
    pub interval: Duration,
    /// Its targets. Never empty.
    pub targets: Vec<TargetResult>,
}

/// One target's round.
#[derive(Debug, Clone)]
pub struct TargetResult {
    /// What it is known by.
    pub series: Arc<Series>,
    /// What was measured.
    pub facts: RoundFacts,
    /// What there is to say about it.
    pub note: Option<String>,
    /// When the certificate ends that it showed last, if it shows one.
    pub certificate_end: Option<UnixMillis>,
}

impl LinkRound {
    /// What the round showed: a link is up when any of its targets is.
    pub fn outcome(&self) -> Outcome {
        self.targets.iter().map(|target| classify(&target.facts, &self.rule)).max().unwrap_or(Outcome::Fault)
    }
}

/// Receives what rounds bring.
pub(crate) trait Sink: Send + Sync + 'static {
    /// A round of everything has begun by this configuration; the next begins about its interval later.
    fn begun(&self, config: &Config);
    /// The rounds from the next one on are made by this configuration.
    fn changed(&self, config: &Config);
    /// A link's round is done.
    fn link_round(&self, round: LinkRound);
    /// All links' rounds of a tick are done, or are not waited for any longer: time to push.
    fn tick(&self);
}

/// Makes rounds until `stop`; then ends the one under way with what it has.
///
/// A new configuration is taken between two rounds: the one under way ends as it began, and the next begins where that ended.
/// Probers of targets that stay, stay. Where the interval changes, the boundaries go on from there as at a start, shifted by
/// the host's own share of the period, so that a province whose interval is changed does not push at one moment from then on.
pub(crate) async fn run(
    mut current: Current,
    identity: u64,
    timekeeper: &Timekeeper,
    sink: Arc<dyn Sink>,
    stop: CancellationToken,
) {
    let (origin, booted) = clock::together();
    let mut clocks = Clocks { origin, ruler: Ruler::new(booted) };
    let mut config = current.begin(timekeeper.now());
    let (mut schedule, mut turn) = begin(Duration::ZERO, &config, identity);
    let mut watcher = Watcher::new(times_of(timekeeper));
    let mut ticks = JoinSet::new();
    let mut previous: Option<(Duration, Stamp)> = None;
    loop {
        tokio::select! {
            () = sleep_until(origin + turn.start) => {}
            () = stop.cancelled() => break,
        }
        // Slept between two rounds: the next one begins after that.
        if clocks.slept().is_some() {
            previous = None;
        }
        let (end, end_seen) = watch::channel(None);
        let links = watcher.begin(&config, clocks, turn, &end_seen, &stop);
        sink.begun(&config);
        let deadline = origin + turn.end + config.round.timeout + PUSH_GRACE;
        ticks.spawn(finish(links, deadline, Arc::clone(&sink)));
        tokio::select! {
            () = sleep_until(origin + turn.end) => {}
            () = stop.cancelled() => {}
        }
        let woke = clock::monotonic().duration_since(origin);
        if stop.is_cancelled() {
            turn.end = turn.end.min(woke);
        }
        let began = clocks.ruler.since_boot(turn.start);
        if let Some(slept) = clocks.slept() {
            tracing::warn!(
                slept_seconds = slept.as_secs_f64(),
                "the host was suspended; no round covers this time"
            );
            previous = None;
            // Its links see the same, and report nothing.
            drop(end);
        } else {
            // The boundary itself: waking up late does not make the round longer.
            let stamp = timekeeper.stamp(clocks.ruler.since_boot(turn.end));
            let length = Duration::from_millis(stamp.since_boot.saturating_sub(began));
            let touching = previous.filter(|(boundary, _)| *boundary == turn.start).map(|(_, stamp)| stamp);
            // Without a receiver every link was done for already.
            let _ = end.send(Some((stamp, interval(timekeeper, touching.as_ref(), &stamp, length))));
            previous = Some((turn.end, stamp));
        }
        while ticks.try_join_next().is_some() {}
        if stop.is_cancelled() {
            break;
        }
        let next = schedule.next(turn.end, woke);
        if next.start > turn.end {
            tracing::warn!(
                unobserved_seconds = (next.start - turn.end).as_secs_f64(),
                "the host kept the agent from running; no round covers this time"
            );
        }
        turn = next;
        if let Some(new) = current.at_boundary(|| timekeeper.now()) {
            if new.round.interval != config.round.interval {
                (schedule, turn) = begin(turn.start, &new, identity);
            }
            config = new;
            sink.changed(&config);
        }
    }
    while ticks.join_next().await.is_some() {}
}

/// The grid of a configuration, and its first round, which begins at `now`.
fn begin(now: Duration, config: &Config, identity: u64) -> (Schedule, Turn) {
    let period = config.round.interval;
    Schedule::begin(now, period, period / config.round.packets.max(1), identity)
}

/// One round of everything, beginning now; for `wan-agent probe`.
pub(crate) async fn once(config: &Config, stop: &CancellationToken) -> Vec<LinkRound> {
    let (origin, booted) = clock::together();
    let clocks = Clocks { origin, ruler: Ruler::new(booted) };
    let turn = Turn { start: Duration::ZERO, end: config.round.interval };
    // No one waits for the boundary: the round ends when its last packet is back.
    let end =
        Timekeeper::open(None, &Boot::default(), clock::built()).stamp(clocks.ruler.since_boot(turn.end));
    let (_end, end_seen) = watch::channel(Some((end, turn.end)));
    let times: Times = Arc::new(|| {
        let (built, certain) = (clock::built(), clock::synchronised());
        TlsTimes { now: clock::wall().max(built), floor: (!certain).then_some(built), host: None }
    });
    let mut links = Watcher::new(times).begin(config, clocks, turn, &end_seen, stop);
    let mut rounds = Vec::new();
    while let Some(joined) = links.join_next().await {
        rounds.extend(joined.ok().flatten());
    }
    let order = |name: &LinkName| config.links.iter().position(|link| link.name == *name);
    rounds.sort_by_key(|round| order(&round.link));
    rounds
}

/// The interval of a round that took `length`, so that it touches the round before it under the wall times of both.
fn interval(timekeeper: &Timekeeper, before: Option<&Stamp>, end: &Stamp, length: Duration) -> Duration {
    // Before it is safe to send them under those times, too: what counts here is that they fit together.
    let wall = |stamp: &Stamp| timekeeper.meant(stamp);
    // Undated ones get one offset, all of them: they touch by themselves.
    let Some((before, end)) = before.and_then(wall).zip(wall(end)) else { return length };
    let interval = schedule::interval(Some(before), end, length);
    if end.minus(interval) != before {
        tracing::info!(
            seconds = end.minus(interval).since(before).as_secs_f64()
                - before.since(end.minus(interval)).as_secs_f64(),
            "the time was corrected by much: rounds before and after leave a gap (or overlap, when negative)"
        );
    }
    interval
}

/// The schedule's clock, and where it lies on the time since boot.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    origin: Instant,
    ruler: Ruler,
}

impl Clocks {
    /// How long the host slept since this was last asked, if it did.
    fn slept(&mut self) -> Option<Duration> {
        let (now, since_boot) = clock::together();
        self.ruler.slept(now.duration_since(self.origin), since_boot)
    }
}

/// Hands each link's round on as it is done, and says when it is time to push.
async fn finish(mut links: JoinSet<Option<LinkRound>>, deadline: Instant, sink: Arc<dyn Sink>) {
    let mut told = false;
    loop {
        tokio::select! {
            biased;
            joined = links.join_next() => match joined {
                Some(Ok(Some(round))) => sink.link_round(round),
                Some(Ok(None)) => {}
                Some(Err(error)) => tracing::error!(%error, "a link's round was lost to a defect of the agent"),
                None => break,
            },
            () = sleep_until(deadline), if !told => {
                told = true;
                sink.tick();
            }
        }
    }
    if !told {
        sink.tick();
    }
}

/// The end of a round, and the round's interval.
type EndSeen = watch::Receiver<Option<(Stamp, Duration)>>;

/// What is kept from round to round.
struct Watcher {
    planner: Planner,
    pool: Arc<IcmpPool>,
    times: Times,
    probers: BTreeMap<(Question, Way), Arc<dyn Prober>>,
}

impl Watcher {
    fn new(times: Times) -> Watcher {
        Watcher { planner: Planner::default(), pool: Arc::default(), times, probers: BTreeMap::new() }
    }

    /// Starts every link's part of a round.
    fn begin(
        &mut self,
        config: &Config,
        clocks: Clocks,
        turn: Turn,
        end: &EndSeen,
        stop: &CancellationToken,
    ) -> JoinSet<Option<LinkRound>> {
        let plans = self.planner.plan(config, &gateway::default_gateways());
        let targets = plans.iter().map(|plan| plan.targets.len()).sum();
        let mut used = BTreeMap::new();
        let mut links = JoinSet::new();
        let mut place = 0;
        for plan in plans {
            let mut tasks = Vec::new();
            for target in &plan.targets {
                let prober = self.prober(target, &plan.way, &mut used);
                let packets = schedule::packets_in(turn.length(), config.round.interval, target.packets);
                let due = schedule::packet_offsets(turn.length(), packets, place, targets)
                    .into_iter()
                    .map(|offset| clocks.origin + turn.start + offset)
                    .collect();
                tasks.push((prober, TargetTurn { due, timeout: target.timeout }));
                place += 1;
            }
            links.spawn(link_round(plan, tasks, clocks, end.clone(), stop.clone()));
        }
        // Probers of targets that are gone (a former gateway) go with this round.
        self.probers = used;
        links
    }

    fn prober(
        &mut self,
        target: &TargetPlan,
        way: &Way,
        used: &mut BTreeMap<(Question, Way), Arc<dyn Prober>>,
    ) -> Option<Arc<dyn Prober>> {
        let question = target.question.as_ref().ok()?;
        let key = (question.clone(), way.clone());
        let prober = match used.get(&key).or_else(|| self.probers.get(&key)) {
            Some(prober) => Arc::clone(prober),
            None => prober(question, way, &self.pool, &self.times)?,
        };
        used.insert(key, Arc::clone(&prober));
        Some(prober)
    }
}

/// One link's round; `None` when it was cut short before anything was measured, or the host slept meanwhile.
async fn link_round(
    plan: LinkPlan,
    tasks: Vec<(Option<Arc<dyn Prober>>, TargetTurn)>,
    mut clocks: Clocks,
    mut end: EndSeen,
    stop: CancellationToken,
) -> Option<LinkRound> {
    let mut probing = JoinSet::new();
    for (at, (prober, turn)) in tasks.into_iter().enumerate() {
        if let Some(prober) = prober {
            let stop = stop.clone();
            probing.spawn(async move {
                let attempts = probe_target(Arc::clone(&prober), turn, stop).await;
                (at, (attempts, prober.certificate_end()))
            });
        }
    }
    let mut results: BTreeMap<usize, (Vec<Attempt>, Option<UnixMillis>)> = BTreeMap::new();
    while let Some(joined) = probing.join_next().await {
        if let Ok((at, result)) = joined {
            results.insert(at, result);
        }
    }
    let (end, interval) = (*end.wait_for(Option::is_some).await.ok()?)?;
    if clocks.slept().is_some() {
        return None;
    }
    let mut targets = Vec::new();
    for (at, target) in plan.targets.into_iter().enumerate() {
        let (attempts, certificate_end) = match target.question {
            Ok(_) => results.remove(&at).unwrap_or_default(),
            Err(why) => (vec![Attempt { end: End::Fault, note: Some(why) }], None),
        };
        if attempts.is_empty() {
            // Only a stop leaves a target without an attempt; nothing was seen, so nothing is said.
            continue;
        }
        let TargetRound { facts, note } = sum_up(&attempts);
        targets.push(TargetResult { series: target.series, facts, note, certificate_end });
    }
    (!targets.is_empty()).then_some(LinkRound { link: plan.name, rule: plan.rule, end, interval, targets })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use wan_wire::{LinkKind, ProbeKind};

    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Sink for Heard {
        fn begun(&self, _: &Config) {}

        fn changed(&self, _: &Config) {}

        fn link_round(&self, round: LinkRound) {
            self.0.lock().unwrap().push(round.link.to_string());
        }

        fn tick(&self) {
            self.0.lock().unwrap().push("push".into());
        }
    }

    fn facts(received: u32, fault: bool) -> TargetResult {
        let rtt = (received > 0).then_some(wan_wire::Rtt { min: 0.1, median: 0.1, mean: 0.1, max: 0.1 });
        let series = Series {
            link: LinkKind::Wan.into(),
            probe: ProbeKind::Icmp,
            target: "10.0.0.1".into(),
            about: None,
        };
        let facts = RoundFacts { sent: if fault { 0 } else { 5 }, received, rtt, fault };
        TargetResult { series: Arc::new(series), facts, note: None, certificate_end: None }
    }

    fn stamp() -> Stamp {
        Stamp::at(wan_wire::UnixMillis(5000))
    }

    fn round(kind: LinkKind, targets: Vec<TargetResult>) -> LinkRound {
        LinkRound {
            link: kind.into(),
            rule: OutcomeRule::default(),
            end: stamp(),
            interval: Duration::from_secs(5),
            targets,
        }
    }

    #[test]
    fn a_link_is_what_its_best_target_is() {
        let of = |targets: &[(u32, bool)]| {
            round(LinkKind::Wan, targets.iter().map(|(received, fault)| facts(*received, *fault)).collect())
                .outcome()
        };
        assert_eq!(of(&[(0, false), (5, false)]), Outcome::Up);
        assert_eq!(of(&[(0, false), (3, false)]), Outcome::Degraded);
        assert_eq!(of(&[(0, true), (0, false)]), Outcome::Down);
        assert_eq!(of(&[(0, true)]), Outcome::Fault);
    }

    #[tokio::test(start_paused = true)]
    async fn a_push_waits_for_all_links_but_not_for_a_slow_one() {
        let links = |delays: [(LinkKind, u64); 3]| {
            let mut links = JoinSet::new();
            for (kind, delay) in delays {
                links.spawn(async move {
                    tokio::time::sleep(Duration::from_millis(delay)).await;
                    Some(round(kind, vec![facts(5, false)]))
                });
            }
            links
        };
        let heard = async |delays| {
            let sink = Arc::new(Heard::default());
            let deadline = clock::monotonic() + Duration::from_secs(1);
            finish(links(delays), deadline, Arc::clone(&sink) as Arc<dyn Sink>).await;
            sink.0.lock().unwrap().clone()
        };
        let kinds = |last| [(LinkKind::Lan, 1), (LinkKind::Wan, 900), (LinkKind::Service, last)];
        assert_eq!(heard(kinds(950)).await, ["lan", "wan", "service", "push"]);
        assert_eq!(heard(kinds(4000)).await, ["lan", "wan", "push", "service"]);
    }

    #[tokio::test]
    async fn an_unknown_gateway_is_a_fault_and_never_an_outage() {
        let plan = LinkPlan {
            name: LinkKind::Lan.into(),
            rule: OutcomeRule::default(),
            way: Way::default(),
            targets: vec![TargetPlan {
                series: facts(0, true).series,
                packets: 5,
                timeout: Duration::from_secs(1),
                question: Err("no default gateway was ever seen".into()),
            }],
        };
        let (_end, seen) = watch::channel(Some((stamp(), Duration::from_secs(5))));
        let turn = TargetTurn { due: Vec::new(), timeout: Duration::ZERO };
        let (origin, booted) = clock::together();
        let clocks = Clocks { origin, ruler: Ruler::new(booted) };
        let tasks = vec![(None, turn)];
        let round = link_round(plan, tasks, clocks, seen, CancellationToken::new()).await.unwrap();
        assert_eq!(round.outcome(), Outcome::Fault);
        assert_eq!(round.targets[0].note.as_deref(), Some("no default gateway was ever seen"));
    }

    #[derive(Default)]
    struct Rounds(Mutex<Vec<LinkRound>>);

    impl Sink for Rounds {
        fn begun(&self, _: &Config) {}

        fn changed(&self, _: &Config) {}

        fn link_round(&self, round: LinkRound) {
            self.0.lock().unwrap().push(round);
        }

        fn tick(&self) {}
    }

    // On a clock of its own, so that no tick comes late.
    #[tokio::test(start_paused = true)]
    async fn a_new_configuration_neither_loses_nor_cuts_a_round_and_rounds_touch_across_it() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = listener.local_addr().unwrap();
        tokio::spawn(async move { while listener.accept().await.is_ok() {} });
        let document = |interval: &str, links: &[&str]| {
            let links: Vec<String> =
                links.iter().map(|link| format!("{{name: {link}, targets: [{{tcp: '{peer}'}}]}}")).collect();
            format!("round: {{interval: {interval}, packets: 2}}\nlinks: [{}]\n", links.join(", "))
        };
        let folder = tempfile::tempdir().unwrap();
        let first = document("1s", &["wan", "lan"]);
        let mut local = Config::parse("f", first.as_bytes(), crate::config::Use::Probe).unwrap();
        local.data = Some(folder.path().to_owned());
        let central = crate::central::Central::open(local);
        let timekeeper = Timekeeper::open(None, &Boot::default(), clock::built());
        let sink = Arc::new(Rounds::default());
        let stop = CancellationToken::new();
        let heard = Arc::clone(&sink);
        let rounds = run(central.current(), 7, &timekeeper, heard as Arc<dyn Sink>, stop.clone());
        let changes = async {
            let sleep = |millis| tokio::time::sleep(Duration::from_millis(millis));
            for (number, (wait, interval, links)) in [
                (2_300, "2s", ["wan", "lan"]),
                (3_300, "2s", ["wan", "internet"]),
                (2_900, "1s", ["wan", "lan"]),
            ]
            .into_iter()
            .enumerate()
            {
                sleep(wait).await;
                let body = document(interval, &links).into_bytes();
                central.fetched(format!("\"{number}\""), body, wan_wire::UnixMillis(0)).await;
            }
            sleep(5_500).await;
            stop.cancel();
        };
        tokio::join!(rounds, changes);

        let rounds = std::mem::take(&mut *sink.0.lock().unwrap());
        let spans = |link: &str| -> Vec<(u64, u64)> {
            let of = rounds.iter().filter(|round| round.link.as_str() == link);
            let span = |round: &LinkRound| {
                let length = u64::try_from(round.interval.as_millis()).unwrap();
                (round.end.since_boot - length, round.end.since_boot)
            };
            let mut spans: Vec<(u64, u64)> = of.map(span).collect();
            spans.sort_unstable();
            spans
        };
        let wan = spans("wan");
        assert!(wan.windows(2).all(|pair| pair[0].1 == pair[1].0), "a gap or an overlap: {wan:?}");
        let lengths: Vec<u64> = wan.iter().map(|(start, end)| end - start).collect();
        assert!(lengths.contains(&1_000) && lengths.contains(&2_000), "{lengths:?}");
        assert!(wan.last().unwrap().1 - wan[0].0 >= 13_000, "{wan:?}");
        // Every round of every link is one of the grid that all share; each was measured.
        for link in ["lan", "internet"] {
            let spans = spans(link);
            assert!(
                !spans.is_empty() && spans.iter().all(|span| wan.contains(span)),
                "{link}: {spans:?} {wan:?}"
            );
        }
        let internet = spans("internet");
        let lan = spans("lan");
        // The stop may cut the last round between the packets of two links.
        let whole = &wan[..wan.len() - 1];
        let without_lan: Vec<_> = whole.iter().filter(|span| !lan.contains(span)).copied().collect();
        assert_eq!(without_lan, internet, "one link gave way to the other at a boundary, both ways");
        for round in &rounds[..rounds.len() - 2] {
            assert!(round.targets.iter().all(|target| target.facts.sent > 0), "{round:?}");
        }
    }
}
