//! YAML to [`Alerts`].

mod routes;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lettre::message::Mailbox;
use wan_settings::{At, Fields, nearest};

use super::super::Plan;
use super::super::parse::{self, is_url, path, set, truth};
use super::{
    Alertmanager, Alerts, Channel, ChannelName, Command, Expect, Header, Heartbeat, HeartbeatTo, Hidden,
    Kind, Login, Place, SecretFrom, Security, Smtp, Source, SourceText, Templates, Webhook, WebhookUrl,
};
use crate::alert::machine::{Flapping, Many, RuleSettings, Settings};
use crate::alert::{Rule, Severity};
use crate::lang::Lang;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// The longest time that one try may be given.
const LONGEST_TRY: Duration = Duration::from_secs(300);
/// Most recipients of one channel.
const MOST_RECIPIENTS: usize = 100_000;
const URL: &str = "an http:// or https:// address without a user in it";

/// Reads the key; what cannot be read keeps its default and is noted.
pub(in crate::config) fn alerts(at: &At<'_>, file: &str, plan: &Plan) -> Option<Alerts> {
    let keys =
        ["page", "lang", "expire", "channels", "routes", "rules", "remind", "flapping", "many", "heartbeat"];
    let fields = at.fields(&keys)?;
    let page = fields.get("page").and_then(|at| url(&at)).map(|url| url.trim_end_matches('/').to_owned());
    let mut alerts = Alerts { page, ..Alerts::default() };
    set(&mut alerts.lang, &fields, "lang", lang);
    set(&mut alerts.expire, &fields, "expire", |at| at.duration(MINUTE, DAY * 30));
    let reader = Reader { file, lang: alerts.lang };
    set(&mut alerts.channels, &fields, "channels", |at| reader.channels(at));
    let channels: Vec<&str> = alerts.channels.iter().map(|channel| channel.name.as_str()).collect();
    let routes = fields.get("routes").and_then(|at| reader.routes(&at, &channels, plan));
    alerts.routes = routes.unwrap_or_default();
    if let Some(at) = fields.get("rules") {
        rules(&at, &mut alerts);
    }
    set(&mut alerts.settings.remind, &fields, "remind", |at| match at.peek() {
        Some("never") => Some(None),
        Some(_) | None => at.duration(MINUTE, DAY * 30).map(Some),
    });
    set(&mut alerts.settings.flapping, &fields, "flapping", flapping);
    set(&mut alerts.settings.many, &fields, "many", many);
    alerts.heartbeat = fields.get("heartbeat").and_then(|at| heartbeat(&at, &alerts.channels));
    Some(alerts)
}

struct Reader<'f> {
    file: &'f str,
    lang: Lang,
}

