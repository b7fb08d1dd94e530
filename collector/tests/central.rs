//! The agents' configuration: files and register to documents, and every mistake with its place.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::tz::TimeZone;
use wan_collector::central::compile::{Basis, Compilation, Compiled, compile, compile_again, without_file};
use wan_collector::config::Plan;
use wan_collector::inventory::Register;
use wan_collector::inventory::read::{File, Format, read};
use wan_settings::Mistakes;
use wan_wire::{SiteId, UnixMillis};

const EXAMPLE: &str = include_str!("../../deploy/examples/agents.yaml");
const EXAMPLE_REGISTER: &str = include_str!("../../deploy/examples/sites.yaml");
/// 2026-11-01 in Vietnam.
const NOW: UnixMillis = UnixMillis(1_793_466_000_000);

const REGISTER: &str = "
sites:
- {id: trung-tam, name: Trung tâm, tier: province, branch: state, watches: all, links: {lan: , wan-vnpt: {router: 10.72.0.1}}}
- {id: huyen-tan-bien, name: Tân Biên, tier: district, branch: state, watches: [xa-hung-thuan], links: {wan-vnpt: {router: 10.72.5.1}}}
- {id: xa-hung-thuan, name: Hưng Thuận, tier: commune, branch: state, links: {wan-vnpt: {router: 10.72.9.1}, wan-viettel: {router: 'fd00::9'}, lan: }}
- {id: xa-loc-hung, name: Lộc Hưng, tier: commune, branch: state}
- {id: xa-cu, name: Xã cũ, tier: commune, branch: state, valid_to: 2025-07-01, links: {wan-vnpt: {router: 10.72.8.1}}}
- {id: xa-moi, name: Xã mới, tier: commune, branch: state, valid_from: 2027-01-01, links: {wan-vnpt: {router: 10.72.7.1}}}
";

fn register(text: &str, plan: &Plan) -> Register {
    let file = File { name: "r", bytes: text.as_bytes(), format: Format::Yaml };
    Register::new(read(&[file], plan, &Register::default()).unwrap()).unwrap()
}

const NOTHING: &str = "all: {}";

fn compiled_in(
    text: &str,
    register_text: &str,
    former: &[&str],
    now: UnixMillis,
) -> Result<BTreeMap<SiteId, Compiled>, Mistakes> {
    let work = |basis: &Basis<'_>| compile("agents.yaml", text.as_bytes(), basis);
    let Compilation { sites, held, faults } = with_basis(register_text, former, now, work)?;
    assert_eq!((held.len(), faults), (0, Vec::new()));
    Ok(sites)
}

fn with_basis<T>(
    register_text: &str,
    former: &[&str],
    now: UnixMillis,
    work: impl FnOnce(&Basis<'_>) -> T,
) -> T {
    let plan = Plan::default();
    let former: BTreeSet<SiteId> = former.iter().map(|id| id.parse().unwrap()).collect();
    let register = register(register_text, &plan);
    let zone = TimeZone::get("Asia/Ho_Chi_Minh").unwrap();
    let basis = Basis { plan: &plan, register: Some(&register), zone: &zone, now, former: &former };
    work(&basis)
}

fn compiled(text: &str) -> BTreeMap<SiteId, Compiled> {
    compiled_in(text, REGISTER, &[], NOW).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn targets(compiled: &Compiled) -> Vec<String> {
    let mut shown = Vec::new();
    for link in &compiled.probes.links {
        for target in &link.targets {
            let about = target.about.as_ref().map(|about| format!(" about {about}")).unwrap_or_default();
            shown.push(format!("{} {}{about}", link.name, target.probe.label()));
        }
    }
    shown
}

fn of<'c>(compiled: &'c BTreeMap<SiteId, Compiled>, site: &str) -> &'c Compiled {
    compiled.get(&site.parse::<SiteId>().unwrap()).unwrap()
}

