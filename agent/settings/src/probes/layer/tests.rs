use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::probes::{Form, Origins, Probes, render};
use crate::yaml::Document;

fn layer(text: &str) -> Layer {
    read(text, Form::Part).unwrap_or_else(|mistakes| panic!("{text}: {mistakes}"))
}

fn read(text: &str, form: Form) -> Result<Layer, crate::Mistakes> {
    let document = Document::read("f", text.as_bytes())?;
    let layer = document
        .root()
        .fields(&["round", "icmp", "links", "origin"])
        .map(|fields| Layer::read(&fields, form));
    document.finish(layer.unwrap_or_default())
}

/// `site` over `tier` over `all`.
fn stack(all: &str, tier: &str, site: &str) -> Layer {
    layer(site).over(&layer(tier).over(&layer(all).over(&Layer::default())))
}

fn names(layer: &Layer) -> Vec<&str> {
    layer.links.iter().flatten().map(|link| link.name.as_str()).collect()
}

fn flaws(layer: &Layer) -> Vec<String> {
    layer.resolve().1.iter().map(ToString::to_string).collect()
}

#[test]
fn what_the_upper_layer_says_goes_before_the_lower_key_by_key() {
    let merged = stack(
        "round: {interval: 10s, packets: 3}\nicmp: {socket: raw}",
        "round: {packets: 7}",
        "round: {timeout: 2s}\nicmp: {socket: auto}",
    );
    let probes = merged.resolve().0;
    assert_eq!(
        (probes.round.interval, probes.round.packets, probes.round.timeout, probes.icmp),
        (Duration::from_secs(10), 7, Duration::from_secs(2), IcmpSocket::Auto)
    );
}

#[test]
fn links_merge_by_name_keep_their_order_and_can_be_taken_away() {
    let all = "links: [{name: lan, targets: [{icmp: gateway}]}, {name: wan, targets: [{icmp: 10.0.0.1}]}]";
    let tier = "links: [{name: internet, targets: [{icmp: 1.1.1.1}]}]";
    assert_eq!(names(&stack(all, tier, "")), ["lan", "wan", "internet"]);
    assert_eq!(names(&stack(all, tier, "links: [{name: wan, remove: true}]")), ["lan", "internet"]);

    let merged = stack(all, tier, "links: [{name: wan, interface: eth1, c1: 10%}]");
    let wan = &merged.links.as_ref().unwrap()[1];
    assert_eq!(wan.interface.as_ref().map(InterfaceName::as_str), Some("eth1"));
    assert_eq!((wan.c1, wan.targets.as_ref().map(Vec::len)), (Some(0.1), Some(1)));

    let merged = stack(all, "", "links: [{name: wan, targets: [{icmp: 10.9.9.9}, {icmp: 10.9.9.8}]}]");
    let targets = merged.links.as_ref().unwrap()[1].targets.as_ref().unwrap();
    let labels: Vec<String> = targets.iter().map(|target| target.probe.label()).collect();
    assert_eq!(labels, ["10.9.9.9", "10.9.9.8"], "a list replaces a list");

    // Taken away by the tier, named anew by the site: nothing of the lower layer is left.
    let again = stack(
        all,
        "links: [{name: wan, remove: true}]",
        "links: [{name: wan, targets: [{icmp: collector}]}]",
    );
    assert_eq!(names(&again), ["lan", "wan"]);
    assert_eq!(again.resolve().0.links[1].targets[0].probe, ProbeConfig::CollectorHost);
}

#[test]
fn a_layer_that_names_no_links_leaves_those_below_and_in_the_end_the_defaults() {
    assert_eq!(stack("round: {interval: 2s}", "", "").links, None);
    let probes = stack("round: {interval: 2s}", "", "").resolve().0;
    assert_eq!(probes.links.len(), 3);
    assert_eq!(Probes::default().links.len(), 3);
}

