//! What the parts remember, put together when someone asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wan_settings::probes::Origins;
use wan_wire::UnixMillis;

use super::{
    ClockStatus, ConfigStatus, LinkStatus, PathState, PathStatus, QueueStatus, RefusedStatus, RoundStatus,
    Status,
};
use crate::central::{Central, View};
use crate::clock::Timekeeper;
use crate::config::{Collector, Config, ProbeConfig, TargetConfig};
use crate::report;
use crate::states::{States, Watched};

/// How each URL of the collector does. Cheap to clone: all clones are one.
#[derive(Debug, Clone)]
pub struct Board {
    paths: Arc<Mutex<Vec<PathStatus>>>,
    started: u64,
}

impl Board {
    /// For the URLs of this collector; the agent was started so many milliseconds after its host.
    pub fn new(collector: &Collector, started: u64) -> Board {
        let path = |endpoint: &crate::config::Endpoint| PathStatus {
            url: endpoint.url.clone(),
            path: endpoint.path.to_string(),
            state: PathState::Untried,
            last_success: None,
            last_failure: None,
            last_error: None,
        };
        let paths = collector.urls.iter().map(path).collect();
        Board { paths: Arc::new(Mutex::new(paths)), started }
    }

    /// A push was delivered.
    pub fn delivered(&self, path: usize, now: UnixMillis) {
        if let Some(path) = self.paths().get_mut(path) {
            path.state = PathState::Works;
            path.last_success = Some(now.0);
        }
    }

    /// A push failed.
    pub fn failed(&self, path: usize, now: UnixMillis, why: &str) {
        if let Some(path) = self.paths().get_mut(path) {
            path.state = PathState::Fails;
            path.last_failure = Some(now.0);
            path.last_error = Some(why.to_owned());
        }
    }

    /// All of it, now.
    pub(crate) fn status(
        &self,
        timekeeper: &Timekeeper,
        queue: QueueStatus,
        central: &Central,
        states: &States,
    ) -> Status {
        let view = central.view();
        let offset = timekeeper.offset();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: timekeeper.wall(self.started).0,
            now: timekeeper.now().0,
            site: view.good.as_ref().and_then(|good| good.origins.site.clone()),
            collector: self.paths().clone(),
            clock: ClockStatus {
                anchored: timekeeper.anchored(),
                offset_ms: offset.map(|offset| offset.millis),
                bound_ms: offset.map(|offset| u64::try_from(offset.bound.as_millis()).unwrap_or(u64::MAX)),
            },
            queue,
            links: links(&central.running(), &view, states),
            config: config(view, &central.running()),
        }
    }

    fn paths(&self) -> MutexGuard<'_, Vec<PathStatus>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn config(view: View, running: &Config) -> ConfigStatus {
    let round = round(running, &view);
    let View { on, good, refused, fetched, trouble, unkept } = view;
    ConfigStatus {
        round,
        unkept,
        central: on,
        sections: good.iter().flat_map(|good| &good.sections).map(|section| (*section).to_owned()).collect(),
        applied: good.as_ref().and_then(|good| good.in_force).map(|at| at.0),
        etag: good.map(|good| good.etag),
        fetched: fetched.map(|at| at.0),
        refused: refused.map(|refused| RefusedStatus {
            etag: refused.etag,
            reason: refused.reason,
            at: refused.at.0,
        }),
        trouble,
    }
}

/// How rounds are made, and which layers say so.
pub(super) fn round(running: &Config, view: &View) -> RoundStatus {
    let own = |says: bool| if says { "local" } else { "default" }.to_owned();
    let central = |section: &str, origin: fn(&Origins) -> &Option<String>, says: bool| {
        let good = view.good.as_ref().filter(|good| good.sections.contains(&section));
        good.map_or_else(
            || own(says),
            |good| origin(&good.origins).clone().unwrap_or_else(|| "central".into()),
        )
    };
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    RoundStatus {
        interval_ms: millis(running.round.interval),
        packets: running.round.packets,
        timeout_ms: millis(running.round.timeout),
        origin: central("round", |origins| &origins.round, !running.layer.round.is_empty()),
        socket: running.icmp.as_str().to_owned(),
        socket_origin: central("icmp", |origins| &origins.icmp, running.layer.icmp.is_some()),
    }
}

/// Every link, and every watched site of one, in the configuration's order.
pub(super) fn links(running: &Config, view: &View, states: &States) -> Vec<LinkStatus> {
    let central = view.good.as_ref().filter(|good| good.sections.contains(&"links"));
    let unasked = report::why_unasked(running);
    let mut links = Vec::new();
    for link in &running.links {
        let origin = match central {
            Some(good) => good.origins.links.get(&link.name).cloned().unwrap_or_else(|| "central".into()),
            None if running.layer.links.is_some() => "local".to_owned(),
            None => "default".to_owned(),
        };
        let mut parts: Vec<(Watched, Vec<String>)> = Vec::new();
        for target in &link.targets {
            let watched = Watched { link: link.name.clone(), about: target.about.clone() };
            let label = shown(&target.probe, target.label.as_deref());
            match parts.iter_mut().find(|(known, _)| *known == watched) {
                Some((_, targets)) => targets.push(label),
                None => parts.push((watched, vec![label])),
            }
        }
        for (watched, targets) in parts {
            let state = states.get(&watched);
            let asks = |target: &TargetConfig| {
                target.probe == ProbeConfig::CollectorHost && target.about == watched.about
            };
            let unasked = unasked.filter(|_| link.targets.iter().any(asks));
            let unasked = unasked.map(|why| format!("collector: not probed, {why}"));
            let seen = state.map(|state| state.why.clone()).filter(|why| !why.is_empty());
            let why: Vec<String> = unasked.into_iter().chain(seen).collect();
            links.push(LinkStatus {
                link: watched.link.to_string(),
                about: watched.about.as_ref().map(ToString::to_string),
                targets,
                origin: part_of(&origin, watched.about.is_some()),
                outcome: state.map(|state| state.outcome.as_str().to_owned()),
                since: state.map(|state| state.since.0),
                why: (!why.is_empty()).then(|| why.join("; ")),
            });
        }
    }
    links
}

/// Of the layers that a link comes from, those of its own targets, or of those that are about another site: the register only
/// adds such, and the defaults have none.
fn part_of(origin: &str, about: bool) -> String {
    let foreign = if about { "default" } else { "register" };
    let parts: Vec<&str> = origin.split(", ").filter(|part| *part != foreign).collect();
    if parts.is_empty() { origin.to_owned() } else { parts.join(", ") }
}

fn shown(probe: &ProbeConfig, label: Option<&str>) -> String {
    match label {
        Some(label) => format!("{} {label}", probe.kind()),
        None => format!("{} {}", probe.kind(), probe.label()),
    }
}
