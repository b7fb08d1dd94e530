//! Any header values: no panic, and a refusal is short enough to be sent back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wan_wire::negotiate;

fuzz_target!(|headers: (Option<String>, Option<String>)| {
    let (content_type, encoding) = headers;
    if let Err(error) = negotiate(content_type.as_deref(), encoding.as_deref()) {
        assert!(error.to_string().len() < 2000);
    }
});
