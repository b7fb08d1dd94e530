//! One file and the register → every site's document, or every mistake: pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use wan_settings::probes::{Flaw, Form, Layer, LinkLayer, MOST_TARGETS, Origins, Probes, render};
use wan_settings::{At, Document as File, Mistakes, nearest};
use wan_wire::{LinkName, SiteId, UnixMillis};

use super::{Document, watch};
use crate::config::{Plan, TierId};
use crate::inventory::{Register, Site, Watches};

/// What a file is compiled against.
#[derive(Debug, Clone, Copy)]
pub struct Basis<'b> {
    /// The tiers that there are.
    pub plan: &'b Plan,
    /// The sites that there are; `None` where there is no register yet, so that sites' names are not checked.
    pub register: Option<&'b Register>,
    /// The province's time zone.
    pub zone: &'b TimeZone,
    /// The present.
    pub now: UnixMillis,
    /// Sites whose agents have had a document.
    pub former: &'b BTreeSet<SiteId>,
}

/// What one site gets.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// Its document.
    pub document: Document,
    /// What the document comes to.
    pub probes: Probes,
    /// From which layers its parts come.
    pub origins: Origins,
}

/// The layers of a file.
#[derive(Debug, Default)]
struct Layers {
    all: Layer,
    tiers: BTreeMap<TierId, Layer>,
    sites: BTreeMap<SiteId, Layer>,
}

/// What lies on top of each other for one site, the lowest first, each with its name.
type Stack<'l> = Vec<(String, &'l Layer)>;

/// The sites' documents without any file: those of agents that watch others, and empty ones.
///
/// # Errors
/// What the register makes of a watching site's targets, if that cannot be probed.
pub fn without_file(basis: &Basis<'_>) -> Result<BTreeMap<SiteId, Compiled>, Mistakes> {
    compile("register", b"", basis)
}

/// The sites' documents as `bytes`, the file called `file`, say.
///
/// # Errors
/// Every mistake in the file, also in what its layers mean together for any site.
pub fn compile(file: &str, bytes: &[u8], basis: &Basis<'_>) -> Result<BTreeMap<SiteId, Compiled>, Mistakes> {
    let text = File::read(file, bytes)?;
    let compiled = {
        let root = text.root();
        let layers = read(&root, basis);
        let mut compiler = Compiler { basis, layers: &layers, flaws: BTreeMap::new() };
        let compiled = compiler.sites();
        compiler.note(&root);
        compiled
    };
    text.finish(compiled)
}

fn read(root: &At<'_>, basis: &Basis<'_>) -> Layers {
    let mut layers = Layers::default();
    let Some(fields) = root.fields(&["all", "tiers", "sites"]) else { return layers };
    if let Some(at) = fields.get("all") {
        layers.all = layer(&at);
        vain(&at, &layers.all, &Layer::default());
    }
    let tiers = fields.get("tiers").and_then(|at| at.entries("a tier's id and a layer each"));
    for (key, at) in tiers.into_iter().flatten() {
        let layer = layer_or_nothing(&at);
        vain(&at, &layer, &layers.all);
        if let Some(tier) = basis.plan.tier(key) {
            layers.tiers.insert(tier.id.clone(), layer);
        } else {
            let known: Vec<&str> = basis.plan.tiers.iter().map(|tier| tier.id.as_str()).collect();
            let remedy = match nearest(key, known.iter().copied()) {
                Some(meant) => format!("did you mean {meant}?"),
                None => "correct it, or add it to plan.tiers".to_owned(),
            };
            let expected = format!("one of the plan's tiers: {}", known.join(", "));
            at.at_key().wrong_as(format!("the tier “{key}”"), expected, remedy);
        }
    }
    let sites = fields.get("sites").and_then(|at| at.entries("a site's id and a layer each"));
    for (key, at) in sites.into_iter().flatten() {
        let layer = layer_or_nothing(&at);
        let Some(register) = basis.register else {
            match key.parse() {
                Ok(id) => drop(layers.sites.insert(id, layer)),
                Err(_) => unknown_site(&at, key, None),
            }
            continue;
        };
        let site = key.parse().ok().and_then(|id: SiteId| register.get(&id));
        let Some(site) = site else {
            unknown_site(&at, key, Some(register));
            continue;
        };
        let below = match layers.tiers.get(&site.tier) {
            Some(tier) => tier.over(&layers.all),
            None => layers.all.clone(),
        };
        vain(&at, &layer, &below);
        layers.sites.insert(site.id.clone(), layer);
    }
    layers
}

