use super::*;
use proptest::prelude::*;
use wan_wire::LinkName;

fn id(name: &str) -> SiteId {
    name.parse().unwrap()
}

fn offline(site: &str) -> Key {
    Key { rule: Rule::SiteOffline, subject: Subject::Site { site: id(site) } }
}

fn s(seconds: i64) -> UnixMillis {
    UnixMillis(1_000_000_000 + seconds * 1000)
}

fn bad(since: i64) -> Bad {
    Bad { since: Some(s(since)), held: None, commons: Vec::new() }
}

fn vnpt() -> Common {
    Common::Carrier("VNPT".into())
}

/// A machine, and a clock in seconds.
#[derive(Default)]
struct Desk {
    machine: Machine,
    settings: Settings,
    silenced: BTreeSet<Key>,
    acknowledged: BTreeSet<AlertId>,
}

impl Desk {
    fn tick(&mut self, at: i64, seen: &[(&Key, Seen)]) -> Changes {
        let seen = seen.iter().map(|(key, seen)| ((*key).clone(), seen.clone())).collect();
        self.sight(at, &Sight { seen, ..Sight::default() })
    }

    fn sight(&mut self, at: i64, sight: &Sight) -> Changes {
        let (silenced, acknowledged) = (&self.silenced, &self.acknowledged);
        let orders =
            Orders { silenced: &|key| silenced.contains(key), acknowledged: &|id| acknowledged.contains(id) };
        self.machine.tick(sight, &orders, &self.settings, s(at))
    }

    fn told(&mut self, at: i64, seen: &[(&Key, Seen)]) -> Vec<Event> {
        self.tick(at, seen).tellings.iter().map(|telling| telling.event).collect()
    }
}

#[test]
fn a_site_that_goes_offline_is_told_once_and_told_to_be_back() {
    let mut desk = Desk::default();
    let key = offline("xa-a");
    let fired = desk.tick(10, &[(&key, Seen::Bad(bad(4)))]);
    let [telling] = &fired.tellings[..] else { panic!("{fired:?}") };
    assert_eq!((telling.event, telling.since, telling.until), (Event::Fired, s(4), None));
    for at in 11..100 {
        assert_eq!(desk.tick(at, &[(&key, Seen::Bad(bad(4)))]), Changes::default(), "nothing is new at {at}");
    }
    let over = desk.tick(100, &[]);
    let [resolved] = &over.tellings[..] else { panic!("{over:?}") };
    assert_eq!((resolved.event, &resolved.id, resolved.until), (Event::Resolved, &telling.id, Some(s(100))));
    assert_eq!(over.ended.len(), 1);
    assert_eq!(desk.told(101, &[]), []);
}

#[test]
fn what_passes_before_its_time_is_never_told() {
    let mut desk = Desk::default();
    let link: LinkName = "wan-vnpt".parse().unwrap();
    let key = Key { rule: Rule::LinkDown, subject: Subject::Link { site: id("xa-a"), link } };
    assert_eq!(desk.told(10, &[(&key, Seen::Bad(bad(5)))]), []);
    assert_eq!(desk.told(34, &[(&key, Seen::Bad(bad(5)))]), [], "30 s are not over");
    assert_eq!(desk.told(35, &[]), []);
    assert_eq!(desk.told(50, &[(&key, Seen::Bad(bad(45)))]), []);
    assert_eq!(desk.told(75, &[(&key, Seen::Bad(bad(45)))]), [Event::Fired]);
}

#[test]
fn no_data_opens_nothing_and_closes_nothing() {
    let mut desk = Desk::default();
    let key = offline("xa-a");
    assert_eq!(desk.told(1, &[(&key, Seen::Unsure)]), []);
    assert!(desk.machine.entries().is_empty(), "nothing is remembered of it");
    assert_eq!(desk.told(2, &[(&key, Seen::Bad(bad(1)))]), [Event::Fired]);
    for at in 3..5000 {
        assert_eq!(desk.told(at, &[(&key, Seen::Unsure)]), []);
    }
    assert_eq!(desk.machine.firing().count(), 1);
    assert_eq!(desk.told(5000, &[]), [Event::Resolved]);
}

