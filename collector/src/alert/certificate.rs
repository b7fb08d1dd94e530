//! When the certificates of shared systems end, by the word of all agents that probe them: pure.
//!
//! Many sites see one certificate, so it is one thing for all of them. Where they see different ones (several servers behind a name, a
//! device on the way that shows its own), the one that ends first counts. An agent tells of what it sees each half minute; what it has not told
//! of for [`FORGOTTEN`] while it was heard it does not probe any more. What a site told that has fallen silent still holds.

use std::collections::BTreeMap;
use std::time::Duration;

use wan_wire::UnixMillis;

use crate::province::SiteNow;

/// Agents tell every half minute; a few of these may be lost on the way.
const FORGOTTEN: Duration = Duration::from_secs(10 * 60);

/// The certificate of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// When the one ends that ends first.
    pub(super) ends: UnixMillis,
    /// How many sites see that one.
    pub(super) sites: usize,
}

/// The certificates of all targets that these sites probe, by the targets' names.
pub(super) fn of_targets<'s>(sites: impl Iterator<Item = &'s SiteNow<'s>>) -> BTreeMap<&'s str, End> {
    let mut found: BTreeMap<&str, End> = BTreeMap::new();
    for site in sites {
        let Some(heard) = site.last_push else { continue };
        // By several lines, perhaps: a site counts once.
        let mut own: BTreeMap<&str, UnixMillis> = BTreeMap::new();
        for (of, seen) in site.facts.certificates.iter() {
            if heard.since(seen.told) < FORGOTTEN {
                let first = own.entry(&of.target).or_insert(seen.ends);
                *first = seen.ends.min(*first);
            }
        }
        for (target, ends) in own {
            let known = found.entry(target).or_insert(End { ends, sites: 0 });
            if ends < known.ends {
                *known = End { ends, sites: 1 };
            } else if ends == known.ends {
                known.sites += 1;
            }
        }
    }
    found
}
