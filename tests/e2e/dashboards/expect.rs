//! What every panel must show, from what happened that day.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};

use super::day::{
    BACKLOG, CERTIFICATE, CHANNEL, DAY, DROPPED, INTERNET_CUT, LAG, LOSSY, LOST, MINUTE, OPEN_CUT, PLACES,
    POWER_CUT, SILENT, SLOW, START, STORE, Span, WAITING, WAN_CUT,
};
use super::query::Series;

/// What a query gives.
pub(crate) enum Want {
    /// No series.
    Nothing,
    /// At the day's end exactly these series (labels as `name=value`, the rest of a series' labels as they may be), with values to within
    /// a distance.
    Now(Vec<(String, f64)>, f64),
    /// Over the day exactly these series, with these values at these minutes (`None`: no value), to within a distance.
    Over(Vec<(String, Minutes)>, f64),
}

/// Values at minutes of the day; `None`: no value.
type Minutes = Vec<(i64, Option<f64>)>;

impl Want {
    /// Whether an answer is that.
    pub(crate) fn holds(&self, answer: &[Series]) -> Result<()> {
        match self {
            Self::Nothing => ensure!(answer.is_empty(), "expected nothing, found {}", told(answer)),
            Self::Now(wanted, within) => {
                let names: Vec<&String> = wanted.iter().map(|(labels, _)| labels).collect();
                for ((labels, value), series) in wanted.iter().zip(pair(&names, answer)?) {
                    let found = series.points.last().map(|(_, value)| *value);
                    ensure!(
                        close(found, Some(*value), *within),
                        "{labels}: expected {value}, found {found:?}"
                    );
                }
            }
            Self::Over(wanted, within) => {
                let names: Vec<&String> = wanted.iter().map(|(labels, _)| labels).collect();
                for ((labels, values), series) in wanted.iter().zip(pair(&names, answer)?) {
                    for (minute, value) in values {
                        let found = series.at(START + minute * MINUTE);
                        ensure!(
                            close(found, *value, *within),
                            "{labels}: at minute {minute} expected {value:?}, found {found:?}"
                        );
                    }
                }
            }
        }
        Ok(())
    }
}

fn close(found: Option<f64>, wanted: Option<f64>, within: f64) -> bool {
    match (found, wanted) {
        (Some(found), Some(wanted)) => (found - wanted).abs() <= within,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// The series for each name, of which there must be no other.
fn pair<'a>(names: &[&String], answer: &'a [Series]) -> Result<Vec<&'a Series>> {
    ensure!(names.len() == answer.len(), "expected {} series, found {}", names.len(), told(answer));
    names
        .iter()
        .map(|name| {
            let labels: BTreeMap<&str, &str> =
                name.split(',').filter_map(|part| part.split_once('=')).collect();
            let fits = |series: &&Series| {
                labels
                    .iter()
                    .all(|(label, value)| series.labels.get(*label).map_or("", String::as_str) == *value)
            };
            answer.iter().find(fits).with_context(|| format!("no {name} in {}", told(answer)))
        })
        .collect()
}

fn told(answer: &[Series]) -> String {
    let one = |series: &Series| {
        let last = series.points.last().map(|(_, value)| *value);
        format!("{:?}: {last:?} ({} points)", series.labels, series.points.len())
    };
    format!("{} series: {}", answer.len(), answer.iter().map(one).collect::<Vec<_>>().join("; "))
}

fn now(within: f64, series: &[(&str, f64)]) -> Want {
    Want::Now(series.iter().map(|(labels, value)| ((*labels).to_owned(), *value)).collect(), within)
}

type Course<'a> = (&'a str, &'a [(i64, f64)]);

fn over(within: f64, series: &[Course<'_>]) -> Want {
    let course = |(labels, values): &Course<'_>| {
        let values =
            values.iter().map(|(minute, value)| (*minute, (!value.is_nan()).then_some(*value))).collect();
        ((*labels).to_owned(), values)
    };
    Want::Over(series.iter().map(course).collect(), within)
}

