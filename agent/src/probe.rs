//! Probes behind one contract.
//!
//! A [`Prober`] knows how to ask one target one question. Everything else belongs to the handler here ([`probe_target`]):
//! when to ask, how long to wait, how long it took, and what it means when nothing came back. At the start of each round the
//! handler has the prober prove its instrument: socket, permission, interface, source address, and look up its name.
//!
//! | what happened | counts as |
//! | --- | --- |
//! | the expected answer within the timeout, whenever the process got to see it | received |
//! | an answer that was seen so late that its time cannot be told | fault |
//! | no answer, unreachable, no route, no carrier, name not found | sent, not received |
//! | an answer, but a wrong one: refused, other status, other rcode | sent, not received |
//! | no socket, no permission, interface missing, source address not on the host | fault |
//!
//! Adding a probe: a module with a `Prober`, a row in [`PROBERS`], a variant of `ProbeConfig`.

mod arrival;
pub(crate) mod dns;
mod http;
mod icmp;
mod lookup;
mod socket;
mod tcp;
mod unsafe_fd;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use wan_wire::{ProbeKind, UnixMillis};

use crate::clock;
use crate::config::{DnsConfig, Host, HostPort, HttpConfig, IcmpSocket, show_duration};
use crate::push::trust::Times;
use crate::round::{Attempt, End};

pub(crate) use arrival::Took;
pub(crate) use http::innermost;
pub(crate) use icmp::Pool as IcmpPool;
pub(crate) use socket::Way;

/// A boxed future, so that probers of several kinds share one contract.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What one question brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The expected answer; with what there is to say about it.
    Good(Option<String>),
    /// The expected answer, and how long it took by a better clock than the handler has.
    Timed(Took),
    /// No answer, or a wrong one, and why.
    Bad(String),
    /// The instrument failed, and how.
    Fault(String),
}

/// Why a round cannot ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotReady {
    /// The instrument does not work.
    Fault(String),
    /// It works, but there is nothing to ask: the target's name was not found.
    Unanswered(String),
}

/// Asks one target.
pub(crate) trait Prober: Send + Sync {
    /// Proves the instrument and finds the target's address. Once at the start of each round.
    fn prove(&self) -> Boxed<'_, Result<(), NotReady>>;

    /// Asks once. The handler cuts it off at its deadline, and times it unless the answer brings its own time.
    fn attempt(&self) -> Boxed<'_, Answer>;

    /// When the certificate ends that the target showed last, of probes to which targets show one.
    fn certificate_end(&self) -> Option<UnixMillis> {
        None
    }
}

/// What to ask, with everything symbolic resolved (gateways, the collector's host).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Question {
    /// ICMP echo; the scope is the interface of a link-local address.
    Icmp { host: Host, scope: Option<String>, socket: IcmpSocket },
    /// A TCP connection.
    Tcp(HostPort),
    /// An HTTP(S) request.
    Http(Box<HttpConfig>),
    /// A DNS query.
    Dns(Box<DnsConfig>),
}

impl Question {
    /// The probe that asks it.
    pub(crate) fn kind(&self) -> ProbeKind {
        match self {
            Question::Icmp { .. } => ProbeKind::Icmp,
            Question::Tcp(_) => ProbeKind::Tcp,
            Question::Http(_) => ProbeKind::Http,
            Question::Dns(_) => ProbeKind::Dns,
        }
    }
}

/// Makes a prober for a question of its kind; `None` for another kind's.
type Make = fn(&Question, &Way, &Arc<IcmpPool>, &Times) -> Option<Arc<dyn Prober>>;

/// The probers by name.
const PROBERS: [(ProbeKind, Make); 4] = [
    (ProbeKind::Icmp, icmp::make),
    (ProbeKind::Tcp, tcp::make),
    (ProbeKind::Http, http::make),
    (ProbeKind::Dns, dns::make),
];

/// The prober for a question on a way; the pool lets probers share ICMP sockets, and certificates are judged at `times`.
pub(crate) fn prober(
    question: &Question,
    way: &Way,
    pool: &Arc<IcmpPool>,
    times: &Times,
) -> Option<Arc<dyn Prober>> {
    let kind = question.kind();
    PROBERS.iter().find(|(name, _)| *name == kind).and_then(|(_, make)| make(question, way, pool, times))
}

/// One target's share of a round.
#[derive(Debug, Clone)]
pub(crate) struct TargetTurn {
    /// When each packet goes.
    pub(crate) due: Vec<Instant>,
    /// How long each may take.
    pub(crate) timeout: Duration,
}