/// One file for each rule under `tests/bad-agents/`; each of its messages, whole but for the file's name before it, stands
/// behind `# expect: ` at its end.
#[test]
fn every_bad_file_is_answered_with_exactly_its_messages() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad-agents");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 18, "only {} files", files.len());
    let mut wrong = String::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let expected: Vec<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# expect: "))
            .map(|message| format!("agents.yaml:{message}"))
            .collect();
        let found: Vec<String> = match compiled_in(&text, REGISTER, &[], NOW) {
            Ok(_) => vec!["agents.yaml: no mistake".into()],
            Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
        };
        if found != expected {
            let lines = found.iter().map(|line| line.replacen("agents.yaml:", "# expect: ", 1));
            wrong.push_str(&format!("== {}\n{}\n", file.display(), lines.collect::<Vec<_>>().join("\n")));
        }
    }
    assert!(wrong.is_empty(), "found instead:\n{wrong}");
}

#[test]
fn a_site_gets_its_own_layer_over_its_tiers_over_all() {
    let text = "
all:
  round: {interval: 10s, packets: 5}
  links: [{name: wan, targets: [{icmp: collector}]}, {name: internet, targets: [{icmp: 1.1.1.1}]}]
tiers:
  commune: {round: {packets: 3}}
sites:
  xa-hung-thuan:
    links: [{name: wan, interface: eth1}, {name: internet, remove: true}, {name: service-mail, targets: [{tcp: 'mail.example:25'}]}]
";
    let compiled = compiled(text);
    let one = of(&compiled, "xa-hung-thuan");
    assert_eq!(targets(one), ["wan collector", "service-mail mail.example:25"]);
    assert_eq!(one.probes.links[0].interface.as_ref().map(AsRef::as_ref), Some("eth1"));
    assert_eq!((one.probes.round.interval.as_secs(), one.probes.round.packets), (10, 3));
    let origins = one.origins.clone();
    assert_eq!(origins.round.as_deref(), Some("all, tier commune"));
    let links: Vec<String> = origins.links.iter().map(|(name, origin)| format!("{name}: {origin}")).collect();
    assert_eq!(links, ["service-mail: site", "wan: all, site"]);
    assert!(one.document.body.contains("  - name: wan # all, site\n"), "{}", one.document.body);
    assert!(one.document.body.contains("# Of icmp the agent's own file holds.\n"), "{}", one.document.body);

    assert_eq!(targets(of(&compiled, "xa-loc-hung")), ["wan collector", "internet 1.1.1.1"]);
    assert!(!compiled.contains_key(&"xa-cu".parse::<SiteId>().unwrap()), "a closed site");
    assert!(compiled.contains_key(&"xa-moi".parse::<SiteId>().unwrap()), "one that will open");
}

#[test]
fn an_etag_changes_with_what_is_said_and_with_nothing_else() {
    let text = |interval: u8| format!("tiers: {{commune: {{round: {{interval: {interval}s}}}}}}");
    let (one, same, other) =
        (compiled(&text(9)), compiled(&format!("# anew\n{}", text(9))), compiled(&text(8)));
    let tag = |compiled: &BTreeMap<SiteId, Compiled>| of(compiled, "xa-loc-hung").document.tag().to_owned();
    assert_eq!(tag(&one), tag(&same));
    assert_ne!(tag(&one), tag(&other));
    assert!(tag(&one).starts_with('"') && tag(&one).ends_with('"') && tag(&one).len() == 18);
}

#[test]
fn a_site_to_which_nothing_is_said_has_no_document_unless_it_had_one() {
    let compiled = compiled_in(NOTHING, REGISTER, &["xa-loc-hung"], NOW).unwrap();
    let ids: Vec<&str> = compiled.keys().map(SiteId::as_str).collect();
    assert_eq!(ids, ["huyen-tan-bien", "trung-tam", "xa-loc-hung"], "two watch others, one had a document");
    let emptied = of(&compiled, "xa-loc-hung");
    assert_eq!(
        emptied.document.body,
        "# Nothing is said of xa-loc-hung: its agent's own file holds.\norigin:\n  site: \"xa-loc-hung\"\n"
    );
}