/// No value at this minute.
const GAP: f64 = f64::NAN;
/// A minute in which nothing is the matter.
const CALM: i64 = 60;

/// The middle of a span; even, as scrapes are.
fn mid(span: Span) -> i64 {
    i64::midpoint(span[0], span[1]) / 2 * 2
}

#[allow(clippy::cast_precision_loss, reason = "minutes of a day")]
fn seconds(minutes: i64) -> f64 {
    (minutes * 60) as f64
}

fn lasting(span: Span) -> f64 {
    seconds(span[1] - span[0])
}

/// What remains of the day without so much.
fn share(lost: f64) -> f64 {
    1.0 - lost / seconds(DAY)
}

/// The numbers of verdicts in panels: their places from well to worst.
const ONLINE: f64 = 1.0;
const NOT_ENROLLED: f64 = 3.0;
const DEGRADED: f64 = 5.0;
const WAN_DOWN: f64 = 8.0;
const OFFLINE: f64 = 9.0;

/// A cut is seen and over to within two rounds and the silence that is allowed.
const EDGE: f64 = 300.0;

/// The values of a variable.
pub(crate) fn variable(which: &str, name: &str, values: &[String]) -> Result<()> {
    let names: Vec<String> = PLACES.iter().map(|place| format!("{}={}", place.name, place.id)).collect();
    let mut expected: Vec<&str> = match (which, name) {
        (_, "tier") => vec!["commune", "district", "province"],
        (_, "branch") => vec!["party", "state"],
        (_, "district") => vec!["Trảng Bàng", "Tân Biên"],
        ("province", "carrier") => vec!["FPT", "VNPT", "Viettel"],
        ("carriers", "carrier") => vec!["VNPT", "Viettel"],
        (_, "contract") => vec!["HD-VIETTEL", "HD-VNPT"],
        (_, "link") => vec!["internet", "lan", "wan"],
        (_, "site") => names.iter().map(String::as_str).collect(),
        _ => bail!("nothing is expected of this variable"),
    };
    let mut found: Vec<&str> = values.iter().map(String::as_str).collect();
    expected.sort_unstable();
    found.sort_unstable();
    ensure!(found == expected, "expected {expected:?}, found {found:?}");
    Ok(())
}

/// What is marked over the graphs of xa-1: as long as an incident is open, when it began.
pub(crate) fn mark(name: &str) -> Result<Want> {
    let began = at_second(WAN_CUT[0]);
    match name {
        "Outage" => Ok(over(
            EDGE,
            &[(
                "link=wan,cause=carrier",
                &[(CALM, GAP), (mid(WAN_CUT), began), (mid(LOSSY), GAP), (DAY, GAP)],
            )],
        )),
        "Degraded" | "Nothing known" => Ok(Want::Nothing),
        _ => bail!("nothing is expected of this mark"),
    }
}

/// What the query of a panel gives.
pub(crate) fn panel(which: &str, title: &str, query: &str) -> Result<Want> {
    let want = match which {
        "province" => province(title, query),
        "site" => site(title, query),
        "carriers" => carriers(title, query),
        "monitor" => monitor(title, query),
        _ => None,
    };
    want.context("nothing is expected of this query: say in tests/e2e/dashboards/expect.rs what it must give")
}

