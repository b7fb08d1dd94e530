//! What an import changes: the pure step between a checked register and the store.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::{Inconsistent, Register, Site};

/// One change of one site.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A site that was not in the register.
    Added(Site),
    /// A site that stays and reads differently.
    Changed {
        /// As it was.
        before: Site,
        /// As it becomes.
        after: Site,
    },
    /// A site that is closed on a day because the file that replaces the register does not name it.
    Closed {
        /// As it was.
        before: Site,
        /// The same with `valid_to` set.
        after: Site,
    },
    /// A site that is taken out: it was to be opened on or after the day of the import, so it never was registered.
    Dropped(Site),
}

impl Change {
    /// The site as it becomes; `None` when it is taken out.
    pub fn after(&self) -> Option<&Site> {
        match self {
            Self::Added(site) => Some(site),
            Self::Changed { after, .. } | Self::Closed { after, .. } => Some(after),
            Self::Dropped(_) => None,
        }
    }
}

/// What is to happen with sites that the imported files do not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// They stay as they are: the files are an addition to the register.
    Keep,
    /// They are closed on this day: the files are the whole register.
    CloseOn(Date),
}

/// The changes that bring `present` to `incoming`, in the order of the ids, and the register that results.
///
/// A site is never deleted but where it never was registered: its evidence and the coverage of past days need it.
/// Sites that stay must still find their parents.
pub fn changes(
    present: &Register,
    incoming: Vec<Site>,
    absent: Absent,
) -> Result<(Vec<Change>, Register), Vec<Inconsistent>> {
    let mut sites: BTreeMap<_, _> = present.sites().map(|site| (site.id.clone(), site.clone())).collect();
    let mut changes = Vec::new();
    let named: std::collections::BTreeSet<_> = incoming.iter().map(|site| site.id.clone()).collect();
    for site in incoming {
        match sites.insert(site.id.clone(), site.clone()) {
            None => changes.push(Change::Added(site)),
            Some(before) if before == site => {}
            Some(before) => changes.push(Change::Changed { before, after: site }),
        }
    }
    if let Absent::CloseOn(day) = absent {
        for before in present.sites().filter(|site| !named.contains(&site.id)) {
            if before.valid_from.is_some_and(|from| from >= day) {
                sites.remove(&before.id);
                changes.push(Change::Dropped(before.clone()));
            } else if before.valid_to.is_none_or(|to| to > day) {
                let after = before.close_on(day);
                sites.insert(before.id.clone(), after.clone());
                changes.push(Change::Closed { before: before.clone(), after });
            }
        }
    }
    let register = Register::new(sites.into_values())?;
    changes.sort_by(|a, b| id(a).cmp(id(b)));
    Ok((changes, register))
}

/// The names of the fields in which two versions of a site differ, each with both values.
pub fn differences(before: &Site, after: &Site) -> Vec<(&'static str, String, String)> {
    let option = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
    let mut found = Vec::new();
    let mut note = |name, before: String, after: String| {
        if before != after {
            found.push((name, before, after));
        }
    };
    note("name", before.name.clone(), after.name.clone());
    note("tier", before.tier.to_string(), after.tier.to_string());
    note("branch", before.branch.to_string(), after.branch.to_string());
    let parent = |site: &Site| option(site.parent.as_ref().map(ToString::to_string));
    note("parent", parent(before), parent(after));
    note("district", option(before.district.clone()), option(after.district.clone()));
    let day = |day: Option<Date>| option(day.map(|day| day.to_string()));
    note("valid_from", day(before.valid_from), day(after.valid_from));
    note("valid_to", day(before.valid_to), day(after.valid_to));
    note("merged_into", merged(before), merged(after));
    note("former", former(before), former(after));
    let place = |site: &Site| option(site.location.map(|at| format!("{}, {}", at.latitude, at.longitude)));
    note("location", place(before), place(after));
    note("contacts", before.contacts.join("; "), after.contacts.join("; "));
    note("watches", super::value::show_watches(&before.watches), super::value::show_watches(&after.watches));
    let links = |site: &Site| site.links.iter().map(super::value::show_link).collect::<Vec<_>>().join("; ");
    note("links", links(before), links(after));
    note("note", option(before.note.clone()), option(after.note.clone()));
    found
}

fn merged(site: &Site) -> String {
    site.merged_into.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string)
}

/// What a site was, era by era: only what differs from the next.
fn former(site: &Site) -> String {
    let eras: Vec<String> = super::value::former_fields(site)
        .map(|(until, fields)| {
            let told: Vec<String> = fields
                .into_iter()
                .map(|(key, text)| format!(" {key}={}", text.unwrap_or_else(|| "–".to_owned())))
                .collect();
            format!("until {until}:{}", told.concat())
        })
        .collect();
    if eras.is_empty() { "–".to_owned() } else { eras.join("; ") }
}

fn id(change: &Change) -> &wan_wire::SiteId {
    match change {
        Change::Added(site) | Change::Dropped(site) => &site.id,
        Change::Changed { after, .. } | Change::Closed { after, .. } => &after.id,
    }
}
