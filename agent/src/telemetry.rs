//! What the agent says about itself and its host, beside the rounds: as samples in the live push.
//!
//! It goes with the first push, then every [`EVERY`], since nothing that is derived from it moves faster and it would be a fifth
//! of each push; and at once when something went wrong since it was last delivered: samples were dropped, damaged or set aside,
//! or a push failed or was refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use wan_wire::{Label, LinkName, Metric, RequestBuilder, UnixMillis, encode::EncodeError};

use crate::central::Central;
use crate::clock::{self, Timekeeper};
use crate::config::{Config, LinkConfig, ProbeConfig};
use crate::link::{self, Boot, gateway, interface};
use crate::plan::Series;
use crate::queue::Figures;
use crate::watch::LinkRound;

/// How often the agent tells of itself and its host while nothing goes wrong.
pub(crate) const EVERY: Duration = Duration::from_secs(30);

/// Counters of the pusher.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PushCounts {
    pub(crate) delivered: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
    pub(crate) set_aside_samples: u64,
}

/// What is told at once when it changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Troubles {
    dropped: u64,
    set_aside: u64,
    refused: u64,
    failed: u64,
    undated: u64,
    damaged: u64,
    unreadable: u64,
    disk_failed: bool,
}

impl Troubles {
    fn of(queue: &Figures, counts: &PushCounts) -> Troubles {
        Troubles {
            dropped: queue.dropped_samples,
            set_aside: counts.set_aside_samples,
            refused: counts.refused,
            failed: counts.failed,
            undated: queue.undated_rounds,
            damaged: queue.damaged_rounds,
            unreadable: queue.unreadable_entries,
            disk_failed: queue.has_failed,
        }
    }
}

/// When to tell: pure.
#[derive(Debug, Default)]
struct Pace {
    told: Option<(Instant, Troubles)>,
    saying: Option<(Instant, Troubles)>,
}

impl Pace {
    /// Whether it belongs in the push that is made now.
    fn is_due(&mut self, now: Instant, troubles: Troubles) -> bool {
        let told = self.told.is_some_and(|(when, told)| told == troubles && now.duration_since(when) < EVERY);
        self.saying = (!told).then_some((now, troubles));
        !told
    }

    /// The push that was made last was delivered.
    fn delivered(&mut self) {
        self.told = self.saying.take().or(self.told);
    }
}

/// When the certificates end that targets showed in each link's last round.
#[derive(Debug, Default)]
pub(crate) struct Certificates(Mutex<Ends>);

#[derive(Debug, Default)]
struct Ends {
    of: BTreeMap<LinkName, Vec<(Arc<Series>, UnixMillis)>>,
    /// The links of the configuration, once that has changed: rounds of the one before may still come in.
    asked: Option<BTreeSet<LinkName>>,
}

impl Certificates {
    /// Takes a link's round in.
    pub(crate) fn note(&self, round: &LinkRound) {
        let ends = round.targets.iter().filter(|target| target.series.about.is_none());
        let ends: Vec<_> =
            ends.filter_map(|target| Some((Arc::clone(&target.series), target.certificate_end?))).collect();
        let mut known = self.known();
        let asked = known.asked.as_ref().is_none_or(|asked| asked.contains(&round.link));
        if ends.is_empty() || !asked {
            known.of.remove(&round.link);
        } else {
            known.of.insert(round.link.clone(), ends);
        }
    }

    /// Forgets links that this configuration does not have.
    pub(crate) fn keep(&self, config: &Config) {
        let asked: BTreeSet<LinkName> = config.links.iter().map(|link| link.name.clone()).collect();
        let mut known = self.known();
        known.of.retain(|link, _| asked.contains(link));
        known.asked = Some(asked);
    }

    fn known(&self) -> MutexGuard<'_, Ends> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What does not change, and what was told last.
pub(crate) struct Telemetry {
    boot: Boot,
    timekeeper: Timekeeper,
    started: u64,
    config: Arc<Config>,
    central: Option<Central>,
    certificates: Arc<Certificates>,
    pace: Pace,
}

impl Telemetry {
    pub(crate) fn new(config: &Config, boot: Boot, timekeeper: Timekeeper) -> Telemetry {
        let started = clock::since_boot();
        Telemetry {
            boot,
            timekeeper,
            started,
            config: Arc::new(config.clone()),
            central: None,
            certificates: Arc::default(),
            pace: Pace::default(),
        }
    }