fn province(title: &str, query: &str) -> Option<Want> {
    let carrier = lasting(WAN_CUT) + lasting(OPEN_CUT);
    let (power, isp) = (lasting(POWER_CUT), lasting(INTERNET_CUT));
    let total = |silent: f64| {
        let whole =
            [(CALM, 7.0), (mid(WAN_CUT), 6.0), (mid(POWER_CUT), 6.0), (mid(SILENT), silent), (DAY, 6.0)];
        over(1e-9, &[("", &whole.map(|(minute, sites)| (minute, sites / 8.0)))])
    };
    let by_tier = |province: f64, district: f64, commune: f64| {
        now(1e-9, &[("tier=province", province), ("tier=district", district), ("tier=commune", commune)])
    };
    let each = |value: &dyn Fn(usize, &str) -> f64| {
        let rows = PLACES
            .iter()
            .enumerate()
            .map(|(place, site)| (format!("site={},name={}", site.id, site.name), value(place, site.id)));
        Want::Now(rows.collect(), 1e-9)
    };
    #[allow(clippy::cast_precision_loss, reason = "eight sites")]
    let place = |from: f64| each(&|place, _| from + place as f64 / 10.0);
    Some(match (title, query) {
        ("Now, by tier", "A" | "B") => by_tier(1.0, 1.0, 0.6),
        ("Now, by tier", "C") => by_tier(0.7, 0.7, 0.5),
        ("Now, by tier", "D") => by_tier(0.3, 0.3, 0.1),
        ("Now, by tier", "E") => by_tier(1.0, 1.0, 0.8),
        // Of the three sites of Trảng Bàng one has no agent, and one no WAN.
        ("Now, by district", "A") => {
            now(1e-9, &[("district=Tân Biên", 1.0), ("district=Trảng Bàng", 1.0 / 3.0)])
        }
        ("Now, by district", "B") => {
            now(1e-9, &[("district=Tân Biên", 1.0), ("district=Trảng Bàng", 1.0 / 3.0)])
        }
        ("Now, by carrier", "A" | "B") => {
            now(1e-9, &[("carrier=VNPT", 4.0 / 5.0), ("carrier=Viettel", 2.0 / 3.0)])
        }
        ("The whole province", "A") => total(7.0),
        ("The whole province", "B") => total(6.0),
        // The tier is that of the province: of its two sites nobody knows one while its agent is silent.
        ("Tier: $tier", "A") => over(1e-9, &[("", &[(CALM, 1.0), (mid(SILENT), 1.0), (DAY, 1.0)])]),
        ("Tier: $tier", "B") => over(1e-9, &[("", &[(CALM, 1.0), (mid(SILENT), 0.5), (DAY, 1.0)])]),
        ("Tier: $tier", "C") => over(1e-9, &[("", &[(CALM, 0.7), (DAY, 0.7)])]),
        ("State of the sites", "A") => {
            now(0.0, &[("verdict=online", 6.0), ("verdict=wan_down", 1.0), ("verdict=not_enrolled", 1.0)])
        }
        ("Where", "A") => place(11.0),
        ("Where", "B") => place(106.0),
        ("Where", "C") => each(&|_, site| match site {
            "xa-4" => WAN_DOWN,
            "xa-5" => NOT_ENROLLED,
            _ => ONLINE,
        }),
        ("Open incidents", "A") => {
            let start = at_second(OPEN_CUT[0]) * 1000.0;
            let kind = "site=xa-4,kind=outage,cause=carrier";
            now(EDGE * 1000.0, &[(&format!("{kind},link=wan"), start), (&format!("{kind},link="), start)])
        }
        ("Open incidents", "B") => {
            let kind = "site=xa-4,kind=outage,cause=carrier";
            let lasts = lasting(OPEN_CUT);
            now(EDGE, &[(&format!("{kind},link=wan"), lasts), (&format!("{kind},link="), lasts)])
        }
        ("Sites that are not online", "A") => now(0.0, &[("site=xa-4,name=UBND xã 4", WAN_DOWN)]),
        ("Sites that are not online", "B") => now(0.0, &[("site=xa-4", 0.0)]),
        ("Timeline of the sites that were down most", "A") => over(
            0.0,
            &[
                (
                    "name=UBND xã 1",
                    &[(CALM, ONLINE), (mid(WAN_CUT), WAN_DOWN), (mid(POWER_CUT), ONLINE), (DAY, ONLINE)],
                ),
                ("name=UBND xã 2", &[(mid(WAN_CUT), ONLINE), (mid(POWER_CUT), OFFLINE), (DAY, ONLINE)]),
                ("name=UBND xã 3", &[(CALM, ONLINE), (mid(INTERNET_CUT), DEGRADED), (DAY, ONLINE)]),
                ("name=UBND xã 4", &[(CALM, ONLINE), (mid(OPEN_CUT), WAN_DOWN), (DAY, WAN_DOWN)]),
            ],
        ),
        ("Sites by state", "A") => over(
            0.0,
            &[
                ("verdict=online", &[(CALM, 7.0), (mid(WAN_CUT), 6.0), (mid(SILENT), 6.0), (DAY, 6.0)]),
                ("verdict=not_enrolled", &[(CALM, 1.0), (DAY, 1.0)]),
                ("verdict=wan_down", &[(CALM, GAP), (mid(WAN_CUT), 1.0), (mid(SILENT), GAP), (DAY, 1.0)]),
                ("verdict=offline", &[(CALM, GAP), (mid(POWER_CUT), 1.0), (DAY, GAP)]),
                ("verdict=degraded", &[(mid(INTERNET_CUT), 1.0), (mid(LOSSY), 1.0), (DAY, GAP)]),
                ("verdict=agent_silent", &[(mid(LOSSY), GAP), (mid(SILENT), 1.0), (DAY, GAP)]),
            ],
        ),
        ("Worst sites", "A") => now(
            0.004,
            &[
                ("site=xa-1,name=UBND xã 1", share(lasting(WAN_CUT))),
                ("site=xa-2,name=UBND xã 2", share(power)),
                ("site=xa-3,name=UBND xã 3", share(isp)),
                ("site=xa-4,name=UBND xã 4", share(lasting(OPEN_CUT))),
                ("site=huyen-a", 1.0),
                ("site=so-y-te", 1.0),
                ("site=trung-tam", 1.0),
            ],
        ),
        ("Worst sites", "B") => {
            let sites = PLACES.iter().filter(|place| place.id != "xa-5");
            let observed = |site: &str| if site == "xa-3" { share(lasting(LOST)) } else { 1.0 };
            Want::Now(sites.map(|place| (format!("site={}", place.id), observed(place.id))).collect(), 0.004)
        }
        ("Worst sites", "C") => now(
            EDGE,
            &[
                ("site=xa-1", lasting(WAN_CUT)),
                ("site=xa-2", power),
                ("site=xa-3", isp),
                ("site=xa-4", lasting(OPEN_CUT)),
            ],
        ),
        ("By cause", "A") => {
            now(EDGE, &[("cause=carrier", carrier), ("cause=power", power), ("cause=isp", isp)])
        }
        ("By carrier", "A") => now(
            EDGE,
            &[
                ("carrier=VNPT", lasting(WAN_CUT) + power),
                ("carrier=Viettel", lasting(OPEN_CUT)),
                ("carrier=FPT", isp),
            ],
        ),
        ("Links that were down most", "A") => now(
            EDGE,
            &[
                ("site=xa-1,link=wan,carrier=VNPT,cause=carrier,name=UBND xã 1", lasting(WAN_CUT)),
                ("site=xa-2,link=wan,carrier=VNPT,cause=power", power),
                ("site=xa-3,link=internet,carrier=FPT,cause=isp", isp),
                ("site=xa-4,link=wan,carrier=Viettel,cause=carrier", lasting(OPEN_CUT)),
            ],
        ),
        // The cut that is not over, and the clock of the same site.
        ("Alerts that fire", "A") => now(0.0, &[("rule=clock_wrong", 1.0), ("rule=link_down", 1.0)]),
        _ => return None,
    })
}

