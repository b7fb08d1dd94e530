//! One file and the register → every site's document, or every mistake: pure.
//!
//! What is wrong is of two kinds, and they go different ways:
//!
//! - **The file's** mistakes: whoever wrote it is there and mends it, so [`compile`] refuses it as a whole.
//! - **The register's**: too many routers for one agent, a router that the centre's link cannot reach. They come with an import
//!   that is about other things, and cost the document of the site that watches, and no other's ([`Compilation::held`]).
//!
//! A file that was good and no longer fits, since the register or the plan has changed under it, is no reason to leave the other
//! sites without documents either: [`compile_again`] makes those with which nothing is wrong.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use wan_settings::probes::{Flaw, Form, Layer, LinkLayer, MOST_TARGETS, Origins, Place, Probes, render};
use wan_settings::{At, CONFIGURATION_BYTES, Document as File, Mistake, Mistakes, nearest};
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
    /// Whether it names links; else those of the agent's own file are probed.
    pub names_links: bool,
}

/// What file and register come to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Compilation {
    /// What each site gets to which something is said.
    pub sites: BTreeMap<SiteId, Compiled>,
    /// The sites that get nothing new, and why: their agents go on with what they have.
    pub held: BTreeMap<SiteId, String>,
    /// What is wrong that the file could not know of.
    pub faults: Vec<Mistake>,
}

/// What the register's mistakes are said to be in.
const REGISTER: &str = "register";

/// The layers of a file.
#[derive(Debug, Default)]
struct Layers {
    all: Read,
    tiers: BTreeMap<TierId, Read>,
    sites: BTreeMap<SiteId, Read>,
    /// Tiers that have a layer and that the plan does not name.
    lost: BTreeSet<String>,
}

/// One layer as it was read.
#[derive(Debug, Default)]
struct Read {
    layer: Layer,
    /// Some of it could not be read: what is left is not what was meant.
    spoilt: bool,
}

/// What lies on top of each other for one site, the lowest first, each with its name.
type Stack<'l> = Vec<(String, &'l Read)>;

/// The sites' documents without any file: those of agents that watch others, and empty ones.
#[must_use]
pub fn without_file(basis: &Basis<'_>) -> Compilation {
    Compiler::of(basis, &Layers::default()).0
}

/// The sites' documents as `bytes`, the file called `file`, say.
///
/// # Errors
/// Every mistake in the file, also in what its layers mean together for any site.
pub fn compile(file: &str, bytes: &[u8], basis: &Basis<'_>) -> Result<Compilation, Mistakes> {
    let (compilation, mistakes) = work(file, bytes, basis)?;
    if mistakes.is_empty() { Ok(compilation) } else { Err(Mistakes::new(mistakes)) }
}

/// The same of a file that was good once: what is wrong with it now is among [`Compilation::faults`], and costs the sites that it
/// concerns.
///
/// # Errors
/// It is no YAML.
pub fn compile_again(file: &str, bytes: &[u8], basis: &Basis<'_>) -> Result<Compilation, Mistakes> {
    let (mut compilation, mut mistakes) = work(file, bytes, basis)?;
    mistakes.append(&mut compilation.faults);
    compilation.faults = Mistakes::new(mistakes).into_vec();
    Ok(compilation)
}

fn work(file: &str, bytes: &[u8], basis: &Basis<'_>) -> Result<(Compilation, Vec<Mistake>), Mistakes> {
    let text = File::read(file, bytes)?;
    let compilation = {
        let root = text.root();
        let layers = read(&root, basis);
        let (compilation, flaws) = Compiler::of(basis, &layers);
        note(flaws, &root);
        compilation
    };
    Ok((compilation, text.into_mistakes()))
}

