use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use wan_wire::api::PathUrl;

use super::watch::Looks;
use super::*;
use crate::counters::Counters;

/// 2026-11-23.
const TODAY: UnixMillis = UnixMillis(1_795_392_000_000);
const DAY: i64 = 86_400_000;

fn days(days: i64) -> UnixMillis {
    TODAY.plus_millis(days * DAY)
}

struct Scene {
    folder: tempfile::TempDir,
    config: Config,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            data: folder.path().join("data"),
            listen: vec!["127.0.0.1:8080".parse().unwrap(), "10.0.0.5:8443".parse().unwrap()],
            urls: vec![PathUrl { url: "https://wan.example.vn:8443".into(), path: "wan".into() }],
            ..Config::default()
        };
        fs::create_dir(&config.data).unwrap();
        Self { folder, config }
    }

    fn given() -> Self {
        let mut scene = Self::new();
        scene.config.tls = Tls::Files { certificate: scene.path("chain.pem"), key: scene.path("key.pem") };
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, pair: &Pair) {
        // As certbot and people do: replaced, not written over.
        for (name, text) in [("chain.pem", &pair.chain), ("key.pem", &pair.key)] {
            fs::write(self.path("new"), text).unwrap();
            fs::rename(self.path("new"), self.path(name)).unwrap();
        }
    }

    fn open(&self) -> anyhow::Result<Secured> {
        Ok(Secured::open(&self.config, TODAY)?.unwrap())
    }

    fn own(&self) -> Own {
        Own::new(&self.config)
    }

    fn refused(&self) -> String {
        format!("{:#}", self.open().unwrap_err())
    }
}

/// A certificate's chain and key, as PEM.
#[derive(Clone)]
struct Pair {
    chain: String,
    key: String,
}

/// Valid from 2020 until so many days after today.
fn params(name: &str, until: i64) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    let end =
        jiff::Timestamp::from_millisecond(days(until).0).unwrap().to_zoned(jiff::tz::TimeZone::UTC).date();
    let (month, day) = (u8::try_from(end.month()).unwrap(), u8::try_from(end.day()).unwrap());
    params.not_after = date_time_ymd(end.year().into(), month, day);
    params
}