/// When the incident that is open began, Unix seconds.
#[allow(clippy::cast_precision_loss, reason = "seconds of this century")]
fn at_second(minute: i64) -> f64 {
    (START / 1000) as f64 + seconds(minute)
}

/// The site is xa-1.
fn site(title: &str, query: &str) -> Option<Want> {
    let cut = lasting(WAN_CUT);
    let [internet, lan, wan] = ["link=internet", "link=lan", "link=wan"];
    let links = |within: f64, of_wan: f64, of_others: f64| {
        now(within, &[(internet, of_others), (lan, of_others), (wan, of_wan)])
    };
    // Of one link, the WAN: in the middle of the cut nothing came back.
    let rtt = |calm: f64, slow: f64| {
        over(1e-6, &[("", &[(CALM, calm), (SLOW[0] + 4, slow), (mid(WAN_CUT), GAP), (DAY, calm)])])
    };
    #[allow(clippy::cast_precision_loss, reason = "seconds of this century")]
    let cut_began = (START + WAN_CUT[0] * MINUTE) as f64;
    Some(match (title, query) {
        ("State", "A") => now(0.0, &[("verdict=online", 1.0)]),
        ("Uptime", "A") => now(0.004, &[("site=xa-1", share(cut))]),
        ("Observed", "A") => now(0.004, &[("site=xa-1", 1.0)]),
        ("Last push, ago", "A") => now(0.0, &[("site=xa-1", 0.0)]),
        ("Timeline of the site", "A") => {
            over(0.0, &[("site=xa-1", &[(CALM, ONLINE), (mid(WAN_CUT), WAN_DOWN), (DAY, ONLINE)])])
        }
        ("Timeline of the links", "A") => over(
            0.0,
            &[
                (wan, &[(CALM, 1.0), (mid(WAN_CUT), 0.0), (DAY, 1.0)]),
                (lan, &[(CALM, 1.0), (mid(WAN_CUT), 1.0)]),
                (internet, &[(CALM, 1.0), (mid(WAN_CUT), 1.0)]),
            ],
        ),
        ("Links now and over the window", "A") => links(0.0, 1.0, 1.0),
        ("Links now and over the window", "B") => links(0.0, 0.0, 0.0),
        ("Links now and over the window", "C") => links(1e-6, 0.005, 0.005),
        ("Links now and over the window", "D" | "E") => links(0.004, share(cut), 1.0),
        ("Links now and over the window", "F") => links(0.004, 1.0, 1.0),
        ("RTT: $link", "A") => rtt(0.009, 0.09),
        ("RTT: $link", "B" | "C") => rtt(0.005, 0.05),
        ("RTT: $link", "D") => rtt(0.004, 0.004),
        ("Loss", "A") => over(
            1e-9,
            &[
                (wan, &[(CALM, 0.0), (mid(WAN_CUT), 1.0), (DAY, 0.0)]),
                (lan, &[(CALM, 0.0), (mid(WAN_CUT), 0.0)]),
                (internet, &[(CALM, 0.0), (mid(WAN_CUT), 0.0)]),
            ],
        ),
        ("Loss as others see it", "A") => {
            over(1e-9, &[(wan, &[(CALM, 0.0), (mid(WAN_CUT), 1.0), (DAY, 0.0)])])
        }
        ("Received", "A") => over(1_000.0, &[("interface=eth0", &[(CALM, 1e6), (DAY, 1e6)])]),
        ("Sent", "A") => over(1_000.0, &[("interface=eth0", &[(CALM, 5e5), (DAY, 5e5)])]),
        ("Frames with errors or dropped", "A" | "B") => over(0.0, &[("", &[(CALM, 0.0), (DAY, 0.0)])]),
        ("Incidents in the time shown", "A") => now(
            EDGE * 1000.0,
            &[
                ("link=wan,kind=outage,cause=carrier", cut_began),
                ("link=,kind=outage,cause=carrier", cut_began),
            ],
        ),
        ("Incidents in the time shown", "B") => Want::Nothing,
        ("Time down in the window, by cause", "A") => now(EDGE, &[("link=wan,kind=wan,cause=carrier", cut)]),
        ("Contracts, this month", "A" | "B" | "C") => {
            now(0.004, &[("link=wan,contract=HD-VNPT,carrier=VNPT", share(cut))])
        }
        ("Contracts, this month", "D") => now(1e-9, &[("link=wan,contract=HD-VNPT,carrier=VNPT", 0.99)]),
        ("Contracts, this month", "E") => now(0.0, &[("contract=HD-VNPT,standing=missed", 1.0)]),
        ("Version", "A") => now(0.0, &[("version=0.0.9", 1.0)]),
        ("Host up for", "A") => now(0.0, &[("site=xa-1", 2.0 * seconds(DAY))]),
        ("Clock offset" | "Queue", "A") => now(0.0, &[("site=xa-1", 0.0)]),
        _ => return None,
    })
}

