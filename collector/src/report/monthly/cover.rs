//! The front of the report: the figures in short, coverage against the plan, its trend by day, and by what rules all was counted.

use wan_wire::{LinkName, UnixMillis};

use super::contracts::Accounts;
use super::restated::{Figure, KeyFigures, Subject};
use super::sites::{Found, branch_name, kind_word, tier_name};
use super::words::{self, Words};
use super::{Frame, shown};
use crate::lang::Lang;
use crate::ledger::timeline::SiteView;
use crate::localtime;
use crate::province::{Group, SiteNow};
use crate::report::coverage::{Coverage, Row, TierTarget};
use crate::report::model::{Cell, Chart, Column, Kind, Table};
use crate::report::uptime::ratio;

/// Coverage in the ways that the plan asks for.
pub(super) struct Coverages {
    /// In the last instant of the time reported.
    end: Coverage,
    /// Over all of it.
    mean: Coverage,
    days: Vec<(jiff::civil::Date, Coverage)>,
    /// With the district in the place of the tier.
    districts: Coverage,
    /// With the carrier in the place of the tier.
    carriers: Coverage,
    /// The share that reaches a shared system, over all of the time reported.
    reach: Vec<(LinkName, Coverage)>,
}

impl Coverages {
    pub(super) fn of(frame: &Frame<'_>) -> Self {
        let province = frame.province;
        let (window, basis) = (frame.window, province.basis());
        let sites: Vec<SiteNow<'_>> = province.sites().collect();
        let grouped = |by: Group| {
            let mut views = province.grouped(&sites, by, |_| true);
            // In no group: of those the table says nothing.
            views.retain(|view| !view.tier.is_empty());
            Coverage::over(&views, &[], &basis, window)
        };
        let systems = province.systems(&sites, window).into_iter();
        let reach = systems.map(|system| {
            let views = province.reaching(&sites, &system);
            let plan: Vec<_> = province.targets_over(window).into_iter().map(without_target).collect();
            (system, Coverage::over(&views, &plan, &province.reach_basis(), window))
        });
        let views: Vec<SiteView<'_>> = province.views(&sites);
        let days = frame.month.days(frame.zone());
        let mut midnights: Vec<UnixMillis> = days.iter().map(|(_, day)| day.start).collect();
        midnights.extend(days.last().map(|(_, day)| day.end));
        let coverages = Coverage::by_day(&views, &[], &basis, &midnights);
        let last = window.end.plus_millis(-1);
        Self {
            end: Coverage::at(&views, &province.targets_at(last), &basis, last),
            mean: Coverage::over(&views, &province.targets_over(window), &basis, window),
            days: days.into_iter().map(|(day, _)| day).zip(coverages).collect(),
            districts: grouped(Group::District),
            carriers: grouped(Group::Carrier),
            reach: reach.collect(),
        }
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        let cells = &self.mean.cells;
        let under = |tier: &Row| cells.iter().filter(|cell| cell.tier == tier.tier).collect::<Vec<_>>();
        let tiers = self.mean.tiers.iter().filter(|row| row.counts.registered > 0);
        let tiers = tiers.flat_map(move |row| std::iter::once(row).chain(under(row)));
        tiers.chain(std::iter::once(&self.mean.total).filter(|row| row.counts.registered > 0))
    }

    /// The row of the end that is of the same sites; `None`: none of them was registered then.
    fn at_end(&self, row: &Row) -> Option<&Row> {
        let rows = self.end.tiers.iter().chain(&self.end.cells).chain(std::iter::once(&self.end.total));
        let mut rows = rows.filter(|end| end.tier == row.tier && end.branch == row.branch);
        rows.next().filter(|end| end.counts.registered > 0)
    }

    pub(super) fn figures(&self, figures: &mut KeyFigures) {
        for row in self.rows() {
            let subject = Subject::Coverage { tier: row.tier.clone(), branch: row.branch.clone() };
            figures.set(&subject, Figure::Equipped, self.at_end(row).and_then(|end| end.equipped_share));
            figures.set(&subject, Figure::Low, row.low);
            figures.set(&subject, Figure::High, row.high);
        }
    }

