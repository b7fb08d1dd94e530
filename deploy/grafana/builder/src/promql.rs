//! PromQL, built so that what cannot be right does not compile: a rate is of a counter, a quantile of a histogram, an average over
//! time of a gauge; a name is always one of [`wan_wire`]'s.

use std::fmt::Write as _;
use std::marker::PhantomData;

use wan_wire::{Label, Metric, MetricType};

use crate::words::Word;

/// A variable of a dashboard that queries refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Var {
    /// Tiers.
    Tier,
    /// Branches.
    Branch,
    /// Districts.
    District,
    /// Carriers.
    Carrier,
    /// One site.
    Site,
    /// Links of the site.
    Link,
    /// Contracts.
    Contract,
    /// One of the windows over which the collector derives figures.
    Window,
}

impl Var {
    /// Its name in the dashboard.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tier => "tier",
            Self::Branch => "branch",
            Self::District => "district",
            Self::Carrier => "carrier",
            Self::Site => "site",
            Self::Link => "link",
            Self::Contract => "contract",
            Self::Window => "window",
        }
    }

    /// The label whose values it holds.
    #[must_use]
    pub const fn label(self) -> Label {
        match self {
            Self::Tier => Label::Tier,
            Self::Branch => Label::Branch,
            Self::District => Label::District,
            Self::Carrier => Label::Carrier,
            Self::Site => Label::Site,
            Self::Link => Label::Link,
            Self::Contract => Label::Contract,
            Self::Window => Label::Window,
        }
    }

    /// Whether several values can be chosen, so that a matcher must be a regular expression.
    #[must_use]
    pub const fn is_multi(self) -> bool {
        match self {
            Self::Tier | Self::Branch | Self::District | Self::Carrier | Self::Link | Self::Contract => true,
            Self::Site | Self::Window => false,
        }
    }
}

/// A length of time in a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The time between two points of the panel.
    Interval,
    /// The same, but never shorter than four scrapes.
    RateInterval,
    /// All of the dashboard's time.
    Range,
}

impl Span {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Interval => "$__interval",
            Self::RateInterval => "$__rate_interval",
            Self::Range => "$__range",
        }
    }
}

/// A metric that goes up and down. Made by [`gauge!`](crate::gauge), which does not compile for another.
#[derive(Debug, Clone, Copy)]
pub struct Gauge(Metric);

/// A metric that only grows. Made by [`counter!`](crate::counter), which does not compile for another.
#[derive(Debug, Clone, Copy)]
pub struct Counter(Metric);

/// A metric of counts by bucket. Made by [`histogram!`](crate::histogram), which does not compile for another.
#[derive(Debug, Clone, Copy)]
pub struct Histogram(Metric);

impl Gauge {
    /// The metric as a gauge, to be called where constants are evaluated.
    #[must_use]
    pub const fn of(metric: Metric) -> Self {
        assert!(matches!(metric.metric_type(), MetricType::Gauge), "not a gauge");
        Self(metric)
    }

    /// All its series.
    #[must_use]
    pub fn all(self) -> Selector<Self> {
        Selector { kind: PhantomData, metric: self.0, matchers: Vec::new(), at_end: false }
    }
}

impl Counter {
    /// The metric as a counter, to be called where constants are evaluated.
    #[must_use]
    pub const fn of(metric: Metric) -> Self {
        assert!(matches!(metric.metric_type(), MetricType::Counter), "not a counter");
        Self(metric)
    }

    /// All its series.
    #[must_use]
    pub fn all(self) -> Selector<Self> {
        Selector { kind: PhantomData, metric: self.0, matchers: Vec::new(), at_end: false }
    }
}

impl Histogram {
    /// The metric as a histogram, to be called where constants are evaluated.
    #[must_use]
    pub const fn of(metric: Metric) -> Self {
        assert!(matches!(metric.metric_type(), MetricType::Histogram), "not a histogram");
        Self(metric)
    }

    /// All its series.
    #[must_use]
    pub fn all(self) -> Selector<Self> {
        Selector { kind: PhantomData, metric: self.0, matchers: Vec::new(), at_end: false }
    }
}

/// A gauge by the name of its [`Metric`]; another kind of metric does not compile.
#[macro_export]
macro_rules! gauge {
    ($metric:ident) => {
        const { $crate::promql::Gauge::of(wan_wire::Metric::$metric) }.all()
    };
}

