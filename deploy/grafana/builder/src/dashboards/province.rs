//! The whole province: coverage against the plan, what holds now, what fails and why.

use wan_wire::Label;

use super::{
    CARRIER, CAUSE, DOWN_TIME, HIGH, KIND, LINK, LOW, NAME, OBSERVED, SINCE, SITE, STATE, TARGET, UPTIME,
    carrier_filter, named, named_at_end, none_is_good, of_chosen, of_chosen_at_end, site_filters,
    uptime_colours, verdict_numbers, window,
};
use crate::dashboard::{Dashboard, Row, Which};
use crate::gauge;
use crate::panel::{Cell, Column, Legend, Link, Mapping, Panel, Series, Style, Thresholds, Unit, View};
use crate::promql::{Gauge, Selector, Var};
use crate::words::{CAUSES, Colour, INCIDENTS, KINDS, Text, VERDICTS, Word, text};

/// The branch of figures over all branches, and the tier of those over all tiers.
const ALL: &str = "all";

/// How many sites the worst are.
const WORST: u8 = 25;

/// The dashboard.
#[must_use]
pub fn dashboard() -> Dashboard {
    let mut variables = site_filters();
    variables.extend([carrier_filter(), window()]);
    Dashboard {
        which: Which::Province,
        help: text(
            "Bao nhiêu đơn vị có kết nối so với chỉ tiêu, đơn vị nào đang mất và vì sao.",
            "How many sites are connected against the plan’s target, which are not, and why.",
        ),
        from: "now-24h",
        refresh: "30s",
        variables,
        marks: Vec::new(),
        rows: vec![coverage(), now(), history(), downtime()],
    }
}

fn coverage_of(bound: &str) -> Selector<Gauge> {
    gauge!(CoverageRatio).is(Label::Branch, ALL).is(Label::Bound, bound)
}

