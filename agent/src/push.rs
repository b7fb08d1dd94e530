//! Pushing: what an answer means, when to try again, which collector to try. Pure; [`client`] is the HTTP around it.
//!
//! | answer | action |
//! | --- | --- |
//! | 2xx | the collector has it: delete |
//! | 2xx to remote write 2.0 without its `…-Written` headers | the receiver only speaks 1.0: the same again in 1.0 |
//! | 2xx with an HTML body | not a collector but something on the way (a captive portal): keep, back off |
//! | 401, 403, 407 | keep; read the credential again, and once more at once when it changed; else back off |
//! | 413 | half of the batch; one that cannot be halved is set aside, unless a web page says so |
//! | 415 | in 2.0: the same again in 1.0; in 1.0: keep, back off |
//! | 404, 405, 408, 410, 421, 425, 429 | keep, back off: a wrong URL or a busy peer says nothing about the data |
//! | other 4xx with `…-Written` headers or the collector's time, or in 1.0 and no HTML | set aside: sending it again would change nothing |
//! | other 4xx | not the receiver but something on the way (a firewall, a proxy): keep, back off |
//! | 1xx, 3xx, 5xx, timeout, no connection | keep, back off |

pub mod client;
mod credential;
pub(crate) mod pusher;
pub mod trust;

use std::time::Duration;

use wan_wire::Protocol;

/// The first wait after a failure is at most this; it doubles with each failure.
pub const BACKOFF_BASE: Duration = Duration::from_secs(1);
/// No wait of our own is longer: an agent must be seen again within a minute of its path's return.
pub const BACKOFF_CAP: Duration = Duration::from_secs(60);
/// A longer `Retry-After` is taken for a mistake.
pub const RETRY_AFTER_CAP: Duration = Duration::from_secs(600);

/// How a push ended, as far as the policy cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// With an HTTP answer.
    Status {
        /// Its status.
        code: u16,
        /// Whether it is a web page.
        html: bool,
        /// Whether it has one of remote write 2.0's `…-Written` headers.
        written: bool,
        /// Whether it tells the time as a collector of ours does.
        collector: bool,
        /// Its `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// Without one: no connection, a timeout, a broken answer.
    Failed,
}

/// What to do with a batch after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Delivered: delete it.
    Delete,
    /// Refused for good: count it and let it go.
    SetAside,
    /// Too large: send half of it.
    Halve,
    /// The peer only speaks remote write 1.0: send it again in that.
    SpeakV1,
    /// The credential is not accepted: read it again, keep the data.
    Credential,
    /// Keep it and try again later.
    BackOff,
}

/// What an answer means.
pub fn action(answered: Answered, protocol: Protocol, items: usize) -> Action {
    let Answered::Status { code, html, written, collector, .. } = answered else { return Action::BackOff };
    match (code, protocol) {
        (200..=299, Protocol::V2) if !written && !html => Action::SpeakV1,
        (200..=299, Protocol::V1 | Protocol::V2) if html && !written => Action::BackOff,
        (200..=299, Protocol::V1 | Protocol::V2) => Action::Delete,
        (401 | 403 | 407, Protocol::V1 | Protocol::V2) => Action::Credential,
        (404 | 405 | 408 | 410 | 421 | 425 | 429, Protocol::V1 | Protocol::V2) => Action::BackOff,
        (413, Protocol::V1 | Protocol::V2) if items > 1 => Action::Halve,
        (415, Protocol::V2) => Action::SpeakV1,
        (415, Protocol::V1) => Action::BackOff,
        (413, Protocol::V1 | Protocol::V2) if !html => Action::SetAside,
        (400..=499, Protocol::V2) if written || collector => Action::SetAside,
        // Version 1.0 knows no such headers.
        (400..=499, Protocol::V1) if !html => Action::SetAside,
        (_, Protocol::V1 | Protocol::V2) => Action::BackOff,
    }
}

/// How long to wait after the `failures`-th failure in a row: full jitter over a doubling range, and not less than the peer
/// asked for. `random` is in [0, 1).
pub fn backoff(failures: u32, retry_after: Option<Duration>, random: f64) -> Duration {
    let range = BACKOFF_BASE.saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    let wait = range.min(BACKOFF_CAP).mul_f64(random.clamp(0.0, 1.0));
    match retry_after {
        // The jitter stays on top: those who were told the same moment do not come back at the same moment.
        Some(asked) => asked.min(RETRY_AFTER_CAP) + wait.min(BACKOFF_BASE * 5),
        None => wait,
    }
}