#[test]
fn the_register_alone_configures_the_agent_of_the_centre() {
    let compiled = compiled_in(NOTHING, REGISTER, &[], NOW).unwrap();
    assert_eq!(
        targets(of(&compiled, "trung-tam")),
        [
            "lan gateway",
            "wan collector",
            "internet 1.1.1.1",
            "internet 8.8.8.8",
            "wan-viettel fd00::9 about xa-hung-thuan",
            "wan-vnpt 10.72.5.1 about huyen-tan-bien",
            "wan-vnpt 10.72.9.1 about xa-hung-thuan",
        ]
    );
    let origins = &of(&compiled, "trung-tam").origins.links;
    let shown: Vec<String> = origins.iter().map(|(name, origin)| format!("{name}: {origin}")).collect();
    let expected =
        ["internet: default", "lan: default", "wan: default", "wan-viettel: register", "wan-vnpt: register"];
    assert!(!of(&compiled, "trung-tam").document.body.contains("wan # register"));
    assert_eq!(shown.iter().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(expected));
    // The one that watches by a list.
    let district = targets(of(&compiled, "huyen-tan-bien"));
    assert_eq!(
        &district[4..],
        ["wan-viettel fd00::9 about xa-hung-thuan", "wan-vnpt 10.72.9.1 about xa-hung-thuan"]
    );
    // A site that opens is watched from that day on: 2027-01-01 in Vietnam.
    let later = compiled_in(NOTHING, REGISTER, &[], UnixMillis(1_798_736_400_000)).unwrap();
    assert!(targets(of(&later, "trung-tam")).contains(&"wan-vnpt 10.72.7.1 about xa-moi".to_owned()));
    let before = compiled_in(NOTHING, REGISTER, &[], UnixMillis(1_798_736_399_999)).unwrap();
    assert!(!targets(of(&before, "trung-tam")).contains(&"wan-vnpt 10.72.7.1 about xa-moi".to_owned()));
}

#[test]
fn what_the_centre_watches_lies_beside_its_own_layers() {
    let text = "
sites:
  trung-tam:
    links:
      - {name: wan-vnpt, interface: eth1, targets: [{icmp: 10.72.0.254}]}
      - {name: lan, targets: [{icmp: gateway}]}
";
    assert_eq!(
        targets(of(&compiled(text), "trung-tam")),
        [
            "wan-vnpt 10.72.0.254",
            "wan-vnpt 10.72.5.1 about huyen-tan-bien",
            "wan-vnpt 10.72.9.1 about xa-hung-thuan",
            "lan gateway",
            "wan-viettel fd00::9 about xa-hung-thuan",
        ]
    );
    let without = "
all: {links: [{name: lan, targets: [{icmp: gateway}]}, {name: wan-viettel, targets: [{icmp: gateway}]}]}
sites: {trung-tam: {links: [{name: wan-viettel, remove: true}]}}
";
    assert_eq!(
        targets(of(&compiled(without), "trung-tam")),
        ["lan gateway", "wan-vnpt 10.72.5.1 about huyen-tan-bien", "wan-vnpt 10.72.9.1 about xa-hung-thuan"]
    );
}

/// A centre that watches so many routers.
fn watched(routers: usize) -> String {
    let mut text =
        String::from("sites:\n- {id: trung-tam, name: T, tier: province, branch: state, watches: all}\n");
    for at in 0..routers {
        text.push_str(&format!(
            "- {{id: xa-{at}, name: X, tier: commune, branch: state, links: {{wan: {{router: 10.{}.{}.1}}}}}}\n",
            at / 250,
            at % 250
        ));
    }
    text
}

#[test]
fn a_centre_looks_twice_as_often_as_long_as_it_may_send_so_many_packets() {
    let round = |routers: usize, file: &str| {
        let compiled = compiled_in(file, &watched(routers), &[], NOW).unwrap();
        of(&compiled, "trung-tam").probes.round.interval.as_millis()
    };
    assert_eq!(round(300, NOTHING), 2_500);
    assert_eq!(round(1_500, NOTHING), 5_000, "at the usual pace they are not too many");
    assert_eq!(round(300, "all: {round: {interval: 10s}}"), 10_000, "the file says otherwise");
}

