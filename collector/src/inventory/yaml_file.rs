//! The register as YAML: `sites:` with a list of mappings, whose `links` are a mapping from a link's name to its fields.

use wan_settings::{At, Document, quote};
use wan_wire::LinkName;

use super::Site;
use super::read::{MAX_SITES, Place};
use super::value::{Cell, Draft, Field, LinkField, Noted, former_fields, link_fields, site_fields};

/// The key of what a site was.
const FORMER: &str = "former";

/// Reads the sites of `document`. Mistakes in the form are noted in the document.
pub(super) fn drafts(document: &Document<'_>) -> Vec<Draft> {
    let Some(root) = document.root().fields(&["sites"]) else { return Vec::new() };
    let Some(sites) = root.need("sites", "a list of sites").and_then(|at| at.items("sites")) else {
        return Vec::new();
    };
    if sites.len() > MAX_SITES {
        document.root().wrong_as(
            format!("{} sites", sites.len()),
            format!("at most {MAX_SITES}"),
            "split the file",
        );
        return Vec::new();
    }
    sites.iter().filter_map(draft).collect()
}

/// Writes `sites` as YAML that reads back to the same.
pub(super) fn write(sites: &[&Site]) -> String {
    use serde_yaml::{Mapping, Value};
    let text = |text: String| Value::String(text);
    let mut entries = Vec::with_capacity(sites.len());
    for site in sites {
        let mut entry = Mapping::new();
        for ((key, field), value) in Field::OF_SITE.into_iter().zip(site_fields(site)) {
            let value = match field {
                Field::Links if !site.links.is_empty() => {
                    let mut links = Mapping::new();
                    for link in &site.links {
                        let fields: Mapping = link_fields(link)
                            .map(|(key, _, value)| (text(key.to_owned()), text(value)))
                            .collect();
                        links.insert(text(link.name.to_string()), Value::Mapping(fields));
                    }
                    Value::Mapping(links)
                }
                Field::Contacts if !site.contacts.is_empty() => {
                    Value::Sequence(site.contacts.iter().cloned().map(text).collect())
                }
                Field::Id
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
                | Field::Links
                | Field::Note
                | Field::Link(..) => {
                    if value.is_empty() {
                        continue;
                    }
                    text(value)
                }
            };
            entry.insert(text(key.to_owned()), value);
        }
        let eras = former_fields(site).map(|(until, fields)| {
            let fields = fields.into_iter().map(|(key, value)| (key, value.map_or(Value::Null, text)));
            let until = ("until", text(until.to_string()));
            Value::Mapping(
                [until].into_iter().chain(fields).map(|(key, value)| (text(key.to_owned()), value)).collect(),
            )
        });
        let eras: Vec<Value> = eras.collect();
        if !eras.is_empty() {
            entry.insert(text(FORMER.to_owned()), Value::Sequence(eras));
        }
        entries.push(Value::Mapping(entry));
    }
    let root: Mapping = [(text("sites".to_owned()), Value::Sequence(entries))].into_iter().collect();
    // A mapping of text has no value that YAML could not hold.
    serde_yaml::to_string(&root).unwrap_or_default()
}