impl Reader<'_> {
    fn place(&self, at: &At<'_>) -> Place {
        let (line, column) = at.place();
        Place { file: self.file.to_owned(), line, column, key: at.name().to_owned() }
    }

    fn channels(&self, at: &At<'_>) -> Option<Vec<Channel>> {
        let mut found: Vec<Channel> = Vec::new();
        for item in at.items("channels")? {
            let Some(channel) = self.channel(&item) else { continue };
            if found.iter().any(|known| known.name == channel.name) {
                let twice = format!("the channel “{}” twice", channel.name);
                item.wrong_as(twice, "each name once", "rename or remove one of them");
                continue;
            }
            found.push(channel);
        }
        Some(found)
    }

    fn channel(&self, at: &At<'_>) -> Option<Channel> {
        const KINDS: [&str; 4] = ["alertmanager", "smtp", "webhook", "command"];
        let keys = ["name", "lang", "alertmanager", "smtp", "webhook", "command", "subject", "text", "html"];
        let fields = at.fields(&keys)?;
        let name = fields.need("name", "a name for routes and the log").and_then(|at| channel_name(&at));
        let lang = fields.get("lang").map_or(Some(self.lang), |at| lang(&at));
        let named: Vec<&str> = KINDS.into_iter().filter(|kind| fields.get(kind).is_some()).collect();
        let [kind] = named.as_slice() else {
            let found = if named.is_empty() { "none of them".to_owned() } else { named.join(" and ") };
            at.wrong_as(found, format!("one of {}", KINDS.join(", ")), "make a channel of each");
            return None;
        };
        let at = fields.get(kind)?;
        let kind = match *kind {
            "alertmanager" => alertmanager(&at).map(Kind::Alertmanager),
            "smtp" => smtp(&at).map(Kind::Smtp),
            "webhook" => self.webhook(&at).map(Kind::Webhook),
            _ => command(&at).map(Kind::Command),
        };
        let source = |key| fields.get(key).and_then(|at| self.source(&at));
        let templates = Templates { subject: source("subject"), text: source("text"), html: source("html") };
        Some(Channel { name: name?, lang: lang?, kind: kind?, templates })
    }

    /// A template, or `{file: FILE}`.
    fn source(&self, at: &At<'_>) -> Option<Source> {
        let text = if at.is_map() {
            let fields = at.fields(&["file"])?;
            SourceText::File(fields.need("file", "the template's file").and_then(|at| path(&at, "a file"))?)
        } else {
            SourceText::Inline(at.text("a template, or {file: FILE}")?.to_owned())
        };
        Some(Source { text, place: self.place(at) })
    }

    fn webhook(&self, at: &At<'_>) -> Option<Webhook> {
        let keys = [
            "url",
            "url_file",
            "method",
            "headers",
            "body",
            "body_file",
            "secret_file",
            "secret_env",
            "expect",
            "ca_file",
            "timeout",
        ];
        let fields = at.fields(&keys)?;
        let address = match (fields.get("url"), fields.get("url_file")) {
            (Some(at), None) => webhook_url(&at).map(|url| WebhookUrl::Inline(Hidden(url), self.place(&at))),
            (None, Some(at)) => path(&at, "the file that holds the address").map(WebhookUrl::File),
            (None, None) => fields.need("url", URL).and(None),
            (Some(_), Some(at)) => {
                at.wrong_as("url as well", "one of url and url_file", "remove one of them");
                None
            }
        };
        let method = fields.get("method").map_or(Some("POST".to_owned()), |at| {
            at.scalar("POST, PUT or GET", "write it in capitals", |text| {
                matches!(text, "POST" | "PUT" | "GET").then(|| text.to_owned())
            })
        });
        let headers = fields.get("headers").map_or(Some(Vec::new()), |at| self.headers(&at));
        let body = match (fields.get("body"), fields.get("body_file")) {
            (Some(_), Some(at)) => {
                at.wrong_as("body as well", "one of body and body_file", "remove one of them");
                None
            }
            (Some(at), None) => self.source(&at),
            (None, Some(at)) => path(&at, "the template's file")
                .map(|file| Source { text: SourceText::File(file), place: self.place(&at) }),
            (None, None) => None,
        };
        let secret = secret(&fields, "secret_file", "secret_env");
        let expect = fields.get("expect").map_or(Some(None), |at| expect(&at).map(Some));
        let ca_file = fields.get("ca_file").and_then(|at| path(&at, "a PEM file"));
        let timeout = timeout(&fields, SECOND * 10);
        Some(Webhook {
            url: address?,
            method: method?,
            headers: headers?,
            body,
            secret,
            expect: expect?,
            ca_file,
            timeout: timeout?,
        })
    }

    fn headers(&self, at: &At<'_>) -> Option<Vec<Header>> {
        /// What the collector itself says.
        const OWN: [&str; 6] =
            ["host", "content-length", "transfer-encoding", "connection", "idempotency-key", "expect"];
        let mut found: Vec<Header> = Vec::new();
        for (name, at) in at.entries("a header's name and value each")? {
            let good = http::HeaderName::from_bytes(name.as_bytes()).is_ok();
            if !good || OWN.contains(&name.to_ascii_lowercase().as_str()) {
                let remedy = "the collector itself says Host, Content-Length and Idempotency-Key";
                at.at_key().wrong_as(wan_settings::quote(name), "the name of an HTTP header", remedy);
                continue;
            }
            let text = at.scalar("text", "put it in quotes", |text| Some(text.to_owned()));
            let Some(value) = text else { continue };
            found.push(Header { name: name.to_owned(), value: Hidden(value), place: self.place(&at) });
        }
        Some(found)
    }
}