    pub(super) fn tables(&self, frame: &Frame<'_>) -> Vec<Table> {
        vec![
            self.plan(frame),
            self.by_district(frame),
            self.by_carrier(frame),
            self.reach(frame),
            self.trend(frame),
        ]
    }

    fn plan(&self, frame: &Frame<'_>) -> Table {
        let lang = frame.lang;
        let column = |id: &str, words: Words, kind| Column::new(id, words.in_lang(lang), kind);
        let row = |row: &Row| {
            let end = self.at_end(row);
            let tier = row
                .tier
                .as_deref()
                .map_or_else(|| words::WHOLE.in_lang(lang).to_owned(), |tier| tier_name(frame, tier));
            let branch = row.branch.as_deref().map(|branch| branch_name(frame, branch)).unwrap_or_default();
            vec![
                Cell::text(tier),
                Cell::text(branch),
                Cell::Count(end.map_or(0, |end| end.counts.registered)),
                Cell::share(end.and_then(|end| end.equipped_share)),
                Cell::share(end.and_then(|end| end.low)),
                Cell::share(end.and_then(|end| end.high)),
                Cell::share(row.low),
                Cell::share(row.high),
                Cell::share(row.target.filter(|_| row.branch.is_none())),
                Cell::text(
                    row.standing
                        .filter(|_| row.branch.is_none())
                        .map_or("", |standing| words::standing(standing, lang)),
                ),
            ]
        };
        Table {
            id: "coverage",
            name: lang.pick("Độ phủ", "Coverage"),
            title: lang.pick("Độ phủ mạng WAN so với kế hoạch", "WAN coverage against the plan").to_owned(),
            note: coverage_note(frame),
            columns: vec![
                column("tier", words::TIER, Kind::Text),
                column("branch", words::BRANCH, Kind::Text),
                column("registered", words::REGISTERED, Kind::Count),
                column("equipped_share", words::NOMINAL, Kind::Share),
                column("end_low", words::END_LOW, Kind::Share),
                column("end_high", words::END_HIGH, Kind::Share),
                column("low", words::MEAN_LOW, Kind::Share),
                column("high", words::MEAN_HIGH, Kind::Share),
                column("target", words::TARGET, Kind::Share),
                column("standing", words::STANDING, Kind::Text),
            ],
            key: &[0, 1],
            rows: self.rows().map(row).collect(),
            chart: None,
        }
    }

    fn by_district(&self, frame: &Frame<'_>) -> Table {
        let lang = frame.lang;
        Table {
            id: "districts",
            name: lang.pick("Độ phủ theo địa bàn", "Coverage by district"),
            title: lang.pick("Độ phủ mạng WAN theo địa bàn", "WAN coverage by district").to_owned(),
            note: lang
                .pick(
                    "Bình quân theo thời gian trong kỳ; đơn vị không ghi địa bàn không có trong bảng này.",
                    "Means over the time reported; sites whose district the register does not say are not in this table.",
                )
                .to_owned(),
            ..groups(&self.districts, Column::new("district", words::DISTRICT.in_lang(lang), Kind::Text), lang)
        }
    }

    fn by_carrier(&self, frame: &Frame<'_>) -> Table {
        let lang = frame.lang;
        Table {
            id: "carriers",
            name: lang.pick("Độ phủ theo nhà mạng", "Coverage by carrier"),
            title: lang.pick("Độ phủ mạng WAN theo nhà mạng", "WAN coverage by carrier").to_owned(),
            note: lang
                .pick(
                    "Bình quân theo thời gian trong kỳ; đơn vị có nhiều đường WAN được tính cho từng nhà mạng của mình.",
                    "Means over the time reported; a site with several WAN lines counts under each of its carriers.",
                )
                .to_owned(),
            ..groups(&self.carriers, Column::new("carrier", words::CARRIER.in_lang(lang), Kind::Text), lang)
        }
    }

