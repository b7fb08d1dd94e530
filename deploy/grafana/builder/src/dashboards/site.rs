//! One site: what its links did and do, what is to blame, and what its contracts promise.

use wan_wire::Label;

use super::{
    CARRIER, CAUSE, CONTRACT, DOWN_TIME, HIGH, KIND, LINK, LOW, OBSERVED, STATE, TARGET, UPTIME,
    chosen_sites, site_filters, uptime_colours, verdict_numbers, window,
};
use crate::dashboard::{Dashboard, Mark, Row, Variable, Which};
use crate::panel::{Cell, Column, Legend, Link, Mapping, Panel, Series, Style, Thresholds, Unit, View};
use crate::promql::{Gauge, Selector, Span, Var, Vector};
use crate::words::{CAUSES, Colour, INCIDENTS, KINDS, STANDINGS, STATES, Text, VERDICTS, Word, same, text};
use crate::{counter, gauge};

/// Which rounds are of the site's own links: one that an agent made about another site names that site.
fn own(metric: Selector<Gauge>) -> Selector<Gauge> {
    metric.chosen(Var::Site).chosen(Var::Link).without(Label::About)
}

/// The dashboard.
#[must_use]
pub fn dashboard() -> Dashboard {
    let mut variables = site_filters();
    variables.extend([
        Variable::sites(text("Đơn vị", "Site"), &chosen_sites()),
        Variable::of(Var::Link, LINK, &gauge!(LinkUp).chosen(Var::Site)),
        window(),
    ]);
    Dashboard {
        which: Which::Site,
        help: text(
            "Một đơn vị: trễ, mất gói và trạng thái của từng đường, lưu lượng, sự cố và hợp đồng.",
            "One site: round-trip times, loss and state of every link, traffic, incidents and contracts.",
        ),
        from: "now-24h",
        refresh: "30s",
        variables,
        marks: marks(),
        rows: vec![now(), links(), quality(), traffic(), incidents(), agent()],
    }
}

const NO_SITE: Text = text("Đơn vị này không có trong danh sách", "This site is not in the register");
const NO_LINK: Text =
    text("Chưa có gì được biết về đường nào của đơn vị", "Nothing is known of any link of the site");
const NO_ROUNDS: Text = text(
    "Không có lượt đo nào: agent không gửi, hoặc máy thu thập không chuyển tiếp số liệu đến kho này",
    "There are no rounds: the agent does not push, or the collector does not forward to this store",
);

fn now() -> Row {
    let stat =
        |title: Text, help: Text, query: Vector, unit: Unit, thresholds: Thresholds, nothing: Text| Panel {
            title,
            help,
            nothing,
            unit,
            repeat: None,
            view: View::Stat {
                series: vec![Series::new(query, Legend::Fixed(title))],
                thresholds,
                words: &[],
            },
        };
    let site = |metric: Selector<Gauge>| metric.chosen(Var::Site);
    let grey = || Thresholds::always(Colour::Grey);
    Row::new(text("Hiện nay", "Now"))
        .with(
            6,
            4,
            Panel {
                title: STATE,
                help: text("Trạng thái của đơn vị hiện nay.", "The site’s state now."),
                nothing: NO_SITE,
                unit: Unit::None,
                repeat: None,
                view: View::Stat {
                    series: vec![Series::new(
                        site(gauge!(SiteVerdict)).now().max(&[Label::Verdict]),
                        Legend::Label(Label::Verdict),
                    )],
                    thresholds: grey(),
                    words: &VERDICTS,
                },
            },
        )
        .with(
            6,
            4,
            stat(
                UPTIME,
                text(
                    "Của cả đơn vị, trong khoảng tính đã chọn; chỉ tính thời gian quan sát được.",
                    "Of the site as a whole, over the window chosen, of the time observed.",
                ),
                site(gauge!(SiteUptimeRatio)).chosen(Var::Window).now(),
                Unit::Share,
                uptime_colours(),
                NO_LINK,
            ),
        )
        .with(
            6,
            4,
            stat(
                OBSERVED,
                text(
                    "Phần thời gian mà trạng thái được biết.",
                    "The share of the time in which the state was known.",
                ),
                site(gauge!(SiteObservedRatio)).chosen(Var::Window).now(),
                Unit::Share,
                grey(),
                NO_LINK,
            ),
        )
        .with(
            6,
            4,
            stat(
                text("Gửi lần cuối, trước đây", "Last push, ago"),
                text("Từ lần gửi cuối của agent.", "Since the agent’s last push."),
                site(gauge!(SiteLastSeenTimestampSeconds)).now().age(),
                Unit::Duration,
                Thresholds::always(Colour::Green).from(60.0, Colour::Orange).from(600.0, Colour::Red),
                text("Agent chưa gửi lần nào", "The agent has never pushed"),
            ),
        )
}