fn unknown_site(at: &At<'_>, key: &str, register: Option<&Register>) {
    let ids = register.into_iter().flat_map(Register::sites).map(|site| site.id.as_str());
    let remedy = match nearest(key, ids) {
        Some(meant) => format!("did you mean {meant}?"),
        None => "see `wan-collector sites list` for the ids".to_owned(),
    };
    at.at_key().wrong_as(format!("the site “{key}”"), "the id of a site in the register", remedy);
}

fn layer_or_nothing(at: &At<'_>) -> Layer {
    if at.is_null() { Layer::default() } else { layer(at) }
}

fn layer(at: &At<'_>) -> Layer {
    at.fields(&Layer::KEYS).map(|fields| Layer::read(&fields, Form::Part)).unwrap_or_default()
}

/// Notes links that are taken away although there are none: their names are most likely mistyped.
fn vain(at: &At<'_>, upper: &Layer, lower: &Layer) {
    for link in upper.removes_in_vain(lower) {
        let known: Vec<&str> = lower.links.iter().flatten().map(|link| link.name.as_str()).collect();
        let flaw = Flaw {
            place: link.place.clone(),
            found: format!("the link {}, which no layer below names", link.name),
            expected: if known.is_empty() {
                "no “remove”".into()
            } else {
                format!("one of {}", known.join(", "))
            },
            remedy: "correct the name, or leave it out".into(),
        };
        flaw.note(at);
    }
}

struct Compiler<'c> {
    basis: &'c Basis<'c>,
    layers: &'c Layers,
    /// What is wrong, and where: flaws of shared layers are said once, not for each of three hundred sites.
    flaws: BTreeMap<String, (Flaw, Vec<String>)>,
}

impl Compiler<'_> {
    fn sites(&mut self) -> BTreeMap<SiteId, Compiled> {
        let Some(register) = self.basis.register else {
            self.tiers();
            return BTreeMap::new();
        };
        let mut documents = BTreeMap::new();
        for site in register.sites() {
            let closed = site.valid_to_ms(self.basis.zone).is_some_and(|closed| closed <= self.basis.now);
            if closed {
                continue;
            }
            if let Some(compiled) = self.site(site, register) {
                documents.insert(site.id.clone(), compiled);
            }
        }
        documents
    }

    /// Without a register: what `all` and the tiers say together is looked at as if each tier had a site.
    fn tiers(&mut self) {
        if self.layers.tiers.is_empty() && !self.layers.all.is_empty() {
            self.found(self.layers.all.resolve().1, "all");
        }
        for tier in self.layers.tiers.keys() {
            let flaws = merge(&self.stack(tier, None)).resolve().1;
            self.found(flaws, &format!("tier {tier}"));
        }
    }

    fn stack(&self, tier: &TierId, site: Option<&SiteId>) -> Stack<'_> {
        let mut stack: Stack<'_> = vec![("all".to_owned(), &self.layers.all)];
        if let Some(layer) = self.layers.tiers.get(tier) {
            stack.push((format!("tier {tier}"), layer));
        }
        if let Some(layer) = site.and_then(|site| self.layers.sites.get(site)) {
            stack.push(("site".to_owned(), layer));
        }
        stack
    }

    fn site(&mut self, site: &Site, register: &Register) -> Option<Compiled> {
        let stack = self.stack(&site.tier, Some(&site.id));
        let mut layer = merge(&stack);
        let mut origins = origins(&stack);
        origins.site = Some(site.id.to_string());
        let watches = site.watches != Watches::None;
        if watches {
            let targets = watch::targets(site, register, self.basis.zone, self.basis.now);
            if !targets.is_empty() {
                let removed = removed(&stack);
                let names: Vec<LinkName> = targets.keys().cloned().collect();
                let usual = layer.links.is_none();
                layer = watch::add(layer, targets, &removed);
                for link in layer.links.iter().flatten() {
                    let generated = names.contains(&link.name);
                    let own = if usual && !generated { Some("default".to_owned()) } else { None };
                    let before = origins.links.remove(&link.name).or(own);
                    let parts = before.into_iter().chain(generated.then(|| "register".to_owned()));
                    origins.links.insert(link.name.clone(), parts.collect::<Vec<_>>().join(", "));
                }
            }
        }
        if layer.is_empty() && !self.basis.former.contains(&site.id) {
            return None;
        }
        let (probes, flaws) = layer.resolve();
        let flaws = flaws.into_iter().map(|flaw| watchers_remedy(flaw, watches));
        self.found(flaws.collect(), &format!("site {} (tier {})", site.id, site.tier));
        let document = Document::of(text(site, &layer, &origins));
        Some(Compiled { document, probes, origins })
    }

    fn found(&mut self, flaws: Vec<Flaw>, of: &str) {
        for flaw in flaws {
            let (_, all) = self.flaws.entry(flaw.to_string()).or_insert_with(|| (flaw, Vec::new()));
            all.push(of.to_owned());
        }
    }

    fn note(self, root: &At<'_>) {
        for (flaw, of) in self.flaws.into_values() {
            let first = of.first().map(String::as_str).unwrap_or_default();
            let others = match of.len() {
                0 | 1 => String::new(),
                2 => " and another".to_owned(),
                all => format!(" and {} others", all - 1),
            };
            let found = format!("{} at {first}{others}", flaw.found);
            Flaw { found, ..flaw }.note(root);
        }
    }
}

