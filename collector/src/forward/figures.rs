//! What is counted of forwarding, by store.

use prometheus::{GaugeVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};
use wan_wire::{Label, Metric};

use super::answer::Reason;

/// The figures of all stores.
#[derive(Debug)]
pub struct Figures {
    /// Samples confirmed.
    pub samples: IntCounterVec,
    /// Samples refused for good, by reason.
    refused: IntCounterVec,
    /// Requests that failed and are sent again.
    pub retries: IntCounterVec,
    /// Requests of the journal that the store never got all of.
    pub given_up: IntCounterVec,
    /// When the store last confirmed samples, Unix seconds.
    pub success: GaugeVec,
    backlog_requests: IntGaugeVec,
    backlog_seconds: GaugeVec,
    lag_seconds: GaugeVec,
    shards: IntGaugeVec,
}

impl Figures {
    /// Registers all of them.
    ///
    /// # Errors
    /// When one of the names is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts = |metric: Metric| Opts::new(metric.as_str(), metric.help());
        let store = [Label::Store.as_str()];
        let counter = |metric, labels: &[&str]| {
            let counter = IntCounterVec::new(opts(metric), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauge = |metric| {
            let gauge = GaugeVec::new(opts(metric), &store)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let whole = |metric| {
            let gauge = IntGaugeVec::new(opts(metric), &store)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let reason = [Label::Store.as_str(), Label::Reason.as_str()];
        Ok(Self {
            samples: counter(Metric::CollectorForwardSamplesTotal, &store)?,
            refused: counter(Metric::CollectorForwardRefusedSamplesTotal, &reason)?,
            retries: counter(Metric::CollectorForwardRetriesTotal, &store)?,
            given_up: counter(Metric::CollectorForwardGivenUpRequestsTotal, &store)?,
            success: gauge(Metric::CollectorForwardSuccessTimestampSeconds)?,
            backlog_requests: whole(Metric::CollectorForwardBacklogRequests)?,
            backlog_seconds: gauge(Metric::CollectorForwardBacklogSeconds)?,
            lag_seconds: gauge(Metric::CollectorForwardLagSeconds)?,
            shards: whole(Metric::CollectorForwardShards)?,
        })
    }

    /// Has every counter of a store at 0, so that the first of each can be seen as an increase.
    pub fn begin(&self, store: &str, shards: usize) {
        for counter in [&self.samples, &self.retries, &self.given_up] {
            counter.with_label_values(&[store]);
        }
        for reason in Reason::ALL {
            let _ = self.refused(store, reason);
        }
        self.shards.with_label_values(&[store]).set(i64::try_from(shards).unwrap_or(i64::MAX));
        self.say(store, 0, 0.0, 0.0);
    }

    /// The counter of samples that a store refused for good for this reason.
    #[must_use]
    pub fn refused(&self, store: &str, reason: Reason) -> IntCounter {
        self.refused.with_label_values(&[store, reason.as_str()])
    }

    /// How many requests a store lacks, and since how many seconds the oldest of all and the oldest of the live stream wait.
    pub fn say(&self, store: &str, requests: u64, backlog: f64, lag: f64) {
        let requests = i64::try_from(requests).unwrap_or(i64::MAX);
        self.backlog_requests.with_label_values(&[store]).set(requests);
        self.backlog_seconds.with_label_values(&[store]).set(backlog);
        self.lag_seconds.with_label_values(&[store]).set(lag);
    }
}