fn self_signed(name: &str, until: i64) -> Pair {
    let key = KeyPair::generate().unwrap();
    Pair { chain: params(name, until).self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

/// Signed by a new authority: the leaf's PEM, the authority's, the key's.
fn signed(name: &str) -> (String, String, String) {
    let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut root = params("root", 3650);
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_pem = root.self_signed(&root_key).unwrap().pem();
    let leaf = params(name, 90).signed_by(&key, &Issuer::new(root, root_key)).unwrap();
    (leaf.pem(), root_pem, key.serialize_pem())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_collector_makes_itself_an_authority_and_a_certificate_and_keeps_both() {
    let scene = Scene::new();
    let first = scene.open().unwrap().facts();
    assert_eq!(mode(&scene.config.tls_dir()), 0o700);
    assert_eq!(mode(&scene.own().authority_file()), 0o600);
    assert_eq!(mode(&scene.own().certificate_file()), 0o600);
    assert_eq!(fs::read_dir(scene.config.tls_dir()).unwrap().count(), 2, "nothing else is left there");
    for name in ["localhost", "10.0.0.5", "wan.example.vn", COLLECTOR_NAME] {
        assert!(first.names.iter().any(|known| known == name), "{name}: {first:?}");
    }
    assert!(!first.names.iter().any(|name| name.contains(':')), "{first:?}");
    assert_eq!((first.begins, first.chain), (UnixMillis(0), 2));
    let life = first.ends.millis_since(TODAY) / DAY;
    assert!((390..=397).contains(&life), "{life} days");
    assert_eq!(scene.open().unwrap().facts(), first, "the next start uses them again");
    assert_eq!(pins(&scene.config).unwrap(), [first.pin.unwrap()]);
}

#[test]
fn the_certificate_is_made_anew_with_a_third_of_its_life_left_and_the_pin_stays() {
    let scene = Scene::new();
    let first = scene.open().unwrap().facts();
    let at = |now| Secured::open(&scene.config, now).unwrap().unwrap().facts();
    assert_eq!(at(days(260)), first);
    let second = at(days(270));
    assert!(second.ends > first.ends && second.own_pin != first.own_pin);
    assert_eq!(second.pin, first.pin);
}

#[test]
fn the_certificate_is_made_anew_when_its_names_change_and_the_pin_stays() {
    let mut scene = Scene::new();
    let first = scene.open().unwrap().facts();
    scene.config.urls.push(PathUrl { url: "https://[fd00::7]:8443".into(), path: "internet".into() });
    let second = scene.open().unwrap().facts();
    assert!(second.names.iter().any(|name| name == "fd00::7"), "{second:?}");
    assert_eq!((second.pin, second.own_pin == first.own_pin), (first.pin, false));
}

#[test]
fn clocks_that_are_far_off_make_no_certificate_that_ends_too_soon() {
    let scene = Scene::new();
    let first = Secured::open(&scene.config, UnixMillis(1000)).unwrap().unwrap().facts();
    assert!(first.ends > UnixMillis(1_798_000_000_000), "{first:?}");
    assert!(Secured::open(&Scene::new().config, UnixMillis(i64::MAX)).is_err());
}

#[test]
fn a_damaged_authority_is_never_replaced_and_a_damaged_certificate_is() {
    let scene = Scene::new();
    let first = scene.open().unwrap().facts();
    let (authority, certificate) = (scene.own().authority_file(), scene.own().certificate_file());
    let whole = fs::read(&authority).unwrap();
    for damage in [&b""[..], &whole[..whole.len() / 2], &whole[..whole.len() - 30], b"garbage"] {
        fs::write(&authority, damage).unwrap();
        let why = scene.refused();
        assert!(why.contains("authority.pem") && why.contains("restore it from a backup"), "{why}");
        assert_eq!(fs::read(&authority).unwrap(), damage);
    }
    fs::write(&authority, &whole).unwrap();
    let text = fs::read(&certificate).unwrap();
    for damage in [&b""[..], &text[..text.len() / 2], b"garbage"] {
        fs::write(&certificate, damage).unwrap();
        assert_eq!(scene.open().unwrap().facts().pin, first.pin);
    }
    let stranger = Scene::new();
    stranger.open().unwrap();
    fs::copy(stranger.own().certificate_file(), &certificate).unwrap();
    assert_eq!(
        scene.open().unwrap().facts().pin,
        first.pin,
        "a certificate of another authority is replaced"
    );
}

#[test]
fn whoever_comes_first_makes_the_authority_and_all_agree_on_it() {
    let scene = Scene::new();
    let pins: Vec<Vec<String>> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| pins(&scene.config).unwrap())).collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    assert!(pins.iter().all(|pin| *pin == pins[0]), "{pins:?}");
}

#[test]
fn what_agents_pin_of_a_given_certificate() {
    let scene = Scene::given();
    let pinned = |chain: &str, key: &str| {
        scene.put(&Pair { chain: chain.to_owned(), key: key.to_owned() });
        (pins(&scene.config).unwrap(), scene.open().unwrap().facts())
    };
    let (leaf, root, key) = signed("wan.example.vn");
    let (pins, facts) = pinned(&format!("# ours\n{leaf}{root}"), &key);
    assert_eq!(
        (pins.len(), facts.pin == Some(facts.own_pin.clone()), facts.chain),
        (1, false, 2),
        "the root's"
    );
    assert_eq!(facts.names, ["wan.example.vn"]);
    assert_eq!(pinned(&leaf, &key).0, [] as [String; 0], "a public authority's intermediates change");
    let alone = self_signed("10.0.0.5", 90);
    let (pins, facts) = pinned(&alone.chain, &alone.key);
    assert_eq!((pins, facts.names), (vec![facts.own_pin], vec!["10.0.0.5".to_owned()]), "its own");
    let off = Config { tls: Tls::Off, ..scene.config.clone() };
    assert_eq!(super::pins(&off).unwrap(), [] as [String; 0]);
    let loopback = Config { listen: Config::default().listen, tls: Tls::Auto, ..scene.config.clone() };
    assert_eq!(super::pins(&loopback).unwrap(), [] as [String; 0], "the proxy in front has its own");
}

/// Every way in which given files are bad, with what is said of it.
fn bad_files(good: &Pair) -> Vec<(&'static str, Pair, &'static str)> {
    let other = self_signed("other.example", 90);
    let (leaf, root, key) = signed("wan.example.vn");
    let half = |text: &str| text[..text.len() / 2].to_owned();
    let encrypted = good.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let pair = |chain: &str, key: &str| Pair { chain: chain.to_owned(), key: key.to_owned() };
    vec![
        ("another key", pair(&good.chain, &other.key), "key.pem is not the key of the first certificate in "),
        (
            "wrong order",
            pair(&format!("{root}{leaf}"), &key),
            "it is that of certificate 2: put that one first",
        ),
        ("no certificate", pair("", &good.key), "chain.pem: no PEM certificate in it"),
        ("certificate cut short", pair(&half(&good.chain), &good.key), "chain.pem: not whole PEM"),
        (
            "no DER",
            pair(&good.chain.replace('M', "N"), &good.key),
            "chain.pem: a certificate in it cannot be read",
        ),
        ("files swapped", pair(&good.key, &good.chain), "chain.pem: no PEM certificate in it"),
        ("no key", pair(&good.chain, "garbage"), "key.pem: no whole PEM private key in it"),
        ("key cut short", pair(&good.chain, &half(&good.key)), "key.pem: no whole PEM private key in it"),
        ("a key with a password", pair(&good.chain, &encrypted), "key.pem: the private key has a password"),
        ("far too long", pair(&"#".repeat(2 << 20), &good.key), "chain.pem: larger than 1024 KiB"),
    ]
}

#[test]
fn a_start_with_bad_files_says_which_and_what_to_do() {
    let scene = Scene::given();
    let why = scene.refused();
    assert!(why.contains("chain.pem: No such file") && why.contains("must be able to read it"), "{why}");
    let good = self_signed("a.example", 90);
    fs::write(scene.path("chain.pem"), &good.chain).unwrap();
    assert!(scene.refused().contains("key.pem: No such file"));
    for (what, pair, expected) in bad_files(&good) {
        scene.put(&pair);
        let why = scene.refused();
        assert!(why.contains(expected), "{what}: {why}");
    }
    scene.put(&self_signed("a.example", -1));
    assert!(
        scene.open().unwrap().facts().out_of_time(TODAY).is_some(),
        "an ended one is better than no collector"
    );
}

fn looks(scene: &Scene) -> (Arc<Secured>, Looks, Arc<Counters>) {
    let counters = Arc::new(Counters::new().unwrap());
    let secured = Arc::new(scene.open().unwrap());
    let looks = Looks::new(Arc::clone(&secured), Arc::clone(&counters), TODAY);
    (secured, looks, counters)
}

fn expiry(counters: &Counters) -> Option<f64> {
    let families = counters.registry.gather();
    let family = families
        .iter()
        .find(|family| family.name() == "wan_collector_certificate_expiry_timestamp_seconds")?;
    Some(family.get_metric()[0].get_gauge().get_value())
}

#[test]
fn a_replaced_certificate_is_taken_over_at_the_second_look_and_told() {
    let scene = Scene::given();
    scene.put(&self_signed("first.example", 90));
    assert_eq!(expiry(&Counters::new().unwrap()), None, "without TLS there is no such metric");
    let (secured, mut looks, counters) = looks(&scene);
    let (first, config) = (secured.facts(), secured.server_config());
    assert_eq!(expiry(&counters), Some((first.ends.0 / 1000) as f64));
    looks.look(false, TODAY);
    assert!(Arc::ptr_eq(&config, &secured.server_config()), "what has not changed is not touched");
    scene.put(&self_signed("second.example", 180));
    looks.look(false, TODAY);
    assert_eq!(secured.facts(), first, "it may still be being written");
    looks.look(false, TODAY);
    assert_eq!(secured.facts().names, ["second.example"]);
    assert_eq!(expiry(&counters), Some((secured.facts().ends.0 / 1000) as f64));
    scene.put(&self_signed("third.example", 180));
    looks.look(true, TODAY);
    assert_eq!(secured.facts().names, ["third.example"], "SIGHUP does not wait");
}

#[test]
fn a_bad_replacement_is_refused_whatever_is_wrong_and_a_good_one_ends_it() {
    let scene = Scene::given();
    let first = self_signed("first.example", 90);
    scene.put(&first);
    let (secured, mut looks, _) = looks(&scene);
    let before = secured.facts();
    let mut bad = bad_files(&first);
    bad.push(("ended", self_signed("old.example", -1), ""));
    let mut early = params("early.example", 90);
    early.not_before = date_time_ymd(2027, 1, 1);
    let key = KeyPair::generate().unwrap();
    let early = Pair { chain: early.self_signed(&key).unwrap().pem(), key: key.serialize_pem() };
    bad.push(("not begun", early.clone(), ""));
    for (what, pair, _) in bad {
        scene.put(&pair);
        for asked in [false, false, true] {
            looks.look(asked, TODAY);
            assert_eq!(secured.facts(), before, "{what}");
        }
    }
    fs::remove_file(scene.path("key.pem")).unwrap();
    looks.look(true, TODAY);
    assert_eq!(secured.facts(), before, "removed");
    scene.put(&early);
    looks.look(true, TODAY);
    assert_eq!(secured.facts(), before);
    looks.look(false, days(60));
    assert_eq!(
        secured.facts().names,
        ["early.example"],
        "what was only too early is taken when its time has come"
    );
}

#[test]
fn between_two_that_have_ended_the_new_one_is_taken() {
    let scene = Scene::given();
    scene.put(&self_signed("first.example", -9));
    let (secured, mut looks, _) = looks(&scene);
    scene.put(&self_signed("second.example", -1));
    looks.look(true, TODAY);
    assert_eq!(secured.facts().names, ["second.example"]);
}

#[test]
fn a_certificate_of_its_own_is_renewed_while_the_collector_runs() {
    let scene = Scene::new();
    let (secured, mut looks, _) = looks(&scene);
    let first = secured.facts();
    looks.look(false, days(200));
    assert_eq!(secured.facts(), first);
    looks.look(false, days(300));
    assert!(secured.facts().ends > first.ends);
    assert_eq!(secured.facts().pin, first.pin);
}

#[test]
fn a_link_in_place_of_the_folder_or_of_what_is_written_is_not_followed() {
    let scene = Scene::new();
    let elsewhere = scene.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, scene.config.tls_dir()).unwrap();
    let why = scene.refused();
    assert!(why.contains("must be a folder itself"), "{why}");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0, "nothing was written there");
    fs::remove_file(scene.config.tls_dir()).unwrap();

    fs::create_dir(scene.config.tls_dir()).unwrap();
    let victim = scene.path("victim");
    fs::write(&victim, "as it was").unwrap();
    let before = fs::metadata(&victim).unwrap();
    for turn in 0..300 {
        let name = format!("authority.pem.{}-{turn}.new", std::process::id());
        std::os::unix::fs::symlink(&victim, scene.config.tls_dir().join(name)).unwrap();
    }
    std::os::unix::fs::symlink(&victim, scene.own().certificate_file()).unwrap();
    scene.open().unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "as it was");
    let after = fs::metadata(&victim).unwrap();
    assert_eq!((after.uid(), after.mode()), (before.uid(), before.mode()));
    assert!(!fs::symlink_metadata(scene.own().certificate_file()).unwrap().is_symlink());
}