/// Too many targets of an agent that watches others are not the file's doing.
fn watchers_remedy(flaw: Flaw, watches: bool) -> Flaw {
    if watches && flaw.found.ends_with(" targets") && flaw.expected.starts_with("at most") {
        let remedy = format!(
            "let several sites watch a part each: `watches` in the register takes a list of ids; \
                              one agent probes {MOST_TARGETS}"
        );
        return Flaw { remedy, ..flaw };
    }
    flaw
}

fn merge(stack: &Stack<'_>) -> Layer {
    stack.iter().fold(Layer::default(), |below, (_, layer)| layer.over(&below))
}

/// From which layers each part comes.
fn origins(stack: &Stack<'_>) -> Origins {
    let join = |names: Vec<&str>| (!names.is_empty()).then(|| names.join(", "));
    let said = |says: &dyn Fn(&Layer) -> bool| {
        stack.iter().filter(|(_, layer)| says(layer)).map(|(name, _)| name.as_str()).collect::<Vec<_>>()
    };
    let mut links: BTreeMap<LinkName, Vec<&str>> = BTreeMap::new();
    for (name, layer) in stack {
        for link in layer.links.iter().flatten() {
            if link.remove {
                links.remove(&link.name);
            } else {
                links.entry(link.name.clone()).or_default().push(name);
            }
        }
    }
    Origins {
        site: None,
        round: join(said(&|layer| !layer.round.is_empty())),
        icmp: said(&|layer| layer.icmp.is_some()).last().map(|name| (*name).to_owned()),
        links: links.into_iter().map(|(link, names)| (link, names.join(", "))).collect(),
    }
}

/// The links that the layers' last word takes away.
fn removed(stack: &Stack<'_>) -> BTreeSet<LinkName> {
    let mut removed = BTreeSet::new();
    for LinkLayer { name, remove, .. } in stack.iter().flat_map(|(_, layer)| layer.links.iter().flatten()) {
        if *remove {
            removed.insert(name.clone());
        } else {
            removed.remove(name);
        }
    }
    removed
}

/// The document's text. Nothing in it changes but by what it says, so that its ETag does not either.
fn text(site: &Site, layer: &Layer, origins: &Origins) -> String {
    let id = &site.id;
    if layer.is_empty() {
        return format!("# Nothing is said of {id}: its agent's own file holds.\n{}", render(layer, origins));
    }
    let mut own = Vec::new();
    if layer.round.is_empty() {
        own.push("round");
    }
    if layer.icmp.is_none() {
        own.push("icmp");
    }
    if layer.links.is_none() {
        own.push("links");
    }
    let own = match own.as_slice() {
        [] => String::new(),
        own => format!("# Of {} the agent's own file holds.\n", own.join(" and ")),
    };
    format!(
        "# What the agent of {id} probes. Kept at the collector; behind each part, the layers it comes from.\n{own}{}",
        render(layer, origins)
    )
}
