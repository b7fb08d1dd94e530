//! Every metric and label name, once. No other file spells a `wan_` name.
//!
//! To add a metric or a label, add one row to its table below; everything else follows from the row. Names follow the
//! Prometheus conventions: base units, `_total` on counters, `_seconds`, `_bytes`, `_ratio`. A name that was ever on the
//! wire never changes its meaning.

/// The type of a metric, as remote write 2.0 metadata and the exposition format know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MetricType {
    /// A sum that only grows, but for a restart.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// Counts by bucket.
    Histogram,
}

impl MetricType {
    /// The word for it on a `# TYPE` line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            MetricType::Counter => "counter",
            MetricType::Gauge => "gauge",
            MetricType::Histogram => "histogram",
        }
    }

    /// Its number in `io.prometheus.write.v2.Metadata.MetricType`.
    #[must_use]
    pub const fn wire_code(self) -> u32 {
        match self {
            MetricType::Counter => 1,
            MetricType::Gauge => 2,
            MetricType::Histogram => 3,
        }
    }
}

/// Who makes a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The agent pushes it.
    Agent,
    /// The collector exposes it at `/metrics`.
    Collector,
}

macro_rules! metrics {
    ($($variant:ident $name:literal $type:ident $source:ident $help:literal;)*) => {
        /// Every metric that Wanwatch pushes or exposes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric {
            $(#[doc = concat!("`", $name, "`: ", $help)] $variant,)*
        }

        impl Metric {
            /// Every metric, in the order of the table.
            pub const ALL: &'static [Metric] = &[$(Metric::$variant,)*];

            /// The name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Metric::$variant => $name,)* }
            }

            /// The metric of exactly this name. The compiler turns the match into a tree over length and bytes, so that
            /// a foreign name costs a few comparisons.
            #[must_use]
            #[allow(non_upper_case_globals)] // the patterns are named after their variants
            pub fn from_bytes(name: &[u8]) -> Option<Metric> {
                $(const $variant: &[u8] = $name.as_bytes();)*
                match name { $($variant => Some(Metric::$variant),)* _ => None }
            }

            /// What the metric says, for a `# HELP` line: no line break, no full stop at the end.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Metric::$variant => $help,)* }
            }

            /// The metric's type.
            #[must_use]
            pub const fn metric_type(self) -> MetricType {
                match self { $(Metric::$variant => MetricType::$type,)* }
            }

            /// Who makes the metric.
            #[must_use]
            pub const fn source(self) -> Source {
                match self { $(Metric::$variant => Source::$source,)* }
            }
        }
    };
}