fn lang(at: &At<'_>) -> Option<Lang> {
    at.scalar("vi or en", "", |text| text.parse().ok())
}

fn severity(at: &At<'_>) -> Option<Severity> {
    at.scalar("info, warning or critical", "", |text| {
        Severity::ALL.into_iter().find(|severity| severity.as_str() == text)
    })
}

fn channel_name(at: &At<'_>) -> Option<ChannelName> {
    let expected = "1 to 32 lower-case letters, digits, “-” or “_”";
    at.scalar(expected, "write for example “mail”", |text| text.parse().ok())
}

/// One text, or a list of at least one.
fn texts<'d>(at: &At<'d>) -> Option<Vec<At<'d>>> {
    if !at.is_list() {
        return Some(vec![at.clone()]);
    }
    let items = at.items("names")?;
    if items.is_empty() {
        at.wrong("at least one", "remove the key to have it match everything");
        return None;
    }
    Some(items)
}

fn one_of<'d>(at: &At<'d>, known: &[&str], what: &str) -> Option<&'d str> {
    let text = at.text(what)?;
    if known.contains(&text) {
        return Some(text);
    }
    let expected = if known.is_empty() { what.to_owned() } else { format!("{what}: {}", known.join(", ")) };
    let remedy = nearest(text, known.iter().copied()).map(|meant| format!("did you mean {meant}?"));
    at.wrong(expected, remedy.unwrap_or_default());
    None
}

/// An address that may be shown.
fn url(at: &At<'_>) -> Option<String> {
    let remedy = "write it as in “https://wan.example.vn:8443”";
    parse::url(at, URL, "an address with a user", remedy)
}

/// An address of which the host is fixed, and what follows may be a template.
fn webhook_url(at: &At<'_>) -> Option<String> {
    let text = at.text(URL)?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
    if is_url(&format!("https://{host}")) && !host.contains(['{', '}', ' ']) && !text.contains('#') {
        return Some(text.to_owned());
    }
    // It may hold a password, which has no place in a log.
    at.wrong_as(
        "another address",
        URL,
        "templates may stand behind the host only; a secret belongs in secret_file",
    );
    None
}

/// An address that is not shown and holds no template.
fn plain_url(at: &At<'_>) -> Option<String> {
    let text = webhook_url(at)?;
    if text.contains("{{") || text.contains("{%") {
        at.wrong_as("a template", "an address that is asked as it is", "write it without “{{” and “{%”");
        return None;
    }
    Some(text)
}

/// How long one try may take.
pub(in crate::config) fn timeout(fields: &Fields<'_>, usual: Duration) -> Option<Duration> {
    fields.get("timeout").map_or(Some(usual), |at| at.duration(SECOND / 10, LONGEST_TRY))
}

fn secret(fields: &Fields<'_>, file: &str, env: &str) -> Option<SecretFrom> {
    match (fields.get(file), fields.get(env)) {
        (Some(_), Some(at)) => {
            at.wrong_as(format!("{file} as well"), format!("one of {file} and {env}"), "remove one of them");
            None
        }
        (Some(at), None) => path(&at, "the file that holds it").map(SecretFrom::File),
        (None, Some(at)) => {
            let name = at.scalar("the name of a variable of the environment", "", |text| {
                let good = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                good.then(|| text.to_owned())
            })?;
            Some(SecretFrom::Env(name))
        }
        (None, None) => None,
    }
}