/// What is known of one collector URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The version of remote write that it speaks, as far as is known.
    pub protocol: Protocol,
    failures: u32,
    not_before: Duration,
}

impl Default for Path {
    fn default() -> Self {
        Path { protocol: Protocol::V2, failures: 0, not_before: Duration::ZERO }
    }
}

/// The collector's URLs in order of preference, when each may be tried, and which of them works. Times are monotonic, since
/// the agent's start.
///
/// A path that works is stayed with: a preferred one that swallows packets must not delay each push by a timeout. Whether a
/// preferred one is back is found out beside the pushes ([`Paths::worth_asking`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    paths: Vec<Path>,
    current: Option<usize>,
}

impl Paths {
    /// As many as there are URLs.
    pub fn new(count: usize) -> Paths {
        Paths { paths: vec![Path::default(); count], current: None }
    }

    /// The paths that may be tried now, in the order in which to try them: the one that works, then the others by
    /// preference.
    pub fn ready(&self, now: Duration) -> Vec<usize> {
        let mut ready: Vec<usize> = (0..self.paths.len()).filter(|at| self.is_ready(*at, now)).collect();
        // Stable: the others stay in their order.
        ready.sort_by_key(|at| Some(*at) != self.current);
        ready
    }

    /// The path that works, as far as is known.
    pub fn current(&self) -> Option<usize> {
        self.current
    }

    /// When the next path may be tried; `None` without paths.
    pub fn next_ready(&self) -> Option<Duration> {
        self.paths.iter().map(|path| path.not_before).min()
    }

    /// The most preferred path that is better than the one that works and may be asked now whether it is back; else when
    /// there will be one. `None` while the preferred path works, or none does.
    pub fn worth_asking(&self, now: Duration) -> Option<Result<usize, Duration>> {
        let better = 0..self.current?;
        if let Some(ready) = better.clone().find(|at| self.is_ready(*at, now)) {
            return Some(Ok(ready));
        }
        better.filter_map(|at| self.paths.get(at)).map(|path| path.not_before).min().map(Err)
    }

    /// Every path may be tried at once.
    pub fn forgive(&mut self) {
        for path in &mut self.paths {
            path.not_before = Duration::ZERO;
        }
    }

    /// The version of remote write to speak on a path.
    pub fn protocol(&self, at: usize) -> Protocol {
        self.paths.get(at).map_or(Protocol::V2, |path| path.protocol)
    }

    /// The peer on this path only speaks 1.0.
    pub fn speak_v1(&mut self, at: usize) {
        if let Some(path) = self.paths.get_mut(at) {
            path.protocol = Protocol::V1;
        }
    }

    /// A path that was asked is back: pushes go there from now on. That it failed is not forgotten before one got through.
    pub fn is_back(&mut self, at: usize) {
        if let Some(path) = self.paths.get_mut(at) {
            path.not_before = Duration::ZERO;
            self.current = Some(at);
        }
    }

    /// A push got through. Whether it had failed before.
    pub fn worked(&mut self, at: usize) -> bool {
        let Some(path) = self.paths.get_mut(at) else { return false };
        let had_failed = path.failures > 0;
        path.failures = 0;
        path.not_before = Duration::ZERO;
        self.current = Some(at);
        had_failed
    }

    /// It failed: how long it is left alone, and how often it has failed in a row.
    pub fn failed(
        &mut self,
        at: usize,
        now: Duration,
        retry_after: Option<Duration>,
        random: f64,
    ) -> (Duration, u32) {
        let Some(path) = self.paths.get_mut(at) else { return (Duration::ZERO, 0) };
        path.failures = path.failures.saturating_add(1);
        let wait = backoff(path.failures, retry_after, random);
        path.not_before = now + wait;
        if self.current == Some(at) {
            self.current = None;
        }
        (wait, path.failures)
    }

    fn is_ready(&self, at: usize, now: Duration) -> bool {
        self.paths.get(at).is_some_and(|path| path.not_before <= now)
    }
}

/// How long the backlog rests after a request of so many target rounds that took so long, at `rate` target rounds a second.
///
/// The rest also grows with the square of the time that the request took: after 100 ms as long again, after half a second
/// five times that. So a slow line, or a collector to which a whole province returns, gets the backlog in what it has to
/// spare, and live pushes find their way free.
pub fn rest(rounds: usize, took: Duration, rate: u32) -> Duration {
    let cycle =
        Duration::from_secs(1).saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX)) / rate.max(1);
    let capped = took.min(Duration::from_secs(60));
    let gentle = capped.mul_f64(capped.as_secs_f64() / REST_AS_LONG_AFTER.as_secs_f64());
    cycle.saturating_sub(took).max(gentle.min(LONGEST_REST))
}

