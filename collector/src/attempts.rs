//! How often somebody may be wrong: a limiter of failed attempts, by network address or by user name.
//!
//! ```text
//!            failed                    failed
//!  (nothing) ──────► some failures ──────────► as many as are free ──► waits: first, 2 × first, 4 × first, … most
//!      ▲                  │                              │                          │
//!      └──────────────────┴──────────────────────────────┴──────────────────────────┘
//!           nothing failed for `forget` after the last wait, or `cleared`
//! ```
//!
//! - The first few failures cost nothing: people mistype. Each further one doubles the time until the next attempt is
//!   looked at, up to a limit, so that a guesser gets a few attempts an hour while a person waits seconds.
//! - An attempt within the wait is refused unseen and does not prolong the wait: a program that keeps asking locks itself
//!   out no longer than one that does not.
//! - Memory is bounded. When it is full, the entry that would be forgotten soonest makes room: a flood of addresses with one
//!   failure each pushes out its like, never one that has earned a long wait.
//!
//! Time is an argument. It is the monotonic clock's, so that nobody's wait changes with the wall clock.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// How many failures are free, and how long the others cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// So many failures without a wait.
    pub free: u32,
    /// The wait after the first failure that is not free; each further one doubles it.
    pub first: Duration,
    /// No wait is longer.
    pub most: Duration,
    /// A key is forgotten when it has not failed for this long after its last wait.
    pub forget: Duration,
    /// At most this many keys are remembered.
    pub keys: usize,
}

/// The failures of many keys: of addresses ([`network`]), or of names.
#[derive(Debug)]
pub struct Attempts<K> {
    rule: Rule,
    entries: BTreeMap<K, Entry>,
    /// The same keys by when they will be forgotten.
    forgotten: BTreeSet<(Instant, K)>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    failures: u32,
    /// Before this the key has to wait.
    again: Instant,
    forgotten: Instant,
}

/// An attempt comes too soon: so much time is left. Shown to the client as `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait(pub Duration);

impl Wait {
    /// Whole seconds, rounded up, at least one: who waits this long is not refused again.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0.as_secs() + u64::from(self.0.subsec_nanos() > 0 || self.0.is_zero())
    }
}

/// The network that counts as one address: IPv4 whole; of IPv6 the first 64 bits, since a host may take any address within
/// (RFC 4291 §2.5.4), and an IPv4 address written as IPv6 is the IPv4 one.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

impl<K: Ord + Clone> Attempts<K> {
    /// None has failed yet.
    #[must_use]
    pub fn new(rule: Rule) -> Self {
        Self { rule, entries: BTreeMap::new(), forgotten: BTreeSet::new() }
    }

    /// Whether an attempt of `key` may be looked at now.
    ///
    /// # Errors
    /// How long it has to wait.
    pub fn check(&self, now: Instant, key: &K) -> Result<(), Wait> {
        match self.entries.get(key) {
            Some(entry) if now < entry.again => Err(Wait(entry.again.duration_since(now))),
            Some(_) | None => Ok(()),
        }
    }

    /// Notes that an attempt has failed. Where attempts take long to look at, note it before and take it back
    /// ([`Self::take_back`]) when it was right: many at once are then counted as many.
    pub fn failed(&mut self, now: Instant, key: K) {
        self.forget(now);
        let failures = self.remove(&key).map_or(0, |entry| entry.failures).saturating_add(1);
        let again = now + self.wait(failures);
        let forgotten = again + self.rule.forget;
        while self.entries.len() >= self.rule.keys.max(1)
            && let Some((_, soonest)) = self.forgotten.pop_first()
        {
            self.entries.remove(&soonest);
        }
        self.forgotten.insert((forgotten, key.clone()));
        self.entries.insert(key, Entry { failures, again, forgotten });
    }

    /// Takes one failure back: the attempt was right after all. The others stay, so that one's own good password does not
    /// buy guesses at another's.
    pub fn take_back(&mut self, now: Instant, key: &K) {
        let Some(entry) = self.remove(key) else { return };
        if entry.failures > 1 {
            let failures = entry.failures - 1;
            let forgotten = now + self.rule.forget;
            self.forgotten.insert((forgotten, key.clone()));
            self.entries.insert(key.clone(), Entry { failures, again: now, forgotten });
        }
    }

    /// Forgets what `key` has failed: it has proved itself.
    pub fn cleared(&mut self, key: &K) {
        self.remove(key);
    }

