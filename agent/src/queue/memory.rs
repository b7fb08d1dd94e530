//! The rounds that wait in memory: pure.
//!
//! Rounds that were never tried are *fresh* and go first, newest first; those tried in vain or left behind by newer ones are
//! *backlog*. While a round is in a request, or being written to the disk, it is neither taken again nor dropped. Over the
//! bound the oldest go. A round whose request hangs goes to the disk all the same: at worst it is sent twice, under one time.

use std::collections::VecDeque;
use std::sync::Arc;

use wan_wire::{RoundFacts, UnixMillis};

use super::record::Record;
use super::{Dates, Dropped, Item};
use crate::clock::Dating;
use crate::plan::Series;

/// The rounds that wait in memory.
#[derive(Debug)]
pub(super) struct Memory {
    waiting: VecDeque<Waiting>,
    next_id: u64,
    bytes: u64,
    most_bytes: u64,
    rounds: usize,
}

#[derive(Debug)]
struct Waiting {
    id: u64,
    record: Arc<Record>,
    /// The offset under which it was sent, or would be; frozen before the first send.
    offset: Option<i64>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fresh,
    Backlog,
    /// In a request that is under way.
    UnderWay,
    /// Being written to the disk.
    Spilling,
}

/// A round on its way to the disk.
#[derive(Debug, Clone)]
pub(super) struct Spilling {
    pub(super) id: u64,
    pub(super) record: Arc<Record>,
    pub(super) offset: Option<i64>,
}

impl Memory {
    /// An empty one of at most `most_bytes`.
    pub(super) fn new(most_bytes: u64) -> Memory {
        Memory { waiting: VecDeque::new(), next_id: 0, bytes: 0, most_bytes, rounds: 0 }
    }

    /// Adds a round; says what had to go for it.
    pub(super) fn push(&mut self, record: Record) -> Option<Dropped> {
        let offset = record.end.offset;
        let waiting = Waiting { id: self.next_id, record: Arc::new(record), offset, state: State::Fresh };
        self.next_id += 1;
        self.bytes += waiting.bytes();
        self.rounds += waiting.record.targets.len();
        self.waiting.push_back(waiting);
        self.shrink()
    }

    /// The fresh rounds, newest first, at most `most` target rounds (but at least one link's); what does not fit is backlog
    /// from now on. Those that cannot be dated yet stay fresh.
    pub(super) fn take_fresh(&mut self, most: usize, dates: &dyn Dates) -> Vec<Item> {
        let mut taken = Vec::new();
        let mut count = 0;
        for waiting in self.waiting.iter_mut().rev().filter(|waiting| waiting.state == State::Fresh) {
            count += waiting.record.targets.len();
            if !taken.is_empty() && count > most {
                waiting.state = State::Backlog;
            } else if let Some(item) = waiting.dated(dates) {
                waiting.state = State::UnderWay;
                taken.push(item);
            }
        }
        taken
    }

