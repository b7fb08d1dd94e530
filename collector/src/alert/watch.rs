//! The shell of alerts: looks at the province twice a second, and writes what has changed and what is to be told in one transaction.
//!
//! The same look corrects what was told of alerts that are over ([`super::correct`]), with their records and in the same transaction.
//!
//! A look that fails to be written is as if it had not been made: the next one comes to the same. So a restart or `kill -9` at any
//! moment neither loses an alert nor makes one twice. It is background work, and followed by a rest ten times as long as it took, but of no more than five seconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wan_wire::{SiteId, UnixMillis};

use super::compose;
use super::correct::{Corrector, LOOK_BACK, may_be_corrected};
use super::deliver::Bell;
use super::drill::{self, Drill};
use super::hindsight;
use super::machine::{Ended, Firing, Key, Machine, Orders, Phase, Settings, Telling};
use super::notice::{AlertId, Both, Event, Notice};
use super::observe::{Memory, Own, observe};
use super::record::{Acknowledgement, AlertChanges, Record, Silence, WantedAlerts};
use super::route;
use crate::clock;
use crate::config::alerts::{Alerts, ChannelName, Kind};
use crate::province::Province;
use crate::state::State;
use crate::store::{Store, StoreError};

/// The province is looked at this often at most: what it adds to the seconds in which a cut is seen.
const EVERY: Duration = Duration::from_millis(500);
/// Drills that nobody ends are looked for this often.
const DRILLS: Duration = Duration::from_secs(10);
/// A look is followed by a rest so many times as long.
const REST: u32 = 10;
/// But never longer than this: a look that took seconds, as one at thousands of sites that change together may, would hold up what comes next
/// for as many minutes.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// Looks until `shutdown`.
pub async fn run<S: Store>(state: Arc<State>, store: Arc<S>, bell: Arc<Bell>, shutdown: CancellationToken) {
    let mut watcher = Watcher::default();
    let mut rest = EVERY;
    // The newest notice of which the channels were told; the command line writes some too.
    let mut rung = 0;
    let mut drills = clock::monotonic();
    state.alerting.begins(clock::monotonic());
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
        }
        let began = clock::monotonic();
        let now = clock::now();
        if drills <= began {
            drills = began + DRILLS;
            if let Err(error) = end_left_drills(&*store, now).await {
                tracing::error!(%error, "cannot see whether a drill was left open");
            }
        }
        let looked = watcher.look(&state, &*store, now).await;
        if let Err(error) = &looked {
            tracing::error!(%error, "a look for alerts failed; the next makes up for it");
        }
        match store.newest_notice().await {
            Ok(newest) if newest == rung => {}
            Ok(newest) => {
                rung = newest;
                bell.ring();
            }
            Err(error) => tracing::error!(%error, "cannot see whether there is something to deliver"),
        }
        let ended = clock::monotonic();
        rest = rest_after(ended.duration_since(began));
        if looked.is_ok() {
            state.counters.alerts_looked(now);
            state.alerting.looked(ended, rest);
        }
    }
}

/// How long to rest after a look that took so long.
fn rest_after(took: Duration) -> Duration {
    took.saturating_mul(REST).clamp(EVERY, LONGEST_REST)
}

/// Ends drills that were left open, as by a kill of whoever began them.
async fn end_left_drills<S: Store>(store: &S, now: UnixMillis) -> Result<(), StoreError> {
    let open = store.alerts(&WantedAlerts { drills: true, ..WantedAlerts::open() }).await?;
    for record in open.into_iter().filter(|record| drill::is_left(record, now)) {
        tracing::warn!(alert = %record.id, "a drill was left open: it is ended");
        end_drill(store, record, now).await?;
    }
    Ok(())
}

/// Ends a drill that is open, and tells those who were told of its beginning.
///
/// # Errors
/// What the store says.
pub async fn end_drill<S: Store>(store: &S, record: Record, now: UnixMillis) -> Result<(), StoreError> {
    let changes = match store.first_notice(&record.id).await? {
        Some((notice, channels)) => Drill { record, notice }.ended(now).changes(channels),
        None => {
            let records = vec![Record { until: Some(now), ..record }];
            AlertChanges { records, ..AlertChanges::default() }
        }
    };
    store.write_alerts(&changes).await
}

