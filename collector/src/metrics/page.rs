//! Writes families one after the other, and hands the text on in chunks.

use std::ops::ControlFlow;

use wan_wire::{Label, Metric};

/// Text is handed on when there is so much of it.
const CHUNK: usize = 64 << 10;

/// Where the text goes. One who wants no more says so.
pub(super) type Sink<'s> = &'s mut dyn FnMut(&[u8]) -> ControlFlow<()>;

/// Labels of a series as they are written, without braces: `site="a",link="wan"`.
#[derive(Debug, Clone, Default)]
pub(super) struct Labels(String);

impl Labels {
    /// A label with an empty value is a label that is not there, as Prometheus has it.
    pub(super) fn of(labels: &[(Label, &str)]) -> Self {
        let mut text = String::with_capacity(96);
        push(labels, &mut text);
        Self(text)
    }

    /// The same with some more.
    pub(super) fn and(&self, labels: &[(Label, &str)]) -> Self {
        let mut text = self.0.clone();
        push(labels, &mut text);
        Self(text)
    }
}

fn push(labels: &[(Label, &str)], text: &mut String) {
    for (label, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(label.as_str());
        text.push_str("=\"");
        escape(value, text);
        text.push('"');
    }
}

/// A page that is being written.
pub(super) struct Page<'s> {
    text: String,
    name: &'static str,
    sink: Sink<'s>,
    unwanted: bool,
}

impl<'s> Page<'s> {
    pub(super) fn new(sink: Sink<'s>) -> Self {
        Self { text: String::with_capacity(CHUNK + 4096), name: "", sink, unwanted: false }
    }

    /// Begins a family; the samples that follow are of it.
    pub(super) fn family(&mut self, metric: Metric) {
        self.name = metric.as_str();
        let (help, kind) = (metric.help(), metric.metric_type().as_str());
        for part in ["# HELP ", self.name, " ", help, "\n# TYPE ", self.name, " ", kind, "\n"] {
            self.text.push_str(part);
        }
    }

    /// One sample of the family.
    pub(super) fn sample(&mut self, labels: &[(Label, &str)], value: f64) {
        self.row(&Labels::of(labels), value);
    }

    /// The same with labels that are written already.
    pub(super) fn row(&mut self, labels: &Labels, value: f64) {
        self.row_with(labels, "", value);
    }

    /// The same with some text behind the labels, which begins with a comma.
    pub(super) fn row_with(&mut self, labels: &Labels, more: &str, value: f64) {
        self.text.push_str(self.name);
        if !labels.0.is_empty() {
            self.text.push('{');
            self.text.push_str(&labels.0);
            self.text.push_str(more);
            self.text.push('}');
        }
        self.text.push(' ');
        number(value, &mut self.text);
        self.text.push('\n');
        if self.text.len() >= CHUNK {
            self.hand_on();
        }
    }

    /// Text that is in the format already.
    pub(super) fn verbatim(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Whether nobody wants the rest.
    pub(super) fn is_unwanted(&self) -> bool {
        self.unwanted
    }

    /// Hands on what is left; `Break`: nobody wanted all of it.
    pub(super) fn finish(mut self) -> ControlFlow<()> {
        self.hand_on();
        if self.unwanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn hand_on(&mut self) {
        self.unwanted = self.unwanted || (self.sink)(self.text.as_bytes()).is_break();
        self.text.clear();
    }
}

/// As Prometheus reads numbers: the shortest that is this one.
fn number(value: f64, text: &mut String) {
    /// Whole numbers below are exact and written as such.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.is_finite() {
        if value.fract() == 0.0 && value.abs() < EXACT {
            #[allow(clippy::cast_possible_truncation, reason = "whole and below 2⁵³")]
            let whole = value as i64;
            text.push_str(itoa::Buffer::new().format(whole));
        } else {
            text.push_str(ryu::Buffer::new().format_finite(value));
        }
    } else if value.is_nan() {
        text.push_str("NaN");
    } else {
        text.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    }
}

fn escape(value: &str, text: &mut String) {
    let mut rest = value;
    // Over bytes, which is many times as fast as over characters; all three are ASCII.
    while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'\\' | b'"' | b'\n')) {
        let (plain, special) = rest.split_at(at);
        text.push_str(plain);
        text.push_str(match special.as_bytes().first() {
            Some(b'\\') => "\\\\",
            Some(b'"') => "\\\"",
            _ => "\\n",
        });
        rest = special.get(1..).unwrap_or_default();
    }
    text.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Page<'_>)) -> String {
        let mut all = Vec::new();
        let mut sink = |text: &[u8]| {
            all.extend_from_slice(text);
            ControlFlow::Continue(())
        };
        let mut page = Page::new(&mut sink);
        write(&mut page);
        assert!(page.finish().is_continue());
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn numbers_are_read_as_they_were() {
        let numbers = [
            0.0,
            -0.0,
            1.0,
            -400.5,
            0.95,
            0.9583333333333334,
            1_795_414_368.25,
            1e-7,
            1e300,
            9_007_199_254_740_993.0,
            f64::MIN_POSITIVE,
            f64::MAX,
        ];
        for value in numbers {
            let mut text = String::new();
            number(value, &mut text);
            assert_eq!(text.parse::<f64>().unwrap(), value, "{text}");
        }
        let special =
            [(f64::NAN, "NaN"), (f64::INFINITY, "+Inf"), (f64::NEG_INFINITY, "-Inf"), (3600.0, "3600")];
        for (value, expected) in special {
            let mut text = String::new();
            number(value, &mut text);
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn a_value_cannot_break_a_line() {
        let text = written(|page| {
            page.family(Metric::SiteUp);
            page.sample(&[(Label::Site, "a\n\"\\ổ"), (Label::Tier, ""), (Label::Kind, "\\")], 1.0);
            page.sample(&[], 0.0);
        });
        let samples: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(samples, ["wan_site_up{site=\"a\\n\\\"\\\\ổ\",kind=\"\\\\\"} 1", "wan_site_up 0"]);
    }

    #[test]
    fn who_wants_no_more_is_sent_no_more() {
        let mut pieces = 0;
        let mut sink = |text: &[u8]| {
            assert!(text.len() < 2 * CHUNK);
            pieces += 1;
            ControlFlow::Break(())
        };
        let mut page = Page::new(&mut sink);
        page.family(Metric::SiteUp);
        let mut written = 0;
        while !page.is_unwanted() {
            page.sample(&[(Label::Site, "a")], 1.0);
            written += 1;
        }
        assert!(written < CHUNK && page.finish().is_break());
        assert_eq!(pieces, 1);
    }
}