    /// From now on the links are those that the rounds are made by, and the certificates those that they see.
    pub(crate) fn follow(&mut self, central: Central, certificates: Arc<Certificates>) {
        self.central = Some(central);
        self.certificates = certificates;
    }

    /// Adds what is due now.
    pub(crate) fn add(
        &mut self,
        request: &mut RequestBuilder,
        now: UnixMillis,
        instant: Instant,
        queue: &Figures,
        counts: &PushCounts,
    ) -> Result<(), EncodeError> {
        if !self.pace.is_due(instant, Troubles::of(queue, counts)) {
            return Ok(());
        }
        let mut gauge = |metric, labels: &[(Label, &str)], value: f64| {
            request.sample(metric, labels, now, value).map_err(EncodeError::from)
        };
        let mut info = vec![(Label::Version, env!("CARGO_PKG_VERSION"))];
        if !self.boot.id.is_empty() {
            info.push((Label::BootId, self.boot.id.as_str()));
        }
        gauge(Metric::AgentInfo, &info, 1.0)?;
        if self.timekeeper.anchored() {
            gauge(Metric::AgentBootTimeSeconds, &[], seconds(self.timekeeper.wall(0)))?;
        } else if let Some(boot) = link::boot_time().or(self.boot.time) {
            // What the kernel says follows the host's clock, right or wrong.
            gauge(Metric::AgentBootTimeSeconds, &[], signed(boot))?;
        }
        gauge(Metric::AgentStartTimeSeconds, &[], seconds(self.timekeeper.wall(self.started)))?;
        if let Some(offset) = self.timekeeper.offset() {
            gauge(Metric::AgentClockOffsetSeconds, &[], signed(offset.millis) / 1000.0)?;
            gauge(Metric::AgentClockOffsetBoundSeconds, &[], offset.bound.as_secs_f64())?;
        }
        gauge(Metric::AgentQueueBytes, &[], count(queue.memory_bytes))?;
        gauge(Metric::AgentQueueRounds, &[], count(queue.rounds))?;
        if let Some(oldest) = queue.oldest {
            gauge(Metric::AgentQueueOldestTimestampSeconds, &[], seconds(oldest))?;
        }
        gauge(Metric::AgentQueueDiskBytes, &[], count(queue.disk_bytes))?;
        gauge(Metric::AgentQueueDiskFailed, &[], f64::from(u8::from(queue.has_failed)))?;
        gauge(Metric::AgentDroppedSamplesTotal, &[], count(queue.dropped_samples))?;
        gauge(Metric::AgentUndatedRounds, &[], count(queue.undated_rounds))?;
        gauge(Metric::AgentDamagedRoundsTotal, &[], count(queue.damaged_rounds))?;
        gauge(Metric::AgentUnreadableEntriesTotal, &[], count(queue.unreadable_entries))?;
        gauge(Metric::AgentSetAsideSamplesTotal, &[], count(counts.set_aside_samples))?;
        let results =
            [("delivered", counts.delivered), ("refused", counts.refused), ("failed", counts.failed)];
        for (result, number) in results {
            gauge(Metric::AgentPushesTotal, &[(Label::Result, result)], count(number))?;
        }
        for (series, end) in self.certificates.known().of.values().flatten() {
            let labels = [
                (Label::Link, series.link.as_str()),
                (Label::Probe, series.probe.as_str()),
                (Label::Target, series.target.as_str()),
            ];
            gauge(Metric::TargetCertificateExpiryTimestampSeconds, &labels, seconds(*end))?;
        }
        self.add_interfaces(request, now)
    }

    /// The push that was added to last was delivered.
    pub(crate) fn pushed(&mut self) {
        self.pace.delivered();
    }

    fn add_interfaces(&self, request: &mut RequestBuilder, now: UnixMillis) -> Result<(), EncodeError> {
        for found in interface::interfaces() {
            let labels = [(Label::Interface, found.name.as_str())];
            let figures = [
                (Metric::InterfaceCarrier, Some(u64::from(found.carrier))),
                (Metric::InterfaceSpeedBitsPerSecond, found.speed),
                (Metric::InterfaceReceiveBytesTotal, found.receive_bytes),
                (Metric::InterfaceTransmitBytesTotal, found.transmit_bytes),
                (Metric::InterfaceReceiveErrorsTotal, found.receive_errors),
                (Metric::InterfaceTransmitErrorsTotal, found.transmit_errors),
                (Metric::InterfaceReceiveDropsTotal, found.receive_drops),
                (Metric::InterfaceTransmitDropsTotal, found.transmit_drops),
            ];
            for (metric, value) in figures {
                if let Some(value) = value {
                    request.sample(metric, &labels, now, count(value))?;
                }
            }
        }
        let neighbours = interface::neighbours();
        for (link, interface) in self.link_interfaces() {
            let seen = neighbours.get(&interface).copied().unwrap_or(0);
            let labels = [(Label::Link, link.as_str()), (Label::Interface, interface.as_str())];
            request.sample(Metric::LinkNeighbours, &labels, now, f64::from(seen))?;
        }
        Ok(())
    }