/// A counter by the name of its [`Metric`]; another kind of metric does not compile.
#[macro_export]
macro_rules! counter {
    ($metric:ident) => {
        const { $crate::promql::Counter::of(wan_wire::Metric::$metric) }.all()
    };
}

/// A histogram by the name of its [`Metric`]; another kind of metric does not compile.
#[macro_export]
macro_rules! histogram {
    ($metric:ident) => {
        const { $crate::promql::Histogram::of(wan_wire::Metric::$metric) }.all()
    };
}

/// Series of one metric.
#[derive(Debug, Clone)]
pub struct Selector<K> {
    kind: PhantomData<K>,
    metric: Metric,
    matchers: Vec<(Label, String)>,
    at_end: bool,
}

impl<K> Selector<K> {
    /// Only those whose label is this.
    #[must_use]
    pub fn is(self, label: Label, value: &str) -> Self {
        self.matching(label, "=", value)
    }

    /// Only those whose label is not this.
    #[must_use]
    pub fn is_not(self, label: Label, value: &str) -> Self {
        self.matching(label, "!=", value)
    }

    /// Only those without the label.
    #[must_use]
    pub fn without(self, label: Label) -> Self {
        self.matching(label, "=", "")
    }

    /// Only those with the label.
    #[must_use]
    pub fn with(self, label: Label) -> Self {
        self.matching(label, "!=", "")
    }

    /// Only those that the variable chooses.
    #[must_use]
    pub fn chosen(self, var: Var) -> Self {
        self.label_chosen(var.label(), var)
    }

    /// Only those of which the variable chooses another label than its own.
    #[must_use]
    pub fn label_chosen(self, label: Label, var: Var) -> Self {
        let operator = if var.is_multi() { "=~" } else { "=" };
        self.matching(label, operator, &format!("${}", var.as_str()))
    }

    /// As they are at the end of the dashboard's time, at every point.
    #[must_use]
    pub fn at_end(mut self) -> Self {
        self.at_end = true;
        self
    }

    fn matching(mut self, label: Label, operator: &str, value: &str) -> Self {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        self.matchers.push((label, format!("{label}{operator}\"{value}\"")));
        self
    }

    fn text(&self, suffix: &str, span: Option<Span>) -> String {
        let mut text = format!("{}{suffix}", self.metric);
        if !self.matchers.is_empty() {
            let matchers: Vec<&str> = self.matchers.iter().map(|(_, text)| text.as_str()).collect();
            // Writing to a string does not fail.
            let _ = write!(text, "{{{}}}", matchers.join(","));
        }
        if let Some(span) = span {
            let _ = write!(text, "[{}]", span.as_str());
        }
        if self.at_end {
            text.push_str(" @ end()");
        }
        text
    }

    fn uses(&self) -> Vec<(Metric, Label)> {
        self.matchers.iter().map(|(label, _)| (self.metric, *label)).collect()
    }

    fn call(self, function: &str, span: Span) -> Vector {
        Vector { text: format!("{function}({})", self.text("", Some(span))), uses: self.uses() }
    }

    /// The series themselves, as `label_values` of a variable needs them.
    #[must_use]
    pub fn series(&self) -> String {
        self.text("", None)
    }
}

impl Selector<Gauge> {
    /// The value at each point.
    #[must_use]
    pub fn now(self) -> Vector {
        Vector { text: self.text("", None), uses: self.uses() }
    }

    /// The mean over a time.
    #[must_use]
    pub fn mean_over(self, span: Span) -> Vector {
        self.call("avg_over_time", span)
    }

    /// The least over a time.
    #[must_use]
    pub fn least_over(self, span: Span) -> Vector {
        self.call("min_over_time", span)
    }

    /// The greatest over a time.
    #[must_use]
    pub fn greatest_over(self, span: Span) -> Vector {
        self.call("max_over_time", span)
    }

    /// The sum over a time.
    #[must_use]
    pub fn sum_over(self, span: Span) -> Vector {
        self.call("sum_over_time", span)
    }

    /// The newest value within a time.
    #[must_use]
    pub fn last_over(self, span: Span) -> Vector {
        self.call("last_over_time", span)
    }

