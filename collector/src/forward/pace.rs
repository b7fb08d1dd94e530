//! How long to wait. Pure: chance is an argument.

use std::time::Duration;

use super::coverage::Stream;
use super::split::BUDGET;

/// The first pause after a request that failed.
const FIRST: Duration = Duration::from_millis(250);
/// The longest pause of the live stream: with the time of a request, live samples are on their way within five seconds of a store's return.
const LONGEST_LIVE: Duration = Duration::from_secs(3);
/// And of the backlog.
const LONGEST_BACKLOG: Duration = Duration::from_secs(10);
/// A store may ask for a pause of its own, up to this.
pub const LONGEST_ASKED: Duration = Duration::from_secs(300);
/// The longest pause after a batch of which a store took nothing.
const LONGEST_REFUSED: Duration = Duration::from_secs(5);
/// So many requests search a batch of a store that took nothing of the one before.
const SMALL_BUDGET: u32 = 16;

/// The pauses of one batch: they double, and half of each is chance, so that shards and collectors do not come together.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// None yet.
    #[must_use]
    pub fn new(stream: Stream) -> Self {
        let longest = match stream {
            Stream::Live => LONGEST_LIVE,
            Stream::Backlog => LONGEST_BACKLOG,
        };
        Self { longest, failures: 0 }
    }

    /// The pause after one more failure; `chance` is from 0 to 1. Not shorter than the store asked for.
    pub fn after(&mut self, asked: Option<Duration>, chance: f64) -> Duration {
        let full = doubled(FIRST, self.failures, self.longest);
        self.failures = self.failures.saturating_add(1);
        let pause = full / 2 + (full / 2).mul_f64(chance.clamp(0.0, 1.0));
        pause.max(asked.unwrap_or_default().min(LONGEST_ASKED))
    }

    /// The pause after one more request that had no answer, `spent` after its beginning. Pauses then count from there: a store that was not to be
    /// reached is asked again as soon as one that refuses the connection, however long it took to see that.
    pub fn after_silence(&mut self, spent: Duration, chance: f64) -> Duration {
        self.after(None, chance).saturating_sub(spent).max(FIRST / 2)
    }

    /// A request came through.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// How often in a row it failed.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

/// How a store stands: whether it takes anything at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    refused_whole: u32,
}

impl Standing {
    /// It took something.
    pub fn took(&mut self) {
        self.refused_whole = 0;
    }

    /// It refused the whole of a batch. Gives the pause before the next.
    pub fn refused_whole(&mut self) -> Duration {
        let pause = doubled(FIRST, self.refused_whole, LONGEST_REFUSED);
        self.refused_whole = self.refused_whole.saturating_add(1);
        pause
    }

    /// How many requests the next batch may cost.
    #[must_use]
    pub fn budget(&self) -> u32 {
        if self.refused_whole == 0 { BUDGET } else { SMALL_BUDGET }
    }
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times.min(20))).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_half_of_each_is_chance() {
        let millis = |stream, chance| {
            let mut backoff = Backoff::new(stream);
            (0..8).map(|_| backoff.after(None, chance).as_millis()).collect::<Vec<_>>()
        };
        assert_eq!(millis(Stream::Live, 1.0), [250, 500, 1000, 2000, 3000, 3000, 3000, 3000]);
        assert_eq!(millis(Stream::Live, 0.0), [125, 250, 500, 1000, 1500, 1500, 1500, 1500]);
        assert_eq!(millis(Stream::Backlog, 1.0), [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        let mut backoff = Backoff::new(Stream::Live);
        for _ in 0..1000 {
            backoff.after(None, 1.0);
        }
        backoff.reset();
        assert_eq!((backoff.after(None, 1.0), backoff.failures()), (Duration::from_millis(250), 1));
    }

    #[test]
    fn what_a_request_without_an_answer_took_counts_as_pause() {
        let mut backoff = Backoff::new(Stream::Live);
        for _ in 0..6 {
            backoff.after(None, 1.0);
        }
        assert_eq!(backoff.after_silence(Duration::ZERO, 1.0), Duration::from_secs(3));
        assert_eq!(backoff.after_silence(Duration::from_secs(2), 1.0), Duration::from_secs(1));
        assert_eq!(backoff.after_silence(Duration::from_secs(10), 0.0), FIRST / 2);
        assert_eq!(backoff.failures(), 9);
    }

    #[test]
    fn a_store_is_left_alone_for_as_long_as_it_asks_within_reason() {
        let mut backoff = Backoff::new(Stream::Live);
        assert_eq!(backoff.after(Some(Duration::from_secs(60)), 0.0), Duration::from_secs(60));
        assert_eq!(backoff.after(Some(Duration::from_secs(1_000_000)), 0.0), LONGEST_ASKED);
        assert_eq!(backoff.after(Some(Duration::ZERO), 1.0), Duration::from_secs(1));
    }

    #[test]
    fn a_store_that_refuses_everything_is_asked_less_and_less_until_it_takes_something() {
        let mut standing = Standing::default();
        assert_eq!(standing.budget(), BUDGET);
        let pauses: Vec<_> = (0..7).map(|_| standing.refused_whole().as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(standing.budget(), SMALL_BUDGET);
        standing.took();
        assert_eq!((standing.budget(), standing.refused_whole().as_millis()), (BUDGET, 250));
    }
}