fn carriers(title: &str, query: &str) -> Option<Want> {
    let by_contract = |within: f64, of_vnpt: f64, of_viettel: f64| {
        now(
            within,
            &[
                ("carrier=VNPT,contract=HD-VNPT", of_vnpt),
                ("carrier=Viettel,contract=HD-VIETTEL", of_viettel),
            ],
        )
    };
    let breaches = |within: f64, first: f64, second: f64| {
        now(
            within,
            &[("site=xa-1,link=wan,name=UBND xã 1", first), ("site=xa-4,link=wan,name=UBND xã 4", second)],
        )
    };
    let (cut, open, power, lost) = (lasting(WAN_CUT), lasting(OPEN_CUT), lasting(POWER_CUT), lasting(LOST));
    let every = |within: f64, [of_cut, of_open, of_lost, vnpt, viettel]: [f64; 5]| {
        now(
            within,
            &[
                ("site=xa-1,contract=HD-VNPT", of_cut),
                ("site=xa-2,contract=HD-VNPT", vnpt),
                ("site=huyen-a,contract=HD-VNPT", vnpt),
                ("site=xa-3,contract=HD-VIETTEL", of_lost),
                ("site=xa-4,contract=HD-VIETTEL", of_open),
                ("site=so-y-te,contract=HD-VIETTEL", viettel),
            ],
        )
    };
    let three = 3.0 * seconds(DAY);
    Some(match (title, query) {
        ("Links by standing", "A") => now(0.0, &[("standing=met", 4.0), ("standing=missed", 2.0)]),
        ("Time without a connection, and whose it is", "A") => now(
            EDGE,
            &[
                ("carrier=VNPT,state=charged", cut),
                ("carrier=VNPT,state=excused", power),
                ("carrier=VNPT,state=undecided", 0.0),
                ("carrier=Viettel,state=charged", open),
                ("carrier=Viettel,state=excused", 0.0),
                ("carrier=Viettel,state=undecided", lost),
            ],
        ),
        ("Contracts", "A") => {
            let kept = three - cut - power;
            by_contract(0.004, kept / (kept + cut), 1.0 - open / (three - lost))
        }
        ("Contracts", "B") => by_contract(1e-9, 0.99, 0.95),
        ("Contracts", "C") => by_contract(EDGE, cut, open),
        ("Contracts", "D") => by_contract(EDGE, power, 0.0),
        ("Contracts", "E") => by_contract(EDGE, 0.0, lost),
        ("Contracts", "F") => by_contract(0.0, 1.0, 1.0),
        ("Contracts", "G") => by_contract(0.0, 3.0, 3.0),
        ("Breaches: surely below the promise", "A" | "B" | "C") => breaches(0.004, share(cut), share(open)),
        ("Breaches: surely below the promise", "D") => breaches(1e-9, 0.99, 0.95),
        ("Breaches: surely below the promise", "E") => breaches(EDGE, cut, open),
        ("Every link under a contract", "A" | "C") => every(0.004, [share(cut), share(open), 1.0, 1.0, 1.0]),
        ("Every link under a contract", "B") => {
            every(0.004, [share(cut), share(open), share(lost), 1.0, 1.0])
        }
        ("Every link under a contract", "D") => every(1e-9, [0.99, 0.95, 0.95, 0.99, 0.95]),
        ("Every link under a contract", "E") => every(EDGE, [cut, open, 0.0, 0.0, 0.0]),
        ("Every link under a contract", "F") => now(
            0.0,
            &[
                ("site=xa-1,standing=missed", 1.0),
                ("site=xa-4,standing=missed", 1.0),
                ("site=xa-2,standing=met", 1.0),
                ("site=huyen-a,standing=met", 1.0),
                ("site=xa-3,standing=met", 1.0),
                ("site=so-y-te,standing=met", 1.0),
            ],
        ),
        ("Links that miss the promise, by carrier", "A") => over(
            0.0,
            &[
                ("carrier=VNPT", &[(CALM, GAP), (700, 1.0), (DAY, 1.0)]),
                ("carrier=Viettel", &[(CALM, GAP), (700, GAP), (DAY, 1.0)]),
            ],
        ),
        _ => return None,
    })
}

