//! A store that comes back, in a model: how long do samples wait that came since?

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::forward::pace::Backoff;

const STEP: i64 = 100;
const SHARDS: usize = 3;
/// Chunks of a stream at a time.
const CHUNKS: usize = 2;
/// How long the store is watched after its return.
const WATCHED: i64 = 30_000;

/// What becomes of requests to a store that is away.
#[derive(Clone, Copy, Debug)]
enum Away {
    /// Refused at once.
    Refuses,
    /// Without an answer until this timeout, also when it comes back meanwhile.
    Hangs(i64),
}

#[derive(Clone, Copy, Debug)]
struct Scene {
    /// Positions each step.
    rate: u64,
    /// Most positions of a chunk.
    chunk: u64,
    /// How many times the rate the store takes.
    takes: u64,
    away: Away,
    /// How long it is away.
    outage: i64,
    seed: u64,
}

fn scene() -> impl Strategy<Value = Scene> {
    let away = prop_oneof![Just(Away::Refuses), (1..150_i64).prop_map(|steps| Away::Hangs(steps * STEP))];
    (1..6_u64, 8..20_u64, 5..20_u64, away, 0..600_i64, any::<u64>()).prop_map(
        |(rate, steps, takes, away, outage, seed)| Scene {
            rate,
            chunk: rate * steps,
            takes,
            away,
            outage: outage * STEP,
            seed,
        },
    )
}

#[derive(Debug)]
enum Doing {
    Nothing,
    /// A request with so many positions left, since when, with the journal's end then; whether it hangs.
    Asking {
        left: u64,
        began: i64,
        end: u64,
        hangs: bool,
    },
    Pausing(i64),
}

struct Shard {
    stream: Stream,
    /// Chunk and positions.
    jobs: VecDeque<(u64, u64)>,
    doing: Doing,
    backoff: Backoff,
}

struct Flight {
    stream: Stream,
    range: Range<u64>,
    left: usize,
}

struct World {
    scene: Scene,
    coverage: Coverage,
    now: i64,
    end: u64,
    away: Option<Seq>,
    shards: Vec<Shard>,
    flights: Vec<Flight>,
    /// By stream: not before then is more read.
    rests: [i64; 2],
    /// When each position came, from 1 on.
    came: Vec<i64>,
    /// When the live stream brought it home.
    home: BTreeMap<u64, i64>,
    chance: u64,
}

impl World {
    fn new(scene: Scene) -> Self {
        let shards = [Stream::Live, Stream::Backlog].into_iter().flat_map(|stream| {
            (0..SHARDS).map(move |_| Shard {
                stream,
                jobs: VecDeque::new(),
                doing: Doing::Nothing,
                backoff: Backoff::new(stream),
            })
        });
        Self {
            scene,
            coverage: Coverage::new(Order::LiveFirst, Seq(1), Seq(1)),
            now: 0,
            end: 1,
            away: None,
            shards: shards.collect(),
            flights: Vec::new(),
            rests: [0; 2],
            came: vec![0],
            home: BTreeMap::new(),
            chance: scene.seed,
        }
    }

    fn step(&mut self, is_away: bool) {
        self.now += STEP;
        for _ in 0..self.scene.rate {
            self.came.push(self.now);
            self.end += 1;
        }
        self.coverage.note(UnixMillis(self.now), Seq(self.end));
        for stream in [Stream::Live, Stream::Backlog] {
            self.read(stream);
        }
        let is_asking = |shard: &&Shard| matches!(shard.doing, Doing::Asking { hangs: false, .. });
        let asking = self.shards.iter().filter(is_asking).count() as u64;
        let share = (self.scene.takes * self.scene.rate / asking.max(1)).max(1);
        for at in 0..self.shards.len() {
            self.send(at, is_away, share);
        }
    }