/// What is remembered from one look to the next.
#[derive(Debug, Default)]
pub struct Watcher {
    machine: Option<Machine>,
    corrector: Option<Corrector>,
    memory: Memory,
}

/// Why a look failed.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A defect: the log has the panic's words.
    #[error("it panicked: a defect of the collector, of which the log has the place")]
    Panicked,
}

/// What people have asked for, as the store has it.
#[derive(Debug, Default)]
struct Asked {
    silences: Vec<Silence>,
    taken: BTreeMap<AlertId, Acknowledgement>,
}

impl Watcher {
    /// Looks at the province now, writes what has changed, and says what that was.
    ///
    /// # Errors
    /// When the store cannot be read or written, or the look itself failed. Then it is as if nobody had looked.
    pub async fn look<S: Store>(
        &mut self,
        state: &Arc<State>,
        store: &S,
        now: UnixMillis,
    ) -> Result<AlertChanges, LookError> {
        let mut machine = match self.machine.take() {
            Some(machine) => machine,
            None => Machine::restored(store.alert_states().await?),
        };
        let mut corrector = match self.corrector.take() {
            Some(corrector) => corrector,
            None => Corrector::restored(store.alerts(&over_since(now.minus(LOOK_BACK))).await?, now),
        };
        let alerts = state.alerts();
        let silences = store.silences(now).await?.into_iter().map(|(_, silence)| silence).collect();
        let asked = Asked { silences, taken: store.acknowledged().await? };
        let looked = {
            let (state, alerts) = (Arc::clone(state), Arc::clone(&alerts));
            let mut memory = std::mem::take(&mut self.memory);
            tokio::task::spawn_blocking(move || {
                let province = Province::of(&state, now);
                let own = Own {
                    certificate_ends: state.counters.certificate_end(),
                    many: alerts.settings.many.at_least,
                };
                let looking = Looking { province: &province, own: &own, asked: &asked, alerts: &alerts };
                let changes = looking.step(&mut machine, &mut corrector, &mut memory);
                (changes, machine, corrector, memory)
            })
        };
        let Ok((mut changes, machine, mut corrector, memory)) = looked.await else {
            // What is stored is read again.
            return Err(LookError::Panicked);
        };
        self.memory = memory;
        for (notice, channels) in &mut changes.notices {
            if notice.event == Event::Corrected {
                // Whoever was not told what is corrected is not told that it was wrong.
                *channels = store.channels_told(&notice.alert, channels).await?;
            }
        }
        if !changes.is_empty() {
            store.write_alerts(&changes).await?;
            for (notice, _) in &changes.notices {
                tracing::info!(
                    alert = %notice.alert,
                    rule = %notice.rule,
                    of = %notice.subject.key(),
                    event = notice.event.as_str(),
                    "alert"
                );
            }
        }
        state.counters.alerts_firing(
            machine.firing().map(|(key, firing)| {
                (key.rule, alerts.settings.of(key.rule).severity, firing.under.is_some())
            }),
        );
        self.machine = Some(machine);
        // As the store has them: what was said earlier is not in what has changed.
        let over =
            changes.records.iter().filter(|record| may_be_corrected(record) && record.corrections.is_empty());
        let over: Vec<AlertId> = over.map(|record| record.id.clone()).collect();
        if !over.is_empty() {
            let wanted = WantedAlerts { ids: Some(over), ..over_since(UnixMillis::MIN) };
            for record in store.alerts(&wanted).await? {
                corrector.watch(record, now);
            }
        }
        self.corrector = Some(corrector);
        Ok(changes)
    }
}

/// All alerts but those that were over before `after`.
fn over_since(after: UnixMillis) -> WantedAlerts {
    WantedAlerts { after, open: false, ..WantedAlerts::open() }
}