#[test]
fn a_site_behind_one_that_is_cut_off_waits_and_fires_for_itself_only_if_it_stays_down() {
    let mut desk = Desk::default();
    let (stays, heals) = (offline("xa-a"), offline("xa-b"));
    let held = |held| Seen::Bad(Bad { held: Some(held), ..bad(1) });
    for at in 2..600 {
        let seen = [(&stays, held(Held::Parent)), (&heals, held(Held::Parent))];
        assert_eq!(desk.told(at, &seen), [], "the parent's alert is the one");
    }
    let both = [(&stays, Seen::Bad(bad(1))), (&heals, Seen::Bad(bad(1)))];
    assert_eq!(desk.told(600, &both), [], "the parent is back; they have a moment to come back too");
    assert_eq!(desk.told(610, &[(&stays, Seen::Bad(bad(1)))]), []);
    let told = desk.tick(629, &[(&stays, Seen::Bad(bad(1)))]).tellings;
    assert_eq!(told.iter().map(|told| (&told.key, told.since)).collect::<Vec<_>>(), [(&stays, s(1))]);
}

#[test]
fn doubt_about_the_parent_delays_by_no_more_than_the_doubt() {
    let mut desk = Desk::default();
    let key = offline("xa-a");
    assert_eq!(desk.told(5, &[(&key, Seen::Bad(Bad { held: Some(Held::Doubt), ..bad(1) }))]), []);
    assert_eq!(desk.told(6, &[(&key, Seen::Bad(bad(1)))]), [Event::Fired]);
}

#[test]
fn what_fires_ends_also_while_its_opening_would_be_suppressed() {
    let mut desk = Desk::default();
    let key = offline("xa-a");
    assert_eq!(desk.told(2, &[(&key, Seen::Bad(bad(1)))]), [Event::Fired]);
    let held = Seen::Bad(Bad { held: Some(Held::Parent), ..bad(1) });
    assert_eq!(desk.told(3, &[(&key, held)]), []);
    assert_eq!(desk.told(4, &[]), [Event::Resolved]);
}

#[test]
fn a_hundred_flaps_are_a_handful_of_notices_and_the_last_one_says_that_it_is_over() {
    let mut desk = Desk::default();
    let key = offline("xa-a");
    let mut told = Vec::new();
    for flap in 0..100 {
        told.extend(desk.told(flap * 20, &[(&key, Seen::Bad(bad(flap * 20 - 5)))]));
        told.extend(desk.told(flap * 20 + 10, &[]));
    }
    let (f, r) = (Event::Fired, Event::Resolved);
    assert_eq!(told, [f, r, f, r, f, r, Event::Flapping]);
    assert_eq!(desk.told(99 * 20 + 10 + 899, &[]), [], "not quiet for long enough");
    assert_eq!(desk.told(99 * 20 + 10 + 900, &[]), [Event::Resolved]);
    assert_eq!(desk.told(9000, &[]), []);
    assert!(desk.machine.entries().is_empty(), "it is forgotten after an hour");
}

#[test]
fn a_silence_keeps_it_from_being_told_until_it_is_over() {
    let mut desk = Desk::default();
    let (stays, heals) = (offline("xa-a"), offline("xa-b"));
    desk.silenced = BTreeSet::from([stays.clone(), heals.clone()]);
    let both = [(&stays, Seen::Bad(bad(1))), (&heals, Seen::Bad(bad(1)))];
    assert_eq!(desk.told(2, &both), []);
    assert_eq!(desk.machine.firing().count(), 2, "it fires all the same");
    let over = desk.tick(3, &[(&stays, Seen::Bad(bad(1)))]);
    assert_eq!(
        (over.tellings.len(), over.ended.len()),
        (0, 1),
        "what was not told to fire is not told to be over"
    );
    desk.silenced.clear();
    assert_eq!(desk.told(4, &[(&stays, Seen::Bad(bad(1)))]), [Event::Fired]);
    desk.silenced.insert(stays.clone());
    assert_eq!(desk.told(5, &[]), [Event::Resolved], "closing is never suppressed");
}