#[test]
fn what_is_wrong_only_together_is_found_together() {
    let link = "links: [{name: wan, targets: [{icmp: 10.0.0.1, timeout: 4s}]}]";
    assert_eq!(flaws(&stack(link, "", "")), [] as [&str; 0]);
    assert_eq!(
        flaws(&stack(link, "round: {interval: 3s}", "")),
        [
            "links[0].targets[0]: found a timeout of 4s, expected at most the round's interval of 3s; shorten the timeout, or lengthen the interval"
        ]
    );
    assert_eq!(
        flaws(&stack("round: {timeout: 4s}", "round: {interval: 3s}", "")),
        [
            "round: found a timeout of 4s, expected at most the round's interval of 3s; shorten the timeout, or lengthen the interval"
        ]
    );
    assert_eq!(
        flaws(&stack(link, "", "links: [{name: wan-vnpt, interface: eth1}]")),
        [
            "links[0]: found no targets of link wan-vnpt, expected a list of at least one target; add “targets: […]” here or in a layer below, or correct the link's name"
        ]
    );
    assert_eq!(
        flaws(&stack(link, "", "links: [{name: wan, remove: true}]")),
        [
            "links: found no link: nothing to probe, expected 1 to 64 links; leave a link, or leave “links” out to probe gateway, collector and Internet"
        ]
    );
    assert_eq!(
        flaws(&stack(link, "", "links: [{name: wan, source: 'fd00::1'}]")),
        [
            "links[0].targets[0]: found “10.0.0.1” of the other family than the link's source fd00::1, expected one family within a link that has a source; give the other family its own link, with a suffix to its name"
        ]
    );
    let many: String =
        (0..2_001).map(|at| format!("{{icmp: 10.0.{}.{}}},", at / 250, at % 250 + 1)).collect();
    assert_eq!(
        flaws(&layer(&format!("links: [{{name: wan, targets: [{many}]}}]"))),
        ["links: found 2001 targets, expected at most 2000 targets in all; divide them among several agents"]
    );
}

#[test]
fn an_agent_is_not_told_to_send_more_than_it_can() {
    let many: String =
        (0..1_990).map(|at| format!("{{icmp: 10.0.{}.{}}},", at / 250, at % 250 + 1)).collect();
    let links = format!("links: [{{name: wan, targets: [{many}]}}]");
    assert_eq!(flaws(&stack(&links, "", "")), [] as [&str; 0], "five packets in five seconds");
    assert_eq!(
        flaws(&stack(&links, "round: {interval: 1s, packets: 100}", "")),
        [
            "round: found 199000 packets in each round of 1s, expected at most 2000 packets a second in all; lengthen the interval, send fewer packets, or divide the targets among several agents"
        ]
    );
    let most: String = (0..20).map(|at| format!("{{icmp: 10.0.0.{at}, packets: 100}},")).collect();
    let text =
        |more: &str| format!("round: {{interval: 1s}}\nlinks: [{{name: wan, targets: [{most}{more}]}}]");
    assert_eq!(flaws(&layer(&text(""))), [] as [&str; 0], "2000 a second are sent");
    assert_eq!(flaws(&layer(&text("{icmp: 10.0.1.1, packets: 1}"))).len(), 1);
    let own = read(&text("{icmp: 10.0.1.1, packets: 1}"), Form::Whole).unwrap_err().to_string();
    assert!(own.starts_with("f:1:8: round: found 2001 packets in each round of 1s"), "{own}");
}

#[test]
fn removing_is_all_that_is_said_of_a_link_and_only_in_a_layer() {
    let mistakes = |text: &str, form| read(text, form).unwrap_err().to_string();
    let both = "links: [{name: wan, remove: true, interface: eth0}]";
    assert!(mistakes(both, Form::Part).contains("found “remove” beside “interface”"));
    assert!(mistakes("links: [{name: wan, remove: no}]", Form::Part).contains("expected true"));
    let whole = mistakes("links: [{name: wan, remove: true, targets: [{icmp: gateway}]}]", Form::Whole);
    assert!(whole.contains("found an unknown key"), "{whole}");
    let upper = layer("links: [{name: wan, remove: true}, {name: lan, remove: true}]");
    let lower = layer("links: [{name: lan, targets: [{icmp: gateway}]}]");
    let vain: Vec<&str> = upper.removes_in_vain(&lower).map(|link| link.name.as_str()).collect();
    assert_eq!(vain, ["wan"]);
}