/// `{json: POINTER, equals: VALUE, refused: VALUE}` or `{contains: TEXT}`; of values one or a list.
fn expect(at: &At<'_>) -> Option<Expect> {
    let fields = at.fields(&["json", "equals", "refused", "contains"])?;
    let values = |at: At<'_>| -> Option<Vec<String>> {
        let one = |at: &At<'_>| match at.truth() {
            Some(truth) => Some(truth.to_string()),
            None => at.scalar("a number, a text, true or false", "", |text| Some(text.to_owned())),
        };
        texts(&at)?.iter().map(one).collect()
    };
    match (fields.get("json"), fields.get("contains")) {
        (Some(at), None) => {
            let expected = "a JSON pointer (RFC 6901)";
            let pointer = at.scalar(expected, "write it as in /error or /data/0/status", |text| {
                is_pointer(text).then(|| text.to_owned())
            });
            let equals = fields.need("equals", "the value that says that it was taken").and_then(values);
            let refused = fields.get("refused").map_or(Some(Vec::new()), values);
            Some(Expect::Json { pointer: pointer?, equals: equals?, refused: refused? })
        }
        (None, Some(at)) => {
            for key in ["equals", "refused"] {
                if let Some(at) = fields.get(key) {
                    at.wrong_as(
                        format!("{key} without json"),
                        "it beside json alone",
                        "remove it, or write json: POINTER",
                    );
                }
            }
            let text =
                at.scalar("a text that is not empty", "", |text| (!text.is_empty()).then(|| text.to_owned()));
            text.map(Expect::Contains)
        }
        (None, None) | (Some(_), Some(_)) => {
            at.wrong("one of json and contains", "write {json: /error, equals: 0} or {contains: TEXT}");
            None
        }
    }
}

/// Whether a text is a JSON pointer: nothing, or parts that begin with a slash, in which `~` is written `~0` and a slash `~1`.
fn is_pointer(text: &str) -> bool {
    let escaped = |part: &str| part.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    text.is_empty() || (text.starts_with('/') && text.split('/').all(escaped))
}

fn alertmanager(at: &At<'_>) -> Option<Alertmanager> {
    let keys = [
        "urls",
        "user",
        "password_file",
        "password_env",
        "token_file",
        "token_env",
        "resend",
        "ca_file",
        "timeout",
    ];
    let fields = at.fields(&keys)?;
    let mut urls: Vec<String> = Vec::new();
    for at in fields.need("urls", "the addresses of Alertmanager").and_then(|at| texts(&at))? {
        let Some(found) = url(&at).map(|url| url.trim_end_matches('/').to_owned()) else { continue };
        if urls.contains(&found) {
            at.wrong("every address once", "remove the repeated one");
        }
        urls.push(found);
    }
    let resend = fields.get("resend").map_or(Some(MINUTE), |at| at.duration(SECOND, MINUTE * 4));
    let ca_file = fields.get("ca_file").and_then(|at| path(&at, "a PEM file"));
    let login = any_login(&fields)?;
    Some(Alertmanager { urls, login, resend: resend?, ca_file, timeout: timeout(&fields, SECOND * 10)? })
}

/// A login by name and password or by a token; `Some(None)`: none.
pub(in crate::config) fn any_login(fields: &Fields<'_>) -> Option<Option<Login>> {
    let (basic, token) = (login(fields), secret(fields, "token_file", "token_env"));
    let login = match (fields.get("token_file").or_else(|| fields.get("token_env")), basic?) {
        (Some(at), Some(_)) => {
            at.wrong_as(
                "a user as well",
                "one of the two ways to log in",
                "remove the token, or the user and the password",
            );
            return None;
        }
        (Some(_), None) => Some(Login::Bearer(token?)),
        (None, basic) => basic.map(|(user, password)| Login::Basic(user, password)),
    };
    if let Some(Login::Basic(user, _)) = &login
        && user.contains(':')
    {
        fields.get("user")?.wrong("a name without a colon, which ends it (RFC 7617)", "");
        return None;
    }
    Some(login)
}