#[test]
fn a_critical_alert_is_told_again_until_somebody_takes_it_up() {
    let mut desk = Desk::default();
    let key = offline("xa-a");
    let seen = [(&key, Seen::Bad(bad(1)))];
    assert_eq!(desk.told(2, &seen), [Event::Fired]);
    assert_eq!(desk.told(14_401, &seen), []);
    assert_eq!(desk.told(14_402, &seen), [Event::Reminder]);
    assert_eq!(desk.told(14_403, &seen), []);
    let id = desk.machine.firing().next().unwrap().1.id.clone();
    desk.acknowledged.insert(id);
    assert_eq!(desk.told(100_000, &seen), []);
    assert_eq!(desk.told(100_001, &[]), [Event::Resolved]);
}

fn storm(sites: std::ops::Range<u32>, confirmed: u32, since: i64) -> Sight {
    let name = |number: u32| format!("xa-{number}");
    let commons = || vec![vnpt(), Common::All];
    let mut sight = Sight { totals: BTreeMap::from([(vnpt(), 100), (Common::All, 300)]), ..Sight::default() };
    for number in sites {
        if number < confirmed {
            let bad = Bad { commons: commons(), ..bad(since) };
            sight.seen.insert(offline(&name(number)), Seen::Bad(bad));
        } else {
            let suspect = Suspect { since: s(since), commons: commons() };
            sight.suspects.insert(id(&name(number)), suspect);
        }
    }
    sight
}

#[test]
fn many_sites_of_one_carrier_are_one_notice_from_the_first_of_them_on() {
    let mut desk = Desk::default();
    let first = desk.sight(10, &storm(0..100, 1, 4));
    let [telling] = &first.tellings[..] else { panic!("{first:?}") };
    assert_eq!(telling.key.subject, Subject::Many { common: vnpt() });
    assert_eq!((telling.members.len(), telling.since, telling.event), (100, s(4), Event::Fired));
    for confirmed in 2..=100 {
        assert_eq!(desk.sight(10 + i64::from(confirmed), &storm(0..100, confirmed, 4)).tellings, []);
    }
    assert_eq!(desk.machine.firing().count(), 101);
    // Two stay down when the carrier is back: they have a moment, and then they are told.
    let over = desk.sight(200, &storm(0..2, 2, 4));
    assert_eq!(over.tellings.iter().map(|told| told.event).collect::<Vec<_>>(), [Event::Resolved]);
    assert_eq!(desk.sight(229, &storm(0..2, 2, 4)).tellings, []);
    let told = desk.sight(230, &storm(0..2, 2, 4)).tellings;
    assert_eq!(told.iter().map(|told| &told.key).collect::<Vec<_>>(), [&offline("xa-0"), &offline("xa-1")]);
    assert!(told.iter().all(|told| told.event == Event::Fired && told.since == s(4)));
}

#[test]
fn a_second_wave_that_joins_is_listed_whole() {
    let mut desk = Desk::default();
    assert_eq!(desk.sight(10, &storm(0..20, 20, 4)).tellings.len(), 1);
    let mut sight = storm(0..20, 20, 4);
    sight.seen.extend(storm(20..30, 30, 14).seen);
    assert_eq!(desk.sight(20, &sight).tellings, []);
    let group = Key { rule: Rule::SiteOffline, subject: Subject::Many { common: vnpt() } };
    let firing = desk.machine.firing().find(|(key, _)| **key == group).unwrap().1;
    assert_eq!(firing.members, (0..30).map(|number| id(&format!("xa-{number}"))).collect());
}

/// `sites` with a WAN line each, all down; every five of them in a district of their own. A look that compares each with each takes minutes for
/// as many as below.
fn collapse(sites: u32, key: impl Fn(SiteId) -> Key) -> Sight {
    let district = |number: u32| Common::District(format!("Huyện {}", number / 5));
    let totals = (0..sites / 5).map(|number| (district(number * 5), 5));
    let mut sight = Sight { totals: totals.chain([(Common::All, 3 * sites)]).collect(), ..Sight::default() };
    for number in 0..sites {
        let commons = vec![district(number), Common::All];
        sight.seen.insert(key(id(&format!("xa-{number:05}"))), Seen::Bad(Bad { commons, ..bad(4) }));
    }
    sight
}