fn links() -> Row {
    let state = gauge!(LinkUp).chosen(Var::Site).chosen(Var::Link).now();
    let degraded = gauge!(LinkDegraded).chosen(Var::Site).chosen(Var::Link).now();
    let by = [Label::Link, Label::Kind, Label::Carrier];
    let over = |metric: Selector<Gauge>| {
        metric.chosen(Var::Site).chosen(Var::Link).chosen(Var::Window).now().max(&by)
    };
    let each = |metric: Selector<Gauge>| metric.chosen(Var::Site).chosen(Var::Link).now().max(&by);
    Row::new(text("Đường truyền", "Links"))
        .with(
            24,
            6,
            Panel {
                title: text("Diễn biến của đơn vị", "Timeline of the site"),
                help: text(
                    "Trạng thái của cả đơn vị theo thời gian. Chỗ trống: máy thu thập không chạy hoặc không được thu thập số liệu.",
                    "The site’s state over time. Gaps: the collector did not run or was not scraped.",
                ),
                nothing: NO_SITE,
                unit: Unit::None,
                repeat: None,
                view: View::States {
                    series: Series::new(
                        verdict_numbers(gauge!(SiteVerdict).chosen(Var::Site).now()),
                        Legend::Label(Label::Site),
                    ),
                    mapping: Mapping::Numbers { first: 1, words: &VERDICTS },
                },
            },
        )
        .with(
            24,
            8,
            Panel {
                title: text("Diễn biến của các đường", "Timeline of the links"),
                help: text(
                    "Trạng thái của từng đường theo thời gian. Chỗ trống: chưa rõ, vì không ai báo.",
                    "Every link’s state over time. Gaps: unknown, because nobody told.",
                ),
                nothing: NO_LINK,
                unit: Unit::None,
                repeat: None,
                view: View::States {
                    series: Series::new(state.clone().plus(degraded.clone()), Legend::Label(Label::Link)),
                    mapping: Mapping::Numbers { first: 0, words: &STATES },
                },
            },
        )
        .with(
            24,
            8,
            Panel {
                title: text("Các đường hiện nay và trong khoảng tính", "Links now and over the window"),
                help: text(
                    "Lượt đo cuối, và tỷ lệ trong khoảng tính đã chọn.",
                    "The latest round, and shares over the window chosen.",
                ),
                nothing: NO_LINK,
                unit: Unit::None,
                repeat: None,
                view: View::Table {
                    queries: vec![
                        state.plus(degraded).max(&by),
                        each(gauge!(LinkLossRatio)),
                        each(gauge!(LinkRttMedianSeconds)),
                        over(gauge!(LinkUptimeRatio)),
                        over(gauge!(LinkAvailabilityRatio)),
                        over(gauge!(LinkObservedRatio)),
                    ],
                    columns: vec![
                        Column::label(Label::Link, LINK),
                        Column::words(Label::Kind, KIND, &KINDS),
                        Column::label(Label::Carrier, CARRIER).linked(Link::Carrier),
                        Column::value(
                            0,
                            STATE,
                            Unit::None,
                            Cell::Words(Mapping::Numbers { first: 0, words: &STATES }),
                        ),
                        Column::value(1, text("Mất gói", "Loss"), Unit::Share, Cell::Plain),
                        Column::value(2, text("Trễ (trung vị)", "RTT (median)"), Unit::Seconds, Cell::Plain),
                        Column::value(3, UPTIME, Unit::Share, Cell::Coloured(uptime_colours())),
                        Column::value(4, text("Khả dụng", "Availability"), Unit::Share, Cell::Plain),
                        Column::value(5, OBSERVED, Unit::Share, Cell::Plain),
                    ],
                    sort: (0, false),
                },
            },
        )
}

const MIN: Text = text("Thấp nhất", "Min");
const MEDIAN: Text = text("Trung vị", "Median");
const P95: Text = same("p95");
const MAX: Text = text("Cao nhất", "Max");

