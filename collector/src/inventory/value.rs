//! A site from its fields as text: what YAML and CSV have in common.
//!
//! Either reader turns an entry of its file into a [`Draft`], a heap of [`Cell`]s that know where they stand;
//! [`build`] makes a site of it or says everything that is wrong.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use jiff::civil::Date;
use wan_settings::{InterfaceName, nearest, quote, units};
use wan_wire::{LinkName, SiteId};

use super::era::Former;
use super::read::Place;
use super::{Link, Location, Site, Watches, slug};
use crate::config::{BranchId, Plan, TierId};

/// Most characters of a name, a contact or another text for people.
const MAX_TEXT: usize = 400;

/// A field of a site, as the register's files name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Id,
    Name,
    Tier,
    Branch,
    Parent,
    District,
    ValidFrom,
    ValidTo,
    MergedInto,
    /// First day on which a former entry held no more; of no site itself.
    Until,
    Latitude,
    Longitude,
    Contacts,
    Watches,
    /// Names of links of which no more is known.
    Links,
    Note,
    Link(LinkName, LinkField),
}

/// A field of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LinkField {
    Carrier,
    Contract,
    Uptime,
    Interface,
    Router,
    ValidFrom,
    ValidTo,
}

impl Field {
    /// The fields of a site itself, in the order of a written file.
    pub(super) const OF_SITE: [(&'static str, Field); 15] = [
        ("id", Field::Id),
        ("name", Field::Name),
        ("tier", Field::Tier),
        ("branch", Field::Branch),
        ("parent", Field::Parent),
        ("district", Field::District),
        ("valid_from", Field::ValidFrom),
        ("valid_to", Field::ValidTo),
        ("merged_into", Field::MergedInto),
        ("latitude", Field::Latitude),
        ("longitude", Field::Longitude),
        ("contacts", Field::Contacts),
        ("watches", Field::Watches),
        ("links", Field::Links),
        ("note", Field::Note),
    ];

    /// The fields of a former entry, in the order of a written file; all but the first are of the site too.
    pub(super) const OF_FORMER: [(&'static str, Field); 6] = [
        ("until", Field::Until),
        ("name", Field::Name),
        ("tier", Field::Tier),
        ("branch", Field::Branch),
        ("parent", Field::Parent),
        ("district", Field::District),
    ];

    /// The fields that every site must have.
    pub(super) const REQUIRED: [(&'static str, Field); 4] =
        [("id", Field::Id), ("name", Field::Name), ("tier", Field::Tier), ("branch", Field::Branch)];
}

impl LinkField {
    /// The fields of a link, in the order of a written file.
    pub(super) const ALL: [(&'static str, LinkField); 7] = [
        ("carrier", LinkField::Carrier),
        ("contract", LinkField::Contract),
        ("uptime", LinkField::Uptime),
        ("interface", LinkField::Interface),
        ("router", LinkField::Router),
        ("valid_from", LinkField::ValidFrom),
        ("valid_to", LinkField::ValidTo),
    ];
}

/// One field's text and where it stands. `key` is what messages call it.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) field: Field,
    pub(super) key: String,
    pub(super) text: String,
    pub(super) place: Place,
}

/// One entry of a register's file.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) place: Place,
    pub(super) cells: Vec<Cell>,
    /// What the site was before; there a blank cell says that it had none, and a field without a cell stays as it is later.
    pub(super) former: Vec<Draft>,
    /// What is known to be wrong already.
    pub(super) noted: Noted,
}

/// What the reader of the file has already said about a draft, so that it is not said again in other words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// Nothing, or that some of these fields cannot be read.
    Fields(Vec<Field>),
    /// That its cells are not where they belong; only its id is of use.
    Whole,
}

/// What is wrong with a cell; the reader adds file and line.
#[derive(Clone, Debug)]
pub(super) struct Wrong {
    pub(super) place: Place,
    pub(super) key: String,
    pub(super) found: String,
    pub(super) expected: String,
    pub(super) remedy: String,
}

impl Wrong {
    pub(super) fn new(
        place: &Place,
        key: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let (found, expected, remedy) = (found.into(), expected.into(), remedy.into());
        Self { place: place.clone(), key: key.to_owned(), found, expected, remedy }
    }
}

/// Makes a site of a draft. What is wrong goes to `wrong`; then the site is not usable.
pub(super) fn build(draft: &Draft, plan: &Plan, wrong: &mut Vec<Wrong>) -> Option<Site> {
    let before = wrong.len();
    let readable = match &draft.noted {
        Noted::Whole => return None,
        Noted::Fields(fields) => fields.is_empty(),
    };
    let mut cells = Cells { draft, wrong };
    let id = cells.required(&Field::Id, "id").and_then(|cell| cells.id(cell));
    let name = cells.required(&Field::Name, "name").and_then(|cell| cells.label(cell, &cell.text));
    let tier = cells.required(&Field::Tier, "tier").and_then(|cell| cells.tier(cell, plan));
    let branch = cells.required(&Field::Branch, "branch").and_then(|cell| cells.branch(cell, plan));
    let parent = cells.get(&Field::Parent).and_then(|cell| cells.id(cell));
    let district = cells.get(&Field::District).and_then(|cell| cells.label(cell, &cell.text));
    let (valid_from, valid_to) = cells.validity();
    let merged_into = cells.merged_into(id.as_ref(), valid_to);
    let location = cells.location();
    let contacts = cells.contacts();
    let watches = cells.watches();
    let links = cells.links();
    cells.link_validity(&links, valid_from, valid_to);
    let note = cells.get(&Field::Note).and_then(|cell| cells.label(cell, &cell.text));
    let mut entries: Vec<(Option<Date>, &Draft)> = Vec::with_capacity(draft.former.len());
    for entry in &draft.former {
        let mut cells = Cells { draft: entry, wrong };
        entries.push((cells.until(valid_from, valid_to), entry));
    }
    let (name, tier, branch) = (name?, tier?, branch?);
    let mut later = Former {
        until: Date::MAX,
        name: name.clone(),
        tier: tier.clone(),
        branch: branch.clone(),
        parent: parent.clone(),
        district: district.clone(),
    };
    let mut former: Vec<Former> = Vec::with_capacity(draft.former.len());
    entries.sort_by_key(|(until, _)| std::cmp::Reverse(*until));
    for (until, entry) in entries {
        let mut cells = Cells { draft: entry, wrong };
        let Some(until) = until else { continue };
        if until == later.until {
            cells.twice(until);
        }
        let held = cells.former(&later, until, plan);
        // What changed nothing is no era.
        if held.registered() != later.registered() {
            former.push(held.clone());
        }
        later = held;
    }
    former.reverse();
    if wrong.len() > before || !readable {
        return None;
    }
    Some(Site {
        id: id?,
        name,
        tier,
        branch,
        parent,
        district,
        valid_from,
        valid_to,
        former,
        merged_into,
        location,
        contacts,
        watches,
        links,
        note,
    })
}

struct Cells<'d, 'w> {
    draft: &'d Draft,
    wrong: &'w mut Vec<Wrong>,
}

impl<'d> Cells<'d, '_> {
    /// The first cell of `field` that is not blank.
    fn get(&self, field: &Field) -> Option<&'d Cell> {
        self.draft.cells.iter().find(|cell| cell.field == *field && !cell.text.trim().is_empty())
    }