    fn read(&mut self, stream: Stream) {
        let is_full = self.flights.iter().filter(|flight| flight.stream == stream).count() >= CHUNKS;
        let (now, end) = (UnixMillis(self.now), Seq(self.end));
        if is_full {
            match stream {
                Stream::Live => self.coverage.leave_past(now, end, self.away),
                Stream::Backlog => {}
            }
            return;
        }
        if self.now < self.rests[stream as usize] {
            return;
        }
        let range = match stream {
            Stream::Live => self.coverage.live(now, end, self.away),
            Stream::Backlog => self.coverage.backlog(),
        };
        let Some(range) = range else { return };
        let range = range.start.0..range.end.0.min(range.start.0 + self.scene.chunk);
        let received = self.came[usize::try_from(range.start).unwrap()];
        self.coverage.began(stream, Seq(range.start), Seq(range.end), UnixMillis(received));
        let rest = match stream {
            Stream::Live if range.end == self.end => 200,
            Stream::Backlog if self.coverage.is_pressed(now, end) => 500,
            Stream::Live | Stream::Backlog => 0,
        };
        self.rests[stream as usize] = self.now + rest;
        let part = (range.end - range.start).div_ceil(SHARDS as u64);
        for shard in self.shards.iter_mut().filter(|shard| shard.stream == stream) {
            shard.jobs.push_back((range.start, part));
        }
        self.flights.push(Flight { stream, range, left: SHARDS });
    }

    fn send(&mut self, at: usize, is_away: bool, share: u64) {
        let (now, end) = (self.now, self.end);
        let shard = &mut self.shards[at];
        match &mut shard.doing {
            Doing::Pausing(until) if now < *until => {}
            Doing::Pausing(_) | Doing::Nothing => {
                let Some((_, part)) = shard.jobs.front() else { return };
                let hangs = is_away;
                shard.doing = Doing::Asking { left: *part, began: now, end, hangs };
                if is_away && matches!(self.scene.away, Away::Refuses) {
                    self.fail(at);
                }
            }
            Doing::Asking { hangs: true, began, .. } => {
                let Away::Hangs(timeout) = self.scene.away else { return };
                if now - *began >= timeout {
                    self.fail(at);
                }
            }
            Doing::Asking { left, .. } => {
                *left = left.saturating_sub(share);
                if is_away {
                    self.fail(at);
                } else if *left == 0 {
                    self.succeed(at);
                }
            }
        }
    }

    fn fail(&mut self, at: usize) {
        self.chance =
            self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        #[allow(clippy::cast_precision_loss, reason = "chance")]
        let chance = (self.chance >> 11) as f64 / (1_u64 << 53) as f64;
        let shard = &mut self.shards[at];
        let Doing::Asking { began, end, .. } = shard.doing else { return };
        let spent = Duration::from_millis((self.now - began).cast_unsigned());
        let pause = shard.backoff.after_silence(spent, chance);
        shard.doing = Doing::Pausing(self.now + i64::try_from(pause.as_millis()).unwrap());
        self.away = self.away.max(Some(Seq(end)));
    }

    fn succeed(&mut self, at: usize) {
        let shard = &mut self.shards[at];
        shard.backoff.reset();
        shard.doing = Doing::Nothing;
        let (from, _) = shard.jobs.pop_front().unwrap();
        let flight = self.flights.iter().position(|flight| flight.range.start == from).unwrap();
        self.flights[flight].left -= 1;
        if self.flights[flight].left == 0 {
            let Flight { stream, range, .. } = self.flights.swap_remove(flight);
            self.coverage.settled(Seq(range.start));
            match stream {
                Stream::Live => self.home.extend(range.map(|position| (position, self.now))),
                Stream::Backlog => {}
            }
        }
    }
}

proptest! {
    /// By the live stream, whatever waits beside it, when the store takes at least five times what comes.
    #[test]
    fn what_came_since_a_store_is_back_is_there_within_five_seconds(scene in scene()) {
        let mut world = World::new(scene);
        while world.now < 5000 {
            world.step(false);
        }
        let back = world.now + scene.outage;
        while world.now < back {
            world.step(true);
        }
        let first = world.end;
        while world.now < back + WATCHED {
            world.step(false);
        }
        // What hangs when the store comes back has nobody notice that before its timeout.
        let bound = match scene.away {
            Away::Refuses => 5000,
            Away::Hangs(timeout) => timeout + 5000,
        };
        for position in first..world.end {
            let came = world.came[usize::try_from(position).unwrap()];
            let home = world.home.get(&position);
            let open = world.now - came <= bound;
            prop_assert!(home.map_or(open, |home| home - came <= bound), "{came} (back at {back}): {home:?}");
        }
    }
}
