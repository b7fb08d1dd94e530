//! The monitor itself: agents, ingest, engine, alerts' outbox, and the collector's process.

use wan_wire::Label;

use super::{NAME, SITE, VERSION, named, of_chosen, site_filters};
use crate::dashboard::{Dashboard, Row, Which};
use crate::panel::{Cell, Column, Legend, Link, Panel, Series, Style, Thresholds, Unit, View};
use crate::promql::{Gauge, Selector, Span, Vector};
use crate::words::{Colour, Text, same, text};
use crate::{counter, gauge, histogram};

/// The dashboard.
#[must_use]
pub fn dashboard() -> Dashboard {
    Dashboard {
        which: Which::Monitor,
        help: text(
            "Hệ thống giám sát có làm việc không: agent, máy thu thập, thông báo.",
            "Whether the monitor itself works: agents, collector, notices.",
        ),
        from: "now-6h",
        refresh: "30s",
        variables: site_filters(),
        marks: Vec::new(),
        rows: vec![now(), agents(), ingest(), engine(), forward(), outbox()],
    }
}

const NOT_SCRAPED: Text = text(
    "Kho này không thu thập số liệu của máy thu thập: kiểm tra việc thu thập /metrics",
    "This store does not scrape the collector: look after its scrape of /metrics",
);
const NO_AGENT: Text = text("Chưa agent nào gửi số liệu", "No agent has pushed yet");

fn stat(title: Text, help: Text, nothing: Text, unit: Unit, query: Vector, thresholds: Thresholds) -> Panel {
    let series = vec![Series::new(query, Legend::Fixed(title))];
    Panel { title, help, nothing, unit, repeat: None, view: View::Stat { series, thresholds, words: &[] } }
}

fn lines(title: Text, help: Text, nothing: Text, unit: Unit, series: Vec<Series>) -> Panel {
    let view = View::Lines { series, stacked: false, max: None, words: &[] };
    Panel { title, help, nothing, unit, repeat: None, view }
}

const fn grey() -> Thresholds {
    Thresholds::always(Colour::Grey)
}

fn zero_is_bad() -> Thresholds {
    Thresholds::always(Colour::Red).from(1.0, Colour::Green)
}

fn now() -> Row {
    Row::new(text("Hiện nay", "Now"))
        .with(
            4,
            4,
            Panel {
                title: text("Máy thu thập", "Collector"),
                help: text("Phiên bản của máy thu thập.", "The collector’s version."),
                nothing: NOT_SCRAPED,
                unit: Unit::None,
                repeat: None,
                view: View::Table {
                    queries: vec![gauge!(CollectorBuildInfo).now().max(&[Label::Version])],
                    columns: vec![Column::label(Label::Version, VERSION)],
                    sort: (0, false),
                },
            },
        )
        .with(
            4,
            4,
            stat(
                text("Đã chạy", "Running for"),
                text("Từ khi máy thu thập khởi động.", "Since the collector started."),
                NOT_SCRAPED,
                Unit::Duration,
                gauge!(CollectorStartTimeSeconds).now().age().min(&[]),
                grey(),
            ),
        )
        .with(
            4,
            4,
            stat(
                text("Chứng chỉ còn", "Certificate lasts"),
                text("Đến khi chứng chỉ đang dùng hết hạn.", "Until the certificate in use ends."),
                text("Máy thu thập không dùng TLS", "The collector uses no TLS"),
                Unit::Duration,
                gauge!(CollectorCertificateExpiryTimestampSeconds).now().over(0.0).age().times(-1.0).min(&[]),
                Thresholds::always(Colour::Red)
                    .from(7.0 * 86400.0, Colour::Orange)
                    .from(21.0 * 86400.0, Colour::Green),
            ),
        )
        .with(
            4,
            4,
            stat(
                text("Cấu hình của agent", "Agents’ configuration"),
                text(
                    "0: tệp có lỗi, bản tốt cuối vẫn được dùng.",
                    "0: the file has mistakes, the last good one goes on.",
                ),
                NOT_SCRAPED,
                Unit::Count,
                gauge!(CollectorAgentConfigGood).now().min(&[]),
                zero_is_bad(),
            ),
        )
        .with(
            4,
            4,
            stat(
                text("Cấu hình cảnh báo", "Alerts’ configuration"),
                text(
                    "0: tệp có lỗi, bản cũ vẫn được dùng.",
                    "0: the file has mistakes, the former one goes on.",
                ),
                NOT_SCRAPED,
                Unit::Count,
                gauge!(CollectorAlertConfigGood).now().min(&[]),
                zero_is_bad(),
            ),
        )
        .with(
            4,
            4,
            stat(
                text("Lần xét cảnh báo cuối, trước đây", "Last look for alerts, ago"),
                text(
                    "Máy thu thập xét toàn tỉnh vài lần mỗi giây.",
                    "The collector looks at the province about twice a second.",
                ),
                text("Máy thu thập chưa xét cảnh báo lần nào", "The collector has not looked for alerts yet"),
                Unit::Duration,
                gauge!(CollectorAlertsLookTimestampSeconds).now().over(0.0).age().max(&[]),
                Thresholds::always(Colour::Green).from(30.0, Colour::Red),
            ),
        )
}

