//! What a request brings to prove who it is, and whether it comes from our own pages or this machine. Pure functions of its head.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Uri};

use super::decide::{Led, reads};
use super::user::Hash;
use crate::secret::{self, NoRandomness, Secret};
use wan_wire::secret::is as is_secret;

/// What a token begins with, so that secret scanners find a leaked one.
pub(crate) const TOKEN_PREFIX: &str = "wanr_";
/// What a session begins with.
pub(super) const SESSION_PREFIX: &str = "wans_";

/// The longest path that a login leads back to.
const LONGEST_PATH: usize = 512;

/// What was brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presented {
    /// No credential.
    Nothing,
    /// A text that may be a token.
    Token(Hash),
    /// A text that may be a session.
    Session(Hash),
    /// An `Authorization` header that can be no token.
    Unusable,
}

/// The session cookie's name and attributes; they differ with the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cookie {
    name: &'static str,
    attributes: &'static str,
}

impl Cookie {
    /// For the line on which the browser speaks: over TLS `__Host-` makes the browser refuse the cookie from any other host,
    /// from a path, and without `Secure` (RFC 6265bis §4.1.3), so that no neighbour can plant one. Over plain HTTP a
    /// browser would not take that.
    pub(super) fn of(encrypted: bool) -> Self {
        if encrypted {
            Self { name: "__Host-wanwatch", attributes: "; Path=/; HttpOnly; SameSite=Strict; Secure" }
        } else {
            Self { name: "wanwatch", attributes: "; Path=/; HttpOnly; SameSite=Strict" }
        }
    }

    /// Sets the cookie for `seconds`.
    pub(super) fn set(self, session: &str, seconds: i64) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("{}={session}; Max-Age={seconds}{}", self.name, self.attributes)).ok()
    }

    /// Takes the cookie away.
    pub(super) fn clear(self) -> Option<HeaderValue> {
        self.set("", 0)
    }

    /// The session in the request's cookies; the first that can be one.
    pub(super) fn session(self, headers: &HeaderMap) -> Option<Hash> {
        let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(name, value)| {
            (name.trim() == self.name && is_secret(SESSION_PREFIX, value.trim()))
                .then(|| secret::hash(value.trim()))
        })
    }
}

/// A new token or session of 256 random bits, and what is stored of it.
///
/// # Errors
/// When the operating system gives none.
pub(crate) fn fresh(prefix: &str) -> Result<(String, Hash), NoRandomness> {
    let secret = Secret::with_prefix(prefix)?;
    Ok((secret.reveal().to_owned(), secret.hash()))
}

/// Whether the browser's line is encrypted: by this collector, or, as it says, by a proxy before it. Anybody can write that header,
/// and who does only makes their own cookie a stricter one.
pub(super) fn encrypted(tls: bool, headers: &HeaderMap) -> bool {
    let forwarded = || {
        let proto = headers.get("x-forwarded-proto")?.to_str().ok()?;
        Some(proto.split(',').next()?.trim().eq_ignore_ascii_case("https"))
    };
    tls || forwarded().unwrap_or(false)
}

/// What the request brings. An `Authorization` header counts before a cookie: who writes one means it.
pub(super) fn presented(headers: &HeaderMap, cookie: Cookie) -> Presented {
    let Some(header) = headers.get(AUTHORIZATION) else {
        return cookie.session(headers).map_or(Presented::Nothing, Presented::Session);
    };
    match header.to_str().ok().and_then(token) {
        Some(token) if is_secret(TOKEN_PREFIX, &token) => Presented::Token(secret::hash(&token)),
        Some(_) | None => Presented::Unusable,
    }
}

