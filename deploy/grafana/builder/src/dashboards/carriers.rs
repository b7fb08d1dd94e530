//! The contracts of carriers for a month: what was promised, what was kept, what is whose.

use wan_wire::Label;

use super::{
    CARRIER, CONTRACT, HIGH, LINK, LOW, NAME, SITE, TARGET, UPTIME, named, none_is_good, of_chosen,
    site_filters,
};
use crate::dashboard::{Dashboard, Row, Variable, Which};
use crate::gauge;
use crate::panel::{Cell, Column, Legend, Link, Panel, Series, Thresholds, Unit, View};
use crate::promql::{Gauge, Selector, Var, Vector};
use crate::words::{ACCOUNTS, Colour, STANDINGS, Text, text};

/// The dashboard. It shows the month that its time ends in.
#[must_use]
pub fn dashboard() -> Dashboard {
    let mut variables = site_filters();
    variables.extend([
        Variable::of(Var::Carrier, CARRIER, &gauge!(ContractTargetRatio)),
        Variable::of(Var::Contract, CONTRACT, &gauge!(ContractTargetRatio).chosen(Var::Carrier)),
    ]);
    Dashboard {
        which: Which::Carriers,
        help: text(
            "Hợp đồng với nhà mạng trong một tháng: tháng của thời điểm cuối khoảng xem. Chọn khoảng xem kết thúc vào cuối tháng trước để xem tháng trước.",
            "Contracts with carriers for a month: that in which the time shown ends. Choose a time that ends with last month to see last month.",
        ),
        from: "now/M",
        refresh: "5m",
        variables,
        marks: Vec::new(),
        rows: vec![standings(), links(), course()],
    }
}

const NO_CONTRACT: Text = text(
    "Không đường nào có hợp đồng khớp với các bộ lọc: ghi hợp đồng vào danh sách đơn vị và cấu hình",
    "No link is under a contract that fits the filters: name contracts in the register and the configuration",
);
const NO_BREACH: Text = text("Không đường nào dưới mức cam kết", "No link is below what is promised");

fn contracts(metric: Selector<Gauge>) -> Vector {
    of_chosen(metric.chosen(Var::Carrier).chosen(Var::Contract).now())
}

fn standings() -> Row {
    let accounts = |label: Label| {
        contracts(gauge!(ContractTimeSeconds).is_not(Label::State, "kept")).sum(&[label, Label::State])
    };
    let by = [Label::Carrier, Label::Contract];
    let time = |state: &str| contracts(gauge!(ContractTimeSeconds).is(Label::State, state)).sum(&by);
    let standing = |word: &str| contracts(gauge!(ContractStanding).is(Label::Standing, word)).count(&by);
    let seen = || time("kept").plus(time("charged"));
    Row::new(text("Tháng này theo hợp đồng", "This month by contract"))
        .with(
            8,
            5,
            Panel {
                title: text("Số đường theo đánh giá", "Links by standing"),
                help: text(
                    "Đạt: cận dưới đã đạt mức cam kết. Không đạt: cả cận trên cũng không đạt.",
                    "Met: even the low bound reaches the promise. Missed: even the high bound does not.",
                ),
                nothing: NO_CONTRACT,
                unit: Unit::Count,
                repeat: None,
                view: View::Stat {
                    series: vec![Series::new(
                        contracts(gauge!(ContractStanding)).count(&[Label::Standing]),
                        Legend::Label(Label::Standing),
                    )],
                    thresholds: Thresholds::always(Colour::Grey),
                    words: &STANDINGS,
                },
            },
        )
        .with(
            16,
            5,
            Panel {
                title: text("Thời gian không có kết nối, do ai", "Time without a connection, and whose it is"),
                help: text(
                    "Theo nhà mạng: do nhà mạng, không do nhà mạng, chưa rõ trách nhiệm.",
                    "By carrier: charged to it, not the carrier’s, undecided.",
                ),
                nothing: NO_CONTRACT,
                unit: Unit::Duration,
                repeat: None,
                view: View::Table {
                    queries: vec![accounts(Label::Carrier)],
                    columns: vec![
                        Column::label(Label::Carrier, CARRIER),
                        Column::words(Label::State, text("Của ai", "Whose"), &ACCOUNTS),
                        Column::value(0, text("Thời gian", "Time"), Unit::Duration, Cell::Plain),
                    ],
                    sort: (2, true),
                },
            },
        )
        .with(
            24,
            8,
            Panel {
                title: text("Các hợp đồng", "Contracts"),
                help: text(
                    "Mọi đường của mỗi hợp đồng cộng lại: phần thời gian quan sát được mà đường không mất do nhà mạng.",
                    "All links of each contract together: the share of observed time in which they were not down by the carrier’s fault.",
                ),
                nothing: NO_CONTRACT,
                unit: Unit::None,
                repeat: None,
                view: View::Table {
                    queries: vec![
                        time("kept").per(seen()),
                        contracts(gauge!(ContractTargetRatio)).max(&by),
                        time("charged"),
                        time("excused"),
                        time("undecided"),
                        standing("missed"),
                        contracts(gauge!(ContractTargetRatio)).count(&by),
                    ],
                    columns: vec![
                        Column::label(Label::Carrier, CARRIER),
                        Column::label(Label::Contract, CONTRACT),
                        Column::value(0, UPTIME, Unit::Share, Cell::Plain),
                        Column::value(1, TARGET, Unit::Share, Cell::Plain),
                        Column::value(2, text("Do nhà mạng", "Charged to the carrier"), Unit::Duration, Cell::Plain),
                        Column::value(3, text("Không do nhà mạng", "Not the carrier’s"), Unit::Duration, Cell::Plain),
                        Column::value(4, text("Chưa rõ trách nhiệm", "Undecided"), Unit::Duration, Cell::Plain),
                        Column::value(
                            5,
                            text("Số đường không đạt", "Links missed"),
                            Unit::Count,
                            Cell::Coloured(none_is_good()),
                        ),
                        Column::value(6, text("Số đường", "Links"), Unit::Count, Cell::Plain),
                    ],
                    sort: (2, false),
                },
            },
        )
}

