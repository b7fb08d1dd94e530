//! What the ledger should say: the state of each link as its observers stood to it, and the causes that their evidence can show.

use wan_collector::ledger::cause::Cause;
use wan_wire::LinkKind;

use super::observe::{Network, Networks};
use super::times::{Times, walk};
use super::truth::{SECOND, START, Site, Truth};

/// The kinds of link of a site, in the order in which all is kept.
pub(crate) const KINDS: [LinkKind; 4] = [LinkKind::Lan, LinkKind::Wan, LinkKind::Internet, LinkKind::Service];

/// A state without its reason, the worst of the required first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Word {
    Down,
    Unknown,
    Degraded,
    Up,
}

/// A stretch of a timeline; neighbours differ.
pub(crate) type Piece = (i64, i64, Word);

/// Appends a stretch.
pub(crate) fn push(pieces: &mut Vec<Piece>, (start, end, word): Piece) {
    match pieces.last_mut() {
        Some(last) if last.1 == start && last.2 == word => last.1 = end,
        Some(_) | None => pieces.push((start, end, word)),
    }
}

/// Causes as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Causes(u16);

impl Causes {
    fn with(self, cause: Cause) -> Self {
        Self(self.0 | 1 << place(cause))
    }

    fn with_if(self, holds: bool, cause: Cause) -> Self {
        if holds { self.with(cause) } else { self }
    }

    fn only(cause: Cause) -> Self {
        Self::default().with(cause)
    }

    pub(crate) fn has(self, cause: Cause) -> bool {
        self.0 & 1 << place(cause) != 0
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The one that the matrix counts it under: the first of the list.
    pub(crate) fn first(self) -> Option<Cause> {
        ORDER.into_iter().find(|cause| self.has(*cause))
    }
}

/// The order in which a set of causes is read.
const ORDER: [Cause; 9] = [
    Cause::Planned,
    Cause::Power,
    Cause::Agent,
    Cause::Collector,
    Cause::Lan,
    Cause::Upstream,
    Cause::Carrier,
    Cause::Isp,
    Cause::Unknown,
];

fn place(cause: Cause) -> usize {
    ORDER.iter().position(|one| *one == cause).unwrap_or(0)
}

/// What should be said of one link.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) pieces: Vec<Piece>,
    /// The causes that a charge of this time may have.
    pub(crate) causes: Vec<(i64, i64, Causes)>,
}

/// What should be said of a site.
#[derive(Debug)]
pub(crate) struct Should {
    /// Of each link, in the order of [`KINDS`].
    pub(crate) links: [Expected; 4],
    /// When nobody knows of its WAN, and a boot of it or of a site above is all that there is to go by.
    pub(crate) no_power: Times,
}

/// What others than the site's agent see of its WAN.
pub(crate) struct Outside {
    /// When the centre's agent speaks of others with an instrument that works.
    pub(crate) speaks: Times,
    /// When what it cannot reach is no evidence.
    pub(crate) cut_off: Times,
    /// When the collector could not hear.
    pub(crate) blind: Times,
}

/// What should be said of a site; `above`: of its parent.
pub(crate) fn of_site(
    truth: &Truth,
    number: usize,
    nets: &Networks,
    outside: &Outside,
    above: Option<&Should>,
) -> Should {
    let site = &truth.sites[number];
    let silence = Silence::of(site, truth.end);
    let never = Times::default();
    let seen_from_outside = if site.parent.is_some() { &outside.speaks } else { &never };
    let path_unknown = above.map_or_else(Times::default, |above| unknown(&above.links[1].pieces));
    let power_above = above.map_or_else(Times::default, |above| above.no_power.clone());
    let of = |kind: LinkKind| {
        let (net, others) = match kind {
            LinkKind::Lan => (&nets.lan, &never),
            LinkKind::Wan => (&nets.wan, seen_from_outside),
            LinkKind::Internet => (&nets.internet, &never),
            LinkKind::Service => (&nets.service, &never),
        };
        Expected {
            pieces: pieces(site, truth.end, net, others, nets, outside),
            causes: causes(truth, site, kind, net, nets, outside, &silence, &path_unknown, &power_above),
        }
    };
    let links = KINDS.map(of);
    let no_power = silence.booted.or(&power_above).and(&unknown(&links[1].pieces));
    Should { links, no_power }
}

fn unknown(pieces: &[Piece]) -> Times {
    Times::of(
        pieces.iter().filter(|piece| piece.2 == Word::Unknown).map(|piece| (piece.0, piece.1)).collect(),
    )
}

fn word(down: bool, bad: bool) -> Word {
    if down {
        Word::Down
    } else if bad {
        Word::Degraded
    } else {
        Word::Up
    }
}