    /// Of each shared system: who reaches it, by tier, and of all.
    fn reach(&self, frame: &Frame<'_>) -> Table {
        let lang = frame.lang;
        let column = |id: &str, words: Words, kind| Column::new(id, words.in_lang(lang), kind);
        let mut rows = Vec::new();
        for (system, coverage) in &self.reach {
            let tiers = coverage.tiers.iter().chain([&coverage.total]);
            for row in tiers.filter(|row| row.counts.registered > 0) {
                let whole = || words::WHOLE.in_lang(lang).to_owned();
                rows.push(vec![
                    Cell::text(system.to_string()),
                    Cell::text(row.tier.as_deref().map_or_else(whole, |tier| tier_name(frame, tier))),
                    coverage.sites(row.counts.registered).map_or(Cell::Empty, Cell::Number),
                    Cell::share(row.low),
                    Cell::share(row.high),
                ]);
            }
        }
        Table {
            id: "reach",
            name: lang.pick("Hệ thống dùng chung", "Shared systems"),
            title: lang
                .pick("Tỷ lệ đơn vị tới được hệ thống dùng chung", "Who reaches each shared system")
                .to_owned(),
            note: lang
                .pick(
                    "Bình quân theo thời gian trong kỳ. Đơn vị không đo hệ thống tính là chưa rõ, đơn vị chưa trang bị tính là không tới được.",
                    "Means over the time reported. A site that does not measure the system is unknown, one without an agent counts as not reaching it.",
                )
                .to_owned(),
            columns: vec![
                column("system", words::SYSTEM, Kind::Text),
                column("tier", words::TIER, Kind::Text),
                column("sites", words::REGISTERED, Kind::Number),
                column("low", words::MEAN_LOW, Kind::Share),
                column("high", words::MEAN_HIGH, Kind::Share),
            ],
            key: &[0, 1],
            rows,
            chart: None,
        }
    }

    fn trend(&self, frame: &Frame<'_>) -> Table {
        let lang = frame.lang;
        let tiers: Vec<&str> = self
            .mean
            .tiers
            .iter()
            .filter(|row| row.counts.registered > 0)
            .filter_map(|row| row.tier.as_deref())
            .collect();
        let mut columns = vec![
            Column::new("day", words::DAY.in_lang(lang), Kind::Date),
            Column::new("low", format!("{}, {}", words::WHOLE.in_lang(lang), low(lang)), Kind::Share),
            Column::new("high", format!("{}, {}", words::WHOLE.in_lang(lang), high(lang)), Kind::Share),
        ];
        for tier in &tiers {
            let name = tier_name(frame, tier);
            columns.push(Column::new(format!("{tier}_low"), format!("{name}, {}", low(lang)), Kind::Share));
            columns.push(Column::new(format!("{tier}_high"), format!("{name}, {}", high(lang)), Kind::Share));
        }
        let row = |(day, coverage): &(jiff::civil::Date, Coverage)| {
            let mut row =
                vec![Cell::Date(*day), Cell::share(coverage.total.low), Cell::share(coverage.total.high)];
            for tier in &tiers {
                let of = coverage.tiers.iter().find(|row| row.tier.as_deref() == Some(tier));
                row.push(Cell::share(of.and_then(|row| row.low)));
                row.push(Cell::share(of.and_then(|row| row.high)));
            }
            row
        };
        let registered = self.mean.total.counts.registered > 0;
        Table {
            id: "trend",
            name: lang.pick("Độ phủ theo ngày", "Coverage by day"),
            title: lang.pick("Diễn biến độ phủ theo ngày", "Coverage day by day").to_owned(),
            note: String::new(),
            columns,
            key: &[0],
            rows: if registered { self.days.iter().map(row).collect() } else { Vec::new() },
            chart: Some(Chart::Bounds { low: 1, high: 2 }),
        }
    }
}

/// What a table of coverage by any group has: `by` names the group.
fn groups(coverage: &Coverage, by: Column, lang: Lang) -> Table {
    let column = |id: &str, words: Words, kind| Column::new(id, words.in_lang(lang), kind);
    let row = |row: &Row| {
        vec![
            Cell::text(row.tier.clone().unwrap_or_default()),
            coverage.sites(row.counts.registered).map_or(Cell::Empty, Cell::Number),
            Cell::share(row.equipped_share),
            Cell::share(row.low),
            Cell::share(row.high),
        ]
    };
    Table {
        id: "",
        name: "",
        title: String::new(),
        note: String::new(),
        columns: vec![
            by,
            column("sites", words::REGISTERED, Kind::Number),
            column("equipped_share", words::EQUIPPED, Kind::Share),
            column("low", words::MEAN_LOW, Kind::Share),
            column("high", words::MEAN_HIGH, Kind::Share),
        ],
        key: &[0],
        rows: coverage.tiers.iter().map(row).collect(),
        chart: None,
    }
}