fn monitor(title: &str, query: &str) -> Option<Want> {
    // Seven agents push once a minute; while one is silent, six.
    let pushes = |each: f64, within: f64, labels: &str| {
        over(
            within,
            &[(
                labels,
                &[(CALM, 7.0 * each / 60.0), (mid(SILENT), 6.0 * each / 60.0), (DAY, 7.0 * each / 60.0)],
            )],
        )
    };
    let none = || over(0.0, &[("", &[(CALM, 0.0), (DAY, 0.0)])]);
    // 34 samples a push, and of the centre seven for each of the five sites that it watches.
    let samples = |labels: &str| {
        let calm = (7.0 * 34.0 + 35.0) / 60.0;
        over(0.05, &[(labels, &[(CALM, calm), (DAY, calm - 8.0 / 60.0)])])
    };
    let store = format!("store={STORE}");
    Some(match (title, query) {
        ("Samples that stores confirmed", "A") => samples(&store),
        ("Backlog", "A") => over(0.0, &[(&store, &[(CALM, BACKLOG), (DAY, BACKLOG)])]),
        ("New samples behind", "A") => over(0.0, &[(&store, &[(CALM, LAG), (DAY, LAG)])]),
        ("Sent again, refused, given up", "A" | "B" | "C") => none(),
        ("Collector", "A") => now(0.0, &[(&format!("version={}", env!("CARGO_PKG_VERSION")), 1.0)]),
        ("Running for", "A") => now(0.0, &[("", seconds(DAY))]),
        ("Certificate lasts", "A") => now(1e-3, &[("", seconds(CERTIFICATE * DAY))]),
        ("Last look for alerts, ago", "A") => now(1e-3, &[("", 0.0)]),
        ("Agents’ configuration" | "Alerts’ configuration", "A") => now(0.0, &[("", 1.0)]),
        ("By version", "A") => now(0.0, &[("version=0.0.9", 1.0), ("version=0.1.0", 6.0)]),
        ("Clocks that are wrong by more than a second", "A") => {
            now(1e-9, &[("site=xa-4,name=UBND xã 4", 400.5)])
        }
        ("Largest queues", "A") => now(0.0, &[("site=xa-3,name=UBND xã 3", 2048.0)]),
        ("Agents silent the longest", "A") => Want::Nothing,
        ("Samples dropped in the time shown", "A") => now(0.1, &[("site=xa-3,name=UBND xã 3", DROPPED.1)]),
        ("Requests by answer", "A") => pushes(1.0, 0.003, "code=200"),
        ("Time to answer", "A") => over(0.003, &[("", &[(CALM, 0.005), (DAY, 0.005)])]),
        ("Time to answer", "B") => over(0.003, &[("", &[(CALM, 0.004), (DAY, 0.004)])]),
        ("Samples", "A") => samples(""),
        ("Samples", "B") => none(),
        ("Requests that wait", "A") => none(),
        ("Journal syncs", "A") => over(0.003, &[("", &[(CALM, 0.003), (DAY, 0.003)])]),
        ("Journal syncs", "B") => over(0.02, &[("", &[(CALM, 0.01), (DAY, 0.01)])]),
        ("Size of the journal", "A") => over(0.0, &[("", &[(CALM, 4096.0), (DAY, 4096.0)])]),
        ("Failures of disk and store", "A" | "B" | "C") => none(),
        ("Notices that wait", "A") => {
            let waiting = f64::from(WAITING);
            over(0.0, &[(&format!("channel={CHANNEL}"), &[(CALM, waiting), (DAY, waiting)])])
        }
        // When the WAN of xa-1 is cut one is told.
        ("Notices by result", "A") => {
            let told = [(CALM, 0.0), (WAN_CUT[0] + 6, 1.0), (DAY, 0.0)];
            over(0.3, &[(&format!("channel={CHANNEL},result=delivered"), &told)])
        }
        ("Quality figures behind", "A") => none(),
        _ => return None,
    })
}
