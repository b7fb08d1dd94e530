//! Files to sites: the pure core of `sites check` and `sites import`.
//!
//! Several files are read as one register. Everything that is wrong in any of them is reported at once, and a set of
//! files with a mistake yields nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use wan_settings::{Document, Mistake, Mistakes, NodePath, nearest, quote, utf8};
use wan_wire::SiteId;

use super::value::{Draft, Field, LinkField, Wrong, build};
use super::{Inconsistent, Register, Site, Watches, csv_file, yaml_file};
use crate::config::Plan;

/// Larger files are not read: a register of 100,000 sites takes 30 MB.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// Most sites of one file.
pub(super) const MAX_SITES: usize = 200_000;

/// How a register is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values, `.csv`.
    Csv,
    /// YAML, `.yaml` or `.yml`.
    Yaml,
}

impl Format {
    /// The format that a file's name tells.
    pub fn of(path: &Path) -> Result<Self, Mistakes> {
        let extension = path.extension().and_then(|text| text.to_str()).map(str::to_ascii_lowercase);
        match extension.as_deref() {
            Some("csv" | "tsv" | "txt") => Ok(Self::Csv),
            Some("yaml" | "yml") => Ok(Self::Yaml),
            Some(_) | None => Err(Mistakes::one(Mistake::of_file(
                path.display().to_string(),
                "a name that does not tell the format".to_owned(),
                "a name that ends in .csv, .yaml or .yml".to_owned(),
                "rename the file; from Excel, save it as “CSV UTF-8”",
            ))),
        }
    }
}

/// One file of a register.
#[derive(Clone, Copy, Debug)]
pub struct File<'b> {
    /// Its name in messages.
    pub name: &'b str,
    /// Its content.
    pub bytes: &'b [u8],
    /// How it is written.
    pub format: Format,
}

/// Reads the sites of `files`, in their order. Parents and watched sites must be in the files or in `present`.
pub fn read(files: &[File<'_>], plan: &Plan, present: &Register) -> Result<Vec<Site>, Mistakes> {
    let mut sources: Vec<Source<'_>> = Vec::with_capacity(files.len());
    let mut mistakes = Vec::new();
    for file in files {
        match Source::read(*file) {
            Ok(source) => sources.push(source),
            Err(unreadable) => mistakes.extend(unreadable.into_vec()),
        }
    }
    let mut sites: Vec<Entry> = Vec::new();
    let mut ids: BTreeSet<SiteId> = present.sites().map(|site| site.id.clone()).collect();
    for (index, source) in sources.iter_mut().enumerate() {
        let mut wrong = std::mem::take(&mut source.wrong);
        for (draft_index, draft) in source.drafts.iter().enumerate() {
            let named = draft.cells.iter().find(|cell| cell.field == Field::Id);
            // A site that is wrong elsewhere is still there to be somebody's parent.
            ids.extend(named.and_then(|cell| cell.text.trim().parse().ok()));
            if let Some(site) = build(draft, plan, &mut wrong) {
                sites.push(Entry { source: index, draft: draft_index, site });
            }
        }
        source.wrong = wrong;
    }
    between_sites(&mut sources, &sites, &ids, present);
    for source in sources {
        mistakes.extend(source.into_mistakes());
    }
    if mistakes.is_empty() {
        Ok(sites.into_iter().map(|entry| entry.site).collect())
    } else {
        Err(Mistakes::new(mistakes))
    }
}

/// Where the files name contracts that are not among `known`: each contract once, at the first place that names it. That is no mistake of the
/// register: a contract may be written down before its terms are. What cannot be read is left out; [`read`] tells it.
#[must_use]
pub fn unknown_contracts(files: &[File<'_>], known: &BTreeSet<&str>) -> Vec<Mistake> {
    let mut noted: BTreeSet<String> = BTreeSet::new();
    let mut found = Vec::new();
    for file in files {
        let Ok(mut source) = Source::read(*file) else { continue };
        let cells = source.drafts.iter().flat_map(|draft| &draft.cells);
        let cells = cells.filter(|cell| matches!(&cell.field, Field::Link(_, LinkField::Contract)));
        let mut unknown = Vec::new();
        for cell in cells {
            let id = cell.text.trim();
            if id.is_empty() || known.contains(id) || !noted.insert(id.to_owned()) {
                continue;
            }
            let remedy = match nearest(id, known.iter().copied()) {
                Some(meant) => format!("did you mean {meant}?"),
                None => "write its terms under contracts, or leave this empty".to_owned(),
            };
            unknown.push(Wrong::new(
                &cell.place,
                &cell.key,
                format!("the unknown contract {}", quote(id)),
                "the id of a contract in the configuration",
                remedy,
            ));
        }
        source.wrong = unknown;
        found.extend(source.into_mistakes());
    }
    found
}

/// Writes `sites` so that [`read`] yields the same.
pub fn write(sites: &[&Site], format: Format) -> String {
    match format {
        Format::Csv => csv_file::write(sites),
        Format::Yaml => yaml_file::write(sites),
    }
}

/// Where something stands in a file.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// A line of a CSV file.
    Line(usize),
    /// A node of a YAML file, located only when there is something to say about it.
    Node(NodePath),
}

struct Entry {
    source: usize,
    draft: usize,
    site: Site,
}

/// A file as far as it has been read.
struct Source<'b> {
    name: &'b str,
    document: Option<Document<'b>>,
    drafts: Vec<Draft>,
    wrong: Vec<Wrong>,
}