    fn required(&mut self, field: &Field, key: &str) -> Option<&'d Cell> {
        let found = self.get(field);
        if found.is_none() && !matches!(&self.draft.noted, Noted::Fields(fields) if fields.contains(field)) {
            let present = self.draft.cells.iter().find(|cell| cell.field == *field);
            let place = present.map_or(&self.draft.place, |cell| &cell.place);
            let key = present.map_or(key, |cell| cell.key.as_str());
            self.wrong.push(Wrong::new(place, key, "nothing", "a value: every site has one", "fill it in"));
        }
        found
    }

    fn wrong(&mut self, cell: &Cell, expected: impl Into<String>, remedy: impl Into<String>) {
        self.wrong.push(Wrong::new(&cell.place, &cell.key, quote(cell.text.trim()), expected, remedy));
    }

    fn id(&mut self, cell: &Cell) -> Option<SiteId> {
        self.id_of(cell, cell.text.trim())
    }

    fn id_of(&mut self, cell: &Cell, text: &str) -> Option<SiteId> {
        let parsed = text.parse().ok();
        if parsed.is_none() {
            let remedy = slug::suggest(text).map(|id| format!("write {id}")).unwrap_or_default();
            let expected = "1 to 64 lower-case letters a-z, digits and hyphens, no hyphen at the ends";
            self.wrong.push(Wrong::new(&cell.place, &cell.key, quote(text), expected, remedy));
        }
        parsed
    }

    fn tier(&mut self, cell: &Cell, plan: &Plan) -> Option<TierId> {
        let found = plan.tier(cell.text.trim()).map(|tier| tier.id.clone());
        self.known(cell, found, "tiers", plan.tiers.iter().map(|tier| tier.id.as_str()))
    }

    fn branch(&mut self, cell: &Cell, plan: &Plan) -> Option<BranchId> {
        let found = plan.branch(cell.text.trim()).map(|branch| branch.id.clone());
        self.known(cell, found, "branches", plan.branches.iter().map(|branch| branch.id.as_str()))
    }

    /// The day until which a former entry held, within the site's registration.
    fn until(&mut self, valid_from: Option<Date>, valid_to: Option<Date>) -> Option<Date> {
        let cell = self.required(&Field::Until, "until")?;
        let until = self.day(cell)?;
        if valid_from.is_some_and(|from| until <= from) || valid_to.is_some_and(|to| to <= until) {
            let show =
                |day: Option<Date>, none: &str| day.map_or_else(|| none.to_owned(), |day| day.to_string());
            let expected = format!(
                "a day within the site's registration: after {}, before {}",
                show(valid_from, "its opening"),
                show(valid_to, "its closing")
            );
            self.wrong(
                cell,
                expected,
                "what holds on no day of it has no place in the register: remove it, or correct the days",
            );
        }
        Some(until)
    }

    fn twice(&mut self, until: Date) {
        let cell = self.draft.cells.iter().find(|cell| cell.field == Field::Until);
        let (place, key) = cell.map_or((&self.draft.place, "until"), |cell| (&cell.place, cell.key.as_str()));
        let found = format!("{until} again");
        self.wrong.push(Wrong::new(place, key, found, "each day once", "make one entry of the two"));
    }

    /// What held until then: what is not told was as `later`.
    fn former(&mut self, later: &Former, until: Date, plan: &Plan) -> Former {
        let mut held = Former { until, ..later.clone() };
        let mut told = false;
        for cell in &self.draft.cells {
            let blank = cell.text.trim().is_empty();
            told |= cell.field != Field::Until;
            match &cell.field {
                Field::Name | Field::Tier | Field::Branch if blank => {
                    self.wrong.push(Wrong::new(
                        &cell.place,
                        &cell.key,
                        "nothing",
                        "a value: every site has one",
                        "fill it in",
                    ));
                }
                Field::Name => held.name = self.label(cell, &cell.text).unwrap_or(held.name),
                Field::Tier => held.tier = self.tier(cell, plan).unwrap_or(held.tier),
                Field::Branch => held.branch = self.branch(cell, plan).unwrap_or(held.branch),
                Field::Parent => held.parent = if blank { None } else { self.id(cell) },
                Field::District => held.district = if blank { None } else { self.label(cell, &cell.text) },
                Field::Id
                | Field::ValidFrom
                | Field::ValidTo
                | Field::MergedInto
                | Field::Until
                | Field::Latitude
                | Field::Longitude
                | Field::Contacts
                | Field::Watches
                | Field::Links
                | Field::Note
                | Field::Link(..) => {}
            }
        }
        if !told {
            let expected = "at least one of name, tier, branch, parent, district";
            self.wrong.push(Wrong::new(
                &self.draft.place,
                "former",
                "nothing that was different",
                expected,
                "remove it",
            ));
        }
        held
    }

    fn merged_into(&mut self, own: Option<&SiteId>, valid_to: Option<Date>) -> Option<SiteId> {
        let cell = self.get(&Field::MergedInto)?;
        let into = self.id(cell)?;
        if own == Some(&into) {
            self.wrong(cell, "another site", "name the site that took over, or leave it empty");
        } else if valid_to.is_none() {
            self.wrong(
                cell,
                "it only of a site that has closed",
                "write the day in valid_to, or leave this empty",
            );
        }
        Some(into)
    }

    /// A link that is valid on no day of the site's registration is a mistake; of another the days outside do not count.
    fn link_validity(&mut self, links: &[Link], valid_from: Option<Date>, valid_to: Option<Date>) {
        for link in links {
            let field = |wanted: LinkField| {
                let of_link = |cell: &&Cell| matches!(&cell.field, Field::Link(name, field) if *name == link.name && *field == wanted);
                self.draft.cells.iter().find(of_link)
            };
            let (from, to) = (field(LinkField::ValidFrom), field(LinkField::ValidTo));
            let nonempty =
                |from: Option<Date>, to: Option<Date>| from.zip(to).is_none_or(|(from, to)| from < to);
            if !nonempty(link.valid_from, link.valid_to) {
                if let Some(cell) = to.or(from) {
                    self.wrong(
                        cell,
                        "a day after the link's valid_from",
                        "valid_to is the first day on which it is a link of the site no more",
                    );
                }
            } else if !nonempty(valid_from, link.valid_to) || !nonempty(link.valid_from, valid_to) {
                let cell = if nonempty(valid_from, link.valid_to) { from } else { to };
                if let Some(cell) = cell {
                    let expected = "a link that is valid on some day of its site's registration";
                    self.wrong(
                        cell,
                        expected,
                        "correct the days of the link or of the site, or remove the link",
                    );
                }
            }
        }
    }

    fn known<'k, T>(
        &mut self,
        cell: &Cell,
        found: Option<T>,
        what: &str,
        known: impl Iterator<Item = &'k str> + Clone,
    ) -> Option<T> {
        if found.is_none() {
            let all: Vec<&str> = known.clone().collect();
            let remedy = match nearest(&cell.text.trim().to_lowercase(), known) {
                Some(meant) => format!("did you mean {meant}?"),
                None => format!("correct it, or add it to plan.{what} in the configuration"),
            };
            self.wrong(cell, format!("one of the plan's {what}: {}", all.join(", ")), remedy);
        }
        found
    }

    /// Text for people, in one line. Control characters would let it forge a header or move a terminal's cursor; characters
    /// that turn the direction of writing would let it look like another text.
    fn label(&mut self, cell: &Cell, text: &str) -> Option<String> {
        let text = text.trim();
        let hidden = |c: &char| {
            c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        if let Some(c) = text.chars().find(hidden) {
            let expected = "text in one line, without control characters";
            let remedy = match c {
                '\n' | '\r' => "remove the line break; is a quotation mark left open above?".to_owned(),
                _ => format!("remove the character U+{:04X}", u32::from(c)),
            };
            self.wrong.push(Wrong::new(&cell.place, &cell.key, quote(text), expected, remedy));
            return None;
        }
        let length = text.chars().count();
        if length > MAX_TEXT {
            let found = format!("{length} characters");
            let expected = format!("at most {MAX_TEXT}");
            self.wrong.push(Wrong::new(&cell.place, &cell.key, found, expected, "shorten it"));
            return None;
        }
        Some(text.to_owned())
    }

    fn validity(&mut self) -> (Option<Date>, Option<Date>) {
        let (from, to) = (self.get(&Field::ValidFrom), self.get(&Field::ValidTo));
        let valid_from = from.and_then(|cell| self.day(cell));
        let valid_to = to.and_then(|cell| self.day(cell));
        if let (Some(first), Some(closing), Some(cell)) = (valid_from, valid_to, to)
            && closing <= first
        {
            let expected = format!("a day after valid_from, {first}");
            self.wrong(cell, expected, "valid_to is the first day on which the site is closed");
        }
        (valid_from, valid_to)
    }

    fn day(&mut self, cell: &Cell) -> Option<Date> {
        let parsed = day(cell.text.trim());
        if parsed.is_none() {
            self.wrong(
                cell,
                "a day that exists, as 2020-12-31 or 31/12/2020",
                "write year-month-day, or day/month/year",
            );
        }
        parsed
    }

    fn location(&mut self) -> Option<Location> {
        let (latitude, longitude) = (self.get(&Field::Latitude), self.get(&Field::Longitude));
        match (latitude, longitude) {
            (Some(north), Some(east)) => {
                let latitude = self.degrees(north, 90.0);
                let longitude = self.degrees(east, 180.0);
                Some(Location { latitude: latitude?, longitude: longitude? })
            }
            (Some(alone), None) | (None, Some(alone)) => {
                self.wrong(
                    alone,
                    "both latitude and longitude, or neither",
                    "add the other or remove this one",
                );
                None
            }
            (None, None) => None,
        }
    }

    fn degrees(&mut self, cell: &Cell, limit: f64) -> Option<f64> {
        let text = cell.text.trim();
        let plain = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | ',');
        let number: Option<f64> =
            text.chars().all(plain).then(|| text.replace(',', ".").parse().ok()).flatten();
        let inside = number.filter(|degrees| degrees.abs() <= limit);
        if inside.is_none() {
            let remedy = match number {
                Some(_) => "are latitude (north) and longitude (east) swapped?",
                None => "write decimal degrees such as 11.3102",
            };
            self.wrong(cell, format!("degrees from -{limit} to {limit}"), remedy);
        }
        inside
    }

    fn contacts(&mut self) -> Vec<String> {
        let mut contacts = Vec::new();
        for cell in self.draft.cells.iter().filter(|cell| cell.field == Field::Contacts) {
            let parts = cell.text.split('|').map(str::trim).filter(|part| !part.is_empty());
            contacts.extend(parts.filter_map(|part| self.label(cell, part)));
        }
        contacts
    }

    fn watches(&mut self) -> Watches {
        let mut ids = std::collections::BTreeSet::new();
        for cell in self.draft.cells.iter().filter(|cell| cell.field == Field::Watches) {
            if cell.text.trim() == "all" {
                return Watches::All;
            }
            ids.extend(words(&cell.text).filter_map(|word| self.id_of(cell, word)));
        }
        if ids.is_empty() { Watches::None } else { Watches::Only(ids) }
    }

    fn links(&mut self) -> Vec<Link> {
        let mut links: BTreeMap<LinkName, Link> = BTreeMap::new();
        for cell in &self.draft.cells {
            match &cell.field {
                Field::Links => {
                    for word in words(&cell.text) {
                        if let Some(name) = self.link_name(cell, word) {
                            links.entry(name.clone()).or_insert_with(|| Link::named(name));
                        }
                    }
                }
                Field::Link(name, field) if !cell.text.trim().is_empty() => {
                    let link = links.entry(name.clone()).or_insert_with(|| Link::named(name.clone()));
                    self.link_field(cell, *field, link);
                }
                Field::Link(..)
                | Field::Id
                | Field::Name
                | Field::Tier
                | Field::Branch
                | Field::Parent
                | Field::District
                | Field::ValidFrom
                | Field::ValidTo
                | Field::MergedInto
                | Field::Until
                | Field::Latitude
                | Field::Longitude
                | Field::Contacts
                | Field::Watches
                | Field::Note => {}
            }
        }
        links.into_values().collect()
    }

    fn link_name(&mut self, cell: &Cell, word: &str) -> Option<LinkName> {
        let parsed = word.parse().ok();
        if parsed.is_none() {
            let expected =
                "names of links: lan, wan, internet or service, alone or with a suffix as in wan-vnpt";
            self.wrong.push(Wrong::new(
                &cell.place,
                &cell.key,
                quote(word),
                expected,
                "separate them by spaces",
            ));
        }
        parsed
    }

    fn link_field(&mut self, cell: &Cell, field: LinkField, link: &mut Link) {
        let text = cell.text.trim();
        match field {
            LinkField::Carrier => link.carrier = self.label(cell, text),
            LinkField::Contract => link.contract = self.label(cell, text),
            LinkField::Uptime => {
                link.uptime = units::share(text);
                if link.uptime.is_none() {
                    self.wrong(cell, units::SHARE, "write 99.5% or 0.995");
                }
            }
            LinkField::Interface => {
                link.interface = text.parse().ok();
                if link.interface.is_none() {
                    self.wrong(cell, InterfaceName::EXPECTED, InterfaceName::REMEDY);
                }
            }
            LinkField::ValidFrom | LinkField::ValidTo => {
                let day = self.day(cell);
                if field == LinkField::ValidFrom { link.valid_from = day } else { link.valid_to = day }
            }
            LinkField::Router => {
                link.router = text.parse().ok();
                match link.router {
                    None => self.wrong(cell, "an IPv4 or IPv6 address without port or prefix length", ""),
                    // The centre's agent would ask itself, or a whole network, and the line would be up for ever.
                    Some(address) if !is_of_one_host(address) => {
                        self.wrong(
                            cell,
                            "the address of one other host",
                            "write the router's address on the site's side",
                        );
                    }
                    Some(_) => {}
                }
            }
        }
    }
}