/// How many target rounds of the backlog go into the next request after one that took so long: enough that its overhead is
/// small, few enough that it is through in a second or so on any line.
pub fn batch_size(before: usize, took: Duration, got_through: bool) -> usize {
    let next = match (got_through, took) {
        (true, took) if took < GOOD_REQUEST => before.saturating_mul(2),
        (true, took) if took < LONG_REQUEST => before,
        (true | false, _) => before / 2,
    };
    next.clamp(SMALLEST_BATCH, LARGEST_BATCH)
}

/// A request of the backlog that took this long is followed by a rest of the same length.
const REST_AS_LONG_AFTER: Duration = Duration::from_millis(100);
/// The backlog never rests longer than this between requests that get through.
const LONGEST_REST: Duration = Duration::from_secs(10);
/// Below this the next request of the backlog is larger.
const GOOD_REQUEST: Duration = Duration::from_millis(250);
/// Above this it is smaller.
const LONG_REQUEST: Duration = Duration::from_secs(1);
/// The smallest request of the backlog, in target rounds: 1 KB or so.
const SMALLEST_BATCH: usize = 15;
/// The largest, in target rounds: at seven samples each some 70 KB, compressed.
const LARGEST_BATCH: usize = 1000;
/// The first after an outage.
pub(crate) const FIRST_BATCH: usize = 125;