impl<'b> Source<'b> {
    fn read(file: File<'b>) -> Result<Self, Mistakes> {
        let name = file.name;
        let mut wrong = Vec::new();
        match file.format {
            Format::Csv => {
                let text = utf8(name, file.bytes)?;
                let drafts = csv_file::drafts(text, &mut wrong);
                Ok(Self { name, document: None, drafts, wrong })
            }
            Format::Yaml => {
                let document = Document::read(name, file.bytes)?;
                let drafts = yaml_file::drafts(&document);
                Ok(Self { name, document: Some(document), drafts, wrong })
            }
        }
    }

    fn locate(&self, place: &Place) -> (usize, usize) {
        match (place, &self.document) {
            (Place::Line(line), _) => (*line, 0),
            (Place::Node(path), Some(document)) => document.locate(path),
            (Place::Node(_), None) => (0, 0),
        }
    }

    fn into_mistakes(self) -> Vec<Mistake> {
        let mut mistakes = Vec::with_capacity(self.wrong.len());
        for wrong in &self.wrong {
            let (line, column) = self.locate(&wrong.place);
            let Wrong { key, found, expected, remedy, .. } = wrong.clone();
            mistakes.push(Mistake { file: self.name.to_owned(), line, column, key, found, expected, remedy });
        }
        mistakes.extend(self.document.map(Document::into_mistakes).unwrap_or_default());
        mistakes
    }
}

/// Something wrong between sites: the site's entry, the cell by field and text, and what to say of it.
struct Between<'e> {
    entry: &'e Entry,
    field: Field,
    /// What the cell holds, where there are several of the field.
    text: Option<String>,
    found: String,
    expected: &'static str,
    remedy: String,
}

