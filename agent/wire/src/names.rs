//! Every metric and label name, once. No other file spells a `wan_` name.
//!
//! To add a metric or a label, add one row to its table below; everything else follows from the row. A metric's row says its name, type,
//! who makes it, its labels, how many series there are of it at most, and what it says. Names follow the
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
    ($($variant:ident $name:literal $type:ident $source:ident [$($label:ident)*] $bound:literal $help:literal;)*) => {
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

            /// The labels that its series may have, but for `le` of a histogram's buckets. Of what an agent pushes, `site` is the
            /// collector's.
            #[must_use]
            pub const fn labels(self) -> &'static [Label] {
                match self { $(Metric::$variant => &[$(Label::$label,)*],)* }
            }

            /// How many series there are of it at most, in words.
            #[must_use]
            pub const fn bound(self) -> &'static str {
                match self { $(Metric::$variant => $bound,)* }
            }
        }
    };
}

metrics! {
    RoundIntervalSeconds "wan_round_interval_seconds" Gauge Agent [Site Link Probe Target About] "1 for each target of a site; 1,000 targets a site" "Length of the round that ended at the sample's time, in seconds";
    RoundSent "wan_round_sent" Gauge Agent [Site Link Probe Target About] "1 for each target of a site; 1,000 targets a site" "Packets, connections, requests or queries that the round sent";
    RoundReceived "wan_round_received" Gauge Agent [Site Link Probe Target About] "1 for each target of a site; 1,000 targets a site" "How many of the round's packets were answered in time";
    RoundRttMinSeconds "wan_round_rtt_min_seconds" Gauge Agent [Site Link Probe Target About] "1 for each target of a site; 1,000 targets a site" "Shortest round-trip time of the round, absent when nothing was received";
    RoundRttMedianSeconds "wan_round_rtt_median_seconds" Gauge Agent [Site Link Probe Target About] "1 for each target of a site; 1,000 targets a site" "Median round-trip time of the round, absent when nothing was received";
    RoundRttMeanSeconds "wan_round_rtt_mean_seconds" Gauge Agent [Site Link Probe Target About] "1 for each target of a site; 1,000 targets a site" "Mean round-trip time of the round, absent when nothing was received";
    RoundRttMaxSeconds "wan_round_rtt_max_seconds" Gauge Agent [Site Link Probe Target About] "1 for each target of a site; 1,000 targets a site" "Longest round-trip time of the round, absent when nothing was received";
    RoundFault "wan_round_fault" Gauge Agent [Site Link Probe Target About] "1 for each target of a site; 1,000 targets a site" "1 when the instrument failed in this round, absent otherwise";

    AgentInfo "wan_agent_info" Gauge Agent [Site Version BootId] "1 for each site at a time" "Always 1, the agent's version and the host's boot id as labels";
    AgentBootTimeSeconds "wan_agent_boot_time_seconds" Gauge Agent [Site] "1 for each site" "When the agent's host booted, in Unix seconds";
    AgentStartTimeSeconds "wan_agent_start_time_seconds" Gauge Agent [Site] "1 for each site" "When the agent started, in Unix seconds";
    AgentClockOffsetSeconds "wan_agent_clock_offset_seconds" Gauge Agent [Site] "1 for each site" "The collector's clock less the host's, in seconds";
    AgentClockOffsetBoundSeconds "wan_agent_clock_offset_bound_seconds" Gauge Agent [Site] "1 for each site" "How far from the truth the clock offset can be at most, in seconds";
    AgentPath "wan_agent_path" Gauge Agent [Site Path] "1 for each path of a site; 8 are remembered" "Always 1, by which path this request came as a label";
    AgentQueueBytes "wan_agent_queue_bytes" Gauge Agent [Site] "1 for each site" "Bytes of measurements that wait for the collector";
    AgentQueueRounds "wan_agent_queue_rounds" Gauge Agent [Site] "1 for each site" "Rounds that wait for the collector";
    AgentQueueOldestTimestampSeconds "wan_agent_queue_oldest_timestamp_seconds" Gauge Agent [Site] "1 for each site" "End of the oldest round that waits for the collector, in Unix seconds";
    AgentQueueDiskBytes "wan_agent_queue_disk_bytes" Gauge Agent [Site] "1 for each site" "Bytes that the agent's queue takes on its disk";
    AgentQueueDiskFailed "wan_agent_queue_disk_failed" Gauge Agent [Site] "1 for each site" "1 while the agent's queue cannot use its disk and keeps rounds in memory only, else 0";
    AgentUndatedRounds "wan_agent_undated_rounds" Gauge Agent [Site] "1 for each site" "Rounds set aside because the time at which they were made cannot be known";
    AgentDamagedRoundsTotal "wan_agent_damaged_rounds_total" Counter Agent [Site] "1 for each site" "Link-rounds that are lost because the agent's disk has damaged them";
    AgentUnreadableEntriesTotal "wan_agent_unreadable_entries_total" Counter Agent [Site] "1 for each site" "Entries of the agent's queue that its version cannot read, set aside";
    AgentDroppedSamplesTotal "wan_agent_dropped_samples_total" Counter Agent [Site] "1 for each site" "Samples dropped because the queue was full";
    AgentSetAsideSamplesTotal "wan_agent_set_aside_samples_total" Counter Agent [Site] "1 for each site" "Samples that the collector refused for good and the agent set aside";
    AgentPushesTotal "wan_agent_pushes_total" Counter Agent [Site Result] "1 for each result and site" "Pushes by result";

    InterfaceCarrier "wan_interface_carrier" Gauge Agent [Site Interface] "1 for each interface of a site" "1 when the interface has a carrier, 0 when it has none";
    InterfaceSpeedBitsPerSecond "wan_interface_speed_bits_per_second" Gauge Agent [Site Interface] "1 for each interface of a site" "Speed that the interface negotiated, in bits per second";
    InterfaceReceiveBytesTotal "wan_interface_receive_bytes_total" Counter Agent [Site Interface] "1 for each interface of a site" "Bytes received on the interface";
    InterfaceTransmitBytesTotal "wan_interface_transmit_bytes_total" Counter Agent [Site Interface] "1 for each interface of a site" "Bytes sent on the interface";
    InterfaceReceiveErrorsTotal "wan_interface_receive_errors_total" Counter Agent [Site Interface] "1 for each interface of a site" "Frames received with an error on the interface";
    InterfaceTransmitErrorsTotal "wan_interface_transmit_errors_total" Counter Agent [Site Interface] "1 for each interface of a site" "Frames that the interface failed to send";
    InterfaceReceiveDropsTotal "wan_interface_receive_drops_total" Counter Agent [Site Interface] "1 for each interface of a site" "Frames received and dropped on the interface";
    InterfaceTransmitDropsTotal "wan_interface_transmit_drops_total" Counter Agent [Site Interface] "1 for each interface of a site" "Frames dropped before they were sent on the interface";
    TargetCertificateExpiryTimestampSeconds "wan_target_certificate_expiry_timestamp_seconds" Gauge Agent [Site Link Probe Target] "1 for each HTTPS target" "When the certificate ends that the target last showed, in Unix seconds";
    LinkNeighbours "wan_link_neighbours" Gauge Agent [Site Link Interface] "1 for each link that has an interface" "Hosts seen in the neighbour table of the link's interface";

    SiteInfo "wan_site_info" Gauge Collector [Site SiteName Tier Branch Parent District] "1 for each site" "Always 1, the site's name, tier, branch, parent and district as labels";
    SiteVerdict "wan_site_verdict" Gauge Collector [Site Verdict] "1 for each site" "1 for the verdict that holds for the site now";
    SiteUp "wan_site_up" Gauge Collector [Site] "1 for each site" "1 when the site's required links are up or degraded, 0 when one is down, absent when unknown";
    SitePlanned "wan_site_planned" Gauge Collector [Site] "1 for each site" "1 while planned work covers the site, absent otherwise";
    SiteLatitudeDegrees "wan_site_latitude_degrees" Gauge Collector [Site] "1 for each site" "Where the site stands: degrees north in WGS 84";
    SiteLongitudeDegrees "wan_site_longitude_degrees" Gauge Collector [Site] "1 for each site" "Where the site stands: degrees east in WGS 84";
    SiteUptimeRatio "wan_site_uptime_ratio" Gauge Collector [Site Window] "4 for each site" "Time that the site was up or degraded per time observed, over the window";
    SiteAvailabilityRatio "wan_site_availability_ratio" Gauge Collector [Site Window] "4 for each site" "Time that the site was up per time observed, over the window";
    SiteObservedRatio "wan_site_observed_ratio" Gauge Collector [Site Window] "4 for each site" "Time in which the site was observed per time of the window that was not planned work";
    SiteDowntimeSeconds "wan_site_downtime_seconds" Gauge Collector [Site Cause Window] "4 for each site and cause that it was down by" "Time that the site was down in the window, by cause";
    SiteAgentInfo "wan_site_agent_info" Gauge Collector [Site Version] "1 for each site" "Always 1, the version of the site's agent as a label";
    SiteAgentBootTimestampSeconds "wan_site_agent_boot_timestamp_seconds" Gauge Collector [Site] "1 for each site" "When the host of the site's agent booted, as the agent last said, in Unix seconds";
    SiteAgentStartTimestampSeconds "wan_site_agent_start_timestamp_seconds" Gauge Collector [Site] "1 for each site" "When the site's agent started, as it last said, in Unix seconds";
    SiteQueueBytes "wan_site_queue_bytes" Gauge Collector [Site] "1 for each site" "Bytes of measurements that wait at the site's agent, as it last said";
    SiteDroppedSamplesTotal "wan_site_dropped_samples_total" Counter Collector [Site] "1 for each site" "Samples that the site's agent has dropped since its start because its queue was full, as it last said";
    SiteLastSeenTimestampSeconds "wan_site_last_seen_timestamp_seconds" Gauge Collector [Site] "1 for each site" "When the site's agent last pushed, in Unix seconds";
    SitePathLastSeenTimestampSeconds "wan_site_path_last_seen_timestamp_seconds" Gauge Collector [Site Path] "8 for each site" "When the site's agent last pushed by this path, in Unix seconds";
    SiteClockOffsetSeconds "wan_site_clock_offset_seconds" Gauge Collector [Site] "1 for each site" "The collector's clock less that of the site's agent's host, as the agent last said, in seconds";
    SiteClockOffsetBoundSeconds "wan_site_clock_offset_bound_seconds" Gauge Collector [Site] "1 for each site" "How far from the truth the site's clock offset can be at most, in seconds";
    LinkUp "wan_link_up" Gauge Collector [Site Link Kind Carrier] "1 for each link" "1 when the link is up or degraded, 0 when it is down, absent when unknown";
    LinkDegraded "wan_link_degraded" Gauge Collector [Site Link Kind Carrier] "1 for each link" "1 when the link is degraded, 0 when it is up or down, absent when unknown";
    LinkLossRatio "wan_link_loss_ratio" Gauge Collector [Site Link Kind Carrier] "1 for each link" "Loss of the link's latest round, 0 to 1";
    LinkRttMedianSeconds "wan_link_rtt_median_seconds" Gauge Collector [Site Link Kind Carrier] "1 for each link" "Median round-trip time of the link's latest round";
    LinkPlanned "wan_link_planned" Gauge Collector [Site Link Kind Carrier] "1 for each link" "1 while planned work covers the link, absent otherwise";
    LinkUptimeRatio "wan_link_uptime_ratio" Gauge Collector [Site Link Kind Carrier Window] "4 for each link" "Time up or degraded per time observed, over the window";
    LinkAvailabilityRatio "wan_link_availability_ratio" Gauge Collector [Site Link Kind Carrier Window] "4 for each link" "Time up per time observed, over the window";
    LinkObservedRatio "wan_link_observed_ratio" Gauge Collector [Site Link Kind Carrier Window] "4 for each link" "Time observed per time of the window that was not planned work";
    LinkDowntimeSeconds "wan_link_downtime_seconds" Gauge Collector [Site Link Kind Carrier Cause Window] "4 for each link and cause that it was down by" "Time the link was down in the window, by cause";
    ContractUptimeRatio "wan_contract_uptime_ratio" Gauge Collector [Site Link Kind Carrier Contract] "1 for each link under a contract" "Share of the observed time of this month in which the link was not down by its carrier's fault, in the hours of its contract";
    ContractUptimeBoundRatio "wan_contract_uptime_bound_ratio" Gauge Collector [Site Link Kind Carrier Contract Bound] "2 for each link under a contract" "The contract's uptime of this month if all that is undecided were the carrier's fault (low), and if none of it were (high)";
    ContractTargetRatio "wan_contract_target_ratio" Gauge Collector [Site Link Kind Carrier Contract] "1 for each link under a contract" "Uptime that is promised of the link";
    ContractTimeSeconds "wan_contract_time_seconds" Gauge Collector [Site Link Kind Carrier Contract State] "4 for each link under a contract" "Time of this month in the contract's hours: kept, charged to the carrier, excused, or undecided";
    ContractStanding "wan_contract_standing" Gauge Collector [Site Link Kind Carrier Contract Standing] "1 for each link under a contract" "1 for how this month stands against the promised uptime so far: met, missed or undecided";
    CoverageRatio "wan_coverage_ratio" Gauge Collector [Tier Branch Bound] "2 for each tier and branch, each tier, and the province" "Share of the registered sites whose required links are up, lower and upper bound";
    CoverageEquippedRatio "wan_coverage_equipped_ratio" Gauge Collector [Tier Branch] "1 for each tier and branch, each tier, and the province" "Share of the registered sites that have an agent";
    CoverageTargetRatio "wan_coverage_target_ratio" Gauge Collector [Tier] "1 for each tier" "Share of the registered sites that the plan wants covered";
    CoverageDistrictRatio "wan_coverage_district_ratio" Gauge Collector [District Bound] "2 for each district" "Share of the registered sites of a district whose required links are up, lower and upper bound";
    CoverageCarrierRatio "wan_coverage_carrier_ratio" Gauge Collector [Carrier Bound] "2 for each carrier" "Share of the registered sites with a WAN link of a carrier whose required links are up, lower and upper bound";
    ReachRatio "wan_reach_ratio" Gauge Collector [Link Tier Bound] "2 for each shared system and tier; 50 systems" "Share of the registered sites whose link to a shared system is up, lower and upper bound";
    CoverageSites "wan_coverage_sites" Gauge Collector [Tier Branch State] "3 for each tier and branch" "Registered sites by whether they are covered, not covered or unknown";
    IncidentsOpen "wan_incidents_open" Gauge Collector [Kind] "3" "Incidents of sites that are open now, by kind: outage, degradation or gap";
    IncidentStartTimestampSeconds "wan_incident_start_timestamp_seconds" Gauge Collector [Site Link Kind Cause] "mostly none; at most 3 for each site and link" "When an incident began that is open now, of a link or (without a link) of the site as a whole, in Unix seconds";

    AlertsFiring "wan_alerts_firing" Gauge Collector [Rule Severity] "1 for each rule and severity" "Alerts that fire, by rule and severity, those that a common alert stands for left out";

    CollectorBuildInfo "wan_collector_build_info" Gauge Collector [Version] "1" "Always 1, the collector's version as a label";
    CollectorStartTimeSeconds "wan_collector_start_time_seconds" Gauge Collector [] "1" "When the collector started, in Unix seconds";
    CollectorRequestsTotal "wan_collector_requests_total" Counter Collector [Code] "1 for each HTTP status" "Write requests answered, by HTTP status";
    CollectorRequestBytesTotal "wan_collector_request_bytes_total" Counter Collector [] "1" "Compressed bytes of the write requests received";
    CollectorRequestDurationSeconds "wan_collector_request_duration_seconds" Histogram Collector [] "1 for each bucket, their sum and their count" "Time from a write request's last byte to its answer";
    CollectorSamplesTotal "wan_collector_samples_total" Counter Collector [] "1" "Samples accepted and made durable";
    CollectorHistogramsTotal "wan_collector_histograms_total" Counter Collector [] "1" "Native histogram samples accepted";
    CollectorExemplarsTotal "wan_collector_exemplars_total" Counter Collector [] "1" "Exemplars accepted";
    CollectorRefusedSamplesTotal "wan_collector_refused_samples_total" Counter Collector [] "1" "Samples refused, by reason";
    CollectorSenderSamplesTotal "wan_collector_sender_samples_total" Counter Collector [Sender Result] "3 for each sender of the configuration" "Samples of senders that are no agents: taken as figures of rounds, ignored, or refused";
    CollectorRoundsTotal "wan_collector_rounds_total" Counter Collector [] "1" "Complete rounds that became evidence";
    CollectorIncompleteRoundsTotal "wan_collector_incomplete_rounds_total" Counter Collector [] "1" "Rounds that lacked a figure and gave no evidence";
    CollectorConnections "wan_collector_connections" Gauge Collector [] "1" "Connections that are open";
    CollectorJournalFailuresTotal "wan_collector_journal_failures_total" Counter Collector [] "1" "Appends and syncs of the journal that failed";
    CollectorCertificateExpiryTimestampSeconds "wan_collector_certificate_expiry_timestamp_seconds" Gauge Collector [] "1" "When the certificate in use ends, in Unix seconds";
    CollectorLoginsTotal "wan_collector_logins_total" Counter Collector [Result] "1 for each result" "Logins by result";
    CollectorEnrolmentsTotal "wan_collector_enrolments_total" Counter Collector [Result] "1 for each result" "Enrolments by result";
    CollectorAlertsLookTimestampSeconds "wan_collector_alerts_look_timestamp_seconds" Gauge Collector [] "1" "When the province was last looked at for alerts and what was found was written, in Unix seconds";
    CollectorAlertConfigGood "wan_collector_alert_config_good" Gauge Collector [] "1" "0 while the configuration has mistakes and alerts go on by the former one, else 1";
    CollectorAgentConfigGood "wan_collector_agent_config_good" Gauge Collector [] "1" "0 while the agents' configuration has mistakes, its own or by the register, and the last good one goes on, else 1";
    CollectorSeries "wan_collector_series" Gauge Collector [] "1" "Series that the collector knows by their bytes";
    CollectorSites "wan_collector_sites" Gauge Collector [] "1" "Sites in the register that are valid now";
    CollectorEvidenceSpans "wan_collector_evidence_spans" Gauge Collector [] "1" "Spans of evidence in memory";
    CollectorEngineQueueRequests "wan_collector_engine_queue_requests" Gauge Collector [] "1" "Write requests that wait for the engine";
    CollectorCommitRequests "wan_collector_commit_requests" Histogram Collector [] "1 for each bucket, their sum and their count" "Write requests made durable by one sync";
    CollectorJournalBytes "wan_collector_journal_bytes" Gauge Collector [] "1" "Size of the journal on disk";
    CollectorJournalSyncDurationSeconds "wan_collector_journal_sync_duration_seconds" Histogram Collector [] "1 for each bucket, their sum and their count" "Time that one sync of the journal took";
    CollectorJournalDamagedFramesTotal "wan_collector_journal_damaged_frames_total" Counter Collector [] "1" "Frames of the journal found damaged and skipped";
    CollectorCheckpointTimestampSeconds "wan_collector_checkpoint_timestamp_seconds" Gauge Collector [] "1" "When evidence was last checkpointed, in Unix seconds";
    CollectorCheckpointDurationSeconds "wan_collector_checkpoint_duration_seconds" Histogram Collector [] "1 for each bucket, their sum and their count" "Time that one checkpoint of evidence took";
    CollectorCheckpointFailuresTotal "wan_collector_checkpoint_failures_total" Counter Collector [] "1" "Checkpoints of evidence that failed and were tried again";
    CollectorQualityBehindSeconds "wan_collector_quality_behind_seconds" Gauge Collector [] "1" "How long the oldest request that is not in the stored quality figures has waited, in seconds";
    CollectorQualityRoundsTotal "wan_collector_quality_rounds_total" Counter Collector [] "1" "Rounds counted in the stored quality figures";
    CollectorQualityLeftOutRoundsTotal "wan_collector_quality_left_out_rounds_total" Counter Collector [Reason] "1 for each reason" "Rounds left out of the quality figures, by reason";
    CollectorQualityMissedRequestsTotal "wan_collector_quality_missed_requests_total" Counter Collector [] "1" "Requests whose rounds the quality figures lack, because the journal did not keep them";
    CollectorForwardSamplesTotal "wan_collector_forward_samples_total" Counter Collector [Store] "1 for each store" "Samples that the store has confirmed";
    CollectorForwardRefusedSamplesTotal "wan_collector_forward_refused_samples_total" Counter Collector [Store Reason] "1 for each store and reason" "Samples that the store refused for good, by reason; they are not sent again";
    CollectorForwardRetriesTotal "wan_collector_forward_retries_total" Counter Collector [Store] "1 for each store" "Requests to the store that failed and are sent again";
    CollectorForwardGivenUpRequestsTotal "wan_collector_forward_given_up_requests_total" Counter Collector [Store] "1 for each store" "Write requests that the store never got all of: too old, past the bound on disk, or not readable";
    CollectorForwardBacklogRequests "wan_collector_forward_backlog_requests" Gauge Collector [Store] "1 for each store" "Write requests in the journal that the store has not confirmed all of";
    CollectorForwardBacklogSeconds "wan_collector_forward_backlog_seconds" Gauge Collector [Store] "1 for each store" "How long the oldest write request that the store has not confirmed all of has waited, in seconds";
    CollectorForwardLagSeconds "wan_collector_forward_lag_seconds" Gauge Collector [Store] "1 for each store" "How long the oldest of the newest samples, the backlog left out, has waited to be confirmed, in seconds";
    CollectorForwardSuccessTimestampSeconds "wan_collector_forward_success_timestamp_seconds" Gauge Collector [Store] "1 for each store" "When the store last confirmed samples, in Unix seconds";
    CollectorForwardShards "wan_collector_forward_shards" Gauge Collector [Store] "1 for each store" "Connections by which samples go to the store at a time, for each of live and backlog";
    CollectorNoticesTotal "wan_collector_notices_total" Counter Collector [Channel Result] "1 for each channel and result" "Notices of alerts by channel and how sending them ended";
    CollectorOutboxPending "wan_collector_outbox_pending" Gauge Collector [Channel] "1 for each channel" "Notices that wait to be delivered, by channel";
    CollectorNoticeDeliveredTimestampSeconds "wan_collector_notice_delivered_timestamp_seconds" Gauge Collector [Channel] "1 for each channel" "When a notice was last delivered by the channel, in Unix seconds";
    CollectorQualityFailuresTotal "wan_collector_quality_failures_total" Counter Collector [] "1" "Writes of quality figures that failed and were tried again";
}

