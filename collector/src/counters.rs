//! Counters of the collector's own work. Their names are in [`wan_wire::Metric`]; `/metrics` shows them with the derived state.

use std::collections::BTreeMap;

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};
use wan_wire::{Label, Metric, UnixMillis};

use crate::alert::{Rule, Severity};
use crate::enrolment::Refusal;
use crate::forward::figures::Figures;
use crate::quality::follow::LeftOut;

/// What the collector counts about itself.
#[derive(Debug)]
pub struct Counters {
    /// Holds all the others, to be gathered.
    pub registry: Registry,
    /// Write requests, by the status they were answered with.
    pub requests: IntCounterVec,
    /// From a write request's last byte to its answer: decoding, journal and sync.
    pub request_seconds: Histogram,
    /// Requests that wait for the engine.
    pub queue: IntGauge,
    /// Samples accepted: durable and acknowledged.
    pub samples: IntCounter,
    /// Native histogram samples accepted.
    pub histograms: IntCounter,
    /// Exemplars accepted.
    pub exemplars: IntCounter,
    /// Samples refused by name while the rest of their request was kept.
    pub refused_samples: IntCounter,
    /// Samples of senders that are no agents, by sender and what became of them.
    pub sender_samples: IntCounterVec,
    /// Rounds that became evidence.
    pub rounds: IntCounter,
    /// Rounds that lacked a part, so gave no evidence.
    pub incomplete_rounds: IntCounter,
    /// Bytes received in accepted requests, as they came.
    pub bytes: IntCounter,
    /// How long a group's appends and its sync took.
    pub journal_sync_seconds: Histogram,
    /// How many requests shared a sync.
    pub group_size: Histogram,
    /// Appends or syncs that failed.
    pub journal_failures: IntCounter,
    /// Frames found damaged at the start.
    pub journal_damaged: IntCounter,
    /// What the journal takes on disk.
    pub journal_bytes: IntGauge,
    /// When the last checkpoint was complete, Unix seconds.
    pub checkpoint_timestamp: Gauge,
    /// How long a checkpoint took.
    pub checkpoint_seconds: Histogram,
    /// Checkpoints that failed.
    pub checkpoint_failures: IntCounter,
    /// Rounds that are in the stored figures of quality.
    pub quality_rounds: IntCounter,
    /// Rounds that the figures of quality leave out, by reason.
    pub quality_left_out: IntCounterVec,
    /// Requests whose rounds the figures of quality lack: the journal did not have them any more.
    pub quality_missed: IntCounter,
    /// Writes of figures of quality that failed.
    pub quality_failures: IntCounter,
    /// How long the oldest request that is not in the stored figures of quality has waited, in seconds.
    pub quality_behind: Gauge,
    /// What goes to other stores.
    pub forward: Figures,
    /// Notices of alerts, by channel and how sending them ended.
    pub notices: IntCounterVec,
    /// Notices that wait, by channel.
    pub outbox_pending: IntGaugeVec,
    /// When a notice was last delivered, by channel, Unix seconds.
    pub notice_delivered: GaugeVec,
    /// Attempts to enrol, by how they ended.
    pub enrolments: IntCounterVec,
    /// Connections that are open.
    pub connections: IntGauge,
    /// Logins, by how they ended.
    pub logins: IntCounterVec,
    /// When the certificate in use ends; see [`Counters::certificate_ends`].
    certificate_ends: Gauge,
    /// 0 while the agents' configuration has mistakes.
    pub agent_config_good: IntGauge,
    /// 0 while the configuration has mistakes and alerts go on by the former one.
    pub alert_config_good: IntGauge,
    /// Alerts that fire, by rule and severity.
    alerts_firing: IntGaugeVec,
    /// When the province was last looked at for alerts, Unix seconds.
    alerts_looked: Gauge,
}