#[test]
fn a_centre_that_is_to_watch_too_much_is_refused_with_what_to_do() {
    let text = watched(1_997);
    let layers = "tiers: {commune: {round: {packets: 3}}}";
    let compiled = with_basis(&text, &[], NOW, |basis| compile("f", layers.as_bytes(), basis)).unwrap();
    let faults: Vec<String> = compiled.faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        faults,
        [
            "register: trung-tam: found 2001 targets, expected at most 2000 targets in all; let several sites watch a part each: `watches` in the register takes a list of ids; one agent probes 2000"
        ]
    );
    let held: Vec<&str> = compiled.held.keys().map(SiteId::as_str).collect();
    assert_eq!((held, compiled.sites.len()), (vec!["trung-tam"], 1_997), "it costs no other site its own");
    let alone = with_basis(&text, &[], NOW, without_file);
    assert_eq!((alone.faults.len(), alone.sites.len()), (1, 0), "the same without a file");
}

#[test]
fn what_the_register_makes_wrong_of_one_site_is_said_and_costs_no_other() {
    let fault = |register: &str, layers: &str| {
        let work = |basis: &Basis<'_>| compile("f", layers.as_bytes(), basis).unwrap();
        let Compilation { sites, held, faults } = with_basis(register, &[], NOW, work);
        assert_eq!(held.keys().map(SiteId::as_str).collect::<Vec<_>>(), ["trung-tam"]);
        assert!(sites.contains_key(&"xa-loc-hung".parse::<SiteId>().unwrap()));
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let source = "all: {round: {packets: 3}}\nsites: {trung-tam: {links: [{name: wan-viettel, source: 10.0.0.9, targets: [{icmp: 10.0.0.1}]}]}}";
    let said = fault(REGISTER, source);
    assert!(
        said.starts_with(
            "register: trung-tam: found “fd00::9” of the other family than the link's source 10.0.0.9"
        ),
        "{said}"
    );
    let mut register = REGISTER.to_owned();
    for at in 0..70 {
        register.push_str(&format!("- {{id: xa-{at}, name: X, tier: commune, branch: state, links: {{wan-n{at}: {{router: 10.1.0.{at}}}}}}}\n"));
    }
    let said = fault(&register, "all: {round: {packets: 3}}");
    assert!(said.starts_with("register: trung-tam: found 75 links, expected 1 to 64 links"), "{said}");
}

#[test]
fn a_router_that_the_layers_probe_already_is_not_probed_twice() {
    let text = "sites: {trung-tam: {links: [{name: wan-vnpt, targets: [{icmp: 10.72.9.1, about: xa-hung-thuan, packets: 2}]}]}}";
    let compiled = compiled(text);
    let centre = of(&compiled, "trung-tam");
    let shown = targets(centre);
    assert_eq!(
        shown,
        [
            "wan-vnpt 10.72.9.1 about xa-hung-thuan",
            "wan-vnpt 10.72.5.1 about huyen-tan-bien",
            "wan-viettel fd00::9 about xa-hung-thuan"
        ]
    );
    assert_eq!(centre.probes.links[0].targets[0].packets, 2, "as the layers say");
}

#[test]
fn a_link_says_the_defaults_before_the_register_that_adds_to_it() {
    let register = "sites:\n- {id: trung-tam, name: T, tier: province, branch: state, watches: all}\n\
                    - {id: xa-a, name: A, tier: commune, branch: state, links: {wan: {router: 10.72.1.1}}}\n";
    let compiled = compiled_in(NOTHING, register, &[], NOW).unwrap();
    let origins = &of(&compiled, "trung-tam").origins.links;
    assert_eq!(origins[&"wan".parse().unwrap()], "default, register");
}

#[test]
fn a_file_that_was_good_and_no_longer_fits_goes_on_for_all_that_it_fits() {
    let text = "
all: {round: {packets: 3}}
tiers: {commune: {round: {interval: 9s}}, gone: {}}
sites:
  huyen-tan-bien: {links: [{name: wan, targets: [{icmp: 10.0.0.1, timeout: 8s}]}]}
  xa-hung-thuan: {icmp: {socket: x}}
  xa-that-left: {round: {packets: 1}}
";
    let work = |basis: &Basis<'_>| compile_again("f", text.as_bytes(), basis).unwrap();
    let Compilation { sites, held, faults } = with_basis(REGISTER, &[], NOW, work);
    let held: Vec<String> = held.iter().map(|(site, why)| format!("{site}: {why}")).collect();
    assert_eq!(held.len(), 2, "{held:?}");
    assert!(
        held[0]
            .starts_with("huyen-tan-bien: sites.huyen-tan-bien.links[0].targets[0]: found a timeout of 8s"),
        "{held:?}"
    );
    assert_eq!(held[1], "xa-hung-thuan: the file has mistakes");
    let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "tiers.gone",
            "sites.huyen-tan-bien.links[0].targets[0]",
            "sites.xa-hung-thuan.icmp.socket",
            "sites.xa-that-left"
        ]
    );
    let ids: Vec<&str> = sites.keys().map(SiteId::as_str).collect();
    assert_eq!(ids, ["trung-tam", "xa-loc-hung", "xa-moi"]);
    assert_eq!(sites[&"xa-loc-hung".parse::<SiteId>().unwrap()].document.interval.unwrap().as_secs(), 9);
}