/// A shared system has no target of its own.
fn without_target(tier: TierTarget<'_>) -> TierTarget<'_> {
    TierTarget { target: None, ..tier }
}

const fn low(lang: Lang) -> &'static str {
    lang.pick("cận dưới", "low")
}

const fn high(lang: Lang) -> &'static str {
    lang.pick("cận trên", "high")
}

fn coverage_note(frame: &Frame<'_>) -> String {
    let required = required(frame);
    match frame.lang {
        Lang::Vi => format!(
            "Độ phủ: trong số đơn vị có trong sổ đăng ký, tỷ lệ đơn vị có {required} cùng hoạt động. Đơn vị chưa trang bị tính là chưa kết nối; \
             đơn vị không có số liệu tính là mất ở cận dưới, là có ở cận trên. “Đạt” khi cận dưới đạt chỉ tiêu, “Không đạt” khi cận trên \
             cũng không đạt."
        ),
        Lang::En => format!(
            "Coverage: of the sites in the register, the share of those whose {required} work together. A site without an agent counts as not \
             connected; one of which nothing is known as not connected in the low bound and as connected in the high one. Met: the low bound \
             reaches the target; missed: not even the high one does."
        ),
    }
}

fn required(frame: &Frame<'_>) -> String {
    let kinds = &frame.province.config().plan.required;
    kinds.iter().map(|kind| kind_word(*kind, frame.lang)).collect::<Vec<_>>().join(", ")
}

/// Of what time, made when, and whether it is final.
pub(super) fn subtitle(frame: &Frame<'_>) -> String {
    let made = frame.local(frame.province.now);
    let empty = frame.province.register().is_empty();
    match frame.lang {
        Lang::Vi => {
            let state = if frame.preliminary {
                format!("TẠM TÍNH đến {made}: tháng chưa kết thúc")
            } else {
                format!("Lập lúc {made}")
            };
            let empty = if empty { ". Sổ đăng ký chưa có đơn vị nào" } else { "" };
            format!("{state}{empty}")
        }
        Lang::En => {
            let state = if frame.preliminary {
                format!("PRELIMINARY up to {made}: the month is not over")
            } else {
                format!("Made at {made}")
            };
            let empty = if empty { ". The register has no site" } else { "" };
            format!("{state}{empty}")
        }
    }
}

