//! What of the journal a store lacks, and what to read next. Pure.
//!
//! Every journal position is in one of four states: not reached by the live stream, in a hole, being
//! sent, or done with. The cursor is the first that is not done with.
//!
//! | event | |
//! | --- | --- |
//! | a stream has read `[a, b)` | it is being sent |
//! | all batches of what was read at `a` are settled | `[a, b)` is done with |
//! | the live stream is late, and the store was away | what came before the store was last seen away is a hole; the stream goes on behind it |
//! | the live stream is late, and the store answers | all but the last seconds is a hole; the stream goes on behind it |
//! | too old, or past the bound on disk | what of `[…, b)` is not being sent is done with, and counted |
//!
//! # Why what is live does not wait for what is past
//!
//! A hole is filled after all that is older, so no sample may come into one that was received since the store is back. When that was
//! nobody says; but every request that failed began before it. Where the journal ended when the last of these began is therefore not behind the
//! store's return, and that is where a late live stream goes on: whatever the pauses and the timeouts were, all that came since is sent by the
//! live stream, in its order. It begins some seconds back then, and has [`CATCH_UP`] to come to the present. It is not late while it does.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use wan_journal::Seq;
use wan_wire::UnixMillis;

/// The live stream is late when what it is to read next has been in the journal for longer than this.
/// No sample may wait for longer than this beside a backlog: what does is left to it, so that the next one does not.
pub const LATE: Duration = Duration::from_secs(5);
/// A live stream that was late while the store answered goes on with what came within this time.
pub const FRESH: Duration = Duration::from_secs(2);
/// For so long after a store's return the live stream may be late: it brings what came since.
pub const CATCH_UP: Duration = Duration::from_secs(15);
/// The backlog makes room when something of the live stream is under way for longer than this.
pub const PRESSED: Duration = Duration::from_secs(1);
/// How often it is noted where the journal ends, for the live stream's sake.
const NOTE: Duration = Duration::from_millis(100);
/// And for the age of what waits.
const NOTE_AGE: Duration = Duration::from_secs(10);

/// In which order a store gets samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest first, and what it missed beside that: the store must take samples out of order.
    #[default]
    LiveFirst,
    /// As they came.
    InOrder,
}

/// One of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// At the journal's end.
    Live,
    /// What the live stream left behind.
    Backlog,
}

/// What is being sent, from one position on.
#[derive(Clone, Copy, Debug)]
struct Flying {
    end: Seq,
    stream: Stream,
    received: UnixMillis,
}

/// What a store lacks.
#[derive(Clone, Debug)]
pub struct Coverage {
    order: Order,
    next: Seq,
    /// Start → end; disjoint.
    holes: BTreeMap<Seq, Seq>,
    flying: BTreeMap<Seq, Flying>,
    /// Where the journal ended in the last seconds.
    recent: VecDeque<(UnixMillis, Seq)>,
    /// Where the store was last seen away, and when the live stream found itself late behind that.
    returned: Option<(Seq, UnixMillis)>,
    /// Where it ended when: what lies before the position was received by then.
    ages: BTreeMap<Seq, UnixMillis>,
}

/// What was given up: positions, and when the oldest and the newest of it were received, as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// How many requests.
    pub requests: u64,
    /// From the first of them to behind the last; others between may have been sent.
    pub range: Range<Seq>,
    /// When what was received before the first of them was received at the latest.
    pub since: Option<UnixMillis>,
    /// When the last of them was received at the latest.
    pub until: Option<UnixMillis>,
}

impl Coverage {
    /// A store that lacks everything from `cursor` on, with a journal that ends at `end`.
    #[must_use]
    pub fn new(order: Order, cursor: Seq, end: Seq) -> Self {
        let mut coverage = Self {
            order,
            next: cursor,
            holes: BTreeMap::new(),
            flying: BTreeMap::new(),
            recent: VecDeque::new(),
            returned: None,
            ages: BTreeMap::new(),
        };
        match order {
            Order::LiveFirst => coverage.leave_behind(end),
            Order::InOrder => {}
        }
        coverage
    }