fn coverage() -> Row {
    let nothing = text(
        "Máy thu thập chưa có đơn vị nào trong danh sách, hoặc không được thu thập số liệu",
        "The collector has no site in its register, or is not scraped",
    );
    let tier =
        |bound| coverage_of(bound).chosen(Var::Tier).is_not(Label::Tier, ALL).now().max(&[Label::Tier]);
    let target = || gauge!(CoverageTargetRatio).chosen(Var::Tier).now().max(&[Label::Tier]);
    let equipped =
        gauge!(CoverageEquippedRatio).is(Label::Branch, ALL).chosen(Var::Tier).is_not(Label::Tier, ALL).now();
    Row::new(text("Độ phủ mạng WAN so với chỉ tiêu", "WAN coverage against the plan’s target"))
        .with(
            10,
            8,
            Panel {
                title: text("Hiện nay theo cấp", "Now, by tier"),
                help: text(
                    "Tỷ lệ đơn vị có đủ LAN, WAN và Internet đang hoạt động. Cận dưới coi những đơn vị chưa rõ là mất, cận trên coi là hoạt động: sự thật nằm giữa hai cận.",
                    "The share of sites whose LAN, WAN and Internet are up. The low bound takes what is unknown as down, the high bound as up: the truth is between.",
                ),
                nothing,
                unit: Unit::Share,
                repeat: None,
                view: View::Table {
                    queries: vec![
                        tier("low"),
                        tier("high"),
                        target(),
                        tier("low").minus(target()),
                        equipped.max(&[Label::Tier]),
                    ],
                    columns: vec![
                        Column::label(Label::Tier, text("Cấp", "Tier")),
                        Column::value(0, LOW, Unit::Share, Cell::Bar(covered())),
                        Column::value(1, HIGH, Unit::Share, Cell::Plain),
                        Column::value(2, TARGET, Unit::Share, Cell::Plain),
                        Column::value(
                            3,
                            text("Hơn chỉ tiêu, cận dưới", "Low over target"),
                            Unit::Share,
                            Cell::Coloured(Thresholds::always(Colour::Red).from(0.0, Colour::Green)),
                        ),
                        Column::value(4, text("Có agent", "With an agent"), Unit::Share, Cell::Plain),
                    ],
                    sort: (0, false),
                },
            },
        )
        .with(
            14,
            8,
            Panel {
                title: text("Toàn tỉnh", "The whole province"),
                help: text(
                    "Phần tô giữa hai cận là phần chưa rõ.",
                    "The area between the bounds is what is unknown.",
                ),
                nothing,
                unit: Unit::Share,
                repeat: None,
                view: View::Lines {
                    series: vec![
                        Series::styled(coverage_of("high").is(Label::Tier, ALL).now().max(&[]), HIGH, Style::DownTo(Colour::Grey, LOW)),
                        Series::styled(coverage_of("low").is(Label::Tier, ALL).now().max(&[]), LOW, Style::Line(Colour::Green)),
                    ],
                    stacked: false,
                    max: Some(1.0),
                    words: &[],
                },
            },
        )
        .with(
            12,
            8,
            coverage_by(
                Label::District,
                gauge!(CoverageDistrictRatio).chosen(Var::District),
                text("Địa bàn", "District"),
                [
                    text("Hiện nay theo địa bàn", "Now, by district"),
                    text(
                        "Tỷ lệ đơn vị trên địa bàn có đủ LAN, WAN và Internet đang hoạt động, cận dưới và cận trên.",
                        "The share of the district’s sites whose LAN, WAN and Internet are up, low and high bound.",
                    ),
                    nothing,
                ],
            ),
        )
        .with(
            12,
            8,
            coverage_by(
                Label::Carrier,
                gauge!(CoverageCarrierRatio).chosen(Var::Carrier),
                CARRIER,
                [
                    text("Hiện nay theo nhà mạng", "Now, by carrier"),
                    text(
                        "Trong các đơn vị có đường WAN của nhà mạng, tỷ lệ có đủ LAN, WAN và Internet đang hoạt động.",
                        "Of the sites with a WAN link of the carrier, the share whose LAN, WAN and Internet are up.",
                    ),
                    nothing,
                ],
            ),
        )
        .with(
            8,
            7,
            Panel {
                title: text("Cấp: $tier", "Tier: $tier"),
                help: text(
                    "Độ phủ của một cấp theo thời gian, với chỉ tiêu của kế hoạch.",
                    "Coverage of one tier over time, with the plan’s target.",
                ),
                nothing,
                unit: Unit::Share,
                repeat: Some(Var::Tier),
                view: View::Lines {
                    series: vec![
                        Series::styled(coverage_of("high").chosen(Var::Tier).now().max(&[]), HIGH, Style::DownTo(Colour::Grey, LOW)),
                        Series::styled(coverage_of("low").chosen(Var::Tier).now().max(&[]), LOW, Style::Line(Colour::Green)),
                        Series::styled(gauge!(CoverageTargetRatio).chosen(Var::Tier).now().max(&[]), TARGET, Style::Limit(Colour::Red)),
                    ],
                    stacked: false,
                    max: Some(1.0),
                    words: &[],
                },
            },
        )
}

/// Both bounds of what sites are covered now by groups, the worst first.
fn coverage_by(
    label: Label,
    ratio: Selector<Gauge>,
    heading: Text,
    [title, help, nothing]: [Text; 3],
) -> Panel {
    let bound = |bound| ratio.clone().is(Label::Bound, bound).now().max(&[label]);
    Panel {
        title,
        help,
        nothing,
        unit: Unit::Share,
        repeat: None,
        view: View::Table {
            queries: vec![bound("low"), bound("high")],
            columns: vec![
                Column::label(label, heading),
                Column::value(0, LOW, Unit::Share, Cell::Bar(covered())),
                Column::value(1, HIGH, Unit::Share, Cell::Plain),
            ],
            sort: (1, false),
        },
    }
}