#[test]
fn what_is_rendered_shows_where_each_part_comes_from() {
    let merged = stack(
        "round: {interval: 10s}",
        "links: [{name: wan, targets: [{icmp: 10.0.0.1, about: xa-a}, {tcp: '[fd00::1]:443', label: 'a \"b\"'}]}]",
        "icmp: {socket: raw}",
    );
    let origins = Origins {
        site: Some("xa-b".into()),
        round: Some("all".into()),
        icmp: Some("site".into()),
        links: BTreeMap::from([("wan".parse().unwrap(), "tier commune".into())]),
    };
    let text = render(&merged, &origins);
    assert_eq!(
        text,
        "round: # all\n  interval: 10s\nicmp: # site\n  socket: raw\nlinks:\n  - name: wan # tier commune\n    targets:\n      \
         - {icmp: \"10.0.0.1\", about: \"xa-a\"}\n      - {tcp: \"[fd00::1]:443\", label: \"a \\\"b\\\"\"}\n\
         origin:\n  site: \"xa-b\"\n  round: \"all\"\n  icmp: \"site\"\n  links:\n    wan: \"tier commune\"\n"
    );
    let document = Document::read("f", text.as_bytes()).unwrap();
    let fields = document.root().fields(&["round", "icmp", "links", "origin"]).unwrap();
    assert_eq!(Origins::read(&fields), origins);
    assert_eq!(layer(&text), merged);
}

fn probe() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("icmp: gateway".to_owned()),
        Just("icmp: collector".to_owned()),
        (1u8..5).prop_map(|host| format!("icmp: 10.0.0.{host}")),
        Just("icmp: 'fd00::1'".to_owned()),
        Just("icmp: mail.example, family: ipv6".to_owned()),
        (1u16..4).prop_map(|port| format!("tcp: 'a.example:{port}'")),
        Just("http: {url: 'https://a.example/?q=1', status: [200, 301-302], certificate_days: 7, body_match: \"x\\n\\u2028é\"}".to_owned()),
        Just("http: {url: 'http://[fd00::2]:81/', ca_file: /etc/x}".to_owned()),
        Just("dns: {server: '[fd00::53]', name: a.example, type: mx, expect_answer: '10 b.'}".to_owned()),
        Just("dns: {server: 10.0.0.53, name: a.example, expect_rcode: nxdomain}".to_owned()),
    ]
}

fn link(name: &'static str) -> impl Strategy<Value = String> {
    let targets = prop::option::of(prop::collection::vec(
        (probe(), prop::option::of(1u32..9), prop::option::of(100u64..2_000)),
        1..4,
    ));
    let keys = (prop::bool::weighted(0.2), prop::option::of(0u8..3), prop::option::of(0u8..3), targets);
    keys.prop_map(move |(remove, interface, c1, targets)| {
        if remove {
            return format!("{{name: {name}, remove: true}}");
        }
        let mut text = format!("{{name: {name}");
        if let Some(at) = interface {
            text.push_str(&format!(", interface: eth{at}"));
        }
        if let Some(c1) = c1 {
            text.push_str(&format!(", c1: 0.{c1}"));
        }
        if let Some(targets) = targets {
            let targets: Vec<String> = targets
                .into_iter()
                .map(|(probe, packets, timeout)| {
                    let packets = packets.map(|packets| format!(", packets: {packets}")).unwrap_or_default();
                    let timeout =
                        timeout.map(|timeout| format!(", timeout: {timeout}ms")).unwrap_or_default();
                    format!("{{{probe}{packets}{timeout}}}")
                })
                .collect();
            text.push_str(&format!(", targets: [{}]", targets.join(", ")));
        }
        text + "}"
    })
}