/// Whether a request that would change something may come from another site's page, which a browser sent along with our
/// cookie. `Sec-Fetch-Site` says it in every browser of today, `Origin` in older ones; who sends neither is no browser.
pub(super) fn crosses_sites(method: &Method, headers: &HeaderMap) -> bool {
    let header = |name| headers.get(name).map(HeaderValue::as_bytes);
    if reads(method) {
        return false;
    }
    if let Some(site) = headers.get("sec-fetch-site") {
        return !matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    let Some(origin) = header(ORIGIN) else { return false };
    let host = origin.splitn(2, |byte| *byte == b':').nth(1).and_then(|rest| rest.strip_prefix(b"//"));
    host.is_none() || host != header(HOST)
}

/// How somebody elsewhere caused a request that came by loopback, as far as it shows. `None` when it comes from a program of this
/// machine: it names this machine by `localhost` or a loopback address, and no proxy says that it passes it on.
pub(super) fn led(uri: &Uri, headers: &HeaderMap) -> Option<Led> {
    let by_proxy = |name: &http::HeaderName| {
        matches!(name.as_str(), "forwarded" | "via" | "x-real-ip")
            || name.as_str().starts_with("x-forwarded-")
    };
    if headers.keys().any(by_proxy) {
        return Some(Led::ByProxy);
    }
    let named = headers
        .get_all(HOST)
        .iter()
        .all(|host| Authority::try_from(host.as_bytes()).is_ok_and(|host| is_this_machine(&host)));
    (!named || uri.authority().is_some_and(|host| !is_this_machine(host))).then_some(Led::ByName)
}

fn is_this_machine(host: &Authority) -> bool {
    let host = host.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
}

/// `text` when it is a path of this collector, `None` for anything that could lead elsewhere: the login must not become
/// somebody's signpost.
#[must_use]
pub fn local_path(text: &str) -> Option<&str> {
    let local = text.starts_with('/')
        && !text.starts_with("//")
        && text.len() <= LONGEST_PATH
        // Browsers take a backslash for a slash, and leave out control characters.
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    local.then_some(text)
}

/// The token of `Bearer TOKEN`, or of `Basic` with the token as the password, for scrapers that know only that.
fn token(header: &str) -> Option<String> {
    let (scheme, rest) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    decoded.split_once(':').map(|(_, password)| password.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let value = |text: &str| HeaderValue::try_from(text).unwrap();
        pairs.iter().map(|(name, text)| (http::HeaderName::from_static(name), value(text))).collect()
    }

    fn secret_of(prefix: &str) -> String {
        format!("{prefix}{}", "aB3-_".repeat(9).split_at(43).0)
    }

    #[test]
    fn a_token_comes_as_bearer_or_as_the_password_of_basic() {
        let token = secret_of(TOKEN_PREFIX);
        let good = Presented::Token(secret::hash(&token));
        let basic = |text: String| format!("Basic {}", STANDARD.encode(text));
        for (header, expected) in [
            (format!("Bearer {token}"), good),
            (format!("bearer   {token}  "), good),
            (basic(format!("prometheus:{token}")), good),
            (basic(format!(":{token}")), good),
            (basic(token.clone()), Presented::Unusable),
            (format!("Basic {token}"), Presented::Unusable),
            (format!("Digest {token}"), Presented::Unusable),
            (format!("Bearer {token}x"), Presented::Unusable),
            (format!("Bearer {}", secret_of("wan_")), Presented::Unusable),
            ("Bearer".to_owned(), Presented::Unusable),
            ("Bearer ".to_owned(), Presented::Unusable),
            (String::new(), Presented::Unusable),
        ] {
            let found = presented(&headers(&[("authorization", &header)]), Cookie::of(true));
            assert_eq!(found, expected, "{header}");
        }
    }

    #[test]
    fn a_session_comes_in_the_cookie_of_its_line_only() {
        let session = secret_of(SESSION_PREFIX);
        let found = |cookie: Cookie, line: &str| presented(&headers(&[("cookie", line)]), cookie);
        let good = Presented::Session(secret::hash(&session));
        let (tls, plain) = (Cookie::of(true), Cookie::of(false));
        assert_eq!(found(tls, &format!("a=b; __Host-wanwatch={session}; c=d")), good);
        assert_eq!(found(plain, &format!("wanwatch={session}")), good);
        assert_eq!(
            found(tls, &format!("wanwatch={session}")),
            Presented::Nothing,
            "a neighbour could have set it"
        );
        assert_eq!(found(tls, &format!("__Host-wanwatch=x; __Host-wanwatch={session}")), good);
        for line in ["", ";", "=", "wanwatch", "wanwatch=", "wanwatch=wans_short", "wanwatch=\"\""] {
            assert_eq!(found(plain, line), Presented::Nothing, "{line:?}");
        }
        let both = headers(&[("authorization", "Bearer no"), ("cookie", &format!("wanwatch={session}"))]);
        assert_eq!(presented(&both, plain), Presented::Unusable, "the header counts");
    }

    #[test]
    fn the_cookie_is_for_this_host_and_no_script() {
        let set = |encrypted| Cookie::of(encrypted).set("wans_x", 60).unwrap();
        assert_eq!(
            set(true),
            "__Host-wanwatch=wans_x; Max-Age=60; Path=/; HttpOnly; SameSite=Strict; Secure"
        );
        assert_eq!(set(false), "wanwatch=wans_x; Max-Age=60; Path=/; HttpOnly; SameSite=Strict");
        assert!(
            Cookie::of(true).clear().unwrap().to_str().unwrap().starts_with("__Host-wanwatch=; Max-Age=0;")
        );
        for (tls, forwarded, expected) in [
            (true, None, true),
            (false, None, false),
            (false, Some("https"), true),
            (false, Some("HTTPS, http"), true),
            (false, Some("http, https"), false),
            (true, Some("http"), true),
        ] {
            let given = forwarded.map_or_else(HeaderMap::new, |text| headers(&[("x-forwarded-proto", text)]));
            assert_eq!(encrypted(tls, &given), expected, "{tls} {forwarded:?}");
        }
    }

    #[test]
    fn a_change_that_another_sites_page_asks_for_is_seen() {
        let host = ("host", "wan.tinh.gov.vn:8443");
        let table = [
            ("POST", &[host][..], false),
            ("POST", &[host, ("sec-fetch-site", "same-origin")], false),
            ("POST", &[host, ("sec-fetch-site", "none")], false),
            ("POST", &[host, ("sec-fetch-site", "same-site")], true),
            ("POST", &[host, ("sec-fetch-site", "cross-site")], true),
            ("POST", &[host, ("origin", "https://wan.tinh.gov.vn:8443")], false),
            ("POST", &[host, ("origin", "https://wan.tinh.gov.vn")], true),
            ("POST", &[host, ("origin", "https://evil.example")], true),
            ("POST", &[host, ("origin", "null")], true),
            ("POST", &[("origin", "https://evil.example")], true),
            ("DELETE", &[host, ("origin", "https://evil.example")], true),
            ("GET", &[host, ("sec-fetch-site", "cross-site")], false),
            ("HEAD", &[host, ("origin", "https://evil.example")], false),
        ];
        for (method, given, expected) in table {
            assert_eq!(
                crosses_sites(&method.parse().unwrap(), &headers(given)),
                expected,
                "{method} {given:?}"
            );
        }
    }

    #[test]
    fn on_loopback_another_host_name_and_a_proxy_are_seen() {
        let by_name = Some(Led::ByName);
        for (host, expected) in [
            ("localhost", None),
            ("LocalHost:8080", None),
            ("127.0.0.1:8080", None),
            ("127.8.9.1", None),
            ("[::1]:8080", None),
            ("[::ffff:127.0.0.1]", None),
            ("evil.example:8080", by_name),
            ("localhost.evil.example", by_name),
            ("127.0.0.1.evil.example", by_name),
            ("evil.example@127.0.0.1.nip.io", by_name),
            ("10.0.0.5:8080", by_name),
            ("[fd00::1]:8080", by_name),
            ("", by_name),
            ("localhost/", by_name),
        ] {
            let path = Uri::from_static("/");
            assert_eq!(led(&path, &headers(&[("host", host)])), expected, "{host:?}");
        }
        // Whom HTTP/1.0 and absolute addresses name; the worse of two names counts.
        let asked =
            |uri: &'static str, given: &[(&'static str, &str)]| led(&Uri::from_static(uri), &headers(given));
        assert_eq!(asked("/", &[]), None);
        assert_eq!(asked("http://localhost:8080/", &[]), None);
        assert_eq!(asked("http://evil.example/", &[("host", "localhost")]), by_name);
        assert_eq!(asked("http://localhost/", &[("host", "evil.example")]), by_name);
        assert_eq!(asked("/", &[("host", "localhost"), ("host", "evil.example")]), by_name);
        for name in
            ["forwarded", "via", "x-real-ip", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]
        {
            assert_eq!(asked("/", &[("host", "localhost"), (name, "x")]), Some(Led::ByProxy), "{name}");
        }
    }

    #[test]
    fn a_login_leads_back_only_to_this_collector() {
        for good in ["/", "/sites/xa-a", "/?lang=en&x=%2F", "/sites/xa-a#uptime"] {
            assert_eq!(local_path(good), Some(good));
        }
        let long = format!("/{}", "x".repeat(LONGEST_PATH));
        for bad in [
            "",
            "x",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/\n",
            "/ x",
            "/é",
            " /",
            &long,
        ] {
            assert_eq!(local_path(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_new_token_is_one_and_never_the_same() {
        let ((one, hash), (other, _)) = (fresh(TOKEN_PREFIX).unwrap(), fresh(TOKEN_PREFIX).unwrap());
        assert!(is_secret(TOKEN_PREFIX, &one) && is_secret(TOKEN_PREFIX, &other) && one != other);
        assert_eq!(hash, secret::hash(&one));
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(header in "\\PC{0,80}", cookie in "\\PC{0,80}") {
            let mut given = HeaderMap::new();
            let value = |text: &str| HeaderValue::from_bytes(text.as_bytes());
            if let Ok(value) = value(&cookie) { given.insert(COOKIE, value); }
            prop_assert_eq!(presented(&given, Cookie::of(false)), Presented::Nothing);
            if let Ok(value) = value(&header) {
                given.insert(AUTHORIZATION, value);
                prop_assert_eq!(presented(&given, Cookie::of(false)), Presented::Unusable);
            }
        }

        #[test]
        fn where_a_login_leads_to_is_below_this_origin(text in "[/\\\\a-z:.%@ \\t#?]{0,20}") {
            if let Some(path) = local_path(&text) {
                let base: http::Uri = format!("https://here.example{path}").parse().unwrap_or_default();
                prop_assert!(base.authority().is_none_or(|authority| authority == "here.example"));
                prop_assert!(path.starts_with('/') && !path[1..].starts_with(['/', '\\']));
            }
        }
    }
}