metrics! {
    RoundIntervalSeconds "wan_round_interval_seconds" Gauge Agent "Length of the round that ended at the sample's time, in seconds";
    RoundSent "wan_round_sent" Gauge Agent "Packets, connections, requests or queries that the round sent";
    RoundReceived "wan_round_received" Gauge Agent "How many of the round's packets were answered in time";
    RoundRttMinSeconds "wan_round_rtt_min_seconds" Gauge Agent "Shortest round-trip time of the round, absent when nothing was received";
    RoundRttMedianSeconds "wan_round_rtt_median_seconds" Gauge Agent "Median round-trip time of the round, absent when nothing was received";
    RoundRttMeanSeconds "wan_round_rtt_mean_seconds" Gauge Agent "Mean round-trip time of the round, absent when nothing was received";
    RoundRttMaxSeconds "wan_round_rtt_max_seconds" Gauge Agent "Longest round-trip time of the round, absent when nothing was received";
    RoundFault "wan_round_fault" Gauge Agent "1 when the instrument failed in this round, absent otherwise";

    AgentInfo "wan_agent_info" Gauge Agent "Always 1, the agent's version and the host's boot id as labels";
    AgentBootTimeSeconds "wan_agent_boot_time_seconds" Gauge Agent "When the agent's host booted, in Unix seconds";
    AgentStartTimeSeconds "wan_agent_start_time_seconds" Gauge Agent "When the agent started, in Unix seconds";
    AgentClockOffsetSeconds "wan_agent_clock_offset_seconds" Gauge Agent "The collector's clock less the host's, in seconds";
    AgentClockOffsetBoundSeconds "wan_agent_clock_offset_bound_seconds" Gauge Agent "How far from the truth the clock offset can be at most, in seconds";
    AgentPath "wan_agent_path" Gauge Agent "Always 1, by which path this request came as a label";
    AgentQueueBytes "wan_agent_queue_bytes" Gauge Agent "Bytes of measurements that wait for the collector";
    AgentQueueRounds "wan_agent_queue_rounds" Gauge Agent "Rounds that wait for the collector";
    AgentQueueOldestTimestampSeconds "wan_agent_queue_oldest_timestamp_seconds" Gauge Agent "End of the oldest round that waits for the collector, in Unix seconds";
    AgentQueueDiskBytes "wan_agent_queue_disk_bytes" Gauge Agent "Bytes that the agent's queue takes on its disk";
    AgentQueueDiskFailed "wan_agent_queue_disk_failed" Gauge Agent "1 while the agent's queue cannot use its disk and keeps rounds in memory only, else 0";
    AgentUndatedRounds "wan_agent_undated_rounds" Gauge Agent "Rounds set aside because the time at which they were made cannot be known";
    AgentDamagedRoundsTotal "wan_agent_damaged_rounds_total" Counter Agent "Link-rounds that are lost because the agent's disk has damaged them";
    AgentUnreadableEntriesTotal "wan_agent_unreadable_entries_total" Counter Agent "Entries of the agent's queue that its version cannot read, set aside";
    AgentDroppedSamplesTotal "wan_agent_dropped_samples_total" Counter Agent "Samples dropped because the queue was full";
    AgentSetAsideSamplesTotal "wan_agent_set_aside_samples_total" Counter Agent "Samples that the collector refused for good and the agent set aside";
    AgentPushesTotal "wan_agent_pushes_total" Counter Agent "Pushes by result";

    InterfaceCarrier "wan_interface_carrier" Gauge Agent "1 when the interface has a carrier, 0 when it has none";
    InterfaceSpeedBitsPerSecond "wan_interface_speed_bits_per_second" Gauge Agent "Speed that the interface negotiated, in bits per second";
    InterfaceReceiveBytesTotal "wan_interface_receive_bytes_total" Counter Agent "Bytes received on the interface";
    InterfaceTransmitBytesTotal "wan_interface_transmit_bytes_total" Counter Agent "Bytes sent on the interface";
    InterfaceReceiveErrorsTotal "wan_interface_receive_errors_total" Counter Agent "Frames received with an error on the interface";
    InterfaceTransmitErrorsTotal "wan_interface_transmit_errors_total" Counter Agent "Frames that the interface failed to send";
    InterfaceReceiveDropsTotal "wan_interface_receive_drops_total" Counter Agent "Frames received and dropped on the interface";
    InterfaceTransmitDropsTotal "wan_interface_transmit_drops_total" Counter Agent "Frames dropped before they were sent on the interface";
    LinkNeighbours "wan_link_neighbours" Gauge Agent "Hosts seen in the neighbour table of the link's interface";

    SiteInfo "wan_site_info" Gauge Collector "Always 1, the site's name, tier, branch and parent as labels";
    SiteVerdict "wan_site_verdict" Gauge Collector "1 for the verdict that holds for the site now";
    SiteLastSeenTimestampSeconds "wan_site_last_seen_timestamp_seconds" Gauge Collector "When the site's agent last pushed, in Unix seconds";
    SitePathLastSeenTimestampSeconds "wan_site_path_last_seen_timestamp_seconds" Gauge Collector "When the site's agent last pushed by this path, in Unix seconds";
    SiteClockOffsetSeconds "wan_site_clock_offset_seconds" Gauge Collector "The collector's clock less that of the site's agent's host, as the agent last said, in seconds";
    SiteClockOffsetBoundSeconds "wan_site_clock_offset_bound_seconds" Gauge Collector "How far from the truth the site's clock offset can be at most, in seconds";
    LinkUp "wan_link_up" Gauge Collector "1 when the link is up or degraded, 0 when it is down, absent when unknown";
    LinkDegraded "wan_link_degraded" Gauge Collector "1 when the link is degraded, 0 when it is up or down, absent when unknown";
    LinkLossRatio "wan_link_loss_ratio" Gauge Collector "Loss of the link's latest round, 0 to 1";
    LinkRttMedianSeconds "wan_link_rtt_median_seconds" Gauge Collector "Median round-trip time of the link's latest round";
    LinkUptimeRatio "wan_link_uptime_ratio" Gauge Collector "Time up or degraded per time observed, over the window";
    LinkAvailabilityRatio "wan_link_availability_ratio" Gauge Collector "Time up per time observed, over the window";
    LinkObservedRatio "wan_link_observed_ratio" Gauge Collector "Time observed per time of the window that was not planned work";
    LinkDowntimeSeconds "wan_link_downtime_seconds" Gauge Collector "Time the link was down in the window, by cause";
    CoverageRatio "wan_coverage_ratio" Gauge Collector "Share of the registered sites whose required links are up, lower and upper bound";
    CoverageEquippedRatio "wan_coverage_equipped_ratio" Gauge Collector "Share of the registered sites that have an agent";
    CoverageTargetRatio "wan_coverage_target_ratio" Gauge Collector "Share of the registered sites that the plan wants covered";
    CoverageDistrictRatio "wan_coverage_district_ratio" Gauge Collector "Share of the registered sites of a district whose required links are up, lower and upper bound";
    CoverageCarrierRatio "wan_coverage_carrier_ratio" Gauge Collector "Share of the registered sites with a WAN link of a carrier whose required links are up, lower and upper bound";
    ReachRatio "wan_reach_ratio" Gauge Collector "Share of the registered sites whose link to a shared system is up, lower and upper bound";
    CoverageSites "wan_coverage_sites" Gauge Collector "Registered sites by whether they are covered, not covered or unknown";
    IncidentsOpen "wan_incidents_open" Gauge Collector "Incidents of sites that are open now, by kind: outage, degradation or gap";

    AlertsFiring "wan_alerts_firing" Gauge Collector "Alerts that fire, by rule and severity, those that a common alert stands for left out";

    CollectorBuildInfo "wan_collector_build_info" Gauge Collector "Always 1, the collector's version as a label";
    CollectorStartTimeSeconds "wan_collector_start_time_seconds" Gauge Collector "When the collector started, in Unix seconds";
    CollectorRequestsTotal "wan_collector_requests_total" Counter Collector "Write requests answered, by HTTP status";
    CollectorRequestBytesTotal "wan_collector_request_bytes_total" Counter Collector "Compressed bytes of the write requests received";
    CollectorRequestDurationSeconds "wan_collector_request_duration_seconds" Histogram Collector "Time from a write request's last byte to its answer";
    CollectorSamplesTotal "wan_collector_samples_total" Counter Collector "Samples accepted and made durable";
    CollectorHistogramsTotal "wan_collector_histograms_total" Counter Collector "Native histogram samples accepted for forwarding";
    CollectorExemplarsTotal "wan_collector_exemplars_total" Counter Collector "Exemplars accepted for forwarding";
    CollectorRefusedSamplesTotal "wan_collector_refused_samples_total" Counter Collector "Samples refused, by reason";
    CollectorRoundsTotal "wan_collector_rounds_total" Counter Collector "Complete rounds that became evidence";
    CollectorIncompleteRoundsTotal "wan_collector_incomplete_rounds_total" Counter Collector "Rounds that lacked a figure and gave no evidence";
    CollectorConnections "wan_collector_connections" Gauge Collector "Connections that are open";
    CollectorJournalFailuresTotal "wan_collector_journal_failures_total" Counter Collector "Appends and syncs of the journal that failed";
    CollectorCertificateExpiryTimestampSeconds "wan_collector_certificate_expiry_timestamp_seconds" Gauge Collector "When the certificate in use ends, in Unix seconds";
    CollectorLoginsTotal "wan_collector_logins_total" Counter Collector "Logins by result";
    CollectorEnrolmentsTotal "wan_collector_enrolments_total" Counter Collector "Enrolments by result";
    CollectorAlertsLookTimestampSeconds "wan_collector_alerts_look_timestamp_seconds" Gauge Collector "When the province was last looked at for alerts and what was found was written, in Unix seconds";
    CollectorAlertConfigGood "wan_collector_alert_config_good" Gauge Collector "0 while the configuration has mistakes and alerts go on by the former one, else 1";
    CollectorAgentConfigGood "wan_collector_agent_config_good" Gauge Collector "0 while the agents' configuration has mistakes, its own or by the register, and the last good one goes on, else 1";
    CollectorSeries "wan_collector_series" Gauge Collector "Series that the collector knows by their bytes";
    CollectorSites "wan_collector_sites" Gauge Collector "Sites in the register that are valid now";
    CollectorEvidenceSpans "wan_collector_evidence_spans" Gauge Collector "Spans of evidence in memory";
    CollectorEngineQueueRequests "wan_collector_engine_queue_requests" Gauge Collector "Write requests that wait for the engine";
    CollectorCommitRequests "wan_collector_commit_requests" Histogram Collector "Write requests made durable by one sync";
    CollectorJournalBytes "wan_collector_journal_bytes" Gauge Collector "Size of the journal on disk";
    CollectorJournalSyncDurationSeconds "wan_collector_journal_sync_duration_seconds" Histogram Collector "Time that one sync of the journal took";
    CollectorJournalDamagedFramesTotal "wan_collector_journal_damaged_frames_total" Counter Collector "Frames of the journal found damaged and skipped";
    CollectorCheckpointTimestampSeconds "wan_collector_checkpoint_timestamp_seconds" Gauge Collector "When evidence was last checkpointed, in Unix seconds";
    CollectorCheckpointDurationSeconds "wan_collector_checkpoint_duration_seconds" Histogram Collector "Time that one checkpoint of evidence took";
    CollectorCheckpointFailuresTotal "wan_collector_checkpoint_failures_total" Counter Collector "Checkpoints of evidence that failed and were tried again";
    CollectorQualityBehindSeconds "wan_collector_quality_behind_seconds" Gauge Collector "How long the oldest request that is not in the stored quality figures has waited, in seconds";
    CollectorQualityRoundsTotal "wan_collector_quality_rounds_total" Counter Collector "Rounds counted in the stored quality figures";
    CollectorQualityLeftOutRoundsTotal "wan_collector_quality_left_out_rounds_total" Counter Collector "Rounds left out of the quality figures, by reason";
    CollectorQualityMissedRequestsTotal "wan_collector_quality_missed_requests_total" Counter Collector "Requests whose rounds the quality figures lack, because the journal did not keep them";
    CollectorNoticesTotal "wan_collector_notices_total" Counter Collector "Notices of alerts by channel and how sending them ended";
    CollectorOutboxPending "wan_collector_outbox_pending" Gauge Collector "Notices that wait to be delivered, by channel";
    CollectorNoticeDeliveredTimestampSeconds "wan_collector_notice_delivered_timestamp_seconds" Gauge Collector "When a notice was last delivered by the channel, in Unix seconds";
    CollectorQualityFailuresTotal "wan_collector_quality_failures_total" Counter Collector "Writes of quality figures that failed and were tried again";
}