/// The colours of shares of sites that are covered.
fn covered() -> Thresholds {
    Thresholds::always(Colour::Red).from(0.5, Colour::Orange).from(0.7, Colour::Green)
}

const VERDICT_NUMBERS: Mapping = Mapping::Numbers { first: 1, words: &VERDICTS };
const NO_SITES: Text = text("Không có đơn vị nào khớp với các bộ lọc", "No site fits the filters");

fn now() -> Row {
    Row::new(text("Hiện nay", "Now"))
        .with(
            24,
            4,
            Panel {
                title: text("Trạng thái các đơn vị", "State of the sites"),
                help: text("Số đơn vị theo trạng thái.", "How many sites are in which state."),
                nothing: NO_SITES,
                unit: Unit::Count,
                repeat: None,
                view: View::Stat {
                    series: vec![Series::new(
                        of_chosen(gauge!(SiteVerdict).now()).count(&[Label::Verdict]),
                        Legend::Label(Label::Verdict),
                    )],
                    thresholds: Thresholds::always(Colour::Grey),
                    words: &VERDICTS,
                },
            },
        )
        .with(
            10,
            12,
            Panel {
                title: text("Vị trí", "Where"),
                help: text(
                    "Các đơn vị theo tọa độ trong danh sách; không dùng bản đồ nền của Internet.",
                    "The sites by their location in the register; no map of the Internet lies beneath.",
                ),
                nothing: text("Danh sách đơn vị chưa có tọa độ", "The register has no locations"),
                unit: Unit::None,
                repeat: None,
                view: View::Map {
                    queries: [
                        named(gauge!(SiteLatitudeDegrees).now()).max(&[Label::Site, Label::SiteName]),
                        named(gauge!(SiteLongitudeDegrees).now()).max(&[Label::Site, Label::SiteName]),
                        named(verdict_numbers(gauge!(SiteVerdict).now()))
                            .max(&[Label::Site, Label::SiteName]),
                    ],
                    labels: vec![(Label::SiteName, NAME), (Label::Site, SITE)],
                    value: STATE,
                    mapping: VERDICT_NUMBERS,
                },
            },
        )
        .with(14, 12, open_incidents())
        .with(
            24,
            8,
            Panel {
                title: text("Đơn vị không hoạt động bình thường", "Sites that are not online"),
                help: text(
                    "Các đơn vị có trạng thái khác “Hoạt động”, bảo trì và chưa có agent.",
                    "Sites whose state is neither online nor maintenance nor not enrolled.",
                ),
                nothing: text("Mọi đơn vị đều hoạt động", "Every site is online"),
                unit: Unit::None,
                repeat: None,
                view: View::Table {
                    queries: vec![
                        named(verdict_numbers(gauge!(SiteVerdict).now()).over(4.0)),
                        of_chosen(gauge!(SiteLastSeenTimestampSeconds).now())
                            .max(&[Label::Site])
                            .where_any(&[Label::Site], verdict_numbers(gauge!(SiteVerdict).now()).over(4.0))
                            .age(),
                    ],
                    columns: vec![
                        Column::label(Label::Site, SITE).linked(Link::Site),
                        Column::label(Label::SiteName, NAME).linked(Link::Site),
                        Column::value(0, STATE, Unit::None, Cell::Words(VERDICT_NUMBERS)),
                        Column::value(
                            1,
                            text("Gửi lần cuối, trước đây", "Last push, ago"),
                            Unit::Duration,
                            Cell::Plain,
                        ),
                    ],
                    sort: (2, true),
                },
            },
        )
}