#[test]
fn what_root_makes_is_the_data_folders_owners_and_a_strangers_folder_is_refused() {
    let scene = Scene::new();
    let (theirs, strangers) = (12_345, 54_321);
    if let Err(error) = std::os::unix::fs::chown(&scene.config.data, Some(theirs), Some(theirs)) {
        // Only root can give anything away, so only for root there is anything to get wrong.
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        return;
    }
    scene.open().unwrap();
    for path in [scene.config.tls_dir(), scene.own().authority_file(), scene.own().certificate_file()] {
        let made = fs::metadata(&path).unwrap();
        assert_eq!((made.uid(), made.gid()), (theirs, theirs), "{}", path.display());
    }
    std::os::unix::fs::chown(scene.config.tls_dir(), Some(strangers), None).unwrap();
    fs::remove_file(scene.own().certificate_file()).unwrap();
    let why = scene.refused();
    assert!(why.contains("belongs neither to root nor to the owner of"), "{why}");
}

/// What is logged meanwhile.
fn logged(work: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Log(Arc<parking_lot::Mutex<Vec<u8>>>);
    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, work);
    let bytes = log.0.lock().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_certificate_of_another_pin_is_an_error_when_it_is_taken_over_and_at_the_next_start() {
    let scene = Scene::given();
    let (first, second) = (self_signed("first.example", 90), self_signed("second.example", 90));
    scene.put(&first);
    let former = scene.open().unwrap().facts().pin.unwrap();
    let told = |log: &str, pin: &str| {
        log.contains("ERROR") && log.contains("enrol them anew") && log.contains(&former) && log.contains(pin)
    };
    let log = logged(|| {
        let (secured, mut looks, _) = looks(&scene);
        scene.put(&second);
        looks.look(true, TODAY);
        assert_ne!(secured.facts().pin.as_ref(), Some(&former));
    });
    let pin = scene.open().unwrap().facts().pin.unwrap();
    assert!(told(&log, &pin), "{log}");
    let again = logged(|| drop(looks(&scene)));
    assert!(!again.contains("ERROR"), "said once: {again}");

    // Back, then exchanged while the collector does not run.
    scene.put(&first);
    logged(|| drop(looks(&scene)));
    scene.put(&second);
    let log = logged(|| drop(looks(&scene)));
    assert!(told(&log, &pin), "{log}");

    // A new certificate of the same authority is nothing to worry about.
    let own = Scene::new();
    let log = logged(|| {
        let (_, mut looks, _) = looks(&own);
        looks.look(false, days(300));
    });
    assert!(log.contains("a new certificate is in use") && !log.contains("ERROR"), "{log}");
}