    /// The interface of each link that has one: configured, or its gateway's.
    fn link_interfaces(&self) -> BTreeMap<LinkName, String> {
        let gateways = gateway::default_gateways();
        let of = |link: &LinkConfig| {
            let asks_gateway = link.targets.iter().any(|target| target.probe == ProbeConfig::Gateway);
            let found = gateways.first().filter(|_| asks_gateway).map(|gateway| gateway.interface.clone());
            Some((link.name.clone(), link.interface.as_ref().map(ToString::to_string).or(found)?))
        };
        let config = self.central.as_ref().map_or_else(|| Arc::clone(&self.config), Central::running);
        config.links.iter().filter_map(of).collect()
    }
}

/// Counters above 2^53 lose their last digits, as in every Prometheus exposition.
#[allow(clippy::cast_precision_loss)]
fn count(number: u64) -> f64 {
    number as f64
}

#[allow(clippy::cast_precision_loss)]
fn signed(number: i64) -> f64 {
    number as f64
}

fn seconds(time: UnixMillis) -> f64 {
    signed(time.as_millis()) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_link_the_certificates_of_its_last_round_are_known() {
        let round = |link: &str, targets: &[(&str, Option<&str>, Option<i64>)]| LinkRound {
            link: link.parse().unwrap(),
            rule: wan_wire::OutcomeRule::default(),
            end: clock::Stamp::at(UnixMillis(5000)),
            interval: Duration::from_secs(5),
            targets: targets
                .iter()
                .map(|(target, about, end)| crate::watch::TargetResult {
                    series: Arc::new(Series {
                        link: link.parse().unwrap(),
                        probe: wan_wire::ProbeKind::Http,
                        target: (*target).to_owned(),
                        about: about.map(|about| about.parse().unwrap()),
                    }),
                    facts: wan_wire::RoundFacts { sent: 1, received: 0, rtt: None, fault: false },
                    note: None,
                    certificate_end: end.map(UnixMillis),
                })
                .collect(),
        };
        let certificates = Certificates::default();
        let known = || -> Vec<(String, i64)> {
            let known = certificates.known();
            known.of.values().flatten().map(|(series, end)| (series.target.clone(), end.0)).collect()
        };
        certificates.note(&round("service-dms", &[("https://a", None, Some(7)), ("https://b", None, None)]));
        certificates.note(&round("wan", &[("10.0.0.1", None, None), ("https://c", Some("xa-a"), Some(9))]));
        assert_eq!(known(), [("https://a".to_owned(), 7)], "another site's are not its own");
        certificates
            .note(&round("service-dms", &[("https://a", None, Some(8)), ("https://b", None, Some(5))]));
        assert_eq!(known(), [("https://a".to_owned(), 8), ("https://b".to_owned(), 5)]);
        certificates.note(&round("service-dms", &[("https://a", None, None)]));
        assert_eq!(known(), []);
    }

    #[test]
    fn it_is_told_first_then_each_half_minute_and_at_once_after_trouble_until_it_is_delivered() {
        let (mut pace, start, fine) = (Pace::default(), clock::monotonic(), Troubles::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(pace.is_due(at(0), fine));
        assert!(pace.is_due(at(5), fine), "the first push failed");
        pace.delivered();
        assert!(!pace.is_due(at(10), fine));
        pace.delivered();
        assert!(!pace.is_due(at(34), fine), "what carried nothing tells nothing");
        assert!(pace.is_due(at(35), fine));
        pace.delivered();
        let failed = Troubles { failed: 1, ..fine };
        assert!(pace.is_due(at(40), failed));
        assert!(pace.is_due(at(45), failed), "not delivered yet");
        pace.delivered();
        assert!(!pace.is_due(at(50), failed));
        assert!(pace.is_due(at(50), Troubles { dropped: 7, ..failed }));
        assert!(pace.is_due(at(50), Troubles { set_aside: 1, ..failed }));
        assert!(pace.is_due(at(50), Troubles { refused: 1, ..failed }));
    }
}