fn links() -> Row {
    let by = [Label::Site, Label::SiteName, Label::Link, Label::Carrier, Label::Contract];
    let of = |metric: Selector<Gauge>| metric.chosen(Var::Carrier).chosen(Var::Contract).now();
    let missed = || {
        of(gauge!(ContractStanding).is(Label::Standing, "missed")).max(&[
            Label::Site,
            Label::Link,
            Label::Carrier,
            Label::Contract,
        ])
    };
    let short = |metric: Selector<Gauge>| {
        named(of(metric).where_any(&[Label::Site, Label::Link, Label::Contract], missed())).max(&by)
    };
    let every = |metric: Selector<Gauge>| named(of(metric)).max(&by);
    let columns = || {
        vec![
            Column::label(Label::Site, SITE).linked(Link::Site),
            Column::label(Label::SiteName, NAME).linked(Link::Site),
            Column::label(Label::Link, LINK),
            Column::label(Label::Carrier, CARRIER),
            Column::label(Label::Contract, CONTRACT),
            Column::value(0, UPTIME, Unit::Share, Cell::Plain),
            Column::value(1, LOW, Unit::Share, Cell::Plain),
            Column::value(2, HIGH, Unit::Share, Cell::Plain),
            Column::value(3, TARGET, Unit::Share, Cell::Plain),
        ]
    };
    let bound = |bound| gauge!(ContractUptimeBoundRatio).is(Label::Bound, bound);
    let charged = || gauge!(ContractTimeSeconds).is(Label::State, "charged");
    let charged_column = || {
        let title = text("Do nhà mạng", "Charged to the carrier");
        Column::value(4, title, Unit::Duration, Cell::Plain)
    };
    Row::new(text("Tháng này theo đường", "This month by link"))
        .with(
            24,
            9,
            Panel {
                title: text("Vi phạm: dưới mức cam kết chắc chắn", "Breaches: surely below the promise"),
                help: text(
                    "Các đường mà cả cận trên cũng dưới mức cam kết, dù phần chưa rõ thuộc về ai.",
                    "Links of which even the high bound is below the promise, whoever is to blame for what is undecided.",
                ),
                nothing: NO_BREACH,
                unit: Unit::None,
                repeat: None,
                view: View::Table {
                    queries: vec![
                        short(gauge!(ContractUptimeRatio)),
                        short(bound("low")),
                        short(bound("high")),
                        short(gauge!(ContractTargetRatio)),
                        short(charged()),
                    ],
                    columns: columns().into_iter().chain([charged_column()]).collect(),
                    sort: (5, false),
                },
            },
        )
        .with(
            24,
            10,
            Panel {
                title: text("Mọi đường có hợp đồng", "Every link under a contract"),
                help: text(
                    "Tỷ lệ tính cho nhà mạng từ đầu tháng, với hai cận và đánh giá đến lúc này.",
                    "Uptime charged to the carrier since the month began, with its bounds and how it stands so far.",
                ),
                nothing: NO_CONTRACT,
                unit: Unit::None,
                repeat: None,
                view: View::Table {
                    queries: vec![
                        every(gauge!(ContractUptimeRatio)),
                        every(bound("low")),
                        every(bound("high")),
                        every(gauge!(ContractTargetRatio)),
                        every(charged()),
                        named(of(gauge!(ContractStanding))).max(&[
                            Label::Site,
                            Label::SiteName,
                            Label::Link,
                            Label::Carrier,
                            Label::Contract,
                            Label::Standing,
                        ]),
                    ],
                    columns: columns()
                        .into_iter()
                        .chain([
                            charged_column(),
                            Column::words(Label::Standing, text("Đánh giá", "Standing"), &STANDINGS),
                        ])
                        .collect(),
                    sort: (5, false),
                },
            },
        )
}

fn course() -> Row {
    // Without the filters of sites, which would be held to the register at each point.
    let missed =
        gauge!(ContractStanding).is(Label::Standing, "missed").chosen(Var::Carrier).chosen(Var::Contract);
    Row::new(text("Diễn biến trong tháng", "Course of the month")).with(
        24,
        8,
        Panel {
            title: text("Số đường không đạt, theo nhà mạng", "Links that miss the promise, by carrier"),
            help: text(
                "Bao nhiêu đường đã chắc chắn không đạt mức cam kết của tháng, tính đến từng lúc; của mọi đơn vị.",
                "How many links surely missed the month’s promise by each instant, of all sites.",
            ),
            nothing: NO_BREACH,
            unit: Unit::Count,
            repeat: None,
            view: View::Lines {
                series: vec![Series::new(missed.now().count(&[Label::Carrier]), Legend::Label(Label::Carrier))],
                stacked: true,
                max: None,
                words: &[],
            },
        },
    )
}