fn quality() -> Row {
    let received = |rounds: Selector<Gauge>| rounds.sum_over(Span::Interval);
    let loss = received(own(gauge!(RoundReceived)))
        .sum(&[Label::Link])
        .per(received(own(gauge!(RoundSent))).sum(&[Label::Link]))
        .rest();
    let about = |metric: Selector<Gauge>| metric.label_chosen(Label::About, Var::Site).chosen(Var::Link);
    let seen = received(about(gauge!(RoundReceived)))
        .sum(&[Label::Link])
        .per(received(about(gauge!(RoundSent))).sum(&[Label::Link]))
        .rest();
    Row::new(text("Trễ và mất gói", "Round-trip times and loss"))
        .with(
            12,
            9,
            Panel {
                title: text("Trễ: $link", "RTT: $link"),
                help: text(
                    "Các lượt đo giữa hai điểm của biểu đồ: gói nhanh nhất, trung vị của các trung vị, mức mà 95 % trung vị không vượt, gói chậm nhất.",
                    "The rounds between two points of the graph: the fastest packet, the median of the rounds’ medians, what 95 % of the medians do not exceed, the slowest packet.",
                ),
                nothing: NO_ROUNDS,
                unit: Unit::Seconds,
                repeat: Some(Var::Link),
                view: View::Lines {
                    series: vec![
                        Series::styled(
                            own(gauge!(RoundRttMaxSeconds)).greatest_over(Span::Interval).max(&[]),
                            MAX,
                            Style::DownTo(Colour::Grey, P95),
                        ),
                        Series::styled(
                            own(gauge!(RoundRttMedianSeconds)).quantile_over(0.95, Span::Interval).max(&[]),
                            P95,
                            Style::DownTo(Colour::Blue, MEDIAN),
                        ),
                        Series::styled(
                            own(gauge!(RoundRttMedianSeconds)).quantile_over(0.5, Span::Interval).max(&[]),
                            MEDIAN,
                            Style::DownTo(Colour::Green, MIN),
                        ),
                        Series::styled(
                            own(gauge!(RoundRttMinSeconds)).least_over(Span::Interval).min(&[]),
                            MIN,
                            Style::Line(Colour::Green),
                        ),
                    ],
                    stacked: false,
                    max: None,
                    words: &[],
                },
            },
        )
        .with(
            12,
            8,
            Panel {
                title: text("Mất gói", "Loss"),
                help: text(
                    "Phần gói không có trả lời, mọi đích của đường cộng lại.",
                    "The share of packets without an answer, all targets of the link together.",
                ),
                nothing: NO_ROUNDS,
                unit: Unit::Share,
                repeat: None,
                view: View::Lines {
                    series: vec![Series::new(loss, Legend::Label(Label::Link))],
                    stacked: false,
                    max: Some(1.0),
                    words: &[],
                },
            },
        )
        .with(
            12,
            8,
            Panel {
                title: text("Mất gói do nơi khác đo", "Loss as others see it"),
                help: text(
                    "Do agent của đơn vị khác đo đến đơn vị này, thường là trung tâm.",
                    "As agents of other sites measure it towards this one, mostly the centre’s.",
                ),
                nothing: text("Không nơi nào khác đo đến đơn vị này", "Nobody else measures towards this site"),
                unit: Unit::Share,
                repeat: None,
                view: View::Lines {
                    series: vec![Series::new(seen, Legend::Label(Label::Link))],
                    stacked: false,
                    max: Some(1.0),
                    words: &[],
                },
            },
        )
}