    /// The quantile over a time.
    #[must_use]
    pub fn quantile_over(self, quantile: f64, span: Span) -> Vector {
        let text = format!("quantile_over_time({quantile}, {})", self.text("", Some(span)));
        Vector { text, uses: self.uses() }
    }
}

impl Selector<Counter> {
    /// Growth a second.
    #[must_use]
    pub fn rate(self) -> Vector {
        self.call("rate", Span::RateInterval)
    }

    /// Growth over a time.
    #[must_use]
    pub fn increase(self, span: Span) -> Vector {
        self.call("increase", span)
    }
}

impl Selector<Histogram> {
    /// The quantile of what was counted lately, over all series.
    #[must_use]
    pub fn quantile(self, quantile: f64) -> Vector {
        let buckets = self.text("_bucket", Some(Span::RateInterval));
        let text = format!("histogram_quantile({quantile}, sum by (le) (rate({buckets})))");
        Vector { text, uses: self.uses() }
    }
}

/// An instant vector: what a query gives at each point.
#[derive(Debug, Clone)]
pub struct Vector {
    text: String,
    uses: Vec<(Metric, Label)>,
}

impl Vector {
    /// The query.
    #[must_use]
    pub fn text(&self) -> &str {
        // Around the whole of a query parentheses say nothing.
        let inner = self.text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        inner.filter(|inner| is_balanced(inner)).unwrap_or(&self.text)
    }

    /// The labels by which its series are chosen.
    #[must_use]
    pub fn uses(&self) -> &[(Metric, Label)] {
        &self.uses
    }

    /// The sum for each value of these labels.
    #[must_use]
    pub fn sum(self, by: &[Label]) -> Self {
        self.aggregate("sum", by)
    }

    /// The greatest for each value of these labels.
    #[must_use]
    pub fn max(self, by: &[Label]) -> Self {
        self.aggregate("max", by)
    }

    /// The least for each value of these labels.
    #[must_use]
    pub fn min(self, by: &[Label]) -> Self {
        self.aggregate("min", by)
    }

    /// The mean for each value of these labels.
    #[must_use]
    pub fn mean(self, by: &[Label]) -> Self {
        self.aggregate("avg", by)
    }

    /// How many there are for each value of these labels.
    #[must_use]
    pub fn count(self, by: &[Label]) -> Self {
        self.aggregate("count", by)
    }

    /// The so many greatest.
    #[must_use]
    pub fn top(mut self, count: u8) -> Self {
        self.text = format!("topk({count}, {})", self.text());
        self
    }

    /// The so many least.
    #[must_use]
    pub fn bottom(mut self, count: u8) -> Self {
        self.text = format!("bottomk({count}, {})", self.text());
        self
    }

    /// Without the sign.
    #[must_use]
    pub fn abs(mut self) -> Self {
        self.text = format!("abs({})", self.text());
        self
    }

    /// How long ago the instants are that the values say in Unix seconds.
    #[must_use]
    pub fn age(mut self) -> Self {
        self.text = format!("(time() - {})", self.text);
        self
    }

    /// One minus it.
    #[must_use]
    pub fn rest(mut self) -> Self {
        self.text = format!("(1 - {})", self.text);
        self
    }