fn agents() -> Row {
    let table = |title: Text, help: Text, nothing: Text, query: Vector, value: Text, unit: Unit| Panel {
        title,
        help,
        nothing,
        unit,
        repeat: None,
        view: View::Table {
            queries: vec![named(query)],
            columns: vec![
                Column::label(Label::Site, SITE).linked(Link::Site),
                Column::label(Label::SiteName, NAME).linked(Link::Site),
                Column::value(0, value, unit, Cell::Plain),
            ],
            sort: (2, true),
        },
    };
    let offset = text("Lệch đồng hồ", "Clock offset");
    let clock = table(
        text("Đồng hồ sai quá 1 giây", "Clocks that are wrong by more than a second"),
        text(
            "Số liệu vẫn đúng giờ; đồng hồ của máy cần được chỉnh.",
            "The figures have the right time all the same; the hosts’ clocks want setting.",
        ),
        text("Mọi đồng hồ đều đúng trong 1 giây", "Every clock is right to a second"),
        gauge!(SiteClockOffsetSeconds).now().abs().over(1.0),
        offset,
        Unit::Duration,
    );
    let queue = table(
        text("Hàng đợi lớn nhất", "Largest queues"),
        text(
            "Số liệu đang chờ ở các agent, như lần cuối được báo.",
            "What waits at agents, as they last said.",
        ),
        text("Không agent nào còn số liệu chờ", "Nothing waits at any agent"),
        of_chosen(gauge!(SiteQueueBytes).now().over(0.0)).top(25),
        text("Hàng đợi", "Queue"),
        Unit::Bytes,
    );
    let silent = table(
        text("Agent im lặng lâu nhất", "Agents silent the longest"),
        text(
            "Các agent không gửi gì trong 5 phút qua.",
            "Agents that pushed nothing in the last five minutes.",
        ),
        text("Mọi agent đều đã gửi trong 5 phút qua", "Every agent has pushed in the last five minutes"),
        of_chosen(gauge!(SiteLastSeenTimestampSeconds).now().age().over(300.0)).top(25),
        text("Gửi lần cuối, trước đây", "Last push, ago"),
        Unit::Duration,
    );
    let dropped = table(
        text("Mẫu đã bỏ trong khoảng thời gian xem", "Samples dropped in the time shown"),
        text("Vì hàng đợi của agent đầy.", "Because the agent’s queue was full."),
        text("Không agent nào bỏ mẫu", "No agent has dropped samples"),
        of_chosen(counter!(SiteDroppedSamplesTotal).increase(Span::Range).over(0.0)).top(25),
        text("Mẫu đã bỏ", "Samples dropped"),
        Unit::Count,
    );
    Row::new(text("Các agent", "Agents"))
        .with(
            8,
            8,
            Panel {
                title: text("Theo phiên bản", "By version"),
                help: text("Bao nhiêu đơn vị chạy phiên bản nào.", "How many sites run which version."),
                nothing: NO_AGENT,
                unit: Unit::Count,
                repeat: None,
                view: View::Bars {
                    series: Series::new(
                        of_chosen(gauge!(SiteAgentInfo).now()).count(&[Label::Version]),
                        Legend::Label(Label::Version),
                    ),
                    thresholds: grey(),
                    words: &[],
                },
            },
        )
        .with(8, 8, clock)
        .with(8, 8, queue)
        .with(12, 8, silent)
        .with(12, 8, dropped)
}

