//! The bound that `wan_wire::decode` states for what a decoder allocates, counted by the allocator itself.
//!
//! One test alone in its process: nothing else allocates while it counts.
#![allow(clippy::unwrap_used)]
#![allow(unsafe_code)] // a global allocator cannot be written without; see `Counting`

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use wan_wire::labels::canonical_key;
use wan_wire::{Decoder, Limits, Protocol, RequestBuilder, Sample, Scratch, UnixMillis, decompress};

/// Counts the bytes that live now and the most that lived since the last reset.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator with its arguments unchanged; the counters beside it are atomics and
// allocate nothing. `realloc` keeps its default, which is made of these two.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: the caller's promises about `layout` are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: `pointer` came from `System.alloc` with this `layout`, by the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that lived at once during `work`, beyond those that lived before it.
fn peak_of(work: impl FnOnce()) -> usize {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    work();
    PEAK.load(Relaxed) - before
}

fn walk(protocol: Protocol, message: &[u8], scratch: &mut Scratch, limits: &Limits) -> usize {
    let mut samples = 0;
    let Ok(mut decoder) = Decoder::new(protocol, message, scratch, limits) else { return 0 };
    while let Ok(Some(series)) = decoder.next_series() {
        samples += series.samples.len();
    }
    samples
}

fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(u8::try_from(length % 0x80).unwrap() | 0x80);
        length /= 0x80;
    }
    out.push(u8::try_from(length).unwrap());
    out.extend(bytes);
    out
}

#[test]
fn a_decoder_allocates_no_more_than_its_documentation_says() {
    let limits = Limits::default();
    // Growing a vector copies it: old and new live at once, half as much again as the doubled capacity.
    let bound = |message: &[u8]| {
        (24 * message.len() + 3 * limits.label_bytes + 1024).min(limits.scratch_bytes() * 3 / 2)
    };

    let samples = 100_000;
    let densest_samples = field(0x0a, &[0x12, 0].repeat(samples));
    let densest_symbols = [0x22, 0].repeat(200_000);
    let many_empty_labels = field(0x0a, &[&[0x12, 0][..], &[0x0a, 0].repeat(10_000)].concat());
    let long = "x".repeat(8000);
    let blown_up =
        [field(0x22, b""), field(0x22, long.as_bytes()), field(0x2a, &field(0x0a, &[1, 1])).repeat(5000)]
            .concat();
    let hostile = [
        (Protocol::V1, &densest_samples),
        (Protocol::V1, &many_empty_labels),
        (Protocol::V2, &densest_symbols),
        (Protocol::V2, &blown_up),
        (Protocol::V1, &densest_symbols),
        (Protocol::V2, &densest_samples),
    ];
    for (at, (protocol, message)) in hostile.into_iter().enumerate() {
        let peak = peak_of(|| {
            walk(protocol, message, &mut Scratch::new(), &limits);
        });
        assert!(peak <= bound(message), "case {at}: {peak} bytes for a message of {}", message.len());
    }
    let mut scratch = Scratch::new();
    assert_eq!(walk(Protocol::V1, &densest_samples, &mut scratch, &limits), samples);
    assert!(scratch.capacity_bytes() <= 16 * densest_samples.len() + 2 * limits.label_bytes);

    // Far over the limits, nothing grows with the message any more.
    let small = Limits { samples: 100, symbols: 100, ..limits };
    for (protocol, message) in [(Protocol::V1, &densest_samples), (Protocol::V2, &densest_symbols)] {
        let peak = peak_of(|| {
            walk(protocol, message, &mut Scratch::new(), &small);
        });
        assert!(peak <= small.scratch_bytes() * 3 / 2, "{peak} bytes under small limits");
    }

    // A body that announces 32 MiB in five bytes gets none of it.
    let mut out = Vec::new();
    let peak = peak_of(|| assert!(decompress(&[0x80, 0x80, 0x80, 0x10, 0], &limits, &mut out).is_err()));
    assert_eq!(peak, 0);

    // The steady state: a second request like the first allocates nothing at all.
    for protocol in [Protocol::V1, Protocol::V2] {
        let mut request = RequestBuilder::new(protocol);
        for series in 0..40 {
            let name = format!("series_{series}");
            let labels = [("__name__", name.as_str()), ("site", "a"), ("link", "wan")];
            assert!(canonical_key(&labels).is_ok());
            let added = request.series(&labels, &[Sample { time: UnixMillis(1), value: 1.0 }]);
            assert!(added.is_ok());
        }
        let body = request.finish_compressed().unwrap();
        let (mut message, mut scratch) = (Vec::new(), Scratch::new());
        for round in 0..3 {
            let peak = peak_of(|| {
                decompress(&body, &limits, &mut message).unwrap();
                assert_eq!(walk(protocol, &message, &mut scratch, &limits), 40);
            });
            assert!(round == 0 || peak == 0, "{protocol}: {peak} bytes in the steady state");
        }
    }
}