    /// So many times.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        self.scalar("*", factor)
    }

    /// Those over a limit.
    #[must_use]
    pub fn over(self, limit: f64) -> Self {
        self.scalar(">", limit)
    }

    /// Those equal to a value.
    #[must_use]
    pub fn equal_to(self, value: f64) -> Self {
        self.scalar("==", value)
    }

    /// Plus one with the same labels.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.binary("+", other)
    }

    /// Less one with the same labels.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.binary("-", other)
    }

    /// Per one with the same labels.
    #[must_use]
    pub fn per(self, other: Self) -> Self {
        self.binary("/", other)
    }

    /// The other where this has nothing of the same labels.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.binary("or", other)
    }

    /// Only those for which there is one in the other with the same values of these labels.
    #[must_use]
    pub fn where_any(self, on: &[Label], other: Self) -> Self {
        self.binary(&format!("and on ({})", names(on)), other)
    }

    /// Only those for which there is none in the other with the same values of these labels.
    #[must_use]
    pub fn where_none(self, on: &[Label], other: Self) -> Self {
        self.binary(&format!("unless on ({})", names(on)), other)
    }

    /// With further labels of the one series in `info`, whose value is 1, that has the same values of `on`; without one, left out.
    #[must_use]
    pub fn told_by(self, on: &[Label], take: &[Label], info: Self) -> Self {
        self.binary(&format!("* on ({}) group_left ({})", names(on), names(take)), info)
    }

    /// Times the place, from 1, that its value of `label` has in `words`; what has another value is left out. One look-up, where a choice
    /// of series for each word costs a Prometheus ten times as much over a month.
    #[must_use]
    pub fn times_place(mut self, label: Label, words: &[Word]) -> Self {
        let place = |(place, word): (usize, &Word)| {
            format!("label_replace(vector({}), \"{label}\", \"{}\", \"\", \"\")", place + 1, word.word)
        };
        let places: Vec<String> = words.iter().enumerate().map(place).collect();
        self.text = format!("({} * on ({label}) group_left () ({}))", self.text, places.join(" or "));
        self
    }

    fn aggregate(mut self, function: &str, by: &[Label]) -> Self {
        self.text = if by.is_empty() {
            format!("{function}({})", self.text())
        } else {
            format!("{function} by ({}) ({})", names(by), self.text())
        };
        self
    }

    fn scalar(mut self, operator: &str, value: f64) -> Self {
        self.text = format!("({} {operator} {value})", self.text);
        self
    }

    fn binary(mut self, operator: &str, other: Self) -> Self {
        self.text = format!("({} {operator} {})", self.text, other.text);
        self.uses.extend(other.uses);
        self
    }
}

fn names(labels: &[Label]) -> String {
    labels.iter().map(|label| label.as_str()).collect::<Vec<_>>().join(", ")
}

/// Whether no parenthesis closes that was not opened.
fn is_balanced(text: &str) -> bool {
    let mut open = 0_i32;
    text.chars().all(|letter| {
        open += match letter {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        open >= 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_reads_as_one_would_write_it() {
        let down = gauge!(LinkUp).is(Label::Kind, "wan").chosen(Var::Carrier).now().equal_to(0.0);
        assert_eq!(
            down.clone().count(&[Label::Carrier]).text(),
            "count by (carrier) (wan_link_up{kind=\"wan\",carrier=~\"$carrier\"} == 0)"
        );
        assert_eq!(down.uses(), [(Metric::LinkUp, Label::Kind), (Metric::LinkUp, Label::Carrier)]);
        let traffic = counter!(InterfaceReceiveBytesTotal).chosen(Var::Site).rate().times(8.0);
        assert_eq!(
            traffic.text(),
            "rate(wan_interface_receive_bytes_total{site=\"$site\"}[$__rate_interval]) * 8"
        );
        assert_eq!(
            histogram!(CollectorRequestDurationSeconds).quantile(0.99).text(),
            "histogram_quantile(0.99, sum by (le) (rate(wan_collector_request_duration_seconds_bucket[$__rate_interval])))"
        );
        let named = gauge!(SiteUp).now().told_by(&[Label::Site], &[Label::SiteName], gauge!(SiteInfo).now());
        assert_eq!(named.text(), "wan_site_up * on (site) group_left (name) wan_site_info");
        let ratio =
            gauge!(RoundReceived).sum_over(Span::Interval).per(gauge!(RoundSent).sum_over(Span::Interval));
        assert_eq!(
            ratio.rest().text(),
            "1 - (sum_over_time(wan_round_received[$__interval]) / sum_over_time(wan_round_sent[$__interval]))"
        );
        assert_eq!(gauge!(SiteUp).at_end().now().text(), "wan_site_up @ end()");
        assert_eq!(
            gauge!(SiteVerdict).now().times_place(Label::Verdict, &crate::words::VERDICTS[..2]).text(),
            "wan_site_verdict * on (verdict) group_left () (label_replace(vector(1), \"verdict\", \"online\", \"\", \"\") or \
             label_replace(vector(2), \"verdict\", \"maintenance\", \"\", \"\"))"
        );
    }

    #[test]
    fn outer_parentheses_go_only_where_they_are_one_pair() {
        let one = || gauge!(LinkUp).now().over(0.0);
        assert_eq!(one().plus(one()).text(), "(wan_link_up > 0) + (wan_link_up > 0)");
        assert_eq!(gauge!(LinkUp).is(Label::Site, "a\"\\b").now().text(), r#"wan_link_up{site="a\"\\b"}"#);
    }
}
