//! Any bytes, as a body and as a message of either version: no panic, no more memory than the documentation states, and
//! what is valid survives being encoded again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wan_wire::{Decoder, LabelPairs, Limits, Protocol, RequestBuilder, Sample, Scratch, decompress};

fuzz_target!(|data: &[u8]| {
    let limits = Limits::default();
    let mut plain = Vec::new();
    let _ = decompress(data, &limits, &mut plain);
    assert!(plain.len() <= data.len() * 22);
    for message in [data, &plain] {
        for protocol in [Protocol::V1, Protocol::V2] {
            walk(protocol, message, &limits);
        }
    }
    let _ = wan_wire::labels::describe(data);
});

type Owned = Vec<(Vec<u8>, Vec<(i64, u64)>)>;

fn walk(protocol: Protocol, message: &[u8], limits: &Limits) {
    let mut scratch = Scratch::new();
    let mut valid: Vec<(Vec<u8>, Vec<Sample>)> = Vec::new();
    let whole = (|| {
        let mut decoder = Decoder::new(protocol, message, &mut scratch, limits).ok()?;
        while let Some(series) = decoder.next_series().ok()? {
            if let Ok(key) = series.key
                && LabelPairs::parse(key, Protocol::V1).is_ok()
                && series.samples.is_sorted_by(|a, b| a.time < b.time)
                && valid.iter().all(|(known, _)| known != key)
            {
                valid.push((key.to_vec(), series.samples.to_vec()));
            }
        }
        Some(())
    })();
    assert!(scratch.capacity_bytes() <= 16 * message.len() + 2 * limits.label_bytes + 256);
    if whole.is_some() {
        for protocol in [Protocol::V1, Protocol::V2] {
            assert_eq!(again(protocol, &valid, limits), bits(&valid));
        }
    }
}

fn bits(valid: &[(Vec<u8>, Vec<Sample>)]) -> Owned {
    let samples = |samples: &[Sample]| samples.iter().map(|s| (s.time.0, s.value.to_bits())).collect();
    valid.iter().map(|(key, all)| (key.clone(), samples(all))).collect()
}

fn again(protocol: Protocol, valid: &[(Vec<u8>, Vec<Sample>)], limits: &Limits) -> Owned {
    let mut request = RequestBuilder::new(protocol);
    for (key, samples) in valid {
        let labels: Vec<_> = LabelPairs::parse(key, Protocol::V1).unwrap().iter().collect();
        request.series(&labels, samples).unwrap();
    }
    let (message, mut scratch) = (request.finish(), Scratch::new());
    let mut decoder = Decoder::new(protocol, &message, &mut scratch, limits).unwrap();
    let mut all = Vec::new();
    while let Some(series) = decoder.next_series().unwrap() {
        all.push((series.key.unwrap().to_vec(), series.samples.to_vec()));
    }
    bits(&all)
}