impl Counters {
    /// Registers all of them in a registry of their own.
    ///
    /// # Errors
    /// Never in practice: names are constants, each registered once.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let opts = |metric: Metric| Opts::new(metric.as_str(), metric.help());
        let counter = |metric| {
            let counter = IntCounter::with_opts(opts(metric))?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let histogram = |metric: Metric, buckets: &[f64]| {
            let opts = HistogramOpts::new(metric.as_str(), metric.help()).buckets(buckets.to_vec());
            let histogram = Histogram::with_opts(opts)?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        let gauge = |metric| {
            let gauge = IntGauge::with_opts(opts(metric))?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let requests = IntCounterVec::new(opts(Metric::CollectorRequestsTotal), &[Label::Code.as_str()])?;
        registry.register(Box::new(requests.clone()))?;
        let results = |metric: Metric| {
            let counter = IntCounterVec::new(opts(metric), &[Label::Result.as_str()])?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let notices = IntCounterVec::new(
            opts(Metric::CollectorNoticesTotal),
            &[Label::Channel.as_str(), Label::Result.as_str()],
        )?;
        registry.register(Box::new(notices.clone()))?;
        let channel = [Label::Channel.as_str()];
        let outbox_pending = IntGaugeVec::new(opts(Metric::CollectorOutboxPending), &channel)?;
        registry.register(Box::new(outbox_pending.clone()))?;
        let notice_delivered =
            GaugeVec::new(opts(Metric::CollectorNoticeDeliveredTimestampSeconds), &channel)?;
        registry.register(Box::new(notice_delivered.clone()))?;
        let sender_samples = IntCounterVec::new(
            opts(Metric::CollectorSenderSamplesTotal),
            &[Label::Sender.as_str(), Label::Result.as_str()],
        )?;
        registry.register(Box::new(sender_samples.clone()))?;
        let checkpoint_timestamp = Gauge::with_opts(opts(Metric::CollectorCheckpointTimestampSeconds))?;
        registry.register(Box::new(checkpoint_timestamp.clone()))?;
        let enrolments =
            IntCounterVec::new(opts(Metric::CollectorEnrolmentsTotal), &[Label::Result.as_str()])?;
        registry.register(Box::new(enrolments.clone()))?;
        for word in Refusal::WORDS {
            enrolments.with_label_values(&[word]);
        }
        let quality_left_out =
            IntCounterVec::new(opts(Metric::CollectorQualityLeftOutRoundsTotal), &[Label::Reason.as_str()])?;
        registry.register(Box::new(quality_left_out.clone()))?;
        for why in LeftOut::ALL {
            quality_left_out.with_label_values(&[why.as_str()]);
        }
        let quality_behind = Gauge::with_opts(opts(Metric::CollectorQualityBehindSeconds))?;
        registry.register(Box::new(quality_behind.clone()))?;
        let alerts_firing =
            IntGaugeVec::new(opts(Metric::AlertsFiring), &[Label::Rule.as_str(), Label::Severity.as_str()])?;
        registry.register(Box::new(alerts_firing.clone()))?;
        let alerts_looked = Gauge::with_opts(opts(Metric::CollectorAlertsLookTimestampSeconds))?;
        registry.register(Box::new(alerts_looked.clone()))?;
        let agent_config_good = gauge(Metric::CollectorAgentConfigGood)?;
        agent_config_good.set(1);
        let alert_config_good = gauge(Metric::CollectorAlertConfigGood)?;
        alert_config_good.set(1);
        // A quiet disk syncs in 0.2 ms, a busy one in 4 to 8 ms; past a second something is wrong.
        let sync = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0];
        Ok(Self {
            logins: results(Metric::CollectorLoginsTotal)?,
            requests,
            enrolments,
            sender_samples,
            request_seconds: histogram(Metric::CollectorRequestDurationSeconds, &sync)?,
            queue: gauge(Metric::CollectorEngineQueueRequests)?,
            samples: counter(Metric::CollectorSamplesTotal)?,
            histograms: counter(Metric::CollectorHistogramsTotal)?,
            exemplars: counter(Metric::CollectorExemplarsTotal)?,
            refused_samples: counter(Metric::CollectorRefusedSamplesTotal)?,
            rounds: counter(Metric::CollectorRoundsTotal)?,
            incomplete_rounds: counter(Metric::CollectorIncompleteRoundsTotal)?,
            bytes: counter(Metric::CollectorRequestBytesTotal)?,
            journal_sync_seconds: histogram(Metric::CollectorJournalSyncDurationSeconds, &sync)?,
            group_size: histogram(
                Metric::CollectorCommitRequests,
                &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0],
            )?,
            journal_failures: counter(Metric::CollectorJournalFailuresTotal)?,
            journal_damaged: counter(Metric::CollectorJournalDamagedFramesTotal)?,
            journal_bytes: gauge(Metric::CollectorJournalBytes)?,
            checkpoint_timestamp,
            checkpoint_seconds: histogram(
                Metric::CollectorCheckpointDurationSeconds,
                &[0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
            )?,
            checkpoint_failures: counter(Metric::CollectorCheckpointFailuresTotal)?,
            quality_rounds: counter(Metric::CollectorQualityRoundsTotal)?,
            quality_left_out,
            quality_missed: counter(Metric::CollectorQualityMissedRequestsTotal)?,
            quality_failures: counter(Metric::CollectorQualityFailuresTotal)?,
            quality_behind,
            forward: Figures::new(&registry)?,
            notices,
            outbox_pending,
            notice_delivered,
            connections: gauge(Metric::CollectorConnections)?,
            certificate_ends: Gauge::with_opts(opts(Metric::CollectorCertificateExpiryTimestampSeconds))?,
            agent_config_good,
            alert_config_good,
            alerts_firing,
            alerts_looked,
            registry,
        })
    }

    /// Says what fires: rule, severity, and whether a common alert stands for it.
    pub fn alerts_firing(&self, firing: impl Iterator<Item = (Rule, Severity, bool)>) {
        let mut counts: BTreeMap<(Rule, Severity), i64> = BTreeMap::new();
        for (rule, severity, under) in firing {
            *counts.entry((rule, severity)).or_default() += i64::from(!under);
        }
        self.alerts_firing.reset();
        for ((rule, severity), count) in counts {
            self.alerts_firing.with_label_values(&[rule.as_str(), severity.as_str()]).set(count);
        }
    }

    /// Says that the province was looked at for alerts at an instant.
    #[allow(clippy::cast_precision_loss, reason = "milliseconds up to the year 9999")]
    pub fn alerts_looked(&self, at: UnixMillis) {
        self.alerts_looked.set(at.0 as f64 / 1000.0);
    }

    /// When the certificate in use ends, where one is.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "whole seconds up to the year 9999")]
    pub fn certificate_end(&self) -> Option<UnixMillis> {
        let seconds = self.certificate_ends.get() as i64;
        (seconds > 0).then_some(UnixMillis(seconds * 1000))
    }

    /// Says when the certificate in use ends. Until it is said, as where nothing speaks TLS, the metric is absent.
    pub fn certificate_ends(&self, at: UnixMillis) {
        // An error means that it is registered already.
        let _ = self.registry.register(Box::new(self.certificate_ends.clone()));
        #[allow(clippy::cast_precision_loss, reason = "whole seconds up to the year 9999")]
        self.certificate_ends.set((at.0 / 1000) as f64);
    }
}