    /// How many keys are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn wait(&self, failures: u32) -> Duration {
        match failures.checked_sub(self.rule.free) {
            None | Some(0) => Duration::ZERO,
            Some(paid) => {
                let doubled =
                    2_u32.checked_pow(paid - 1).and_then(|times| self.rule.first.checked_mul(times));
                doubled.unwrap_or(self.rule.most).min(self.rule.most)
            }
        }
    }

    fn remove(&mut self, key: &K) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.forgotten.remove(&(entry.forgotten, key.clone()));
        Some(entry)
    }

    fn forget(&mut self, now: Instant) {
        while let Some((when, _)) = self.forgotten.first()
            && *when <= now
            && let Some((_, key)) = self.forgotten.pop_first()
        {
            self.entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const RULE: Rule = Rule {
        free: 3,
        first: SECOND,
        most: Duration::from_secs(60),
        forget: Duration::from_secs(600),
        keys: 4,
    };

    fn start() -> Instant {
        crate::clock::monotonic()
    }

    #[test]
    fn the_first_failures_are_free_and_each_further_one_doubles_the_wait_up_to_the_limit() {
        let mut now = start();
        let mut attempts = Attempts::new(RULE);
        let mut waits = Vec::new();
        for _ in 0..11 {
            assert_eq!(attempts.check(now, &"a"), Ok(()));
            attempts.failed(now, "a");
            let wait = attempts.check(now, &"a").err().map_or(0, Wait::seconds);
            waits.push(wait);
            now += SECOND * u32::try_from(wait).unwrap();
        }
        assert_eq!(waits, [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(attempts.check(now, &"b"), Ok(()), "another key is not concerned");
    }

    #[test]
    fn the_wait_that_is_told_is_long_enough_and_asking_does_not_prolong_it() {
        let now = start();
        let mut attempts = Attempts::new(RULE);
        (0..6).for_each(|_| attempts.failed(now, "a"));
        let half = now + Duration::from_millis(1_500);
        let told = attempts.check(half, &"a").unwrap_err();
        assert_eq!((told, told.seconds()), (Wait(Duration::from_millis(2_500)), 3));
        assert_eq!(attempts.check(half + SECOND * 3, &"a"), Ok(()));
        assert_eq!(Wait(Duration::ZERO).seconds(), 1);
    }

    #[test]
    fn who_was_right_has_only_that_attempt_taken_back_and_who_is_cleared_begins_anew() {
        let now = start();
        let mut attempts = Attempts::new(RULE);
        (0..4).for_each(|_| attempts.failed(now, "a"));
        attempts.take_back(now, &"a");
        assert_eq!(attempts.check(now, &"a"), Ok(()));
        attempts.failed(now, "a");
        assert!(attempts.check(now, &"a").is_err(), "the earlier ones still count");
        attempts.cleared(&"a");
        assert_eq!((attempts.check(now, &"a"), attempts.len()), (Ok(()), 0));
        attempts.failed(now, "a");
        attempts.take_back(now, &"a");
        attempts.take_back(now, &"a");
        assert!(attempts.is_empty());
    }

    #[test]
    fn a_key_that_fails_no_more_is_forgotten() {
        let now = start();
        let mut attempts = Attempts::new(RULE);
        (0..5).for_each(|_| attempts.failed(now, "a"));
        let later = now + SECOND * 2 + RULE.forget;
        attempts.failed(later, "a");
        assert_eq!(attempts.check(later, &"a"), Ok(()), "the first of three free ones");
    }

    #[test]
    fn a_flood_of_addresses_pushes_out_no_address_that_has_to_wait() {
        let now = start();
        let mut attempts = Attempts::new(RULE);
        (0..10).for_each(|_| attempts.failed(now, u128::MAX));
        for address in 0..100_000 {
            attempts.failed(now, address);
        }
        assert_eq!(attempts.len(), RULE.keys);
        assert!(attempts.check(now, &u128::MAX).is_err());
    }

    #[test]
    fn a_network_is_an_ipv4_address_or_64_bits_of_an_ipv6_one() {
        for (address, expected) in [
            ("10.1.2.3", "10.1.2.3"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::"),
            ("::1", "::"),
        ] {
            assert_eq!(network(address.parse().unwrap()).to_string(), expected);
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Pass(u64),
        Try(u8),
        Right(u8),
        Clear(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_u64..100).prop_map(Step::Pass),
            (0_u8..8).prop_map(Step::Try),
            (0_u8..8).prop_map(Step::Right),
            (0_u8..8).prop_map(Step::Clear),
        ]
    }

    proptest! {
        #[test]
        fn memory_stays_bounded_no_wait_is_over_the_limit_and_waiting_it_out_suffices(
            steps in proptest::collection::vec(step(), 1..200),
        ) {
            let mut now = start();
            let mut attempts = Attempts::new(RULE);
            for step in steps {
                match step {
                    Step::Pass(seconds) => now += Duration::from_secs(seconds),
                    Step::Try(key) => {
                        if attempts.check(now, &key).is_ok() {
                            attempts.failed(now, key);
                        }
                    }
                    Step::Right(key) => {
                        attempts.take_back(now, &key);
                        prop_assert_eq!(attempts.check(now, &key), Ok(()));
                    }
                    Step::Clear(key) => attempts.cleared(&key),
                }
                prop_assert!(attempts.len() <= RULE.keys);
                prop_assert_eq!(attempts.entries.len(), attempts.forgotten.len());
                for key in 0..8 {
                    if let Err(wait) = attempts.check(now, &key) {
                        prop_assert!(wait.0 <= RULE.most);
                        prop_assert_eq!(attempts.check(now + wait.0, &key), Ok(()));
                    }
                }
            }
        }

        #[test]
        fn in_any_hour_a_guesser_gets_few_attempts(pauses in proptest::collection::vec(0_u64..30, 400)) {
            // However the guesses are spread: after the free ones, one a minute at most.
            let rule = Rule { forget: Duration::from_secs(86_400), ..RULE };
            let (mut now, mut attempts, mut looked_at) = (start(), Attempts::new(rule), Vec::new());
            for pause in pauses {
                now += Duration::from_secs(pause);
                if attempts.check(now, &0).is_ok() {
                    attempts.failed(now, 0);
                    looked_at.push(now);
                }
            }
            for (first, last) in looked_at.iter().skip(10).zip(looked_at.iter().skip(11)) {
                prop_assert!(last.duration_since(*first) >= RULE.most);
            }
        }
    }
}