fn ingest() -> Row {
    let duration = || histogram!(CollectorRequestDurationSeconds);
    let quantile =
        |quantile: f64, name: Text, style: Style| Series::styled(duration().quantile(quantile), name, style);
    Row::new(text("Tiếp nhận", "Ingest"))
        .with(
            8,
            8,
            lines(
                text("Lần gửi theo câu trả lời", "Requests by answer"),
                text("Mã HTTP của các câu trả lời.", "By HTTP status."),
                NOT_SCRAPED,
                Unit::PerSecond,
                vec![Series::new(
                    counter!(CollectorRequestsTotal).rate().sum(&[Label::Code]),
                    Legend::Label(Label::Code),
                )],
            ),
        )
        .with(
            8,
            8,
            lines(
                text("Thời gian trả lời", "Time to answer"),
                text(
                    "Từ byte cuối của lần gửi đến câu trả lời.",
                    "From a request’s last byte to its answer.",
                ),
                text("Không có lần gửi nào trong khoảng này", "There were no requests in this time"),
                Unit::Seconds,
                vec![
                    quantile(0.99, same("p99"), Style::Line(Colour::Orange)),
                    quantile(0.5, text("Trung vị", "Median"), Style::Line(Colour::Green)),
                ],
            ),
        )
        .with(
            8,
            8,
            lines(
                text("Mẫu", "Samples"),
                text("Được nhận và bị từ chối, mỗi giây.", "Accepted and refused, a second."),
                NOT_SCRAPED,
                Unit::PerSecond,
                vec![
                    Series::styled(
                        counter!(CollectorSamplesTotal).rate().sum(&[]),
                        text("Đã nhận", "Accepted"),
                        Style::Line(Colour::Green),
                    ),
                    Series::styled(
                        counter!(CollectorRefusedSamplesTotal).rate().sum(&[]),
                        text("Bị từ chối", "Refused"),
                        Style::Line(Colour::Red),
                    ),
                ],
            ),
        )
}

fn engine() -> Row {
    let gauge_line = |metric: Selector<Gauge>, name: Text| {
        Series::styled(metric.now().sum(&[]), name, Style::Line(Colour::Blue))
    };
    let trouble =
        |query: Vector, name: Text, colour: Colour| Series::styled(query.sum(&[]), name, Style::Line(colour));
    Row::new(text("Máy xử lý và nhật ký", "Engine and journal"))
        .with(
            6,
            8,
            lines(
                text("Lần gửi đang chờ", "Requests that wait"),
                text("Chờ máy xử lý.", "For the engine."),
                NOT_SCRAPED,
                Unit::Count,
                vec![gauge_line(gauge!(CollectorEngineQueueRequests), text("Đang chờ", "Waiting"))],
            ),
        )
        .with(
            6,
            8,
            lines(
                text("Ghi nhật ký", "Journal syncs"),
                text(
                    "99 % lần đồng bộ nhật ký và 99 % lần ghi bằng chứng xong trong thời gian này.",
                    "99 % of syncs of the journal and of checkpoints took at most this long.",
                ),
                text("Không có lần ghi nào trong khoảng này", "Nothing was written in this time"),
                Unit::Seconds,
                vec![
                    Series::styled(
                        histogram!(CollectorJournalSyncDurationSeconds).quantile(0.99),
                        text("Đồng bộ", "Sync"),
                        Style::Line(Colour::Blue),
                    ),
                    Series::styled(
                        histogram!(CollectorCheckpointDurationSeconds).quantile(0.99),
                        text("Ghi bằng chứng", "Checkpoint"),
                        Style::Line(Colour::Purple),
                    ),
                ],
            ),
        )
        .with(
            6,
            8,
            lines(
                text("Dung lượng nhật ký", "Size of the journal"),
                text("Trên đĩa.", "On disk."),
                NOT_SCRAPED,
                Unit::Bytes,
                vec![gauge_line(gauge!(CollectorJournalBytes), text("Nhật ký", "Journal"))],
            ),
        )
        .with(
            6,
            8,
            lines(
                text("Lỗi đĩa và kho, trong mỗi khoảng", "Failures of disk and store"),
                text(
                    "Bao nhiêu lần giữa hai điểm của biểu đồ; luôn phải là 0.",
                    "How many between two points of the graph; should be 0 at all times.",
                ),
                NOT_SCRAPED,
                Unit::Count,
                vec![
                    trouble(
                        counter!(CollectorJournalFailuresTotal).increase(Span::RateInterval),
                        text("Ghi nhật ký", "Journal"),
                        Colour::Red,
                    ),
                    trouble(
                        counter!(CollectorJournalDamagedFramesTotal).increase(Span::RateInterval),
                        text("Khung hỏng", "Damaged frames"),
                        Colour::Orange,
                    ),
                    trouble(
                        counter!(CollectorCheckpointFailuresTotal).increase(Span::RateInterval),
                        text("Ghi bằng chứng", "Checkpoint"),
                        Colour::Purple,
                    ),
                ],
            ),
        )
}