/// Whether another host can have this address.
fn is_of_one_host(address: IpAddr) -> bool {
    let broadcast = IpAddr::V4(Ipv4Addr::BROADCAST);
    let address = address.to_canonical();
    !(address.is_loopback() || address.is_unspecified() || address.is_multicast() || address == broadcast)
}

/// `2020-12-31` or, as Excel writes it under Vietnamese settings, `31/12/2020`.
pub(crate) fn day(text: &str) -> Option<Date> {
    let number = |text: &str, digits: std::ops::RangeInclusive<usize>| {
        let plain = digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse::<i16>().ok()).flatten()
    };
    let (year, month, day) = if let [year, month, day] = text.split('-').collect::<Vec<_>>()[..] {
        (number(year, 4..=4)?, number(month, 1..=2)?, number(day, 1..=2)?)
    } else if let [day, month, year] = text.split('/').collect::<Vec<_>>()[..] {
        (number(year, 4..=4)?, number(month, 1..=2)?, number(day, 1..=2)?)
    } else {
        return None;
    };
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || c == ',' || c == ';').filter(|word| !word.is_empty())
}

/// The sites that an agent may watch, as one word or a list of ids.
pub(super) fn show_watches(watches: &Watches) -> String {
    match watches {
        Watches::None => String::new(),
        Watches::All => "all".to_owned(),
        Watches::Only(sites) => sites.iter().map(SiteId::as_str).collect::<Vec<_>>().join(" "),
    }
}