fn traffic() -> Row {
    let both = |title: Text, help: Text, unit: Unit, series: Vec<Series>| Panel {
        title,
        help,
        nothing: text(
            "Agent không báo giao diện mạng nào, hoặc máy thu thập không chuyển tiếp số liệu đến kho này",
            "The agent reports no interface, or the collector does not forward to this store",
        ),
        unit,
        repeat: None,
        view: View::Lines { series, stacked: false, max: None, words: &[] },
    };
    let by = [Label::Interface];
    let receive = counter!(InterfaceReceiveBytesTotal).chosen(Var::Site).rate().times(8.0).sum(&by);
    let transmit = counter!(InterfaceTransmitBytesTotal).chosen(Var::Site).rate().times(8.0).sum(&by);
    let received_wrong = counter!(InterfaceReceiveErrorsTotal)
        .chosen(Var::Site)
        .rate()
        .plus(counter!(InterfaceReceiveDropsTotal).chosen(Var::Site).rate());
    let sent_wrong = counter!(InterfaceTransmitErrorsTotal)
        .chosen(Var::Site)
        .rate()
        .plus(counter!(InterfaceTransmitDropsTotal).chosen(Var::Site).rate());
    Row::new(text("Giao diện mạng của máy", "Interfaces of the agent’s host"))
        .with(
            8,
            8,
            both(
                text("Nhận", "Received"),
                text("Lưu lượng nhận theo giao diện.", "Traffic received, by interface."),
                Unit::BitsPerSecond,
                vec![Series::new(receive, Legend::Label(Label::Interface))],
            ),
        )
        .with(
            8,
            8,
            both(
                text("Gửi", "Sent"),
                text("Lưu lượng gửi theo giao diện.", "Traffic sent, by interface."),
                Unit::BitsPerSecond,
                vec![Series::new(transmit, Legend::Label(Label::Interface))],
            ),
        )
        .with(
            8,
            8,
            both(
                text("Khung lỗi hoặc bị bỏ", "Frames with errors or dropped"),
                text("Nhận lên trên, gửi xuống dưới.", "Received upwards, sent downwards."),
                Unit::PerSecond,
                vec![
                    Series::styled(
                        received_wrong.sum(&[]),
                        text("Nhận", "Received"),
                        Style::Line(Colour::Orange),
                    ),
                    Series::styled(sent_wrong.sum(&[]), text("Gửi", "Sent"), Style::Mirrored(Colour::Purple)),
                ],
            ),
        )
}

/// Incidents of links over every graph, one switch for each kind: while one is open its series is there.
fn marks() -> Vec<Mark> {
    let mark = |word: &Word| Mark {
        name: word.name,
        colour: word.colour,
        query: gauge!(IncidentStartTimestampSeconds)
            .is(Label::Kind, word.word)
            .with(Label::Link)
            .chosen(Var::Site)
            .now()
            .max(&[Label::Link, Label::Cause]),
        title: Label::Link,
        detail: Label::Cause,
    };
    INCIDENTS.iter().map(mark).collect()
}

