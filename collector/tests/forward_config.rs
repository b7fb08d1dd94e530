//! The key `forward`: what it says, and one bad file for each rule.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use wan_collector::config::Config;
use wan_collector::config::alerts::{Login, SecretFrom};
use wan_collector::config::forward::{RemoteStore, Start};
use wan_collector::forward::coverage::Order;
use wan_wire::Protocol;

fn stores(text: &str) -> Vec<RemoteStore> {
    let config = Config::parse("c", text.as_bytes()).unwrap();
    config.forward.iter().map(|store| (**store).clone()).collect()
}

#[test]
fn a_name_and_an_address_are_enough() {
    let found = stores("forward: [{name: victoria, url: 'http://127.0.0.1:8428/api/v1/write'}]");
    let expected =
        RemoteStore::new("victoria".parse().unwrap(), "http://127.0.0.1:8428/api/v1/write".to_owned());
    assert_eq!(found, [expected]);
    assert_eq!((found[0].order, found[0].start, found[0].protocol), (Order::LiveFirst, Start::Now, None));
    assert_eq!(stores("forward: []"), []);
}

#[test]
fn every_key_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("collector.yaml");
    let text = "forward:\n  - {name: mimir, url: 'https://m.example.vn/api/v1/push', protocol: 2.0, order: in_order, start: oldest, user: wan, password_file: p, \
                headers: {X-Scope-OrgID: tinh}, labels: {province: tay-ninh, cluster: a}, ca_file: ca.pem, timeout: 30s, shards: 1, samples: 500, max_age: 1d, max_bytes: 1GiB}\n  \
                - {name: b, url: 'http://b/w', protocol: 1.0, token_env: TOKEN}\n";
    std::fs::write(&path, text).unwrap();
    let config = Config::load(&path).unwrap();
    let store = &*config.forward[0];
    assert_eq!(
        (store.protocol, store.order, store.start),
        (Some(Protocol::V2), Order::InOrder, Start::Oldest)
    );
    let password = SecretFrom::File(folder.path().join("p"));
    assert_eq!(store.login, Some(Login::Basic("wan".to_owned(), password)));
    assert_eq!(store.ca_file, Some(folder.path().join("ca.pem")));
    let labels: Vec<_> = store.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(labels, [("cluster", "a"), ("province", "tay-ninh")], "sorted by name");
    assert_eq!(store.headers[0].0, "X-Scope-OrgID");
    assert!(!format!("{store:?}").contains("tinh"), "a header may be a secret");
    assert_eq!((store.timeout, store.max_age), (Duration::from_secs(30), Duration::from_secs(86_400)));
    assert_eq!((store.shards, store.samples, store.max_bytes), (1, 500, 1 << 30));
    assert_eq!(config.forward[1].login, Some(Login::Bearer(SecretFrom::Env("TOKEN".to_owned()))));
    assert_eq!(config.forward[1].protocol, Some(Protocol::V1));
}

#[test]
fn each_bad_store_is_answered_with_line_key_and_remedy() {
    let cases = [
        ("forward: {name: a}", "forward"),
        ("forward: [{url: 'http://a/w'}]", "name"),
        ("forward: [{name: a}]", "url"),
        ("forward: [{name: A B, url: 'http://a/w'}]", "lower-case letters, digits or “-”"),
        ("forward: [{name: a_b, url: 'http://a/w'}]", "lower-case letters, digits or “-”"),
        ("forward: [{name: a, url: ftp://a}]", "write it as in “http://127.0.0.1:8428/api/v1/write”"),
        ("forward: [{name: a, url: 'http://u:secret@a/w'}]", "an address with a user"),
        ("forward: [{name: a, url: 'http://a/w', protocol: 3.0}]", "auto, 2.0 or 1.0"),
        ("forward: [{name: a, url: 'http://a/w', order: newest}]", "live_first or in_order"),
        ("forward: [{name: a, url: 'http://a/w', start: then}]", "now or oldest"),
        ("forward: [{name: a, url: 'http://a/w', user: u}]", "a user without a password"),
        ("forward: [{name: a, url: 'http://a/w', user: u, password_env: P, token_env: T}]", "a user as well"),
        ("forward: [{name: a, url: 'http://a/w', headers: {Content-Type: x}}]", "the name of an HTTP header"),
        ("forward: [{name: a, url: 'http://a/w', headers: {X: \"a\\nb\"}}]", "text on one line"),
        ("forward: [{name: a, url: 'http://a/w', labels: {site: x}}]", "the collector itself writes site"),
        ("forward: [{name: a, url: 'http://a/w', labels: {__name__: x}}]", "a label's name"),
        ("forward: [{name: a, url: 'http://a/w', labels: {a-b: x}}]", "a label's name"),
        ("forward: [{name: a, url: 'http://a/w', labels: {a: ''}}]", "text"),
        ("forward: [{name: a, url: 'http://a/w', timeout: 0s}]", "a duration"),
        ("forward: [{name: a, url: 'http://a/w', shards: 0}]", "1 to 64"),
        ("forward: [{name: a, url: 'http://a/w', samples: 0}]", "1 to 100000"),
        ("forward: [{name: a, url: 'http://a/w', max_age: 1s}]", "a duration"),
        ("forward: [{name: a, url: 'http://a/w', max_bytes: 1KiB}]", "a size"),
        ("forward: [{name: a, url: 'http://a/w', bytes: 1}]", "an unknown key"),
        ("forward: [{name: a, url: 'http://a/w'}, {name: a, url: 'http://b/w'}]", "the store “a” twice"),
    ];
    for (text, expected) in cases {
        let answer = Config::parse("c", text.as_bytes()).unwrap_err().to_string();
        assert!(answer.starts_with("c:1:") && answer.contains(expected), "{text}: {answer}");
        assert!(!answer.contains("secret"), "{answer}");
    }
    let many: Vec<String> = (0..9).map(|n| format!("{{name: s{n}, url: 'http://a/w'}}")).collect();
    let answer =
        Config::parse("c", format!("forward: [{}]", many.join(", ")).as_bytes()).unwrap_err().to_string();
    assert!(answer.contains("found 9 stores, expected at most 8"), "{answer}");
}