fn open_incidents() -> Panel {
    let start = of_chosen(gauge!(IncidentStartTimestampSeconds).now());
    let by = [Label::Site, Label::Link, Label::Kind, Label::Cause];
    Panel {
        title: text("Sự cố đang diễn ra", "Open incidents"),
        help: text(
            "Sự cố của từng đường và (không ghi đường) của cả đơn vị, với nguyên nhân theo bằng chứng đến lúc này.",
            "Incidents of links and (without a link) of whole sites, with the cause as the evidence has it so far.",
        ),
        nothing: text("Không có sự cố nào", "There is no incident"),
        unit: Unit::None,
        repeat: None,
        view: View::Table {
            queries: vec![start.clone().max(&by).times(1000.0), start.max(&by).age()],
            columns: vec![
                Column::label(Label::Site, SITE).linked(Link::Site),
                Column::label(Label::Link, LINK),
                Column::words(Label::Kind, text("Loại sự cố", "Incident"), &INCIDENTS),
                Column::words(Label::Cause, CAUSE, &CAUSES),
                Column::value(0, SINCE, Unit::Instant, Cell::Plain),
                Column::value(1, text("Kéo dài", "Lasts"), Unit::Duration, Cell::Plain),
            ],
            sort: (4, true),
        },
    }
}

fn history() -> Row {
    // All of it as it is at the end: then it is asked once and not at every point.
    let down = gauge!(SiteDowntimeSeconds).chosen(Var::Window).at_end().now().sum(&[Label::Site]);
    let worst = of_chosen_at_end(down).top(WORST);
    let of_worst = gauge!(SiteVerdict).now().where_any(&[Label::Site], worst);
    Row::new(text("Diễn biến", "Timeline"))
        .with(
            24,
            14,
            Panel {
                title: text("Diễn biến của các đơn vị mất nhiều nhất", "Timeline of the sites that were down most"),
                help: text(
                    "Trạng thái theo thời gian của 25 đơn vị mất lâu nhất trong khoảng tính đã chọn. Chỗ trống: máy thu thập không chạy hoặc không được thu thập số liệu.",
                    "State over time of the 25 sites that were down longest in the window chosen. Gaps: the collector did not run or was not scraped.",
                ),
                nothing: text(
                    "Không đơn vị nào mất kết nối trong khoảng tính đã chọn",
                    "No site was down in the window chosen",
                ),
                unit: Unit::None,
                repeat: None,
                view: View::States {
                    series: Series::new(
                        named_at_end(verdict_numbers(of_worst)),
                        Legend::Label(Label::SiteName),
                    ),
                    mapping: VERDICT_NUMBERS,
                },
            },
        )
        .with(
            24,
            8,
            Panel {
                title: text("Số đơn vị theo trạng thái", "Sites by state"),
                help: text(
                    "Bao nhiêu đơn vị ở trạng thái nào; của các đơn vị có trong danh sách vào cuối khoảng xem.",
                    "How many sites were in which state, of those registered at the end of the time shown.",
                ),
                nothing: NO_SITES,
                unit: Unit::Count,
                repeat: None,
                view: View::Lines {
                    series: vec![Series::new(
                        of_chosen_at_end(gauge!(SiteVerdict).now()).count(&[Label::Verdict]),
                        Legend::Label(Label::Verdict),
                    )],
                    stacked: true,
                    max: None,
                    words: &VERDICTS,
                },
            },
        )
}

const NO_DOWNTIME: Text =
    text("Không đường nào mất trong khoảng tính đã chọn", "No link was down in the window chosen");

