//! Prometheus remote write 1.0 requests, written by hand from the published protobuf definition.
//!
//! Shares no code with the product on purpose: what the collector reads here is what any other sender would write.

/// One sample of one series.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// The value.
    pub value: f64,
    /// Unix milliseconds.
    pub time: i64,
}

/// Appends one time series; `labels` as given, whether or not they are sorted or valid.
pub fn push_series(request: &mut Vec<u8>, labels: &[(&str, &str)], samples: &[Sample]) {
    let mut series = Vec::with_capacity(256);
    for (name, value) in labels {
        let mut pair = Vec::with_capacity(name.len() + value.len() + 4);
        push_bytes(&mut pair, 1, name.as_bytes());
        push_bytes(&mut pair, 2, value.as_bytes());
        push_bytes(&mut series, 1, &pair);
    }
    for sample in samples {
        let mut message = vec![0x09];
        message.extend_from_slice(&sample.value.to_le_bytes());
        message.push(0x10);
        push_varint(&mut message, sample.time.cast_unsigned());
        push_bytes(&mut series, 2, &message);
    }
    push_bytes(request, 1, &series);
}

/// Compresses a request as the protocol asks: snappy, block format.
pub fn compress(request: &[u8]) -> anyhow::Result<Vec<u8>> {
    Ok(snap::raw::Encoder::new().compress_vec(request)?)
}

/// What a round of one link showed, as the eight metrics of the wire say it.
#[derive(Debug, Clone, Copy)]
pub struct Round<'a> {
    /// The link's name (`lan`, `wan`, `internet`, …).
    pub link: &'a str,
    /// The target's address.
    pub target: &'a str,
    /// The round's end, Unix milliseconds.
    pub end: i64,
    /// The time it covers, in milliseconds.
    pub interval: i64,
    /// Packets sent.
    pub sent: u32,
    /// Answers received; without any, the round-trip times are left out.
    pub received: u32,
}

/// Appends the series of one round, with further labels (`extra`, unsorted) on each.
pub fn push_round(request: &mut Vec<u8>, round: &Round<'_>, extra: &[(&str, &str)]) {
    let interval = f64::from(i32::try_from(round.interval).unwrap_or(i32::MAX)) / 1000.0;
    let mut metrics = vec![
        ("wan_round_interval_seconds", interval),
        ("wan_round_received", f64::from(round.received)),
        ("wan_round_sent", f64::from(round.sent)),
    ];
    if round.received > 0 {
        metrics.extend([
            ("wan_round_rtt_max_seconds", 0.004),
            ("wan_round_rtt_mean_seconds", 0.002_5),
            ("wan_round_rtt_median_seconds", 0.002),
            ("wan_round_rtt_min_seconds", 0.001),
        ]);
    }
    for (name, value) in metrics {
        let mut labels =
            vec![("__name__", name), ("link", round.link), ("probe", "icmp"), ("target", round.target)];
        labels.extend_from_slice(extra);
        labels.sort_unstable();
        push_series(request, &labels, &[Sample { value, time: round.end }]);
    }
}

fn push_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a protobuf varint (also how snappy announces its length).
pub fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}