fn pieces(
    site: &Site,
    end: i64,
    net: &Network,
    others: &Times,
    nets: &Networks,
    outside: &Outside,
) -> Vec<Piece> {
    let speaks = site.speaks(end).without(&site.fault);
    let sets =
        [&speaks, &net.down, &net.bad, others, &nets.outside.down, &nets.outside.bad, &outside.cut_off];
    let mut pieces = Vec::new();
    walk(sets, START, end, |start, end, [own, down, bad, other, seen_down, seen_bad, cut_off]| {
        let word = if own {
            word(down, bad)
        } else if other && !(seen_down && cut_off) {
            word(seen_down, seen_bad)
        } else {
            Word::Unknown
        };
        push(&mut pieces, (start, end, word));
    });
    pieces
}

/// When a site's agent is silent, by what there is in the same silence: that it lies there, and not where, is all that can be known.
struct Silence {
    speaks: Times,
    booted: Times,
    restarted: Times,
    lost: Times,
    open: Times,
}

impl Silence {
    fn of(site: &Site, end: i64) -> Self {
        let speaks = site.speaks(end);
        // Between two silences that are almost one there may be no whole round.
        let all = speaks.gaps(START, end).closed(11 * SECOND);
        let at_the_ends = Times::of(vec![(START - 1, START + 1), (end - 1, end + 1)]);
        let open = all.touching(&at_the_ends);
        let over = all.without(&open);
        Self {
            booted: over.touching(&site.host_off),
            restarted: over.touching(&site.agent_off),
            lost: over.touching(&site.lost_agent),
            open,
            speaks,
        }
    }
}

#[allow(clippy::too_many_arguments, reason = "everything that can be a cause")]
fn causes(
    truth: &Truth,
    site: &Site,
    kind: LinkKind,
    net: &Network,
    nets: &Networks,
    outside: &Outside,
    silence: &Silence,
    path_unknown: &Times,
    power_above: &Times,
) -> Vec<(i64, i64, Causes)> {
    let of_wan = site.planned_site.or(&site.planned_wan);
    let planned = if kind == LinkKind::Wan { &of_wan } else { &site.planned_site };
    let sets = [
        planned,
        &of_wan, // 0
        &silence.speaks,
        &site.fault, // 2
        &net.down,
        &net.bad, // 4
        &nets.lan.down,
        &nets.lan.bad, // 6
        &nets.wan.down,
        &nets.wan.bad, // 8
        &nets.path.down,
        &nets.path.bad, // 10
        &site.line_down,
        &site.line_bad, // 12
        &site.isp_down,
        &site.isp_bad,      // 14
        &truth.system_down, // 16
        &silence.booted,
        &silence.restarted,
        &silence.lost,
        &silence.open, // 17
        &outside.blind,
        path_unknown, // 21
        &nets.outside.down,
        power_above, // 23
        &nets.outside.bad,
    ];
    let mut all = Vec::new();
    walk(sets, START, truth.end, |start, end, at| {
        let level = usize::from(!at[4]);
        let fails = |down: usize| at[down] || (level == 1 && at[down + 1]);
        let bad = at[4] || at[5];
        let causes = if at[0] {
            Causes::only(Cause::Planned)
        } else if at[2] && at[3] {
            // An instrument that failed; the centre may see the WAN down meanwhile.
            let seen = kind == LinkKind::Wan && (at[23] || at[25]);
            let causes = Causes::only(Cause::Agent).with_if(seen, Cause::Unknown);
            causes.with_if(kind == LinkKind::Wan && (at[10] || at[11]), Cause::Upstream)
        } else if at[2] && bad {
            let of_path = |causes: Causes| {
                let causes = causes.with_if(fails(10), Cause::Upstream).with_if(fails(12), Cause::Carrier);
                causes.with_if(at[22], Cause::Unknown).with_if(at[24], Cause::Upstream)
            };
            match kind {
                _ if fails(6) => Causes::only(Cause::Lan),
                LinkKind::Lan => Causes::only(Cause::Lan),
                LinkKind::Wan => of_path(Causes::default()),
                LinkKind::Internet => {
                    let line = site.one_line && fails(12);
                    let causes =
                        Causes::default().with_if(fails(14), Cause::Isp).with_if(line, Cause::Carrier);
                    let causes = causes.with_if(line && at[1], Cause::Planned);
                    causes.with_if(fails(8) && (!site.one_line || fails(10)), Cause::Unknown)
                }
                LinkKind::Service if fails(8) && at[1] => Causes::only(Cause::Planned),
                LinkKind::Service => of_path(Causes::default()).with_if(at[16], Cause::Upstream),
            }
        } else if !at[2] {
            let seen_down = kind == LinkKind::Wan && at[23];
            let causes = Causes::default()
                .with_if(at[17], Cause::Power)
                // While it lasts, a line that works behind a silent agent is all that is seen.
                .with_if(at[18] || at[19] || (at[20] && !at[23]), Cause::Agent)
                .with_if(at[21], Cause::Collector)
                .with_if((at[10] || at[11]) && kind != LinkKind::Lan, Cause::Upstream);
            let dark = at[19] || at[20] || (seen_down && !at[17] && !at[10]) || (at[10] && at[22]);
            let causes = causes.with_if(dark, Cause::Unknown);
            if causes.is_empty() { Causes::only(Cause::Unknown) } else { causes }
        } else {
            Causes::default()
        };
        all.push((start, end, causes));
    });
    all
}