#[test]
fn a_document_that_agents_would_not_read_is_refused() {
    let targets: String =
        (0..1_990).map(|at| format!("{{icmp: 10.0.0.1, label: '{at}{}'}},", "x".repeat(505))).collect();
    let text = format!("sites: {{xa-loc-hung: {{links: [{{name: wan, targets: [{targets}]}}]}}}}");
    let said = compiled_in(&text, REGISTER, &[], NOW).unwrap_err().to_string();
    assert!(
        said.contains("xa-loc-hung.links: found a configuration of 1")
            && said.contains("expected at most 1048576 bytes"),
        "{said}"
    );
}

#[test]
fn without_a_register_the_layers_are_checked_all_the_same() {
    let plan = Plan::default();
    let zone = TimeZone::UTC;
    let basis = Basis { plan: &plan, register: None, zone: &zone, now: NOW, former: &BTreeSet::new() };
    let check = |text: &str| compile("f", text.as_bytes(), &basis).map(|compiled| compiled.sites.len());
    assert_eq!(check("sites: {anything: {round: {interval: 10s}}}"), Ok(0));
    assert!(
        check("tiers: {commune: {links: [{name: wan, interface: eth0}]}}")
            .unwrap_err()
            .to_string()
            .contains("at tier commune")
    );
    assert!(
        check("all: {links: [{name: wan, interface: eth0}]}").unwrap_err().to_string().contains("at all")
    );
    assert_eq!(without_file(&basis), Compilation::default());
}

#[test]
fn the_shipped_example_is_good_against_the_shipped_register() {
    let compiled =
        compiled_in(EXAMPLE, EXAMPLE_REGISTER, &[], NOW).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert!(compiled.len() == 2, "{:?}", compiled.keys().collect::<Vec<_>>());
    let centre = targets(of(&compiled, "trung-tam-du-lieu"));
    assert!(centre.iter().any(|target| target.contains(" about ubnd-huyen-go-dau")), "{centre:?}");
}

proptest::proptest! {
    #[test]
    fn no_damage_to_the_example_makes_it_fail(from in 0usize..4000, length in 0usize..60) {
        let kept: String = EXAMPLE.chars().enumerate().filter(|(at, _)| !(from..from + length).contains(at)).map(|(_, c)| c).collect();
        let _ = compiled_in(&kept, EXAMPLE_REGISTER, &[], NOW);
    }
}
