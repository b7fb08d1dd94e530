use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

use super::*;

/// 2026-11-23.
const TODAY: UnixMillis = UnixMillis(1_795_392_000_000);
const YEAR: i64 = 366 * 86_400_000;

fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

fn authority() -> Issuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Issuer::new(params, key())
}

fn certificate_of(authority: &Issuer<'static, KeyPair>) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.self_signed(authority.key()).unwrap().der().clone()
}

/// Valid from 2020 to the end of 2030.
fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2030, 12, 31);
    params
}

fn signed(names: &[&str], authority: &Issuer<'static, KeyPair>) -> CertificateDer<'static> {
    params(names).signed_by(&key(), authority).unwrap().der().clone()
}

fn verifier(anchors: Anchors, times: TlsTimes) -> Verifier {
    Verifier {
        anchors,
        host: "10.0.0.1:8443".into(),
        times: Arc::new(move || times),
        algorithms: ring::default_provider().signature_verification_algorithms,
    }
}

fn today() -> TlsTimes {
    TlsTimes { now: TODAY, floor: None, host: None }
}

fn pinning(certificates: &[&CertificateDer<'_>]) -> Anchors {
    Anchors::Pins(certificates.iter().map(|der| pin(der).unwrap()).collect())
}

fn trusting(authority: &Issuer<'static, KeyPair>) -> Anchors {
    let mut roots = RootCertStore::empty();
    roots.add(certificate_of(authority)).unwrap();
    Anchors::Roots(roots, "an authority in /etc/ca.pem (ca_file)".into())
}

/// Judges as rustls asks for it, the URL's host being 10.0.0.1.
fn told(verifier: &Verifier, chain: &[&CertificateDer<'static>]) -> Result<(), String> {
    let name = ServerName::try_from("10.0.0.1").unwrap();
    let rest: Vec<_> = chain[1..].iter().map(|der| (*der).clone()).collect();
    let now = UnixTime::since_unix_epoch(Duration::ZERO);
    match verifier.verify_server_cert(chain[0], &rest, &name, &[], now) {
        Ok(_) => Ok(()),
        Err(error) => Err(explain_tls(&error, "10.0.0.1:8443").unwrap_or_else(|| error.to_string())),
    }
}

#[track_caller]
fn refused(told: Result<(), String>, words: &[&str]) {
    let why = told.unwrap_err();
    for word in words {
        assert!(why.contains(word), "“{why}” should say “{word}”");
    }
}

#[test]
fn a_pinned_key_of_its_own_is_enough_whatever_the_name() {
    let own = signed(&["elsewhere.example"], &authority());
    assert_eq!(told(&verifier(pinning(&[&own]), today()), &[&own]), Ok(()));
    let unknown_authority = certificate_of(&authority());
    assert_eq!(told(&verifier(pinning(&[&own]), today()), &[&own, &unknown_authority]), Ok(()));
}

#[test]
fn a_collectors_own_authority_is_known_by_its_pin_at_any_address() {
    let authority = authority();
    let (root, leaf) = (certificate_of(&authority), signed(&["localhost", COLLECTOR_NAME], &authority));
    let verifier = verifier(pinning(&[&root]), today());
    assert_eq!(told(&verifier, &[&leaf, &root]), Ok(()));
    // A new certificate by the same authority locks nobody out.
    assert_eq!(told(&verifier, &[&signed(&[COLLECTOR_NAME], &authority), &root]), Ok(()));
    refused(told(&verifier, &[&leaf]), &["another collector answers at 10.0.0.1:8443"]);
}

#[test]
fn another_servers_certificate_by_a_pinned_authority_is_not_the_collectors() {
    let authority = authority();
    let root = certificate_of(&authority);
    let verifier = verifier(pinning(&[&root]), today());
    assert_eq!(told(&verifier, &[&signed(&["10.0.0.1"], &authority), &root]), Ok(()));
    let other = signed(&["mail.example"], &authority);
    refused(told(&verifier, &[&other, &root]), &["is for ", "mail.example", &show_pin(pin(&other).unwrap())]);
}

#[test]
fn a_pinned_certificate_in_the_chain_must_have_signed_the_leaf() {
    let (good, bad) = (authority(), authority());
    let root = certificate_of(&good);
    let forged = signed(&[COLLECTOR_NAME, "10.0.0.1"], &bad);
    let verifier = verifier(pinning(&[&root]), today());
    refused(told(&verifier, &[&forged, &root]), &["another collector answers"]);
    refused(told(&verifier, &[&forged, &certificate_of(&bad), &root]), &["another collector answers"]);
}

#[test]
fn the_chain_may_go_by_an_intermediate_and_any_of_several_pins_will_do() {
    let root = authority();
    let mut issuing = CertificateParams::default();
    issuing.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    issuing.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    issuing.distinguished_name.push(rcgen::DnType::CommonName, "issuing");
    let issuing_key = key();
    let between = issuing.clone().signed_by(&issuing_key, &root).unwrap().der().clone();
    let leaf = signed(&["10.0.0.1"], &Issuer::new(issuing, issuing_key));
    let root = certificate_of(&root);
    let unused = certificate_of(&authority());
    for pinned in [&between, &root] {
        let verifier = verifier(pinning(&[&unused, pinned]), today());
        assert_eq!(told(&verifier, &[&leaf, &between, &root]), Ok(()));
    }
    let ca_file = Anchors::Roots(
        {
            let mut roots = RootCertStore::empty();
            roots.add(root).unwrap();
            roots
        },
        "x".into(),
    );
    assert_eq!(told(&verifier(ca_file, today()), &[&leaf, &between]), Ok(()));
}

#[test]
fn an_authority_of_a_file_needs_the_right_name() {
    let authority = authority();
    let verifier = verifier(trusting(&authority), today());
    assert_eq!(told(&verifier, &[&signed(&["10.0.0.1"], &authority)]), Ok(()));
    refused(
        told(&verifier, &[&signed(&["a.example", "b.example", COLLECTOR_NAME], &authority)]),
        &["is for ", "a.example", "b.example", "collector.urls", "sha256:"],
    );
}

#[test]
fn an_unknown_certificate_is_refused_with_its_pin_and_what_to_do() {
    let stranger = authority();
    let (root, leaf) = (certificate_of(&stranger), signed(&[COLLECTOR_NAME, "10.0.0.1"], &stranger));
    let shown = show_pin(pin(&root).unwrap());
    refused(
        told(&verifier(trusting(&authority()), today()), &[&leaf, &root]),
        &[
            "not signed by an authority in /etc/ca.pem",
            "enrol again",
            "collector.pins",
            &shown,
            "wan-collector certificate",
        ],
    );
    refused(
        told(&verifier(Anchors::Roots(RootCertStore::empty(), String::new()), today()), &[&leaf, &root]),
        &["ca-certificates", "enrol again", &shown],
    );
    refused(
        told(&verifier(pinning(&[&certificate_of(&authority())]), today()), &[&leaf, &root]),
        &["another collector answers at 10.0.0.1:8443", "replaced on purpose", &shown],
    );
}

#[test]
fn a_certificate_is_judged_at_the_time_that_is_known() {
    let authority = authority();
    let (root, leaf) = (certificate_of(&authority), signed(&[COLLECTOR_NAME, "10.0.0.1"], &authority));
    let at = |now: UnixMillis, floor| TlsTimes { now, floor, host: None };
    let anchors: [fn(&CertificateDer<'_>, &CertificateDer<'_>) -> Anchors; 2] =
        [|_, root| pinning(&[root]), |leaf, _| pinning(&[leaf])];
    for anchors in anchors {
        let told = |times| told(&verifier(anchors(&leaf, &root), times), &[&leaf, &root]);
        assert_eq!(told(at(TODAY, None)), Ok(()));
        // A clock of 2038 that no collector has confirmed: judged at the floor.
        let far = UnixMillis(TODAY.0 + 12 * YEAR);
        assert_eq!(told(at(far, Some(TODAY))), Ok(()));
        refused(told(at(far, None)), &["ended at 2030-12-31", "here it is 2038-12-0", "renewed"]);
        // Past its end by the floor too: it is the certificate that is old, and the clock's time is told.
        refused(
            told(at(far, Some(UnixMillis(TODAY.0 + 6 * YEAR)))),
            &["ended at 2030-12-31", "here it is 2038"],
        );
        // A clock of 1970 is taken for the floor, and the certificate was made later: while the host was without power, say.
        let floor = UnixMillis(TODAY.0 - 10 * YEAR);
        assert_eq!(told(at(floor, Some(floor))), Ok(()));
        assert_eq!(told(at(far, Some(floor))), Ok(()));
        // A clock that is confirmed excuses nothing.
        refused(
            told(at(UnixMillis(0), None)),
            &["begins at 2020-01-01", "here it is 1970-01-01", "clock right"],
        );
        refused(told(at(UnixMillis(-1), None)), &["begins at 2020-01-01"]);
        assert_eq!(told(at(UnixMillis(0), Some(TODAY))), Ok(()));
    }
}

#[test]
fn a_kept_time_that_lies_ahead_of_a_good_clock_locks_nobody_out() {
    let authority = authority();
    let (root, leaf) = (certificate_of(&authority), signed(&[COLLECTOR_NAME], &authority));
    // A collector whose clock was wrong has left this behind; its certificate is good until 2030.
    let ahead = UnixMillis(TODAY.0 + 12 * YEAR);
    let told = |host| {
        let times = TlsTimes { now: ahead, floor: Some(ahead), host };
        told(&verifier(pinning(&[&root]), times), &[&leaf, &root])
    };
    assert_eq!(told(Some(TODAY)), Ok(()));
    let words = ["ended at 2030-12-31", "at least 2038-12-0", "remove the file `clock`"];
    refused(told(Some(UnixMillis(TODAY.0 + 6 * YEAR))), &words);
    refused(told(None), &words);
}

#[test]
fn that_a_certificate_has_ended_is_told_to_who_tells_the_time() {
    struct Told(TlsTimes, std::sync::atomic::AtomicU32);
    impl TellsTimes for Told {
        fn times(&self) -> TlsTimes {
            self.0
        }
        fn ended(&self) {
            self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
    let authority = authority();
    let (root, leaf) = (certificate_of(&authority), signed(&[COLLECTOR_NAME], &authority));
    let stranger = certificate_of(&self::authority());
    let far = UnixMillis(TODAY.0 + 12 * YEAR);
    let ended = |anchors, now, floor| {
        let times = Arc::new(Told(TlsTimes { now, floor, host: None }, 0.into()));
        let count = Arc::clone(&times);
        let _ = told(&Verifier { times, ..verifier(anchors, today()) }, &[&leaf, &root]);
        count.1.load(std::sync::atomic::Ordering::Relaxed)
    };
    assert_eq!(ended(pinning(&[&root]), far, None), 1);
    assert_eq!(ended(pinning(&[&root]), far, Some(far)), 1);
    assert_eq!(ended(pinning(&[&root]), far, Some(TODAY)), 0, "it was taken");
    assert_eq!(ended(pinning(&[&root]), TODAY, None), 0);
    assert_eq!(ended(pinning(&[&stranger]), far, None), 0, "another's certificate says nothing");
}

#[test]
fn the_time_of_another_try_excuses_nothing_but_time() {
    let authority = authority();
    let leaf = signed(&["mail.example"], &authority);
    let times = TlsTimes { now: UnixMillis(TODAY.0 + 12 * YEAR), floor: Some(TODAY), host: None };
    let stranger = verifier(pinning(&[&certificate_of(&authority)]), times);
    refused(told(&stranger, &[&leaf]), &["another collector"]);
    assert!(told(&verifier(trusting(&authority), times), &[&leaf]).is_err());
}

#[test]
fn a_certificate_for_clients_or_an_authority_itself_is_no_server() {
    let authority = authority();
    let mut client = params(&["10.0.0.1", COLLECTOR_NAME]);
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let client = client.signed_by(&key(), &authority).unwrap().der().clone();
    let root = certificate_of(&authority);
    refused(told(&verifier(pinning(&[&root]), today()), &[&client, &root]), &["cannot be used"]);
    refused(told(&verifier(trusting(&authority), today()), &[&root]), &["cannot be used"]);
}

#[test]
fn garbage_in_place_of_a_certificate_is_refused() {
    let good = signed(&["10.0.0.1"], &authority());
    for der in [&b""[..], b"\x30", b"\x30\x84\xff\xff\xff\xff", &good[..good.len() / 2]] {
        let garbage = CertificateDer::from(der.to_vec());
        refused(told(&verifier(pinning(&[&good]), today()), &[&garbage]), &["cannot be used"]);
        assert_eq!(pin(&garbage).filter(|_| der.len() < 10), None);
        // Beside a good one it does no harm.
        assert_eq!(told(&verifier(pinning(&[&good]), today()), &[&good, &garbage]), Ok(()));
    }
}

#[test]
fn a_pin_reads_as_it_is_shown() {
    let pin = pin(&certificate_of(&authority())).unwrap();
    assert_eq!(show_pin(pin).parse(), Ok(pin));
}

#[test]
fn a_ca_file_is_read_whole_or_refused_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let pem = |certificate: &CertificateDer<'_>| {
        let text = base64::engine::general_purpose::STANDARD.encode(certificate);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    };
    let two = format!("# ours\n{}{}", pem(&certificate_of(&authority())), pem(&certificate_of(&authority())));
    std::fs::write(&path, &two).unwrap();
    assert_eq!(roots_of(&path).unwrap().len(), 2);
    for bad in [String::new(), "garbage".into(), two[..two.len() - 40].into(), pem(&vec![1, 2, 3].into())] {
        std::fs::write(&path, bad).unwrap();
        let why = roots_of(&path).unwrap_err();
        assert!(why.starts_with(&format!("ca_file {}: ", path.display())), "{why}");
    }
}