/// Notes what is wrong between sites: repeated ids, parents, successors and watched sites that are not there, circles.
fn between_sites(sources: &mut [Source<'_>], sites: &[Entry], ids: &BTreeSet<SiteId>, present: &Register) {
    let mut first: BTreeMap<&SiteId, &Entry> = BTreeMap::new();
    let mut found: Vec<Between<'_>> = Vec::new();
    for entry in sites {
        let site = &entry.site;
        if let Some(earlier) = first.get(&site.id) {
            let text = match locate(sources, earlier, &Field::Id) {
                (file, 0) => format!("{} again, first in {file}", quote(site.id.as_str())),
                (file, line) => format!("{} again, first in {file}:{line}", quote(site.id.as_str())),
            };
            found.push(Between {
                entry,
                field: Field::Id,
                text: None,
                found: text,
                expected: "each id once",
                remedy: "remove one of them, or give one another id".to_owned(),
            });
        } else {
            first.insert(&site.id, entry);
        }
        let mut unknown = |id: &SiteId, field: Field| {
            if !ids.contains(id) {
                let remedy = match nearest(id.as_str(), ids.iter().map(SiteId::as_str)) {
                    Some(meant) => format!("did you mean {meant}?"),
                    None => "register that site too, or leave this empty".to_owned(),
                };
                found.push(Between {
                    entry,
                    text: (field == Field::Parent).then(|| id.to_string()),
                    field,
                    found: format!("the unknown site {}", quote(id.as_str())),
                    expected: "the id of a site in the register",
                    remedy,
                });
            }
        };
        let former = site.former.iter().filter_map(|former| former.parent.as_ref());
        let parents: BTreeSet<&SiteId> = former.chain(&site.parent).collect();
        parents.into_iter().for_each(|parent| unknown(parent, Field::Parent));
        if let Some(into) = &site.merged_into {
            unknown(into, Field::MergedInto);
        }
        if let Watches::Only(watched) = &site.watches {
            watched.iter().for_each(|id| unknown(id, Field::Watches));
        }
    }
    // Circles are looked for in what the register would become; what is present and not in the files takes part in it.
    let mut joined: BTreeMap<SiteId, Site> =
        present.sites().map(|site| (site.id.clone(), site.clone())).collect();
    for (id, entry) in &first {
        let mut site = entry.site.clone();
        let known = |id: &SiteId| first.contains_key(id) || present.get(id).is_some();
        site.parent = site.parent.filter(known);
        site.merged_into = site.merged_into.filter(known);
        for former in &mut site.former {
            former.parent = former.parent.take().filter(known);
        }
        joined.insert((*id).clone(), site);
    }
    for wrong in Register::new(joined.into_values()).err().unwrap_or_default() {
        let (circle, field, what, expected, remedy) = match &wrong {
            Inconsistent::Cycle(circle) => (
                circle,
                Field::Parent,
                "parents that form a circle",
                "parents that lead to a site without one",
                "correct the parent of one of these sites",
            ),
            Inconsistent::MergeCycle(circle) => (
                circle,
                Field::MergedInto,
                "sites that are merged in a circle",
                "successors that lead to a site that is not merged into another",
                "correct merged_into of one of these sites",
            ),
            Inconsistent::Repeated(_)
            | Inconsistent::NoParent { .. }
            | Inconsistent::NoSuccessor { .. }
            | Inconsistent::MergedAndOpen(_) => continue,
        };
        if let Some(entry) = circle.iter().find_map(|id| first.get(id)) {
            let shown: Vec<&str> = circle.iter().map(SiteId::as_str).collect();
            found.push(Between {
                entry,
                text: None,
                found: format!("{what}: {}", shown.join(" → ")),
                field,
                expected,
                remedy: remedy.to_owned(),
            });
        }
    }
    for Between { entry, field, text, found, expected, remedy } in found {
        let Some(source) = sources.get_mut(entry.source) else { continue };
        let Some(draft) = source.drafts.get(entry.draft) else { continue };
        let all = draft.cells.iter().chain(draft.former.iter().flat_map(|former| &former.cells));
        let cell = all
            .filter(|cell| cell.field == field)
            .find(|cell| text.as_ref().is_none_or(|text| text == cell.text.trim()));
        let (place, key) = cell.map_or((&draft.place, ""), |cell| (&cell.place, cell.key.as_str()));
        let wrong = Wrong::new(place, key, found, expected, remedy);
        source.wrong.push(wrong);
    }
}

/// File and line of a site's field.
fn locate(sources: &[Source<'_>], entry: &Entry, field: &Field) -> (String, usize) {
    let Some(source) = sources.get(entry.source) else { return (String::new(), 0) };
    let Some(draft) = source.drafts.get(entry.draft) else { return (source.name.to_owned(), 0) };
    let cell = draft.cells.iter().find(|cell| cell.field == *field);
    let place = cell.map_or(&draft.place, |cell| &cell.place);
    (source.name.to_owned(), source.locate(place).0)
}