/// The first table: what somebody reads who reads one page.
pub(super) fn summary(frame: &Frame<'_>, coverage: &Coverages, found: &Found, accounts: &Accounts) -> Table {
    let lang = frame.lang;
    let mut rows = Vec::new();
    let mut row =
        |figure: &str, value: Cell, bounds: (Option<f64>, Option<f64>), against: (Option<f64>, &str)| {
            rows.push(vec![
                Cell::text(figure),
                value.mixed(),
                Cell::share(bounds.0),
                Cell::share(bounds.1),
                Cell::share(against.0),
                Cell::text(against.1),
            ]);
        };
    let nothing = ((None, None), (None, ""));
    let end = &coverage.end.total;
    row(
        lang.pick("Số đơn vị trong sổ đăng ký, cuối kỳ", "Sites in the register at the end"),
        Cell::Count(end.counts.registered),
        nothing.0,
        nothing.1,
    );
    if !frame.province.register().is_empty() {
        let equipped = words::EQUIPPED.in_lang(lang);
        row(equipped, Cell::share(end.equipped_share), nothing.0, nothing.1);
        for of in coverage.mean.tiers.iter().filter(|row| row.counts.registered > 0) {
            let tier = tier_name(frame, of.tier.as_deref().unwrap_or_default());
            let name = format!("{}: {tier}", lang.pick("Độ phủ cả kỳ", "Coverage over the month"));
            let standing = of.standing.map_or("", |standing| words::standing(standing, lang));
            row(&name, Cell::Empty, (of.low, of.high), (of.target, standing));
        }
        let total = &coverage.mean.total;
        let name = format!(
            "{}: {}",
            lang.pick("Độ phủ cả kỳ", "Coverage over the month"),
            words::WHOLE.in_lang(lang)
        );
        row(&name, Cell::Empty, (total.low, total.high), (None, ""));
        let sum = &found.sum;
        row(
            lang.pick("Tỷ lệ thời gian kết nối, mọi đơn vị", "Uptime, all sites"),
            Cell::share(ratio(sum.working_ms, sum.observed_ms)),
            (ratio(sum.working_ms, sum.counted_ms), ratio(sum.counted_ms - sum.down_ms, sum.counted_ms)),
            (None, ""),
        );
        let observed = ratio(sum.observed_ms, sum.counted_ms);
        row(words::OBSERVED.in_lang(lang), Cell::share(observed), nothing.0, nothing.1);
        row(words::DOWN.in_lang(lang), Cell::Duration(sum.down_ms), nothing.0, nothing.1);
        row(words::OUTAGES.in_lang(lang), Cell::Count(sum.outages), nothing.0, nothing.1);
    }
    if !accounts.is_empty() {
        let (met, missed, undecided) = accounts.standings();
        for (name, count) in [
            (lang.pick("Số đường đạt mức cam kết của hợp đồng", "Links that met their contract"), met),
            (lang.pick("Số đường không đạt mức cam kết", "Links that missed their contract"), missed),
            (lang.pick("Số đường chưa kết luận được", "Links whose contract is undecided"), undecided),
        ] {
            row(name, Cell::Count(count), nothing.0, nothing.1);
        }
    }
    let column = |id: &str, words: Words, kind| Column::new(id, words.in_lang(lang), kind);
    Table {
        id: "summary",
        name: lang.pick("Tổng hợp", "Summary"),
        title: lang.pick("Tổng hợp", "Summary").to_owned(),
        note: String::new(),
        columns: vec![
            column("figure", words::FIGURE, Kind::Text),
            column("value", words::VALUE, Kind::Mixed),
            column("low", words::LOW, Kind::Share),
            column("high", words::HIGH, Kind::Share),
            column("target", words::TARGET, Kind::Share),
            column("standing", words::STANDING, Kind::Text),
        ],
        key: &[0],
        rows,
        chart: None,
    }
}

/// The last table: by what all was counted.
pub(super) fn parameters(frame: &Frame<'_>) -> Table {
    let lang = frame.lang;
    let config = frame.province.config();
    let plan = &config.plan;
    let zone = frame.zone();
    let mut rows: Vec<(String, String)> = vec![
        (words::MONTH.in_lang(lang).to_owned(), words::month_id(frame.month)),
        (lang.pick("Từ", "From").to_owned(), frame.local(frame.window.start)),
        (lang.pick("Đến (không gồm)", "To (not included)").to_owned(), frame.local(frame.window.end)),
        (words::MADE_AT.in_lang(lang).to_owned(), shown(frame.province.now, lang, zone)),
        (
            lang.pick("Tình trạng báo cáo", "Standing of the report").to_owned(),
            if frame.preliminary {
                lang.pick("Tạm tính: tháng chưa kết thúc", "Preliminary: the month is not over")
            } else {
                lang.pick("Chính thức", "Final")
            }
            .to_owned(),
        ),
        (lang.pick("Múi giờ", "Time zone").to_owned(), localtime::zone_name(zone)),
        (lang.pick("Coi là kết nối khi có", "Connected means").to_owned(), required(frame)),
        (
            lang.pick(
                "Tỷ lệ mất gói lớn nhất còn coi là tốt (c1, ITU-T Y.1540)",
                "Largest loss that is still up (c1, ITU-T Y.1540)",
            )
            .to_owned(),
            format!("{}", plan.c1),
        ),
    ];
    for (kind, limit) in &plan.rtt_limit {
        let name = match lang {
            Lang::Vi => format!("Độ trễ khứ hồi lớn nhất còn coi là tốt, {}", kind_word(*kind, lang)),
            Lang::En => format!("Longest round-trip time that is still up, {}", kind_word(*kind, lang)),
        };
        rows.push((name, format!("{} ms", limit.as_millis())));
    }
    let policy = words::policy(frame.policy, lang).to_owned();
    rows.push((words::POLICY.in_lang(lang).to_owned(), policy));
    rows.extend(calendar_rows(frame));
    rows.push((
        lang.pick("Im lặng quá thời gian này thì không còn số liệu", "Silent after").to_owned(),
        format!("{} s", config.ingest.silence_limit.as_secs()),
    ));
    let column = |id: &str, words: Words, kind| Column::new(id, words.in_lang(lang), kind);
    Table {
        id: "parameters",
        name: words::PARAMETERS.in_lang(lang),
        title: words::PARAMETERS.in_lang(lang).to_owned(),
        note: format!("wan-collector {}", env!("CARGO_PKG_VERSION")),
        columns: vec![
            column("parameter", words::PARAMETER, Kind::Text),
            column("value", words::VALUE, Kind::Text),
        ],
        key: &[0],
        rows: rows.into_iter().map(|(name, value)| vec![Cell::text(name), Cell::text(value)]).collect(),
        chart: None,
    }
}