/// The fields of a link that are set, as text.
pub(super) fn link_fields(link: &Link) -> impl Iterator<Item = (&'static str, LinkField, String)> {
    LinkField::ALL.into_iter().filter_map(|(key, field)| {
        let text = match field {
            LinkField::Carrier => link.carrier.clone(),
            LinkField::Contract => link.contract.clone(),
            LinkField::Uptime => link.uptime.map(|share| share.to_string()),
            LinkField::Interface => link.interface.as_ref().map(ToString::to_string),
            LinkField::Router => link.router.map(|address| address.to_string()),
            LinkField::ValidFrom => link.valid_from.map(|day| day.to_string()),
            LinkField::ValidTo => link.valid_to.map(|day| day.to_string()),
        };
        text.map(|text| (key, field, text))
    })
}

/// A link in one line, for people.
pub(super) fn show_link(link: &Link) -> String {
    let fields: Vec<String> = link_fields(link).map(|(key, _, text)| format!(" {key}={text}")).collect();
    format!("{}{}", link.name, fields.concat())
}

/// A site's own fields as text, in the order of [`Field::OF_SITE`]; blank where nothing is known. Links with
/// nothing but a name are named under `links`.
pub(super) fn site_fields(site: &Site) -> [String; 15] {
    let day = |day: Option<Date>| day.map(|day| day.to_string()).unwrap_or_default();
    let bare = site.links.iter().filter(|link| link_fields(link).next().is_none());
    [
        site.id.to_string(),
        site.name.clone(),
        site.tier.to_string(),
        site.branch.to_string(),
        site.parent.as_ref().map(ToString::to_string).unwrap_or_default(),
        site.district.clone().unwrap_or_default(),
        day(site.valid_from),
        day(site.valid_to),
        site.merged_into.as_ref().map(ToString::to_string).unwrap_or_default(),
        site.location.map(|at| at.latitude.to_string()).unwrap_or_default(),
        site.location.map(|at| at.longitude.to_string()).unwrap_or_default(),
        site.contacts.join(" | "),
        show_watches(&site.watches),
        bare.map(|link| link.name.as_str()).collect::<Vec<_>>().join(" "),
        site.note.clone().unwrap_or_default(),
    ]
}

/// What a former entry says: the day until which it held, and each field that differs from the next with its text, if it had one.
pub(super) type FormerFields = (Date, Vec<(&'static str, Option<String>)>);

/// What a site was, in the order of time.
pub(super) fn former_fields(site: &Site) -> impl Iterator<Item = FormerFields> {
    let later = site.former.iter().skip(1).map(Former::registered).chain([site.latest()]);
    site.former.iter().zip(later).map(|(former, later)| {
        let held = former.registered();
        let mut fields = Vec::new();
        let mut note = |key, held: Option<&str>, later: Option<&str>| {
            if held != later {
                fields.push((key, held.map(str::to_owned)));
            }
        };
        note("name", Some(held.name), Some(later.name));
        note("tier", Some(held.tier.as_str()), Some(later.tier.as_str()));
        note("branch", Some(held.branch.as_str()), Some(later.branch.as_str()));
        note("parent", held.parent.map(SiteId::as_str), later.parent.map(SiteId::as_str));
        note("district", held.district, later.district);
        (former.until, fields)
    })
}