/// Who logs in, and by what password; `Some(None)`: nobody.
fn login(fields: &Fields<'_>) -> Option<Option<(String, SecretFrom)>> {
    let user = fields.get("user").map(|at| at.text("the user").map(str::to_owned));
    let password = secret(fields, "password_file", "password_env");
    // One that is there and cannot be read is told already.
    let has_password = fields.get("password_file").or_else(|| fields.get("password_env")).is_some();
    match (user, has_password) {
        (Some(user), true) => Some(Some((user?, password?))),
        (None, false) => Some(None),
        (Some(_), false) => {
            let remedy = "write password_file: FILE, or password_env: VARIABLE";
            fields.at().wrong_as("a user without a password", "both or none", remedy);
            None
        }
        (None, true) => {
            fields.at().wrong_as("a password without a user", "both or none", "write user: NAME");
            None
        }
    }
}

fn smtp(at: &At<'_>) -> Option<Smtp> {
    let keys = [
        "host",
        "port",
        "security",
        "user",
        "password_file",
        "password_env",
        "from",
        "to",
        "helo",
        "ca_file",
        "timeout",
    ];
    let fields = at.fields(&keys)?;
    let host = fields.need("host", "the mail server").and_then(|at| host(&at));
    let security = fields.get("security").map_or(Some(Security::Starttls), |at| {
        at.scalar("starttls, tls or none", "none sends everything in the clear", |text| match text {
            "starttls" => Some(Security::Starttls),
            "tls" => Some(Security::Tls),
            "none" => Some(Security::None),
            _ => None,
        })
    });
    let port = fields.get("port").map(|at| at.whole(1, 65_535).and_then(|port| u16::try_from(port).ok()));
    let login = login(&fields)?;
    let from = fields.need("from", "the sender's address").and_then(|at| mailbox(&at));
    let mut to: Vec<String> = Vec::new();
    let mut known = BTreeSet::new();
    let items = fields.need("to", "the recipients' addresses").and_then(|at| {
        let items = texts(&at)?;
        if items.len() > MOST_RECIPIENTS {
            let expected = format!("at most {MOST_RECIPIENTS}");
            at.wrong_as(
                format!("{} recipients", items.len()),
                expected,
                "have the mail server keep the list",
            );
            return None;
        }
        Some(items)
    });
    for at in items? {
        let Some(found) = mailbox(&at) else { continue };
        // One who is listed twice is told once.
        if known.insert(found.clone()) {
            to.push(found);
        }
    }
    let helo = fields.get("helo").and_then(|at| self::host(&at));
    let ca_file = fields.get("ca_file").and_then(|at| path(&at, "a PEM file"));
    let (security, timeout) = (security?, timeout(&fields, SECOND * 30)?);
    let usual = match security {
        Security::Starttls => 587,
        Security::Tls => 465,
        Security::None => 25,
    };
    let port = port.map_or(Some(usual), |port| port)?;
    Some(Smtp { host: host?, port, security, login, from: from?, to, helo, ca_file, timeout })
}

fn host(at: &At<'_>) -> Option<String> {
    at.scalar("a host's name or IP address", "the port is a key of its own", |text| {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        (!text.is_empty() && text.len() <= 253 && text.chars().all(good)).then(|| text.to_owned())
    })
}

fn mailbox(at: &At<'_>) -> Option<String> {
    let expected = "an e-mail address, alone or as in “Name <name@example.vn>”";
    at.scalar(expected, "", |text| {
        let plain = !text.chars().any(char::is_control);
        (plain && Mailbox::from_str(text).is_ok()).then(|| text.to_owned())
    })
}