fn read(root: &At<'_>, basis: &Basis<'_>) -> Layers {
    let mut layers = Layers::default();
    let Some(fields) = root.fields(&["all", "tiers", "sites"]) else {
        layers.all.spoilt = true;
        return layers;
    };
    layers.all.spoilt = root.noted() > 0;
    if root.is_empty_map() {
        // Most likely an editor has emptied it and not written it yet.
        let remedy = "to say nothing to any agent, write “all: {}”";
        root.wrong_as("nothing", "at least one of all, tiers, sites", remedy);
    }
    if let Some(at) = fields.get("all") {
        let read = layer(&at);
        vain(&at, &read.layer, &Layer::default());
        layers.all = Read { spoilt: read.spoilt || layers.all.spoilt, ..read };
    }
    let tiers = fields.get("tiers").and_then(|at| at.entries("a tier's id and a layer each"));
    for (key, at) in tiers.into_iter().flatten() {
        let layer = layer_or_nothing(&at);
        vain(&at, &layer.layer, &layers.all.layer);
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
            layers.lost.insert(key.to_owned());
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
        let below = match layers.tiers.get(site.as_of_instant(basis.now, basis.zone).tier) {
            Some(tier) => tier.layer.over(&layers.all.layer),
            None => layers.all.layer.clone(),
        };
        vain(&at, &layer.layer, &below);
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

fn layer_or_nothing(at: &At<'_>) -> Read {
    if at.is_null() { Read::default() } else { layer(at) }
}

fn layer(at: &At<'_>) -> Read {
    let before = at.noted();
    let layer = at.fields(&Layer::KEYS).map(|fields| Layer::read(&fields, Form::Part)).unwrap_or_default();
    if layer.links.as_ref().is_some_and(Vec::is_empty) && at.noted() == before {
        // Whoever writes it means to take all links away; but merging by name leaves those of the layers below.
        let flaw = Flaw {
            place: layer.links_place.clone(),
            found: "a list of no links, which would change nothing".into(),
            expected: "at least one link".into(),
            remedy: "leave “links” out, or take each one away with “{name: NAME, remove: true}”".into(),
        };
        flaw.note(at);
    }
    Read { layer, spoilt: at.noted() > before }
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

/// What is wrong, and where: flaws of shared layers are said once, not for each of three hundred sites.
type Flaws = BTreeMap<String, (Flaw, Vec<String>)>;

struct Compiler<'c> {
    basis: &'c Basis<'c>,
    layers: &'c Layers,
    flaws: Flaws,
    made: Compilation,
}

impl Compiler<'_> {
    fn of(basis: &Basis<'_>, layers: &Layers) -> (Compilation, Flaws) {
        let mut compiler = Compiler { basis, layers, flaws: Flaws::new(), made: Compilation::default() };
        match basis.register {
            Some(register) => compiler.sites(register),
            None => compiler.tiers(),
        }
        (compiler.made, compiler.flaws)
    }

    fn sites(&mut self, register: &Register) {
        for site in register.sites() {
            let closed = site.valid_to_ms(self.basis.zone).is_some_and(|closed| closed <= self.basis.now);
            if !closed {
                self.site(site, register);
            }
        }
    }

    /// Without a register: what `all` and the tiers say together is looked at as if each tier had a site.
    fn tiers(&mut self) {
        if self.layers.tiers.is_empty() && !self.layers.all.layer.is_empty() {
            self.found(self.layers.all.layer.resolve().1, "all");
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

    fn site(&mut self, site: &Site, register: &Register) {
        let tier = site.as_of_instant(self.basis.now, self.basis.zone).tier;
        let stack = self.stack(tier, Some(&site.id));
        let lost = self.layers.lost.contains(tier.as_str());
        let spoilt = lost || stack.iter().any(|(_, read)| read.spoilt);
        let own = merge(&stack);
        let mut layer = own.clone();
        let mut origins = origins(&stack);
        origins.site = Some(site.id.to_string());
        let targets = match site.watches {
            Watches::None => BTreeMap::new(),
            Watches::All | Watches::Only(_) => {
                watch::targets(site, register, self.basis.zone, self.basis.now)
            }
        };
        let watches = !targets.is_empty();
        if watches {
            let removed = removed(&stack);
            let names: Vec<LinkName> = targets.keys().cloned().collect();
            let usual: Vec<LinkName> = match own.links {
                None => Layer::usual_links().into_iter().map(|link| link.name).collect(),
                Some(_) => Vec::new(),
            };
            layer = watch::add(layer, targets, &removed);
            if own.round.is_empty() {
                let quick = Layer { round: watch::round(), ..layer.clone() };
                // As many routers as an agent may probe at the usual pace are more than it may at twice that.
                if quick.resolve().1.len() <= layer.resolve().1.len() {
                    layer = quick;
                    origins.round = Some("register".to_owned());
                }
            }
            for link in layer.links.iter().flatten() {
                let default = usual.contains(&link.name).then(|| "default".to_owned());
                let before = origins.links.remove(&link.name).or(default);
                let generated = names.contains(&link.name).then(|| "register".to_owned());
                let parts: Vec<String> = before.into_iter().chain(generated).collect();
                origins.links.insert(link.name.clone(), parts.join(", "));
            }
        }
        if layer.is_empty() && !spoilt && !self.basis.former.contains(&site.id) {
            return;
        }
        let (probes, flaws) = layer.resolve();
        let interval = layer.round.interval;
        let document = Document { interval, ..Document::of(text(site, &layer, &origins)) };
        // What is wrong without what the register adds is the file's doing.
        let (mut of_file, of_register): (Vec<Flaw>, Vec<Flaw>) = match watches {
            false => (flaws, Vec::new()),
            true => {
                let without: BTreeSet<String> = own.resolve().1.iter().map(Flaw::to_string).collect();
                flaws.into_iter().partition(|flaw| without.contains(&flaw.to_string()))
            }
        };
        of_file.extend(strangers(&own, site, register));
        of_file.extend(too_long(&document, layer.links_place.as_ref()));
        let of_register: Vec<Flaw> = of_register.into_iter().map(watchers_remedy).collect();
        if let Some(flaw) = of_file.iter().chain(&of_register).next() {
            self.made.held.insert(site.id.clone(), flaw.to_string());
        } else if spoilt {
            self.made.held.insert(site.id.clone(), "the file has mistakes".to_owned());
        } else {
            let names_links = layer.links.is_some();
            self.made.sites.insert(site.id.clone(), Compiled { document, probes, origins, names_links });
        }
        self.made.faults.extend(of_register.into_iter().map(|Flaw { found, expected, remedy, .. }| {
            Mistake {
                key: site.id.to_string(),
                ..Mistake::of_file(REGISTER.to_owned(), found, expected, &remedy)
            }
        }));
        self.found(of_file, &format!("site {} (tier {tier})", site.id));
    }

    fn found(&mut self, flaws: Vec<Flaw>, of: &str) {
        for flaw in flaws {
            let (_, all) = self.flaws.entry(flaw.to_string()).or_insert_with(|| (flaw, Vec::new()));
            all.push(of.to_owned());
        }
    }
}

fn note(flaws: Flaws, root: &At<'_>) {
    for (flaw, of) in flaws.into_values() {
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

/// Targets about sites of which the agent of `site` may not speak: each of its pushes would be refused.
fn strangers(own: &Layer, site: &Site, register: &Register) -> Vec<Flaw> {
    let targets = own.links.iter().flatten().flat_map(|link| link.targets.iter().flatten());
    let mut flaws = Vec::new();
    for target in targets {
        let Some(about) = target.about.as_ref().filter(|about| **about != site.id) else { continue };
        let known = register.get(about).is_some();
        if known && site.watches.allows(about) {
            continue;
        }
        let (found, expected, remedy) = if known {
            let found = format!("a target about {about}, which is not watched");
            (
                found,
                "a site that it watches",
                format!("name {about} in `watches` of {} in the register", site.id),
            )
        } else {
            let ids = register.sites().map(|site| site.id.as_str());
            let remedy = match nearest(about.as_str(), ids) {
                Some(meant) => format!("did you mean {meant}?"),
                None => "see `wan-collector sites list` for the ids".to_owned(),
            };
            (format!("a target about {about}"), "the id of a site in the register", remedy)
        };
        flaws.push(Flaw { place: target.place.clone(), found, expected: expected.to_owned(), remedy });
    }
    flaws
}

/// A document that agents would refuse unread.
fn too_long(document: &Document, place: Option<&Place>) -> Option<Flaw> {
    let bytes = document.body.len();
    (bytes as u64 > CONFIGURATION_BYTES).then(|| Flaw {
        place: place.cloned(),
        found: format!("a configuration of {bytes} bytes"),
        expected: format!("at most {CONFIGURATION_BYTES} bytes"),
        remedy: "shorten labels and URLs, or divide the targets among several agents".to_owned(),
    })
}

/// Too many targets of an agent that watches others are not the file's doing.
fn watchers_remedy(flaw: Flaw) -> Flaw {
    if flaw.found.ends_with(" targets") && flaw.expected.starts_with("at most") {
        let remedy = format!(
            "let several sites watch a part each: `watches` in the register takes a list of ids; \
                              one agent probes {MOST_TARGETS}"
        );
        return Flaw { remedy, ..flaw };
    }
    flaw
}

fn merge(stack: &Stack<'_>) -> Layer {
    stack.iter().fold(Layer::default(), |below, (_, read)| read.layer.over(&below))
}

/// From which layers each part comes.
fn origins(stack: &Stack<'_>) -> Origins {
    let join = |names: Vec<&str>| (!names.is_empty()).then(|| names.join(", "));
    let said = |says: &dyn Fn(&Layer) -> bool| {
        stack.iter().filter(|(_, read)| says(&read.layer)).map(|(name, _)| name.as_str()).collect::<Vec<_>>()
    };
    let mut links: BTreeMap<LinkName, Vec<&str>> = BTreeMap::new();
    for (name, read) in stack {
        for link in read.layer.links.iter().flatten() {
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
    for LinkLayer { name, remove, .. } in stack.iter().flat_map(|(_, read)| read.layer.links.iter().flatten())
    {
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
