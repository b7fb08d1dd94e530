//! Many links over whole hours: what a report of the province rests on. Each row is read once, and no more of them at a time than a bound
//! says.
//!
//! Minutes are not looked at, so that the answer is the same as long as the hours are kept.

use std::collections::BTreeMap;
use std::ops::Range;

use wan_wire::{LinkName, SiteId, UnixMillis};

use super::codec::decode_hours;
use super::hour::{DAY_HOURS, HOUR_MS, HourTotal, day_of};
use super::read::together;
use super::{RowKey, StreamId, Table};
use crate::ledger::timeline::Window;
use crate::store::{Store, StoreError};

/// So many rows, of some 700 bytes each, are in memory at a time; those of one link in any case.
const MOST_ROWS: usize = 4096;

/// What a link showed in each hour that has any round, by when it begins, in order.
pub type Measured = [(UnixMillis, HourTotal)];

/// The UTC hours that lie wholly within a window, as hours since 1970.
#[must_use]
pub fn whole_hours(window: Window) -> Range<i64> {
    let first = window.start.0.div_euclid(HOUR_MS) + i64::from(window.start.0.rem_euclid(HOUR_MS) > 0);
    first..window.end.0.div_euclid(HOUR_MS).max(first)
}

/// A link, and its streams by whether they are its site's own.
#[derive(Debug)]
struct Wanted {
    site: SiteId,
    link: LinkName,
    streams: Vec<(StreamId, bool)>,
}

/// Gives `each` the figures by hour of every link that has any in these hours, told as [`super::read::steps`] does; `progress` hears how
/// many of how many links are read.
///
/// # Errors
/// What the store says.
pub async fn sweep<S: Store>(
    store: &S,
    hours: Range<i64>,
    each: &mut (dyn FnMut(&SiteId, &LinkName, &Measured) + Send),
    progress: &mut (dyn FnMut(usize, usize) + Send),
) -> Result<(), StoreError> {
    if hours.is_empty() {
        return Ok(());
    }
    let links = links(store).await?;
    let days = day_of(hours.start).0..=day_of(hours.end - 1).0;
    let total = links.len();
    let rows_of_stream = (*days.end() - *days.start() + 1).unsigned_abs();
    let fit = MOST_ROWS / usize::try_from(rows_of_stream).unwrap_or(usize::MAX).max(1);
    let mut rest = links.as_slice();
    while !rest.is_empty() {
        progress(total - rest.len(), total);
        let (next, after) = rest.split_at(batch(rest, fit));
        rest = after;
        let ids = || next.iter().flat_map(|wanted| &wanted.streams).map(|(stream, _)| *stream);
        let keys: Vec<RowKey> =
            days.clone().flat_map(|number| ids().map(move |stream| RowKey { number, stream })).collect();
        let mut found: BTreeMap<StreamId, Vec<(i64, Vec<u8>)>> = BTreeMap::new();
        for (key, bytes) in store.quality_rows(Table::Hours, &keys).await? {
            found.entry(key.stream).or_default().push((key.number, bytes));
        }
        for wanted in next {
            let mut measured = |own: bool| -> Vec<Vec<(UnixMillis, HourTotal)>> {
                let streams = wanted.streams.iter().filter(|(_, of)| *of == own);
                let streams = streams.filter_map(|(stream, _)| found.remove(stream));
                streams.map(|days| decoded(&days, &hours)).filter(|steps| !steps.is_empty()).collect()
            };
            // The site's own word first; only where there is none are the others' rows looked into.
            let mut streams = measured(true);
            if streams.is_empty() {
                streams = measured(false);
            }
            let steps = match streams.len() {
                0 => continue,
                1 => streams.pop().unwrap_or_default(),
                _ => together(streams.into_iter().flatten()).into_iter().collect(),
            };
            each(&wanted.site, &wanted.link, &steps);
        }
    }
    progress(total, total);
    Ok(())
}

