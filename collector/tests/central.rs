//! The agents' configuration: files and register to documents, and every mistake with its place.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::tz::TimeZone;
use wan_collector::central::compile::{Basis, Compiled, compile, without_file};
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

fn compiled_in(
    text: &str,
    register_text: &str,
    former: &[&str],
    now: UnixMillis,
) -> Result<BTreeMap<SiteId, Compiled>, Mistakes> {
    let plan = Plan::default();
    let former: BTreeSet<SiteId> = former.iter().map(|id| id.parse().unwrap()).collect();
    let register = register(register_text, &plan);
    let zone = TimeZone::get("Asia/Ho_Chi_Minh").unwrap();
    let basis = Basis { plan: &plan, register: Some(&register), zone: &zone, now, former: &former };
    compile("agents.yaml", text.as_bytes(), &basis)
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
    let compiled = compiled_in("", REGISTER, &["xa-loc-hung"], NOW).unwrap();
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
    let compiled = compiled_in("", REGISTER, &[], NOW).unwrap();
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
    assert_eq!(shown.iter().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(expected));
    // The one that watches by a list.
    let district = targets(of(&compiled, "huyen-tan-bien"));
    assert_eq!(
        &district[4..],
        ["wan-viettel fd00::9 about xa-hung-thuan", "wan-vnpt 10.72.9.1 about xa-hung-thuan"]
    );
    // A site that opens is watched from that day on: 2027-01-01 in Vietnam.
    let later = compiled_in("", REGISTER, &[], UnixMillis(1_798_736_400_000)).unwrap();
    assert!(targets(of(&later, "trung-tam")).contains(&"wan-vnpt 10.72.7.1 about xa-moi".to_owned()));
    let before = compiled_in("", REGISTER, &[], UnixMillis(1_798_736_399_999)).unwrap();
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

#[test]
fn a_centre_that_is_to_watch_too_much_is_refused_with_what_to_do() {
    let mut text =
        String::from("sites:\n- {id: trung-tam, name: T, tier: province, branch: state, watches: all}\n");
    for at in 0..1_997 {
        text.push_str(&format!(
            "- {{id: xa-{at}, name: X, tier: commune, branch: state, links: {{wan: {{router: 10.{}.{}.1}}}}}}\n",
            at / 250,
            at % 250
        ));
    }
    let mistakes = compiled_in("", &text, &[], NOW).unwrap_err().to_string();
    assert!(
        mistakes.contains("found 2001 targets at site trung-tam (tier province), expected at most 2000"),
        "{mistakes}"
    );
    assert!(mistakes.contains("`watches` in the register takes a list of ids"), "{mistakes}");
}

#[test]
fn without_a_register_the_layers_are_checked_all_the_same() {
    let plan = Plan::default();
    let zone = TimeZone::UTC;
    let basis = Basis { plan: &plan, register: None, zone: &zone, now: NOW, former: &BTreeSet::new() };
    let check = |text: &str| compile("f", text.as_bytes(), &basis).map(|compiled| compiled.len());
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
    assert_eq!(without_file(&basis).map(|compiled| compiled.len()), Ok(0));
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