/// Probes a target for one round: proves the instrument, sends each packet when it is due, waits for each at most its
/// timeout. When `stop` comes, packets not yet due are not sent and packets under way are not counted.
pub(crate) async fn probe_target(
    prober: Arc<dyn Prober>,
    turn: TargetTurn,
    stop: CancellationToken,
) -> Vec<Attempt> {
    let (ready_tx, ready) = watch::channel(None);
    let proving = prove(Arc::clone(&prober), turn.timeout, ready_tx);
    let sending = async {
        let mut under_way = JoinSet::new();
        for due in turn.due {
            tokio::select! {
                () = sleep_until(due) => {}
                () = stop.cancelled() => break,
            }
            under_way.spawn(ask(Arc::clone(&prober), ready.clone(), turn.timeout));
        }
        let mut attempts = Vec::new();
        loop {
            tokio::select! {
                biased;
                joined = under_way.join_next() => match joined {
                    Some(Ok(attempt)) => attempts.push(attempt),
                    // A prober that panicked is a broken instrument, and must not take the agent with it.
                    Some(Err(error)) => attempts.push(Attempt { end: End::Fault, note: Some(error.to_string()) }),
                    None => break,
                },
                () = stop.cancelled() => break,
            }
        }
        attempts
    };
    tokio::pin!(sending);
    tokio::select! {
        attempts = &mut sending => attempts,
        () = proving => sending.await,
    }
}

async fn prove(
    prober: Arc<dyn Prober>,
    timeout: Duration,
    ready: watch::Sender<Option<Result<(), NotReady>>>,
) {
    let proved = match tokio::time::timeout(timeout, prober.prove()).await {
        Ok(proved) => proved,
        Err(_) => {
            Err(NotReady::Unanswered(format!("its name was not found within {}", show_duration(timeout))))
        }
    };
    // Without a receiver there is nothing left to ask.
    let _ = ready.send(Some(proved));
}

/// One packet: waits for the instrument, asks, times. Where the process was kept from running so that the answer's time cannot be
/// told, it asks once more: that is another packet in the place of one that was not measured.
async fn ask(
    prober: Arc<dyn Prober>,
    mut ready: watch::Receiver<Option<Result<(), NotReady>>>,
    timeout: Duration,
) -> Attempt {
    // Getting ready is limited by itself, and not part of the packet's time.
    let proved = ready.wait_for(Option::is_some).await.ok().and_then(|proved| proved.clone());
    match proved {
        Some(Ok(())) => {}
        Some(Err(NotReady::Fault(why))) => return Attempt { end: End::Fault, note: Some(why) },
        Some(Err(NotReady::Unanswered(why))) => return Attempt { end: End::Lost, note: Some(why) },
        // Whoever proves it goes only with the round.
        None => return Attempt { end: End::Fault, note: Some("the round ended before it began".into()) },
    }
    match ask_once(&*prober, timeout).await {
        Ok(attempt) => attempt,
        Err(Unjudged) => ask_once(&*prober, timeout)
            .await
            .unwrap_or_else(|Unjudged| Attempt { end: End::Fault, note: Some(UNJUDGED.into()) }),
    }
}

/// An answer whose time cannot be told: neither received nor lost.
struct Unjudged;

async fn ask_once(prober: &dyn Prober, timeout: Duration) -> Result<Attempt, Unjudged> {
    let asked = clock::monotonic();
    let deadline = asked + timeout;
    let answer = by(deadline, prober.attempt()).await;
    let noticed = clock::monotonic();
    let lost = |why| Attempt { end: End::Lost, note: Some(why) };
    let too_late = || lost(format!("no answer within {}", show_duration(timeout)));
    let received = |took: Took, note| {
        let most = took.most.min(noticed.duration_since(asked));
        if most <= timeout {
            Ok(Attempt { end: End::Received(most), note })
        } else if took.least <= timeout && noticed > deadline + LATE {
            Err(Unjudged)
        } else {
            Ok(too_late())
        }
    };
    match answer {
        Some(Answer::Good(note)) => received(Took::at_most(noticed.duration_since(asked)), note),
        Some(Answer::Timed(took)) => received(took, None),
        Some(Answer::Bad(why)) => Ok(lost(why)),
        Some(Answer::Fault(why)) => Ok(Attempt { end: End::Fault, note: Some(why) }),
        None => Ok(too_late()),
    }
}

/// A process that wakes up this long after a deadline was kept from running: timers are good to a few milliseconds.
const LATE: Duration = Duration::from_millis(20);
/// What is said of an answer that such a process finds and cannot tell the time of: neither received nor lost. Of an echo that is
/// one that it was about to send, or one that came while the wall clock stepped.
const UNJUDGED: &str = "the host kept the agent from running; whether the answer came in time cannot be told";
/// A task reads at most 128 packets before others get their turn (tokio's budget): so many turns read some eight thousand, as
/// many as the largest receive buffer holds.
const LOOKS_WHEN_LATE: usize = 64;

/// What an attempt brought until its deadline. A process that was kept from running may find the deadline over and the answer
/// there, since long before it: so it looks once more before it says that there is none.
async fn by(deadline: Instant, mut attempt: Boxed<'_, Answer>) -> Option<Answer> {
    if let Ok(answer) = timeout_at(deadline, &mut attempt).await {
        return Some(answer);
    }
    let looks = if clock::monotonic() > deadline + LATE { LOOKS_WHEN_LATE } else { 1 };
    for _ in 0..looks {
        // Sockets are read, and whoever reads them runs, before this goes on.
        tokio::task::yield_now().await;
        let looked = poll_fn(|context| Poll::Ready(attempt.as_mut().poll(context))).await;
        if let Poll::Ready(answer) = looked {
            return Some(answer);
        }
    }
    None
}

#[cfg(test)]
pub(crate) mod tests;