fn forward() -> Row {
    let by = [Label::Store];
    let store = Legend::Label(Label::Store);
    let panel = |title: Text, help: Text, unit: Unit, series: Vec<Series>| {
        let nothing = text("Không chuyển tiếp đến kho nào", "Nothing is forwarded to any store");
        lines(title, help, nothing, unit, series)
    };
    let trouble =
        |query: Vector, name: Text, colour: Colour| Series::styled(query.sum(&[]), name, Style::Line(colour));
    Row::new(text("Chuyển tiếp đến các kho", "Forwarding to stores"))
        .with(
            6,
            8,
            panel(
                text("Mẫu đã được kho xác nhận", "Samples that stores confirmed"),
                text("Mỗi giây, theo kho.", "A second, by store."),
                Unit::PerSecond,
                vec![Series::new(counter!(CollectorForwardSamplesTotal).rate().sum(&by), store)],
            ),
        )
        .with(
            6,
            8,
            panel(
                text("Tồn đọng", "Backlog"),
                text(
                    "Số liệu cũ nhất mà kho chưa xác nhận đã chờ bao lâu.",
                    "How long the oldest that a store has not confirmed has waited.",
                ),
                Unit::Duration,
                vec![Series::new(gauge!(CollectorForwardBacklogSeconds).now().max(&by), store)],
            ),
        )
        .with(
            6,
            8,
            panel(
                text("Số liệu mới chậm", "New samples behind"),
                text(
                    "Số liệu mới, không kể phần tồn đọng, đã chờ kho xác nhận bao lâu.",
                    "How long new samples, the backlog left out, have waited to be confirmed.",
                ),
                Unit::Seconds,
                vec![Series::new(gauge!(CollectorForwardLagSeconds).now().max(&by), store)],
            ),
        )
        .with(
            6,
            8,
            panel(
                text("Gửi lại, bị từ chối, bỏ", "Sent again, refused, given up"),
                text(
                    "Giữa hai điểm của biểu đồ, mọi kho: lần gửi được gửi lại; mẫu bị kho từ chối hẳn; lần gửi đã bỏ.",
                    "Between two points of the graph, all stores: requests sent again; samples refused for good; requests given up.",
                ),
                Unit::Count,
                vec![
                    trouble(
                        counter!(CollectorForwardRetriesTotal).increase(Span::RateInterval),
                        text("Gửi lại", "Sent again"),
                        Colour::Yellow,
                    ),
                    trouble(
                        counter!(CollectorForwardRefusedSamplesTotal).increase(Span::RateInterval),
                        text("Bị từ chối", "Refused"),
                        Colour::Orange,
                    ),
                    trouble(
                        counter!(CollectorForwardGivenUpRequestsTotal).increase(Span::RateInterval),
                        text("Đã bỏ", "Given up"),
                        Colour::Red,
                    ),
                ],
            ),
        )
}

fn outbox() -> Row {
    Row::new(text("Thông báo", "Notices"))
        .with(
            8,
            8,
            lines(
                text("Thông báo đang chờ", "Notices that wait"),
                text("Theo kênh.", "By channel."),
                text("Chưa cấu hình kênh nào", "No channel is configured"),
                Unit::Count,
                vec![Series::new(
                    gauge!(CollectorOutboxPending).now().sum(&[Label::Channel]),
                    Legend::Label(Label::Channel),
                )],
            ),
        )
        .with(
            8,
            8,
            lines(
                text("Thông báo theo kết quả", "Notices by result"),
                text("Giữa hai điểm của biểu đồ.", "Between two points of the graph."),
                text("Chưa có thông báo nào", "There were no notices"),
                Unit::Count,
                vec![Series::new(
                    counter!(CollectorNoticesTotal)
                        .increase(Span::RateInterval)
                        .sum(&[Label::Channel, Label::Result]),
                    Legend::Labels(Label::Channel, Label::Result),
                )],
            ),
        )
        .with(
            8,
            8,
            lines(
                text("Số liệu chất lượng chậm", "Quality figures behind"),
                text(
                    "Lần gửi cũ nhất chưa vào số liệu chất lượng đã chờ bao lâu.",
                    "How long the oldest request that is not in the quality figures has waited.",
                ),
                NOT_SCRAPED,
                Unit::Seconds,
                vec![Series::styled(
                    gauge!(CollectorQualityBehindSeconds).now().max(&[]),
                    text("Chậm", "Behind"),
                    Style::Line(Colour::Blue),
                )],
            ),
        )
}