/// A `Retry-After` in seconds (RFC 9110, 10.2.3); the form with a date needs a right clock on both sides and is not taken.
pub fn retry_after(header: Option<&str>) -> Option<Duration> {
    header?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn status(code: u16, written: bool, html: bool) -> Answered {
        Answered::Status { code, html, written, collector: false, retry_after: None }
    }

    #[test]
    fn the_whole_table_of_statuses_in_both_versions() {
        for code in 100..=599 {
            let expected = |v1: bool| match code {
                200..=299 => Action::Delete,
                401 | 403 | 407 => Action::Credential,
                404 | 405 | 408 | 410 | 421 | 425 | 429 => Action::BackOff,
                413 => Action::Halve,
                415 if v1 => Action::BackOff,
                415 => Action::SpeakV1,
                400..=499 => Action::SetAside,
                _ => Action::BackOff,
            };
            assert_eq!(action(status(code, true, false), Protocol::V2, 2), expected(false), "{code} in 2.0");
            assert_eq!(action(status(code, false, false), Protocol::V1, 2), expected(true), "{code} in 1.0");
        }
    }

    #[test]
    fn only_a_receiver_of_remote_write_can_acknowledge() {
        assert_eq!(action(status(204, false, false), Protocol::V2, 1), Action::SpeakV1);
        assert_eq!(action(status(200, false, true), Protocol::V2, 1), Action::BackOff);
        assert_eq!(action(status(200, false, true), Protocol::V1, 1), Action::BackOff);
        assert_eq!(action(status(200, true, true), Protocol::V2, 1), Action::Delete);
        assert_eq!(action(status(413, false, false), Protocol::V2, 1), Action::SetAside);
        assert_eq!(action(status(413, false, true), Protocol::V2, 1), Action::BackOff);
        assert_eq!(action(Answered::Failed, Protocol::V2, 1), Action::BackOff);
    }

    #[test]
    fn what_is_on_the_way_refuses_nothing_for_good() {
        for code in 400..=499 {
            for protocol in [Protocol::V1, Protocol::V2] {
                let page = action(status(code, false, true), protocol, 1);
                assert_ne!(page, Action::SetAside, "a web page with {code} in {protocol:?}");
            }
            let bare = action(status(code, false, false), Protocol::V2, 1);
            assert_eq!(bare == Action::SetAside, code == 413, "{code} without the headers of 2.0");
        }
    }

    #[test]
    fn a_request_that_the_collector_cannot_read_is_not_sent_for_ever() {
        let malformed =
            Answered::Status { code: 400, html: false, written: false, collector: true, retry_after: None };
        assert_eq!(action(malformed, Protocol::V2, 1), Action::SetAside);
    }

    #[test]
    fn waits_double_up_to_their_cap_and_heed_the_peer() {
        let seconds = Duration::from_secs;
        assert_eq!(backoff(1, None, 1.0), seconds(1));
        assert_eq!(backoff(4, None, 1.0), seconds(8));
        assert_eq!(backoff(4, None, 0.0), seconds(0));
        assert_eq!(backoff(40, None, 1.0), BACKOFF_CAP);
        assert_eq!(backoff(u32::MAX, None, 0.5), BACKOFF_CAP / 2);
        assert_eq!(backoff(1, Some(seconds(30)), 0.0), seconds(30));
        assert_eq!(backoff(1, Some(seconds(86_400)), 0.0), RETRY_AFTER_CAP);
    }

    #[test]
    fn paths_are_tried_in_order_and_the_preferred_one_is_returned_to() {
        let second = Duration::from_secs(1);
        let mut paths = Paths::new(2);
        assert_eq!(paths.ready(Duration::ZERO), [0, 1]);
        paths.failed(0, Duration::ZERO, None, 1.0);
        assert_eq!(paths.ready(second / 2), [1]);
        assert_eq!(paths.ready(second), [0, 1]);
        paths.failed(0, second, None, 1.0);
        paths.failed(1, second, Some(second * 9), 0.0);
        assert_eq!(paths.ready(second * 2), [] as [usize; 0]);
        assert_eq!(paths.next_ready(), Some(second * 3));
        assert!(paths.worked(0));
        assert!(!paths.worked(0));
        assert_eq!(paths.ready(second * 2), [0]);
    }

    #[test]
    fn the_path_that_works_goes_first_and_the_preferred_ones_are_only_asked() {
        let second = Duration::from_secs(1);
        let mut paths = Paths::new(3);
        assert_eq!(paths.worth_asking(second), None);
        paths.failed(0, Duration::ZERO, None, 1.0);
        paths.failed(1, Duration::ZERO, Some(second * 3), 0.0);
        paths.worked(2);
        assert_eq!(paths.worth_asking(second / 2), Some(Err(second)));
        assert_eq!(paths.worth_asking(second), Some(Ok(0)));
        assert_eq!(paths.ready(second * 9), [2, 0, 1], "a path that swallows packets delays nothing");
        paths.failed(0, second, None, 1.0);
        assert_eq!(paths.worth_asking(second * 3), Some(Ok(0)));
        paths.is_back(1);
        assert_eq!(paths.ready(second * 9), [1, 0, 2]);
        paths.failed(1, second * 9, None, 1.0);
        assert_eq!(paths.current(), None);
        assert_eq!(paths.ready(second * 9), [0, 2]);
        assert_eq!(
            paths.failed(1, second * 9, None, 1.0).1,
            3,
            "being asked does not make good for failed pushes"
        );
    }

    #[test]
    fn the_backlog_keeps_to_its_rate_and_rests_the_longer_the_slower_the_line() {
        let millis = Duration::from_millis;
        assert_eq!(rest(1000, millis(0), 8000), millis(125));
        assert_eq!(rest(1000, millis(25), 8000), millis(100));
        assert_eq!(rest(1000, millis(100), 8000), millis(100));
        assert_eq!(rest(1000, millis(500), 8000), millis(2500));
        assert_eq!(rest(1000, Duration::MAX, 8000), LONGEST_REST);
        assert_eq!(rest(usize::MAX, millis(0), 0), Duration::from_secs(u32::MAX.into()));
    }

    #[test]
    fn requests_of_the_backlog_grow_on_a_good_line_and_shrink_on_a_bad_one() {
        let millis = Duration::from_millis;
        assert_eq!(batch_size(125, millis(10), true), 250);
        assert_eq!(batch_size(1000, millis(10), true), LARGEST_BATCH);
        assert_eq!(batch_size(500, millis(500), true), 500);
        assert_eq!(batch_size(500, millis(1500), true), 250);
        assert_eq!(batch_size(500, millis(10), false), 250);
        assert_eq!(batch_size(1, millis(10), false), SMALLEST_BATCH);
    }

    #[test]
    fn retry_after_is_taken_in_seconds_only() {
        assert_eq!(retry_after(Some(" 7 ")), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(Some("Wed, 21 Oct 2026 07:28:00 GMT")), None);
        assert_eq!(retry_after(Some("-1")), None);
        assert_eq!(retry_after(None), None);
    }

    proptest! {
        #[test]
        fn a_wait_is_bounded_whatever_is_asked(failures: u32, asked in proptest::option::of(0u64..u64::MAX / 4), random in 0.0f64..1.0) {
            let wait = backoff(failures, asked.map(Duration::from_secs), random);
            prop_assert!(wait <= RETRY_AFTER_CAP + BACKOFF_CAP);
        }
    }
}