#[test]
fn ten_thousand_sites_that_are_no_storm_are_told_in_one_look() {
    let mut desk = Desk::default();
    desk.settings.many.at_least = 1_000_000;
    let sight = collapse(10_000, |site| Key { rule: Rule::SiteOffline, subject: Subject::Site { site } });
    assert_eq!(desk.sight(10, &sight).tellings.len(), 10_000);
    assert_eq!(desk.sight(11, &sight), Changes::default());
    assert_eq!(desk.sight(12, &Sight::default()).tellings.len(), 10_000);
}

#[test]
fn ten_thousand_lines_in_two_thousand_storms_are_told_and_looked_at_again_soon() {
    let mut desk = Desk::default();
    desk.settings.many.share = 1.0;
    let wan: LinkName = "wan".parse().unwrap();
    let sight = collapse(10_000, |site| Key {
        rule: Rule::LinkDown,
        subject: Subject::Link { site, link: wan.clone() },
    });
    let first = desk.sight(40, &sight);
    assert_eq!((first.tellings.len(), first.keys.len()), (2_000, 12_000));
    assert!(first.tellings.iter().all(|told| told.members.len() == 5 && told.since == s(4)));
    assert_eq!(desk.sight(41, &sight), Changes::default());
    assert_eq!(desk.sight(42, &Sight::default()).tellings.len(), 2_000);
}

proptest! {
    /// What is found by order of time is what is found by comparing with each.
    #[test]
    fn those_around_a_site_are_those_within_the_time_that_have_something_in_common(
        sites in prop::collection::vec((0i64..120, 0u8..3, 0u8..4), 1..30), at_least in 1u32..8, share in 0.0..1.0f64, within in 0u64..60,
    ) {
        let commons = |number: u8| match number {
            0 => vec![vnpt(), Common::All],
            1 => vec![Common::District("Tân Biên".into()), Common::All],
            2 => vec![vnpt(), Common::District("Tân Biên".into()), Common::All],
            _ => Vec::new(),
        };
        let mut sight = Sight { totals: BTreeMap::from([(vnpt(), 20), (Common::All, 30)]), ..Sight::default() };
        for (number, (since, kind, of)) in sites.iter().enumerate() {
            let (site, commons) = (format!("xa-{number}"), commons(*of));
            match kind {
                0 => drop(sight.seen.insert(offline(&site), Seen::Bad(Bad { commons, ..bad(*since) }))),
                1 => {
                    let held = Some(Held::Parent);
                    sight.seen.insert(offline(&site), Seen::Bad(Bad { commons, held, ..bad(*since) }));
                }
                _ => drop(sight.suspects.insert(id(&site), Suspect { since: s(*since), commons })),
            }
        }
        let many = Many { at_least, share, within: Duration::from_secs(within) };
        let (since, _, of) = sites[0];
        let crowd = Crowd::of(&sight, Rule::SiteOffline, s(200));
        let found = crowd.around(&commons(of), s(since), &many, &sight.totals);
        let expected = commons(of).into_iter().filter_map(|common| {
            let near: Vec<usize> = (0..sites.len())
                .filter(|number| {
                    let (other, kind, of) = sites[*number];
                    kind != 1 && commons(of).contains(&common) && other.abs_diff(since) <= within
                })
                .collect();
            let total = f64::from(sight.totals.get(&common).copied().unwrap_or(1));
            let part = near.len() as f64 / total;
            let first = near.iter().filter(|number| sites[**number].1 == 0).map(|number| s(sites[*number].0)).min();
            let members: BTreeSet<SiteId> = near.iter().map(|number| id(&format!("xa-{number}"))).collect();
            (members.len() >= at_least as usize && part >= share).then_some((part, members.len(), common, members, first))
        });
        let best = expected.fold(None, |best: Option<(f64, usize, _, _, _)>, one| match best {
            Some(best) if (best.0, best.1) >= (one.0, one.1) => Some(best),
            Some(_) | None => Some(one),
        });
        let best = best.map(|(_, _, common, members, first)| (common, members, first));
        prop_assert_eq!(found.map(|found| (found.common, found.members, found.first)), best);
    }
}