fn downtime() -> Row {
    let by_window = || gauge!(SiteUptimeRatio).chosen(Var::Window).now();
    let site = |metric: Selector<Gauge>| metric.chosen(Var::Window).now().max(&[Label::Site]);
    let down = || gauge!(LinkDowntimeSeconds).chosen(Var::Window).chosen(Var::Carrier);
    let bars = |title: Text, help: Text, label: Label, words: &'static [Word]| Panel {
        title,
        help,
        nothing: NO_DOWNTIME,
        unit: Unit::Duration,
        repeat: None,
        view: View::Bars {
            series: Series::new(of_chosen(down().now()).sum(&[label]), Legend::Label(label)),
            thresholds: Thresholds::always(Colour::Orange),
            words,
        },
    };
    Row::new(text("Thời gian mất trong khoảng tính đã chọn", "Time down in the window chosen"))
        .with(
            14,
            12,
            Panel {
                title: text("Đơn vị kém nhất", "Worst sites"),
                help: text(
                    "25 đơn vị có tỷ lệ thời gian hoạt động thấp nhất, chỉ tính thời gian quan sát được.",
                    "The 25 sites with the lowest uptime, of the time in which they were observed.",
                ),
                nothing: text("Chưa có số liệu nào của đơn vị nào", "Nothing is known of any site yet"),
                unit: Unit::None,
                repeat: None,
                view: View::Table {
                    queries: vec![
                        named(by_window().max(&[Label::Site])).bottom(WORST),
                        site(gauge!(SiteObservedRatio)).where_any(&[Label::Site], of_chosen(by_window()).bottom(WORST)),
                        gauge!(SiteDowntimeSeconds)
                            .chosen(Var::Window)
                            .now()
                            .sum(&[Label::Site])
                            .where_any(&[Label::Site], of_chosen(by_window()).bottom(WORST)),
                    ],
                    columns: vec![
                        Column::label(Label::Site, SITE).linked(Link::Site),
                        Column::label(Label::SiteName, NAME).linked(Link::Site),
                        Column::value(0, UPTIME, Unit::Share, Cell::Coloured(uptime_colours())),
                        Column::value(1, OBSERVED, Unit::Share, Cell::Plain),
                        Column::value(2, DOWN_TIME, Unit::Duration, Cell::Plain),
                    ],
                    sort: (2, false),
                },
            },
        )
        .with(
            10,
            6,
            bars(
                text("Theo nguyên nhân", "By cause"),
                text(
                    "Tổng thời gian mất của các đường, theo nguyên nhân.",
                    "Time down of all links together, by what it is charged to.",
                ),
                Label::Cause,
                &CAUSES,
            ),
        )
        .with(
            10,
            6,
            bars(
                text("Theo nhà mạng", "By carrier"),
                text(
                    "Tổng thời gian mất của các đường mà danh sách ghi nhà mạng, dù do ai.",
                    "Time down of all links together by the carrier that the register names, whoever is to blame.",
                ),
                Label::Carrier,
                &[],
            ),
        )
        .with(
            24,
            9,
            Panel {
                title: text("Đường mất nhiều nhất", "Links that were down most"),
                help: text(
                    "25 đường mất lâu nhất, theo nguyên nhân.",
                    "The 25 links that were down longest, by cause.",
                ),
                nothing: NO_DOWNTIME,
                unit: Unit::Duration,
                repeat: None,
                view: View::Table {
                    queries: vec![named(down().now()).top(WORST)],
                    columns: vec![
                        Column::label(Label::Site, SITE).linked(Link::Site),
                        Column::label(Label::SiteName, NAME).linked(Link::Site),
                        Column::label(Label::Link, LINK),
                        Column::words(Label::Kind, KIND, &KINDS),
                        Column::label(Label::Carrier, CARRIER).linked(Link::Carrier),
                        Column::words(Label::Cause, CAUSE, &CAUSES),
                        Column::value(0, DOWN_TIME, Unit::Duration, Cell::Plain),
                    ],
                    sort: (6, true),
                },
            },
        )
        .with(
            24,
            4,
            Panel {
                title: text("Cảnh báo đang kêu", "Alerts that fire"),
                help: text(
                    "Theo quy tắc của máy thu thập; cảnh báo chung chỉ tính một lần.",
                    "By the collector’s rules; one that stands for many counts once.",
                ),
                nothing: text("Không có cảnh báo nào", "No alert fires"),
                unit: Unit::Count,
                repeat: None,
                view: View::Stat {
                    series: vec![Series::new(gauge!(AlertsFiring).now().sum(&[Label::Rule]), Legend::Label(Label::Rule))],
                    thresholds: none_is_good(),
                    words: &[],
                },
            },
        )
}