impl Metric {
    /// The unit of its values, as the name's ending says it; empty: a number without one.
    #[must_use]
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "of some hundred metrics, those whose names do not say it"
    )]
    pub fn unit(self) -> &'static str {
        let name = self.as_str().trim_end_matches("_total");
        let units = [
            ("_timestamp_seconds", "Unix seconds"),
            ("_seconds", "seconds"),
            ("_bits_per_second", "bits per second"),
            ("_bytes", "bytes"),
            ("_ratio", "ratio, 0 to 1"),
            ("_degrees", "degrees"),
        ];
        match self {
            Metric::AgentBootTimeSeconds
            | Metric::AgentStartTimeSeconds
            | Metric::CollectorStartTimeSeconds => "Unix seconds",
            _ => units.into_iter().find(|(ending, _)| name.ends_with(ending)).map_or("", |(_, unit)| unit),
        }
    }
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
    State "state" "of sites: covered, not_covered or unknown; of a contract's time: kept, charged, excused or undecided";
    Standing "standing" "how a contract's month stands: met, missed or undecided";
    Contract "contract" "the number of the contract that a link is under, as the register has it";
    Code "code" "an HTTP status";
    Reason "reason" "why a sample was refused";
    Result "result" "how an attempt ended";
    Path "path" "the link by which a request came, as the agent's configuration names it";
    Rule "rule" "what an alert watches for";
    Severity "severity" "how bad an alert is: info, warning or critical";
    Channel "channel" "by which channel alerts are told, as the configuration names it";
    Store "store" "a store that samples are forwarded to, as the configuration names it";
    Sender "sender" "who pushes and is no agent, as the configuration names it";
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
    fn every_metric_says_how_many_series_it_has_and_by_which_labels() {
        for &metric in Metric::ALL {
            assert!(
                metric.bound().starts_with(|first: char| first.is_ascii_digit())
                    || metric.bound().starts_with("mostly"),
                "{metric}"
            );
            let labels: BTreeSet<Label> = metric.labels().iter().copied().collect();
            assert_eq!(labels.len(), metric.labels().len(), "{metric} has a label twice");
            assert!(metric.source() == Source::Collector || labels.contains(&Label::Site), "{metric}");
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