#[test]
fn of_what_many_have_in_common_the_truest_is_told() {
    let mut desk = Desk::default();
    // All hundred of VNPT and nobody else: a third of the province, but all of the carrier.
    assert_eq!(
        desk.sight(10, &storm(0..100, 100, 4)).tellings[0].key.subject,
        Subject::Many { common: vnpt() }
    );
    let mut desk = Desk::default();
    let mut all = storm(0..100, 100, 4);
    for number in 100..300 {
        let bad = Bad { commons: vec![Common::All], ..bad(4) };
        all.seen.insert(offline(&format!("xa-{number}")), Seen::Bad(bad));
    }
    let told = desk.sight(10, &all).tellings;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].key.subject, Subject::Many { common: Common::All });
}

#[test]
fn few_sites_or_a_small_share_or_sites_that_went_down_long_ago_are_told_each_for_itself() {
    let mut desk = Desk::default();
    assert_eq!(desk.sight(10, &storm(0..4, 4, 4)).tellings.len(), 4, "four are not many");
    let mut desk = Desk::default();
    let mut sight = storm(0..10, 10, 4);
    sight.totals = BTreeMap::from([(vnpt(), 100), (Common::All, 300)]);
    assert_eq!(
        desk.sight(10, &sight).tellings.len(),
        10,
        "ten of a hundred have no more in common than chance"
    );
    let mut desk = Desk::default();
    let mut sight = Sight { totals: BTreeMap::from([(vnpt(), 10)]), ..Sight::default() };
    for number in 0..8 {
        let bad = Bad { commons: vec![vnpt()], ..bad(i64::from(number) * 100) };
        sight.seen.insert(offline(&format!("xa-{number}")), Seen::Bad(bad));
    }
    assert_eq!(desk.sight(900, &sight).tellings.len(), 8, "one after the other is no storm");
}

#[test]
fn one_of_many_that_comes_and_goes_is_not_told() {
    let mut desk = Desk::default();
    assert_eq!(desk.sight(10, &storm(0..20, 20, 4)).tellings.len(), 1);
    assert_eq!(desk.sight(20, &storm(1..20, 20, 4)).tellings, []);
    assert_eq!(desk.sight(30, &storm(0..20, 20, 4)).tellings, []);
    assert_eq!(desk.sight(40, &storm(0..0, 0, 4)).tellings.len(), 1, "and all are told to be back once");
    assert_eq!(desk.machine.firing().count(), 0);
}

#[test]
fn a_rule_that_is_switched_off_tells_nothing_and_ends_what_fires() {
    let mut desk = Desk::default();
    let key = offline("xa-a");
    assert_eq!(desk.told(2, &[(&key, Seen::Bad(bad(1)))]), [Event::Fired]);
    desk.settings.rules.get_mut(&Rule::SiteOffline).unwrap().enabled = false;
    assert_eq!(desk.told(3, &[(&key, Seen::Bad(bad(1)))]), [Event::Resolved]);
    assert_eq!(desk.told(4, &[(&key, Seen::Bad(bad(1)))]), []);
}

#[test]
fn a_restart_in_the_middle_changes_nothing() {
    let mut desk = Desk::default();
    let key = offline("xa-a");
    desk.sight(10, &storm(0..20, 20, 4));
    desk.tick(11, &[(&key, Seen::Bad(bad(1)))]);
    let kept: Vec<(Key, String)> = desk
        .machine
        .entries()
        .iter()
        .map(|(key, entry)| (key.clone(), serde_json::to_string(entry).unwrap()))
        .collect();
    let entries = kept.iter().map(|(key, entry)| (key.clone(), serde_json::from_str(entry).unwrap()));
    assert_eq!(Machine::restored(entries.collect()), desk.machine);
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Bad,
    Held,
    Well,
    Unsure,
}