    /// Everything before this is done with.
    #[must_use]
    pub fn cursor(&self) -> Seq {
        let first = self.holes.keys().chain(self.flying.keys()).min().copied();
        first.map_or(self.next, |first| first.min(self.next))
    }

    /// How many requests of a journal that ends at `end` the store lacks.
    #[must_use]
    pub fn missing(&self, end: Seq) -> u64 {
        let holes = self.holes.iter().map(|(from, to)| to.0 - from.0);
        let flying = self.flying.iter().map(|(from, flying)| flying.end.0 - from.0);
        holes.chain(flying).sum::<u64>() + end.0.saturating_sub(self.next.0)
    }

    /// Notes that the journal ends at `end` at `now`. To be called several times a second.
    pub fn note(&mut self, now: UnixMillis, end: Seq) {
        // A clock that was set back knows no future.
        while self.recent.back().is_some_and(|(at, _)| *at > now) {
            self.recent.pop_back();
        }
        self.returned = self.returned.filter(|(_, at)| *at <= now);
        if self.recent.back().is_none_or(|(at, _)| now.since(*at) >= NOTE) {
            self.recent.push_back((now, end));
        }
        // Of those that are late already the newest says it.
        while self.recent.get(1).is_some_and(|(at, _)| now.since(*at) >= LATE) {
            self.recent.pop_front();
        }
        if self.ages.last_key_value().is_none_or(|(seq, at)| *seq < end && now.since(*at) >= NOTE_AGE) {
            self.ages.insert(end, now);
        }
        let cursor = self.cursor();
        while let Some((second, _)) = self.ages.iter().nth(1)
            && *second <= cursor
        {
            self.ages.pop_first();
        }
    }

    /// Notes that what lies before `seq` was received by `at`.
    pub fn know(&mut self, seq: Seq, at: UnixMillis) {
        self.ages.insert(seq, at);
    }

    /// From where to where the live stream is to read, if there is anything. `away` is where the journal ended when the last of the requests
    /// that failed began.
    pub fn live(&mut self, now: UnixMillis, end: Seq, away: Option<Seq>) -> Option<Range<Seq>> {
        self.leave_past(now, end, away);
        match self.order {
            Order::LiveFirst => {
                if self.is_late(now) && self.returned.is_none_or(|(_, at)| now.since(at) >= CATCH_UP) {
                    let fresh = self.recent.iter().find(|(at, _)| now.since(*at) <= FRESH);
                    self.leave_behind(fresh.map_or(end, |(_, seq)| *seq));
                }
            }
            Order::InOrder => {}
        }
        (self.next < end).then_some(self.next..end)
    }

    /// Has a live stream that is late leave behind what came before the store was last seen away. To be called while nothing is read for the live
    /// stream and it has no room for more: what holds it up may be one bad request, and then others must go beside it.
    pub fn leave_past(&mut self, now: UnixMillis, end: Seq, away: Option<Seq>) {
        match self.order {
            Order::LiveFirst => {
                if self.is_late(now)
                    && let Some(away) = away
                    && self.returned.is_none_or(|(known, _)| known < away)
                {
                    self.leave_behind(away.min(end));
                    self.returned = Some((away, now));
                }
            }
            Order::InOrder => {}
        }
    }

    /// Whether what the live stream is to read next came too long ago.
    fn is_late(&self, now: UnixMillis) -> bool {
        let late = self.recent.iter().rev().find(|(at, _)| now.since(*at) >= LATE);
        late.is_some_and(|(_, seq)| *seq > self.next)
    }

    /// Whether the live stream is behind, so that the backlog makes room for it.
    #[must_use]
    pub fn is_pressed(&self, now: UnixMillis, end: Seq) -> bool {
        self.oldest_live(end).is_some_and(|at| now.since(at) > PRESSED)
    }

    /// The oldest hole.
    #[must_use]
    pub fn backlog(&self) -> Option<Range<Seq>> {
        self.holes.first_key_value().map(|(from, to)| *from..*to)
    }