fn draft(at: &At<'_>) -> Option<Draft> {
    let keys: Vec<&str> = Field::OF_SITE.iter().map(|(key, _)| *key).chain([FORMER]).collect();
    let fields = at.fields(&keys)?;
    let id = fields.get("id").and_then(|id| id.peek().map(str::to_owned));
    let subject = |key: &str| match &id {
        Some(id) if key != "id" => format!("{key} of {}", quote(id)),
        Some(_) | None => key.to_owned(),
    };
    let mut cells = Vec::with_capacity(keys.len());
    let mut noted = Vec::new();
    for (key, field) in Field::OF_SITE {
        let Some(value) = fields.get(key) else { continue };
        let value = value.renamed(subject(key));
        match field {
            Field::Links if !value.is_text() => links(&value, &id, &mut cells),
            Field::Contacts | Field::Watches if value.is_list() => {
                for item in value.items("texts").unwrap_or_default() {
                    let item = item.renamed(subject(key));
                    let text = item.text("text");
                    if field == Field::Contacts && text.is_some_and(|text| text.contains('|')) {
                        item.wrong("a contact without “|”", "begin a new item");
                        continue;
                    }
                    cells.extend(text.map(|text| cell(field.clone(), &item, text)));
                }
            }
            Field::Latitude | Field::Longitude => {
                let text = value.scalar("degrees", "", |text| Some(text.to_owned()));
                cells.extend(text.map(|text| cell(field, &value, &text)));
            }
            Field::Id
            | Field::Name
            | Field::Tier
            | Field::Branch
            | Field::Parent
            | Field::District
            | Field::ValidFrom
            | Field::ValidTo
            | Field::MergedInto
            | Field::Until
            | Field::Contacts
            | Field::Watches
            | Field::Links
            | Field::Note
            | Field::Link(..) => match value.text("text") {
                Some(text) => cells.push(cell(field, &value, text)),
                None => noted.push(field),
            },
        }
    }
    let eras = fields
        .get(FORMER)
        .and_then(|eras| eras.renamed(subject(FORMER)).items("“until: DAY” and what differed"));
    let former = eras.unwrap_or_default().iter().filter_map(|era| former(era, &subject)).collect();
    Some(Draft { place: Place::Node(at.path().clone()), cells, former, noted: Noted::Fields(noted) })
}

/// `{until: 2025-07-01, tier: district, parent: }`: a key without a value says that there was none.
fn former(at: &At<'_>, subject: &dyn Fn(&str) -> String) -> Option<Draft> {
    let keys = Field::OF_FORMER.map(|(key, _)| key);
    let fields = at.fields(&keys)?;
    let mut cells = Vec::with_capacity(keys.len());
    let mut noted = Vec::new();
    for (key, field) in Field::OF_FORMER {
        let Some(value) = fields.named(key) else { continue };
        let value = value.renamed(subject(&format!("{FORMER}.{key}")));
        if value.is_null() {
            cells.push(cell(field, &value, ""));
            continue;
        }
        match value.text("text") {
            Some(text) => cells.push(cell(field, &value, text)),
            None => noted.push(field),
        }
    }
    Some(Draft {
        place: Place::Node(at.path().clone()),
        cells,
        former: Vec::new(),
        noted: Noted::Fields(noted),
    })
}

/// `links: [lan, wan]`, or a mapping from the name to the fields.
fn links(at: &At<'_>, id: &Option<String>, cells: &mut Vec<Cell>) {
    if at.is_list() {
        for item in at.items("links' names").unwrap_or_default() {
            let item = item.renamed(at.name().to_owned());
            cells.extend(item.text("a link's name").map(|text| cell(Field::Links, &item, text)));
        }
        return;
    }
    for (name, value) in at.entries("links' names, each with its fields").unwrap_or_default() {
        let Ok(link) = name.parse::<LinkName>() else {
            let expected =
                "a link's name: lan, wan, internet or service, alone or with a suffix as in wan-vnpt";
            value.wrong_as(format!("the link {}", quote(name)), expected, "rename it");
            continue;
        };
        cells.push(cell(Field::Links, &value, name));
        if value.is_null() {
            continue;
        }
        let keys = LinkField::ALL.map(|(key, _)| key);
        let Some(fields) = value.fields(&keys) else { continue };
        for (key, field) in LinkField::ALL {
            let Some(value) = fields.get(key) else { continue };
            let subject = match id {
                Some(id) => format!("{name}.{key} of {}", quote(id)),
                None => format!("{name}.{key}"),
            };
            let value = value.renamed(subject);
            let text = match field {
                LinkField::Uptime => value.scalar("a share", "", |text| Some(text.to_owned())),
                LinkField::Carrier
                | LinkField::Contract
                | LinkField::Interface
                | LinkField::Router
                | LinkField::ValidFrom
                | LinkField::ValidTo => value.text("text").map(str::to_owned),
            };
            cells.extend(text.map(|text| cell(Field::Link(link.clone(), field), &value, &text)));
        }
    }
}

fn cell(field: Field, at: &At<'_>, text: &str) -> Cell {
    Cell { field, key: at.name().to_owned(), text: text.to_owned(), place: Place::Node(at.path().clone()) }
}