/// Hours of service of a week, and the holidays of the month.
fn calendar_rows(frame: &Frame<'_>) -> Vec<(String, String)> {
    let lang = frame.lang;
    let calendar = &frame.province.config().calendar;
    let days = frame.month.days(frame.zone());
    let mut week: Vec<(jiff::civil::Weekday, String)> = Vec::new();
    for (day, _) in &days {
        let is_plain = calendar.holiday(*day).is_none();
        if is_plain && !week.iter().any(|(weekday, _)| *weekday == day.weekday()) {
            let hours = calendar.hours(*day).iter().map(|hours| format!("{}–{}", hours.from(), hours.to()));
            week.push((day.weekday(), hours.collect::<Vec<_>>().join(", ")));
        }
    }
    week.sort_by_key(|(weekday, _)| weekday.to_monday_zero_offset());
    let mut groups: Vec<(Vec<&str>, String)> = Vec::new();
    for (weekday, hours) in week.into_iter().filter(|(_, hours)| !hours.is_empty()) {
        let name = weekday_name(weekday, lang);
        match groups.last_mut().filter(|(_, last)| *last == hours) {
            Some((days, _)) => days.push(name),
            None => groups.push((vec![name], hours)),
        }
    }
    let hours: Vec<String> =
        groups.iter().map(|(days, hours)| format!("{}: {hours}", days.join(", "))).collect();
    let mut holidays: Vec<String> = Vec::new();
    for (day, _) in &days {
        if let Some(holiday) = calendar.holiday(*day) {
            holidays.push(format!("{} {}", shown_day(*day, lang), holiday.name));
        }
    }
    let none = lang.pick("không có", "none");
    let or_none = |list: Vec<String>| if list.is_empty() { none.to_owned() } else { list.join("; ") };
    vec![
        (lang.pick("Giờ phục vụ", "Hours of service").to_owned(), or_none(hours)),
        (lang.pick("Ngày nghỉ trong kỳ", "Holidays of the month").to_owned(), or_none(holidays)),
    ]
}

fn shown_day(day: jiff::civil::Date, lang: Lang) -> String {
    day.strftime(lang.pick("%d/%m", "%m-%d")).to_string()
}

const fn weekday_name(weekday: jiff::civil::Weekday, lang: Lang) -> &'static str {
    use jiff::civil::Weekday;
    match weekday {
        Weekday::Monday => lang.pick("Thứ Hai", "Mon"),
        Weekday::Tuesday => lang.pick("Thứ Ba", "Tue"),
        Weekday::Wednesday => lang.pick("Thứ Tư", "Wed"),
        Weekday::Thursday => lang.pick("Thứ Năm", "Thu"),
        Weekday::Friday => lang.pick("Thứ Sáu", "Fri"),
        Weekday::Saturday => lang.pick("Thứ Bảy", "Sat"),
        Weekday::Sunday => lang.pick("Chủ nhật", "Sun"),
    }
}