fn command(at: &At<'_>) -> Option<Command> {
    let fields = at.fields(&["run", "timeout"])?;
    let mut run = Vec::new();
    for at in fields.need("run", "the program and its arguments, as a list")?.items("words")? {
        let word =
            at.scalar("text", "put it in quotes", |text| (!text.contains('\0')).then(|| text.to_owned()));
        run.push(word?);
    }
    if !run.first().is_some_and(|program| PathBuf::from(program).is_absolute()) {
        let remedy = "write it as in [/usr/local/bin/tell, --sms]; no shell reads it";
        fields.at().wrong_as("no absolute path", "a program by its absolute path", remedy);
        return None;
    }
    Some(Command { run, timeout: timeout(&fields, SECOND * 10)? })
}

fn rules(at: &At<'_>, alerts: &mut Alerts) {
    let names = Rule::ALL.map(Rule::as_str);
    let Some(fields) = at.fields(&names) else { return };
    for rule in Rule::ALL {
        let Some(at) = fields.get(rule.as_str()) else { continue };
        let settings = alerts.settings.rules.entry(rule).or_insert_with(|| RuleSettings::default_of(rule));
        let Some(fields) = at.fields(&["enabled", "severity", "hold", "keep"]) else { continue };
        set(&mut settings.enabled, &fields, "enabled", |at| truth(at, ""));
        set(&mut settings.severity, &fields, "severity", severity);
        set(&mut settings.hold, &fields, "hold", |at| at.duration(Duration::ZERO, DAY));
        set(&mut settings.keep, &fields, "keep", |at| at.duration(Duration::ZERO, DAY));
    }
}

fn flapping(at: &At<'_>) -> Option<Flapping> {
    let fields = at.fields(&["changes", "within", "calm"])?;
    let mut flapping = Settings::default().flapping;
    set(&mut flapping.changes, &fields, "changes", |at| {
        at.whole(2, 1000).and_then(|n| u32::try_from(n).ok())
    });
    set(&mut flapping.within, &fields, "within", |at| at.duration(MINUTE, DAY * 7));
    set(&mut flapping.calm, &fields, "calm", |at| at.duration(SECOND, DAY));
    Some(flapping)
}

fn many(at: &At<'_>) -> Option<Many> {
    let fields = at.fields(&["at_least", "share", "within"])?;
    let mut many = Settings::default().many;
    set(&mut many.at_least, &fields, "at_least", |at| {
        at.whole(2, 1_000_000).and_then(|n| u32::try_from(n).ok())
    });
    set(&mut many.share, &fields, "share", |at| at.share("write 20% or 0.2"));
    set(&mut many.within, &fields, "within", |at| at.duration(SECOND, DAY));
    Some(many)
}

fn heartbeat(at: &At<'_>, channels: &[Channel]) -> Option<Heartbeat> {
    let fields = at.fields(&["url", "channel", "every"])?;
    let to = match (fields.get("url"), fields.get("channel")) {
        (Some(at), None) => HeartbeatTo::Url(Hidden(plain_url(&at)?)),
        (None, Some(at)) => {
            let of_alertmanager = |channel: &&Channel| match channel.kind {
                Kind::Alertmanager(_) => true,
                Kind::Smtp(_) | Kind::Webhook(_) | Kind::Command(_) => false,
            };
            let known: Vec<&str> =
                channels.iter().filter(of_alertmanager).map(|channel| channel.name.as_str()).collect();
            HeartbeatTo::Channel(one_of(&at, &known, "a channel of the kind alertmanager")?.parse().ok()?)
        }
        (None, None) | (Some(_), Some(_)) => {
            at.wrong("one of url and channel", "");
            return None;
        }
    };
    let every = fields.get("every").map_or(Some(MINUTE), |at| at.duration(SECOND, DAY))?;
    Some(Heartbeat { to, every })
}
