//! Random histories against a naive model: what was pushed, what was sent under which time, what was acknowledged, what was on
//! the disk for certain.
//!
//! - A round is sent under one time, however often, and across crashes: also where the dates themselves change from one
//!   process to the next (as when the clock's memory is lost).
//! - What was on the disk for certain, or closed cleanly, and was not acknowledged, comes out in the end, but for what was
//!   dropped and counted.
//! - Without a crash and on a disk that works the books balance to the sample: pushed is acknowledged, dropped or there.
//! - What comes out is what went in, bit for bit, whatever was done to the files.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    /// So many rounds; whether they know their time.
    Push { count: usize, targets: u32, dated: bool },
    /// A live push, and whether it gets through.
    Live { most: usize, delivered: bool },
    /// A request of the backlog, and how many of its rounds are done for.
    Backlog { most: usize, gone: Index, all: bool },
    /// Time passes, and the disk is tended.
    Tend(u64),
    /// The disk has so many bytes left, or all it wants.
    Free(Option<u64>),
    /// The disk fails for a while.
    Fault(u32, u32),
    /// A byte of a file changes.
    Damage(Index, Index, u8),
    /// The process ends cleanly and starts again.
    Reopen,
    /// The power fails.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1usize..60, 0u32..12, any::<bool>())
            .prop_map(|(count, targets, dated)| Step::Push { count, targets, dated }),
        4 => (1usize..200, any::<bool>()).prop_map(|(most, delivered)| Step::Live { most, delivered }),
        5 => (1usize..200, any::<Index>(), any::<bool>())
            .prop_map(|(most, gone, all)| Step::Backlog { most, gone, all }),
        6 => (1u64..100).prop_map(Step::Tend),
        1 => prop::option::of(0u64..100_000).prop_map(Step::Free),
        1 => (0u32..6, 1u32..6).prop_map(|(good, bad)| Step::Fault(good, bad)),
        1 => (any::<Index>(), any::<Index>(), 1u8..).prop_map(|(file, at, bits)| Step::Damage(file, at, bits)),
        1 => Just(Step::Reopen),
        2 => Just(Step::Crash),
    ]
}

struct World {
    sim: Sim,
    queue: Option<Queue<Sim>>,
    dates: Fixed,
    now: Duration,
    next: u64,
    pushed: BTreeMap<u64, Record>,
    times: BTreeMap<u64, UnixMillis>,
    acknowledged: BTreeSet<u64>,
    /// On the disk for certain.
    safe: BTreeSet<u64>,
    /// In memory only when the power failed.
    lost: BTreeSet<u64>,
    dropped: u64,
    has_crashed: bool,
    /// Something was done to the disk that no promise covers.
    is_damaged: bool,
    /// The dates change from one process to the next; and the disk works.
    dates_change: bool,
}

fn small() -> QueueConfig {
    QueueConfig { memory: 60_000, disk: 300_000, ..QueueConfig::default() }
}

impl World {
    fn new(seed: u64, dates_change: bool) -> World {
        let sim = Sim::new(seed);
        let queue = Queue::new(small(), "this-boot", Some(sim.clone()));
        World {
            sim,
            queue: Some(queue),
            dates: Fixed::at(1_000_000),
            now: Duration::ZERO,
            next: 0,
            pushed: BTreeMap::new(),
            times: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            safe: BTreeSet::new(),
            lost: BTreeSet::new(),
            dropped: 0,
            has_crashed: false,
            is_damaged: false,
            dates_change,
        }
    }