fn incidents() -> Row {
    let by = [Label::Link, Label::Kind, Label::Cause];
    let start = || gauge!(IncidentStartTimestampSeconds).chosen(Var::Site);
    let contract = [Label::Link, Label::Contract, Label::Carrier];
    let under = |metric: Selector<Gauge>| metric.chosen(Var::Site).now().max(&contract);
    let bound = |bound| under(gauge!(ContractUptimeBoundRatio).is(Label::Bound, bound));
    Row::new(text("Sự cố và hợp đồng", "Incidents and contracts"))
        .with(
            12,
            9,
            Panel {
                title: text("Sự cố trong khoảng thời gian xem", "Incidents in the time shown"),
                help: text(
                    "Mọi sự cố đã mở trong khoảng thời gian xem, kể cả đã hết; một sự cố đổi nguyên nhân có một dòng cho mỗi nguyên nhân từng được ghi.",
                    "Every incident that was open in the time shown, over or not; one whose cause changed has a row for each cause that was told.",
                ),
                nothing: text("Không có sự cố nào trong khoảng này", "There were no incidents in this time"),
                unit: Unit::None,
                repeat: None,
                view: View::Table {
                    queries: vec![
                        start().last_over(Span::Range).max(&by).times(1000.0),
                        start().now().max(&by).age(),
                    ],
                    columns: vec![
                        Column::label(Label::Link, LINK),
                        Column::words(Label::Kind, text("Loại sự cố", "Incident"), &INCIDENTS),
                        Column::words(Label::Cause, CAUSE, &CAUSES),
                        Column::value(0, text("Lần cuối bắt đầu", "Last one began"), Unit::Instant, Cell::Plain),
                        Column::value(1, text("Đang kéo dài", "Lasts so far"), Unit::Duration, Cell::Plain),
                    ],
                    sort: (3, true),
                },
            },
        )
        .with(
            12,
            9,
            Panel {
                title: text("Thời gian mất trong khoảng tính, theo nguyên nhân", "Time down in the window, by cause"),
                help: text("Theo đường và nguyên nhân.", "By link and cause."),
                nothing: text(
                    "Không đường nào mất trong khoảng tính đã chọn",
                    "No link was down in the window chosen",
                ),
                unit: Unit::Duration,
                repeat: None,
                view: View::Table {
                    queries: vec![gauge!(LinkDowntimeSeconds).chosen(Var::Site).chosen(Var::Window).now().max(&by)],
                    columns: vec![
                        Column::label(Label::Link, LINK),
                        Column::words(Label::Kind, KIND, &KINDS),
                        Column::words(Label::Cause, CAUSE, &CAUSES),
                        Column::value(0, DOWN_TIME, Unit::Duration, Cell::Plain),
                    ],
                    sort: (3, true),
                },
            },
        )
        .with(
            24,
            6,
            Panel {
                title: text("Hợp đồng, tháng này", "Contracts, this month"),
                help: text(
                    "Tỷ lệ tính cho nhà mạng từ đầu tháng, với hai cận: cận dưới coi phần chưa rõ trách nhiệm là do nhà mạng.",
                    "Uptime charged to the carrier since the month began, with its bounds: the low one charges what is undecided to the carrier.",
                ),
                nothing: text(
                    "Không đường nào của đơn vị có hợp đồng",
                    "No link of the site is under a contract",
                ),
                unit: Unit::None,
                repeat: None,
                view: View::Table {
                    queries: vec![
                        under(gauge!(ContractUptimeRatio)),
                        bound("low"),
                        bound("high"),
                        under(gauge!(ContractTargetRatio)),
                        gauge!(ContractStanding)
                            .chosen(Var::Site)
                            .now()
                            .max(&[Label::Link, Label::Contract, Label::Carrier, Label::Standing]),
                    ],
                    columns: vec![
                        Column::label(Label::Link, LINK),
                        Column::label(Label::Contract, CONTRACT),
                        Column::label(Label::Carrier, CARRIER).linked(Link::Carrier),
                        Column::value(0, UPTIME, Unit::Share, Cell::Plain),
                        Column::value(1, LOW, Unit::Share, Cell::Plain),
                        Column::value(2, HIGH, Unit::Share, Cell::Plain),
                        Column::value(3, TARGET, Unit::Share, Cell::Plain),
                        Column::words(Label::Standing, text("Đánh giá", "Standing"), &STANDINGS),
                    ],
                    sort: (0, false),
                },
            },
        )
}

fn agent() -> Row {
    let nothing = text("Agent chưa gửi lần nào", "The agent has never pushed");
    let stat = |title: Text, help: Text, query: Vector, unit: Unit| Panel {
        title,
        help,
        nothing,
        unit,
        repeat: None,
        view: View::Stat {
            series: vec![Series::new(query, Legend::Fixed(title))],
            thresholds: Thresholds::always(Colour::Grey),
            words: &[],
        },
    };
    let site = |metric: Selector<Gauge>| metric.chosen(Var::Site).now();
    Row::new(same("Agent"))
        .with(
            6,
            4,
            Panel {
                title: text("Phiên bản", "Version"),
                help: text("Phiên bản của agent.", "The agent’s version."),
                nothing,
                unit: Unit::None,
                repeat: None,
                view: View::Table {
                    queries: vec![site(gauge!(SiteAgentInfo)).max(&[Label::Version])],
                    columns: vec![Column::label(Label::Version, text("Phiên bản", "Version"))],
                    sort: (0, false),
                },
            },
        )
        .with(
            6,
            4,
            stat(
                text("Máy đã chạy", "Host up for"),
                text("Từ khi máy khởi động, theo lời agent.", "Since the host booted, by the agent’s word."),
                site(gauge!(SiteAgentBootTimestampSeconds)).age(),
                Unit::Duration,
            ),
        )
        .with(
            6,
            4,
            stat(
                text("Lệch đồng hồ", "Clock offset"),
                text(
                    "Đồng hồ của máy thu thập trừ đồng hồ của máy; số liệu vẫn đúng giờ.",
                    "The collector’s clock less the host’s; the figures have the right time all the same.",
                ),
                site(gauge!(SiteClockOffsetSeconds)),
                Unit::Seconds,
            ),
        )
        .with(
            6,
            4,
            stat(
                text("Hàng đợi", "Queue"),
                text("Số liệu đang chờ ở agent.", "What waits at the agent."),
                site(gauge!(SiteQueueBytes)),
                Unit::Bytes,
            ),
        )
}