    /// A stream has read from `from` up to `end`, which is behind `from`, and sends it; the oldest of it was received then.
    pub fn began(&mut self, stream: Stream, from: Seq, end: Seq, received: UnixMillis) {
        match stream {
            Stream::Live => self.next = self.next.max(end),
            Stream::Backlog => self.take_from_holes(from, end),
        }
        self.flying.insert(from, Flying { end, stream, received });
    }

    /// All of what was read from `from` on is settled.
    pub fn settled(&mut self, from: Seq) {
        self.flying.remove(&from);
    }

    /// Gives up what lies before `end` and is not being sent.
    pub fn give_up(&mut self, end: Seq) -> Option<GivenUp> {
        let (mut requests, mut first) = (0, None);
        while let Some((from, to)) = self.holes.first_key_value().map(|(from, to)| (*from, *to))
            && from < end
        {
            self.holes.remove(&from);
            if to > end {
                self.holes.insert(end, to);
            }
            requests += to.min(end).0 - from.0;
            first = first.or(Some(from));
        }
        if self.next < end {
            requests += end.0 - self.next.0;
            first = first.or(Some(self.next));
            self.next = end;
        }
        let range = first?..end;
        let since = self.ages.range(..=range.start).next_back().map(|(_, at)| *at);
        let until = self.ages.range(end..).next().map(|(_, at)| *at);
        Some(GivenUp { requests, range, since, until })
    }

    /// Up to where everything was received before `cutoff`, as far as that is known to within ten seconds.
    #[must_use]
    pub fn older_than(&self, cutoff: UnixMillis) -> Option<Seq> {
        self.ages.iter().take_while(|(_, at)| **at < cutoff).last().map(|(seq, _)| *seq)
    }

    /// When the oldest that the store lacks was received, at the latest; `None` when it lacks nothing.
    #[must_use]
    pub fn oldest(&self, end: Seq) -> Option<UnixMillis> {
        let cursor = self.cursor();
        if cursor >= end {
            return None;
        }
        if let Some(flying) = self.flying.get(&cursor) {
            return Some(flying.received);
        }
        self.when(cursor)
    }

    /// When the oldest that the live stream has not brought home was received, at the latest.
    #[must_use]
    pub fn oldest_live(&self, end: Seq) -> Option<UnixMillis> {
        let live = |flying: &&Flying| flying.stream == Stream::Live;
        let flying = self.flying.values().filter(live).map(|flying| flying.received).min();
        let unread = if self.next < end { self.when(self.next) } else { None };
        flying.into_iter().chain(unread).min()
    }

    /// By when the record at `seq` was received.
    fn when(&self, seq: Seq) -> Option<UnixMillis> {
        let recent = self.recent.iter().find(|(_, end)| *end > seq).map(|(at, _)| *at);
        let aged = self.ages.range(seq.next()..).next().map(|(_, at)| *at);
        recent.into_iter().chain(aged).min()
    }

    /// The live stream goes on at `end`.
    fn leave_behind(&mut self, end: Seq) {
        if end <= self.next {
            return;
        }
        let mut from = self.next;
        if let Some((before, to)) = self.holes.range(..from).next_back().map(|(before, to)| (*before, *to))
            && to == from
        {
            from = before;
        }
        self.holes.insert(from, end);
        self.next = end;
    }

    fn take_from_holes(&mut self, from: Seq, end: Seq) {
        let start = self.holes.range(..=from).next_back().map_or(from, |(start, _)| *start);
        let touched: Vec<(Seq, Seq)> = self.holes.range(start..end).map(|(a, b)| (*a, *b)).collect();
        for (a, b) in touched {
            if b <= from {
                continue;
            }
            self.holes.remove(&a);
            if a < from {
                self.holes.insert(a, from);
            }
            if b > end {
                self.holes.insert(end, b);
            }
        }
    }
}

#[cfg(test)]
mod returns;
#[cfg(test)]
mod tests;