macro_rules! labels {
    ($($variant:ident $name:literal $help:literal;)*) => {
        /// Every label that Wanwatch writes or reads.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Label {
            $(#[doc = concat!("`", $name, "`: ", $help)] $variant,)*
        }

        impl Label {
            /// Every label, in the order of the table.
            pub const ALL: &'static [Label] = &[$(Label::$variant,)*];

            /// The name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Label::$variant => $name,)* }
            }

            /// The label of exactly this name.
            #[must_use]
            #[allow(non_upper_case_globals)] // the patterns are named after their variants
            pub fn from_bytes(name: &[u8]) -> Option<Label> {
                $(const $variant: &[u8] = $name.as_bytes();)*
                match name { $($variant => Some(Label::$variant),)* _ => None }
            }

            /// What the label's value is.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Label::$variant => $help,)* }
            }
        }
    };
}

labels! {
    Name "__name__" "the metric's name";
    Site "site" "a site's id; the collector writes it, from the credential";
    Link "link" "a link's name";
    Probe "probe" "how the target is probed: icmp, tcp, http or dns";
    Target "target" "the address that is probed";
    About "about" "the site that is watched, where one site's agent watches another";
    Interface "interface" "a network interface of the agent's host";
    Version "version" "the version of the program";
    BootId "boot_id" "the id that the host's kernel chose when it booted";
    SiteName "name" "a site's name for people";
    Tier "tier" "a site's tier";
    Branch "branch" "a site's branch: party, state or mass";
    District "district" "the district that a site lies in";
    Parent "parent" "the id of the site that this one's WAN path depends on";
    Verdict "verdict" "a site's state now";
    Kind "kind" "a link's kind: lan, wan, internet or service; of an incident: its kind";
    Carrier "carrier" "who provides the link";
    Window "window" "the time looked at: 24h, 7d, 30d or month";
    Cause "cause" "to what bad time is charged";
    Bound "bound" "low or high: what unobserved time leaves possible";
    State "state" "covered, not_covered or unknown";
    Code "code" "an HTTP status";
    Reason "reason" "why a sample was refused";
    Result "result" "how an attempt ended";
    Path "path" "the link by which a request came, as the agent's configuration names it";
    Rule "rule" "what an alert watches for";
    Severity "severity" "how bad an alert is: info, warning or critical";
    Channel "channel" "by which channel alerts are told, as the configuration names it";
    Peer "peer" "the URL of the other side";
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_is_found_again_and_no_other() {
        for &metric in Metric::ALL {
            let name = metric.as_str();
            assert_eq!(Metric::from_bytes(name.as_bytes()), Some(metric));
            assert_eq!(Metric::from_bytes(&name.as_bytes()[1..]), None);
            assert_eq!(Metric::from_bytes(&name.as_bytes()[..name.len() - 1]), None);
            assert_eq!(Metric::from_bytes(format!("{name}x").as_bytes()), None);
            assert_eq!(Metric::from_bytes(name.to_uppercase().as_bytes()), None);
        }
        for &label in Label::ALL {
            assert_eq!(Label::from_bytes(label.as_str().as_bytes()), Some(label));
            assert_eq!(Label::from_bytes(format!("{label} ").as_bytes()), None);
        }
        assert_eq!((Metric::from_bytes(b""), Label::from_bytes(b"")), (None, None));
    }

    #[test]
    fn every_name_is_there_once() {
        assert_eq!(Metric::ALL.iter().map(|m| m.as_str()).collect::<BTreeSet<_>>().len(), Metric::ALL.len());
        assert_eq!(Label::ALL.iter().map(|l| l.as_str()).collect::<BTreeSet<_>>().len(), Label::ALL.len());
    }

    #[test]
    fn names_follow_the_conventions() {
        for &metric in Metric::ALL {
            let name = metric.as_str();
            assert!(name.starts_with("wan_"), "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert_eq!(name.ends_with("_total"), metric.metric_type() == MetricType::Counter, "{name}");
            for taken in ["_bucket", "_count", "_sum"] {
                assert!(!name.ends_with(taken), "{name} ends as the parts of a histogram do");
            }
            assert!(!metric.help().is_empty() && !metric.help().ends_with('.'), "{name}");
            assert!(!metric.help().contains(['\n', '\\']), "{name}");
        }
    }

    #[test]
    fn the_names_that_others_rely_on_are_frozen() {
        // From the design: dashboards, rules and foreign senders spell these.
        for name in [
            "wan_round_interval_seconds",
            "wan_round_sent",
            "wan_round_received",
            "wan_round_rtt_min_seconds",
            "wan_round_rtt_median_seconds",
            "wan_round_rtt_mean_seconds",
            "wan_round_rtt_max_seconds",
            "wan_round_fault",
            "wan_agent_info",
            "wan_agent_boot_time_seconds",
            "wan_agent_start_time_seconds",
            "wan_agent_clock_offset_seconds",
            "wan_agent_queue_bytes",
            "wan_agent_dropped_samples_total",
            "wan_site_info",
            "wan_site_verdict",
            "wan_link_up",
            "wan_link_uptime_ratio",
            "wan_link_observed_ratio",
            "wan_link_downtime_seconds",
            "wan_coverage_ratio",
            "wan_coverage_target_ratio",
            "wan_incidents_open",
        ] {
            assert!(Metric::from_bytes(name.as_bytes()).is_some(), "{name} is gone");
        }
    }
}