    fn queue(&self) -> &Queue<Sim> {
        self.queue.as_ref().unwrap()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Push { count, targets, dated } => {
                for _ in 0..count {
                    let mut round = record(self.next, targets);
                    if !dated {
                        round.end.offset = None;
                    }
                    self.queue().push(round.clone());
                    self.pushed.insert(self.next, round);
                    self.next += 1;
                }
            }
            Step::Live { most, delivered } => {
                let items = self.queue().take_live(most, &self.dates);
                self.sent(&items);
                self.queue().set_offline(!delivered);
                if delivered {
                    self.queue().delivered(&items);
                    self.acknowledged.extend(numbers(&items));
                } else {
                    self.queue().put_back(&items);
                }
            }
            Step::Backlog { most, gone, all } => {
                if let Some(batch) = self.queue().take_backlog(most, self.now, None, &self.dates) {
                    self.sent(&batch.items);
                    let gone = if all { batch.items.len() } else { gone.index(batch.items.len() + 1) };
                    self.queue().settle(&batch, gone, self.now);
                    self.acknowledged.extend(numbers(&batch.items[..gone]));
                }
            }
            Step::Tend(seconds) => {
                self.now += Duration::from_secs(seconds);
                self.queue().tend(self.now);
                if self.queue().figures().memory_bytes == 0 {
                    self.all_safe();
                }
            }
            Step::Free(free) => {
                self.sim.queue.leave_free(free);
            }
            Step::Fault(good, bad) => {
                self.sim.queue.fail(good, bad);
            }
            Step::Damage(file, at, bits) => {
                let names = self.sim.queue.names();
                let names: Vec<&str> =
                    names.iter().map(String::as_str).filter(|name| *name != "lock").collect();
                if names.is_empty() {
                    return;
                }
                self.is_damaged = true;
                self.sim.queue.corrupt(names[file.index(names.len())], |bytes| {
                    if !bytes.is_empty() {
                        let at = at.index(bytes.len());
                        bytes[at] ^= bits;
                    }
                });
            }
            Step::Reopen => {
                if self.queue().close(self.now) == 0 {
                    self.all_safe();
                } else {
                    self.has_crashed = true;
                    self.lose();
                }
                self.reopen(false);
            }
            Step::Crash => {
                self.has_crashed = true;
                self.lose();
                self.reopen(true);
            }
        }
    }

    fn sent(&mut self, items: &[Item]) {
        for item in items {
            let number = item.record.end.since_boot / 5000;
            let pushed = &self.pushed[&number];
            let mut came = Record::clone(&item.record);
            came.end.offset = pushed.end.offset;
            assert_eq!(&came, pushed, "what comes out is what went in");
            if let Some(offset) = pushed.end.offset {
                assert_eq!(item.end, wall_at(pushed.end.since_boot, offset));
            }
            let before = *self.times.entry(number).or_insert(item.end);
            assert_eq!(before, item.end, "round {number} under another time");
        }
    }

    fn all_safe(&mut self) {
        self.safe.extend(self.pushed.keys().copied());
    }

    /// What is in memory only ends here.
    fn lose(&mut self) {
        let unsafe_ones = self.pushed.keys().filter(|number| !self.safe.contains(number));
        self.lost.extend(unsafe_ones.copied().collect::<Vec<_>>());
    }

    fn reopen(&mut self, crash: bool) {
        self.dropped += self.queue().figures().dropped_samples;
        self.queue = None;
        if crash {
            self.sim.queue.crash();
            self.sim.aside.crash();
        }
        if self.dates_change {
            self.dates.0.fetch_add(17, Ordering::Relaxed);
        }
        self.queue = Some(Queue::new(small(), "this-boot", Some(self.sim.clone())));
        self.queue().tend(self.now);
    }

    fn end(mut self) {
        self.sim.queue.leave_free(None);
        self.sim.queue.fail(0, 0);
        // A disk that failed is tried again.
        for _ in 0..3 {
            self.now += RETRY * 2;
            self.queue().tend(self.now);
        }
        let mut there = BTreeSet::new();
        for _ in 0..2 {
            let live = self.queue().take_live(usize::MAX, &self.dates);
            self.sent(&live);
            self.queue().delivered(&live);
            there.extend(numbers(&live));
            while let Some(batch) = self.queue().take_backlog(100, self.now, None, &self.dates) {
                self.sent(&batch.items);
                self.queue().settle(&batch, batch.items.len(), self.now);
                there.extend(numbers(&batch.items));
            }
        }
        assert!(!self.queue().has_waiting());
        let dropped = self.dropped + self.queue().figures().dropped_samples;
        if self.is_damaged {
            return;
        }
        let samples = |number: &u64| self.pushed[number].samples();
        let gone = |number: &&u64| !there.contains(number) && !self.acknowledged.contains(number);
        let missing: u64 =
            self.pushed.keys().filter(gone).filter(|number| !self.lost.contains(number)).map(samples).sum();
        assert!(missing <= dropped, "{missing} samples are missing, {dropped} were counted as dropped");
        // A write that failed may have reached the disk all the same: then a round is there although its copy in memory was
        // dropped and counted.
        if !self.has_crashed && self.dates_change {
            assert_eq!(missing, dropped, "the books balance");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nothing_is_lost_in_silence_and_nothing_gets_two_times(
        seed: u64,
        steps in prop::collection::vec(step(), 1..60),
    ) {
        // The clock's memory may be lost, or the queue's files damaged: of both at once only one can be made good.
        let breaks = |step: &Step| matches!(step, Step::Damage(..) | Step::Free(_) | Step::Fault(..));
        let mut world = World::new(seed, !steps.iter().any(breaks));
        for step in steps {
            world.step(step);
        }
        world.end();
    }
}