prop_compose! {
    fn some_layer()(
        interval in prop::option::of(5u64..60),
        packets in prop::option::of(1u32..9),
        socket in prop::option::of(prop::sample::select(vec!["auto", "raw", "datagram"])),
        links in prop::option::of((prop::option::of(link("lan")), prop::option::of(link("wan")), prop::option::of(link("wan-b")), any::<bool>())),
    ) -> Layer {
        let mut text = String::new();
        if interval.is_some() || packets.is_some() {
            text.push_str("round:\n");
            if let Some(interval) = interval { text.push_str(&format!("  interval: {interval}s\n")); }
            if let Some(packets) = packets { text.push_str(&format!("  packets: {packets}\n")); }
        }
        if let Some(socket) = socket { text.push_str(&format!("icmp: {{socket: {socket}}}\n")); }
        if let Some((a, b, c, reversed)) = links {
            let mut links: Vec<String> = [a, b, c].into_iter().flatten().collect();
            if reversed { links.reverse(); }
            text.push_str(&format!("links: [{}]\n", links.join(", ")));
        }
        layer(&text)
    }
}

/// What is said of one link: its interface, its c1, its targets.
type Said = (Option<InterfaceName>, Option<f64>, Option<Vec<TargetLayer>>);

/// What a stack of layers, the lowest first, says of a link: the definition, one key after the other.
fn naive(layers: &[&Layer], name: &str) -> Option<Said> {
    let mut found = None;
    for link in
        layers.iter().flat_map(|layer| layer.links.iter().flatten()).filter(|link| link.name.as_str() == name)
    {
        if link.remove {
            found = None;
            continue;
        }
        let (interface, c1, targets) = found.get_or_insert((None, None, None));
        if link.interface.is_some() {
            *interface = link.interface.clone();
        }
        if link.c1.is_some() {
            *c1 = link.c1;
        }
        if link.targets.is_some() {
            *targets = link.targets.clone();
        }
    }
    found
}

proptest! {
    #[test]
    fn a_stack_says_of_each_key_what_its_uppermost_layer_says(all in some_layer(), tier in some_layer(), site in some_layer()) {
        let merged = site.over(&tier.over(&all.over(&Layer::default())));
        let layers = [&all, &tier, &site];
        let last = |read: &dyn Fn(&Layer) -> Option<u64>| layers.iter().rev().find_map(|layer| read(layer));
        prop_assert_eq!(merged.round.interval.map(|i| i.as_secs()), last(&|l| l.round.interval.map(|i| i.as_secs())));
        prop_assert_eq!(merged.round.packets.map(u64::from), last(&|l| l.round.packets.map(u64::from)));
        prop_assert_eq!(merged.icmp, layers.iter().rev().find_map(|l| l.icmp));
        prop_assert_eq!(merged.links.is_some(), layers.iter().any(|l| l.links.is_some()));
        for name in ["lan", "wan", "wan-b"] {
            let link = merged.links.iter().flatten().find(|link| link.name.as_str() == name);
            let shown = link.map(|link| (link.interface.clone(), link.c1, link.targets.clone()));
            prop_assert_eq!(shown, naive(&layers, name), "{}", name);
        }
        // How the layers are bracketed does not matter while nothing is taken away.
        let removes = layers.iter().any(|l| l.links.iter().flatten().any(|link| link.remove));
        if !removes {
            prop_assert_eq!(site.over(&tier).over(&all), merged);
        }
    }

    #[test]
    fn what_is_rendered_reads_back_as_it_was(all in some_layer(), site in some_layer()) {
        let merged = site.over(&all.over(&Layer::default()));
        let text = render(&merged, &Origins::default());
        prop_assert_eq!(&layer(&text), &merged, "{}", text);
        prop_assert_eq!(layer(&text).resolve().0, merged.resolve().0);
    }
}