proptest! {
    /// Against the definition, asked anew at each instant: one key whose hold is 30 s, ticked each second.
    #[test]
    fn one_key_does_as_the_table_says(
        steps in proptest::collection::vec(
            (prop_oneof![Just(Step::Bad), Just(Step::Held), Just(Step::Well), Just(Step::Unsure)], 1_i64..70), 1..40)
    ) {
        let mut desk = Desk::default();
        desk.settings.flapping.changes = u32::MAX;
        let key = Key { rule: Rule::LinkDown, subject: Subject::Link { site: id("xa-a"), link: "wan".parse().unwrap() } };
        let seconds: Vec<Step> =
            steps.iter().flat_map(|(step, length)| std::iter::repeat_n(*step, usize::try_from(*length).unwrap())).collect();
        let mut fires = false;
        for (now, step) in seconds.iter().enumerate() {
            let at = i64::try_from(now).unwrap();
            // The present run of not being well, and since when nothing held it up.
            let run = seconds[..=now].iter().rev().take_while(|step| **step != Step::Well).count();
            let run = &seconds[now + 1 - run..=now];
            let first_bad = run.iter().position(|step| matches!(step, Step::Bad | Step::Held));
            let held = run.iter().rposition(|step| *step == Step::Held);
            let start = now + 1 - run.len();
            let told = desk.told(at, &match step {
                Step::Well => vec![],
                Step::Unsure => vec![(&key, Seen::Unsure)],
                Step::Bad => vec![(&key, Seen::Bad(Bad { since: None, held: None, commons: vec![] }))],
                Step::Held => vec![(&key, Seen::Bad(Bad { since: None, held: Some(Held::Nearer), commons: vec![] }))],
            });
            let due = *step == Step::Bad
                && first_bad.is_some_and(|first| now - (start + first) >= 30)
                && held.is_none_or(|held| now - (start + held) >= 30);
            let expected = match (fires, step) {
                (false, _) if due => { fires = true; vec![Event::Fired] }
                (true, Step::Well) => { fires = false; vec![Event::Resolved] }
                (_, _) => vec![],
            };
            prop_assert_eq!(told, expected, "at {}", now);
        }
    }

    /// Whatever many keys do: each alert is told to fire at most once, is told to be over at most once and only after that, and
    /// everything that is over in the end was told to be.
    #[test]
    fn firing_and_over_come_in_pairs(
        ticks in proptest::collection::vec((proptest::collection::vec(0_u8..4, 12), 1_i64..40, any::<bool>()), 1..60)
    ) {
        let mut desk = Desk::default();
        let mut open: BTreeMap<AlertId, Key> = BTreeMap::new();
        let mut at = 0;
        let mut judge = |changes: Changes| -> Result<(), TestCaseError> {
            for told in changes.tellings {
                match told.event {
                    Event::Fired | Event::Flapping => {
                        prop_assert_eq!(open.insert(told.id, told.key), None, "told twice to fire");
                    }
                    Event::Resolved => {
                        prop_assert_eq!(open.remove(&told.id), Some(told.key), "over without having fired");
                    }
                    Event::Reminder | Event::Corrected => {}
                }
            }
            Ok(())
        };
        for (states, pause, silent) in ticks {
            at += pause;
            let mut sight = Sight { totals: BTreeMap::from([(vnpt(), 12)]), ..Sight::default() };
            for (number, state) in states.iter().enumerate() {
                let key = offline(&format!("xa-{number}"));
                let commons = vec![vnpt()];
                match state {
                    0 => {}
                    1 => drop(sight.seen.insert(key, Seen::Unsure)),
                    2 => drop(sight.seen.insert(key, Seen::Bad(Bad { commons, ..bad(at - 5) }))),
                    _ => drop(sight.seen.insert(key, Seen::Bad(Bad { commons, held: Some(Held::Parent), ..bad(at - 5) }))),
                }
            }
            desk.silenced = if silent { BTreeSet::from([offline("xa-0"), offline("xa-1")]) } else { BTreeSet::new() };
            let changes = desk.sight(at, &sight);
            judge(changes)?;
        }
        desk.silenced.clear();
        for late in 0..3 {
            judge(desk.sight(at + 4000 * (late + 1), &Sight::default()))?;
        }
        prop_assert!(open.is_empty(), "never told to be over: {:?}", open);
        prop_assert!(desk.machine.entries().is_empty());
    }
}