/// One look: pure.
struct Looking<'l> {
    province: &'l Province<'l>,
    own: &'l Own,
    asked: &'l Asked,
    alerts: &'l Alerts,
}

impl Looking<'_> {
    fn step(&self, machine: &mut Machine, corrector: &mut Corrector, memory: &mut Memory) -> AlertChanges {
        let (province, settings) = (self.province, &self.alerts.settings);
        let now = province.now;
        let sight = observe(province, self.own, memory);
        let holding: Vec<&Silence> =
            self.asked.silences.iter().filter(|silence| silence.holds(now)).collect();
        let silenced = |key: &Key| {
            let zone = &province.config().timezone;
            holding
                .iter()
                .any(|silence| silence.covers(key.rule, &key.subject, province.register(), now, zone))
        };
        let acknowledged = |id: &AlertId| self.asked.taken.get(id).is_some_and(|taken| taken.holds(now));
        let orders = Orders { silenced: &silenced, acknowledged: &acknowledged };
        let changes = machine.tick(&sight, &orders, settings, now);
        let composed = |telling: &Telling| {
            let notice = compose::notice(telling, province, now);
            let channels = self.channels(&notice, telling.fired);
            (notice, channels)
        };
        let mut notices: Vec<(Notice, Vec<ChannelName>)> = changes.tellings.iter().map(composed).collect();
        let told: BTreeMap<&AlertId, &Notice> =
            notices.iter().map(|(notice, _)| (&notice.alert, notice)).collect();
        let mut records = Vec::new();
        for Ended { key, firing, until } in &changes.ended {
            records.push(record(key, firing, Some(*until), &told, settings));
        }
        let mut entries = Vec::with_capacity(changes.keys.len());
        for key in &changes.keys {
            let entry = machine.entries().get(key).cloned();
            if let Some(Phase::Firing(firing)) = entry.as_ref().map(|entry| &entry.phase) {
                records.push(record(key, firing, None, &told, settings));
            }
            entries.push((key.clone(), entry));
        }
        let may_tell = |record: &Record| {
            let key = Key { rule: record.rule, subject: record.subject.clone() };
            settings.of(record.rule).enabled && !silenced(&key)
        };
        for corrected in corrector.tick(now, may_tell, |record| hindsight::look(record, province)) {
            if let Some(notice) = compose::correction(&corrected, province, now) {
                records.push(Record { why: notice.why.clone(), ..corrected.clone() });
                let channels = self.channels(&notice, corrected.fired);
                notices.push((notice, channels));
            }
        }
        AlertChanges { entries, records, notices }
    }

    /// By which channels a notice of an alert that fired at a time is told. An Alertmanager is told of no
    /// correction: of what is over there it would tell nobody.
    fn channels(&self, notice: &Notice, fired: UnixMillis) -> Vec<ChannelName> {
        let config = self.province.config();
        let service = route::is_service(&config.calendar, &config.timezone, fired);
        let takes = |name: &ChannelName| match self.alerts.channel(name).map(|channel| &channel.kind) {
            Some(Kind::Alertmanager(_)) => notice.event != Event::Corrected,
            Some(Kind::Smtp(_) | Kind::Webhook(_) | Kind::Command(_)) | None => true,
        };
        route::channels(self.alerts, notice, service).into_iter().filter(takes).collect()
    }
}

fn record(
    key: &Key,
    firing: &Firing,
    until: Option<UnixMillis>,
    told: &BTreeMap<&AlertId, &Notice>,
    settings: &Settings,
) -> Record {
    let notice = told.get(&firing.id);
    let severity = settings.of(key.rule).severity;
    Record {
        since: firing.since,
        until,
        told: firing.told,
        under: firing.under.clone(),
        members: firing.members.iter().cloned().collect::<Vec<SiteId>>(),
        flaps: firing.flaps,
        cause: notice.and_then(|notice| notice.cause),
        why: notice.map_or_else(Both::default, |notice| notice.why.clone()),
        ..Record::begun(firing.id.clone(), key.rule, key.subject.clone(), severity, firing.fired)
    }
}

#[cfg(test)]
mod tests;