    /// The oldest of the backlog that can be dated, at most `most` target rounds (but at least one link's).
    pub(super) fn take_backlog(&mut self, most: usize, dates: &dyn Dates) -> Vec<Item> {
        let mut taken: Vec<Item> = Vec::new();
        let mut count = 0;
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.state == State::Backlog) {
            count += waiting.record.targets.len();
            if !taken.is_empty() && count > most {
                break;
            }
            if let Some(item) = waiting.dated(dates) {
                waiting.state = State::UnderWay;
                taken.push(item);
            }
        }
        taken
    }

    /// The oldest that are to be written to the disk, at most `most` bytes (but at least one): with `all` whatever there is,
    /// else the backlog.
    pub(super) fn begin_spill(&mut self, most: u64, all: bool) -> Vec<Spilling> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        for waiting in &mut self.waiting {
            match waiting.state {
                State::Backlog => {}
                // What a request still carries is no safer than what waits for one.
                State::Fresh | State::UnderWay if all => {}
                State::Fresh | State::UnderWay | State::Spilling => continue,
            }
            bytes += waiting.bytes();
            if !taken.is_empty() && bytes > most {
                break;
            }
            waiting.state = State::Spilling;
            taken.push(Spilling {
                id: waiting.id,
                record: Arc::clone(&waiting.record),
                offset: waiting.offset,
            });
        }
        taken
    }

    /// These could not be written: they are backlog.
    pub(super) fn end_spill(&mut self, kept: impl IntoIterator<Item = u64>) {
        self.put_back(kept);
    }

    /// These leave: the collector has them, or will never take them, or the disk has them.
    pub(super) fn remove(&mut self, ids: impl IntoIterator<Item = u64>) {
        for id in ids {
            if let Some(at) = self.find(id) {
                self.take_out(at);
            }
        }
        if self.waiting.is_empty() {
            // After an outage the memory is given back.
            self.waiting.shrink_to(64);
        }
    }

    /// These were not delivered: they are backlog.
    pub(super) fn put_back(&mut self, ids: impl IntoIterator<Item = u64>) {
        for id in ids {
            if let Some(waiting) = self.find(id).and_then(|at| self.waiting.get_mut(at)) {
                waiting.state = State::Backlog;
            }
        }
    }

    /// No request is under way any longer: what was, is fresh again.
    pub(super) fn end_all_under_way(&mut self) {
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.state == State::UnderWay) {
            waiting.state = State::Fresh;
        }
    }

    /// Whether something is to be written to the disk: with `all` whatever there is, else the backlog.
    pub(super) fn can_spill(&self, all: bool) -> bool {
        self.has(|state| match state {
            State::Backlog => true,
            State::Fresh | State::UnderWay => all,
            State::Spilling => false,
        })
    }

    /// Whether the backlog has something.
    pub(super) fn has_backlog(&self) -> bool {
        self.can_spill(false)
    }

    /// Whether anything waits that is not under way.
    pub(super) fn has_waiting(&self) -> bool {
        self.has(|state| matches!(state, State::Backlog | State::Fresh))
    }

    /// Bytes that wait, those under way included.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether more than half of the room is taken.
    pub(super) fn is_half_full(&self) -> bool {
        self.bytes > self.most_bytes / 2
    }

    /// Target rounds that wait, those under way included.
    pub(super) fn rounds(&self) -> usize {
        self.rounds
    }

    /// The end of the oldest round that waits, as far as is known.
    pub(super) fn oldest(&self) -> Option<UnixMillis> {
        self.waiting.front().map(Waiting::about_when)
    }

    fn has(&self, which: impl Fn(State) -> bool) -> bool {
        self.waiting.iter().any(|waiting| which(waiting.state))
    }

    fn find(&self, id: u64) -> Option<usize> {
        // Ids ascend from front to back.
        self.waiting.binary_search_by_key(&id, |waiting| waiting.id).ok()
    }

    fn take_out(&mut self, at: usize) -> Option<Waiting> {
        let waiting = self.waiting.remove(at)?;
        self.bytes -= waiting.bytes();
        self.rounds -= waiting.record.targets.len();
        Some(waiting)
    }

    fn shrink(&mut self) -> Option<Dropped> {
        let mut dropped: Option<Dropped> = None;
        let mut at = 0;
        while self.bytes > self.most_bytes && at < self.waiting.len() {
            match self.waiting[at].state {
                // It may be at the collector, or on the disk, already; it is not dropped from under the work on it.
                State::UnderWay | State::Spilling => at += 1,
                State::Fresh | State::Backlog => {
                    if let Some(gone) = self.take_out(at) {
                        Dropped::add(&mut dropped, &gone.record, gone.about_when());
                    }
                }
            }
        }
        dropped
    }
}

impl Waiting {
    /// Dates it, for good, if it can be dated.
    fn dated(&mut self, dates: &dyn Dates) -> Option<Item> {
        let end = &self.record.end;
        if self.offset.is_none() {
            match dates.date(&self.record.boot, end) {
                Dating::At(time) => self.offset = Some(super::offset_of(end, time)),
                // One that is never dated is set aside when it comes from the disk.
                Dating::Later | Dating::Never(_) => {}
            }
        }
        let end = super::wall_at(end.since_boot, self.offset?);
        Some(Item { id: self.id, record: Arc::clone(&self.record), end })
    }

    fn about_when(&self) -> UnixMillis {
        let end = &self.record.end;
        self.offset.map_or(end.host, |offset| super::wall_at(end.since_boot, offset))
    }

    /// Memory that it takes, near enough: the bound is on the whole, not on a byte.
    fn bytes(&self) -> u64 {
        let targets = self.record.targets.capacity() * size_of::<(Arc<Series>, RoundFacts)>();
        u64::try_from(size_of::<Waiting>() + size_of::<Record>() + targets).unwrap_or(u64::MAX)
    }
}