/// The hours of these that the days of a stream have, in order.
fn decoded(days: &[(i64, Vec<u8>)], hours: &Range<i64>) -> Vec<(UnixMillis, HourTotal)> {
    let mut steps = Vec::with_capacity(days.len() * 24);
    for (day, bytes) in days {
        let first = day * DAY_HOURS;
        // One that cannot be read is told of when it is written again.
        for (at, total) in decode_hours(bytes).unwrap_or_default() {
            let hour = first + i64::from(at);
            if hours.contains(&hour) {
                steps.push((UnixMillis(hour * HOUR_MS), total));
            }
        }
    }
    steps
}

/// How many of the links come next: at least one, and no more than have `fit` streams.
fn batch(links: &[Wanted], fit: usize) -> usize {
    let mut streams = 0;
    let within = links.iter().take_while(|wanted| {
        streams += wanted.streams.len();
        streams <= fit
    });
    within.count().max(1)
}

/// Every link that has figures of any time, in the order in which their streams lie in the store.
async fn links<S: Store>(store: &S) -> Result<Vec<Wanted>, StoreError> {
    let mut links: BTreeMap<(SiteId, LinkName), Vec<(StreamId, bool)>> = BTreeMap::new();
    for (id, stream) in store.quality_streams(None).await? {
        let own = stream.vantage == stream.site;
        links.entry((stream.site, stream.link)).or_default().push((id, own));
    }
    let wanted = |((site, link), streams)| Wanted { site, link, streams };
    let mut links: Vec<Wanted> = links.into_iter().map(wanted).collect();
    links.sort_by_key(|wanted| wanted.streams.first().map(|(id, _)| *id));
    Ok(links)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wan_wire::{ProbeKind, RoundFacts, Rtt};

    use super::*;
    use crate::quality::bucket::Bucket;
    use crate::quality::codec::encode_day;
    use crate::quality::hour::Day;
    use crate::quality::read::{Grain, Steps, steps};
    use crate::quality::{Rows, Stream};
    use crate::store::sqlite::SqliteStore;

    fn hour(received: u32, rtt: f64) -> HourTotal {
        let rtt = (received > 0).then_some(Rtt { min: rtt, median: rtt, mean: rtt, max: rtt });
        let facts = RoundFacts { sent: 5, received, rtt, fault: false };
        HourTotal { rounds: 1, bucket: Bucket::of(&facts).unwrap() }
    }

    fn stream(site: &str, link: &str, vantage: &str, target: &str) -> Stream {
        Stream {
            site: site.parse().unwrap(),
            link: link.parse().unwrap(),
            vantage: vantage.parse().unwrap(),
            probe: ProbeKind::Icmp,
            target: target.to_owned(),
        }
    }

    /// (stream, hour, packets answered, milliseconds)
    type Shown = (usize, i64, u32, u32);

    async fn filled(path: &std::path::Path, measured: &[Shown]) -> SqliteStore {
        let store = SqliteStore::open(path).await.unwrap();
        let streams = [
            stream("a", "wan", "a", "192.0.2.1"),
            stream("b", "wan", "c", "192.0.2.1"),
            stream("a", "internet", "a", "192.0.2.2"),
            stream("a", "wan", "a", "192.0.2.9"),
            stream("a", "wan", "c", "192.0.2.1"),
            stream("b", "lan", "b", "192.0.2.3"),
        ];
        let ids = store.quality_stream_ids(&streams).await.unwrap();
        let mut days: BTreeMap<(i64, StreamId), Day> = BTreeMap::new();
        for (stream, at, received, rtt) in measured {
            let (day, within) = day_of(*at);
            let day = days.entry((day, ids[*stream])).or_default();
            day.0.insert(within, hour(*received, f64::from(*rtt) / 1000.0));
        }
        let hours = days
            .iter()
            .map(|((number, stream), day)| (RowKey { number: *number, stream: *stream }, encode_day(day)));
        store.write_quality(&Rows { hours: hours.collect(), ..Rows::default() }).await.unwrap();
        store
    }

    type Found = BTreeMap<(SiteId, LinkName), Steps>;

    async fn swept(store: &SqliteStore, hours: Range<i64>) -> Found {
        let mut found = Found::new();
        let mut take = |site: &SiteId, link: &LinkName, steps: &Measured| {
            assert!(steps.is_sorted_by_key(|(at, _)| *at), "{steps:?}");
            let steps = steps.iter().cloned().collect();
            assert_eq!(found.insert((site.clone(), link.clone()), steps), None, "each link once");
        };
        sweep(store, hours, &mut take, &mut |_, _| {}).await.unwrap();
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn what_is_swept_is_what_each_link_is_asked_for(
            measured in prop::collection::vec((0_usize..6, -30_i64..60, 0_u32..=5, 1_u32..900), 0..80),
            start in -40_i64..60, length in 0_i64..80,
        ) {
            let folder = tempfile::tempdir().unwrap();
            tokio::runtime::Runtime::new().unwrap().block_on(async {
                let store = filled(&folder.path().join("wanwatch.db"), &measured).await;
                let window = Window::new(UnixMillis(start * HOUR_MS), UnixMillis((start + length) * HOUR_MS));
                let mut expected = Found::new();
                for site in ["a", "b"] {
                    let site: SiteId = site.parse().unwrap();
                    let links = steps(&store, &site, None, window, Grain::Hour).await.unwrap();
                    expected.extend(links.into_iter().map(|(link, steps)| ((site.clone(), link), steps)));
                }
                prop_assert_eq!(swept(&store, whole_hours(window)).await, expected);
                Ok(())
            })?;
        }
    }

    #[tokio::test]
    async fn a_row_that_cannot_be_read_costs_its_day_alone_and_progress_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(&folder.path().join("wanwatch.db"), &[(0, 1, 5, 10), (0, 30, 5, 10)]).await;
        let id = store.quality_streams(None).await.unwrap()[0].0;
        let torn = (RowKey { number: 0, stream: id }, vec![6, 255, 3]);
        store.write_quality(&Rows { hours: vec![torn], ..Rows::default() }).await.unwrap();
        let found = swept(&store, 0..48).await;
        let steps = found.values().next().unwrap();
        assert_eq!(steps.keys().collect::<Vec<_>>(), [&UnixMillis(30 * HOUR_MS)]);
        let mut told = Vec::new();
        sweep(&store, 0..48, &mut |_, _, _| {}, &mut |done, total| told.push((done, total))).await.unwrap();
        assert_eq!(told, [(0, 4), (4, 4)], "four links have streams");
    }

    #[test]
    fn an_hour_that_a_window_cuts_is_in_none() {
        let hours = |start, end| whole_hours(Window::new(UnixMillis(start), UnixMillis(end)));
        assert_eq!(hours(0, 2 * HOUR_MS), 0..2);
        assert_eq!(hours(1, 2 * HOUR_MS), 1..2);
        assert_eq!(hours(-1, 2 * HOUR_MS - 1), 0..1);
        assert!(
            hours(1, HOUR_MS - 1).is_empty() && hours(5, 5).is_empty() && hours(HOUR_MS, HOUR_MS).is_empty()
        );
    }

    #[test]
    fn a_batch_has_one_link_at_least_and_no_more_streams_than_fit() {
        let wanted = |streams: u32| Wanted {
            site: "a".parse().unwrap(),
            link: "wan".parse().unwrap(),
            streams: (0..streams).map(|id| (StreamId(id), true)).collect(),
        };
        let links = [wanted(3), wanted(2), wanted(9)];
        assert_eq!(
            [batch(&links, 5), batch(&links, 4), batch(&links, 0), batch(&links[2..], 3)],
            [2, 1, 1, 1]
        );
    }
}
