//! What a request needs, and what it is answered. Pure: a table, and a function that is tested as a whole table.
//!
//! To say that a path is for operators, add one line to the table `NEEDS` below: its root, which stands for all beneath it, and `Need::Operator`.

use http::Method;

use super::Role;

/// What a path needs of who asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing, or a credential of its own that it checks itself.
    Nothing,
    /// A viewer to read it, an operator to change it.
    Viewer,
    /// An operator, also to read it.
    Operator,
}

/// What a path and all below it needs; the first line that fits holds. What no line names needs a viewer.
const NEEDS: [(&str, Need); 12] = [
    // For supervisors and load balancers; they tell nothing but that the process answers.
    ("/healthz", Need::Nothing),
    ("/readyz", Need::Nothing),
    // The way in, and what its page is made of: files that are the same everywhere.
    ("/login", Need::Nothing),
    ("/logout", Need::Nothing),
    ("/assets", Need::Nothing),
    ("/favicon.ico", Need::Nothing),
    // Agents' own, each with a credential that it checks itself.
    (crate::ingest::PATH, Need::Nothing),
    (wan_wire::api::CONFIG_PATH, Need::Nothing),
    (wan_wire::api::ENROL_PATH, Need::Nothing),
    (wan_wire::api::SECRET_PATH, Need::Nothing),
    // Who has which secret, and the means to give out new ones.
    ("/api/v1/agents", Need::Operator),
    ("/api/v1/agent", Need::Operator),
];

/// Who asks, as far as the decision goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// Came by a loopback listener, from this machine and for it.
    Local,
    /// Came by a loopback listener, and not from a program of this machine that means it.
    Led(Led),
    /// Brought no credential, or a cookie of a session that is over.
    Anonymous,
    /// Brought an `Authorization` header that is not good.
    Refused,
    /// Brought a good credential.
    Known(Role),
}

/// How somebody elsewhere may reach a loopback listener, where nobody logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Led {
    /// By a browser of this machine, for a page whose name was made to lead here (DNS rebinding): the request names another host.
    ByName,
    /// By a proxy of this machine, which says so in the request.
    ByProxy,
}

/// How the one who asks takes a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// A person with a browser: to be led to the login.
    Page,
    /// A program: a status that says what is missing.
    Data,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The request goes on to its handler.
    GoOn,
    /// 303 to the login page, which leads back.
    Login,
    /// 401 with `WWW-Authenticate`.
    Challenge,
    /// 403: a good credential that does not suffice.
    Forbidden,
    /// 421: loopback is not for this request.
    Misdirected(Led),
}

/// What `path` needs for `method`.
#[must_use]
pub fn need(method: &Method, path: &str) -> Need {
    let below =
        |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match NEEDS.iter().find(|(root, _)| below(root)) {
        Some((_, need @ (Need::Nothing | Need::Operator))) => *need,
        Some((_, Need::Viewer)) | None if reads(method) => Need::Viewer,
        Some((_, Need::Viewer)) | None => Need::Operator,
    }
}

/// How a refusal of `path` is told.
#[must_use]
pub fn wants(method: &Method, path: &str) -> Wants {
    if !reads(method) || path == "/metrics" || path.starts_with("/api/") { Wants::Data } else { Wants::Page }
}

/// The decision.
#[must_use]
pub fn answer(asker: Asker, need: Need, wants: Wants) -> Answer {
    let least = match need {
        Need::Nothing => return Answer::GoOn,
        Need::Viewer => Role::Viewer,
        Need::Operator => Role::Operator,
    };
    match (asker, wants) {
        (Asker::Local, _) => Answer::GoOn,
        (Asker::Led(led), _) => Answer::Misdirected(led),
        (Asker::Known(role), _) if role >= least => Answer::GoOn,
        (Asker::Known(_), _) => Answer::Forbidden,
        (Asker::Refused, _) | (Asker::Anonymous, Wants::Data) => Answer::Challenge,
        (Asker::Anonymous, Wants::Page) => Answer::Login,
    }
}

/// Whether a method changes nothing (RFC 9110 §9.2.1).
#[must_use]
pub fn reads(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD || method == Method::OPTIONS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_needs_what_the_table_says_and_an_unknown_one_is_closed() {
        let table = [
            ("GET", "/", Need::Viewer),
            ("HEAD", "/", Need::Viewer),
            ("POST", "/", Need::Operator),
            ("GET", "/sites/xa-a", Need::Viewer),
            ("GET", "/metrics", Need::Viewer),
            ("GET", "/metrics/", Need::Viewer),
            ("GET", "/api/v1/overview", Need::Viewer),
            ("DELETE", "/api/v1/sites/xa-a", Need::Operator),
            ("GET", "/api/v1/openapi.json", Need::Viewer),
            ("GET", "/api/v1/planned", Need::Viewer),
            ("POST", "/api/v1/planned", Need::Operator),
            ("DELETE", "/api/v1/planned/7", Need::Operator),
            ("GET", "/api/v1/alerts/a0", Need::Viewer),
            ("POST", "/api/v1/alerts/a0/ack", Need::Operator),
            ("DELETE", "/api/v1/alerts/a0/ack", Need::Operator),
            ("GET", "/api/v1/silences", Need::Viewer),
            ("POST", "/api/v1/silences", Need::Operator),
            ("DELETE", "/api/v1/silences/7", Need::Operator),
            ("GET", "/api/v1/agents", Need::Operator),
            ("GET", "/api/v1/agents/xa-a", Need::Operator),
            ("POST", "/api/v1/agents/xa-a/rotate", Need::Operator),
            ("GET", "/api/v1/agent/anything", Need::Operator),
            ("GET", "/api/v1/agent/config", Need::Nothing),
            ("POST", "/api/v1/agent/config", Need::Nothing),
            ("GET", "/api/v1/agent/configuration", Need::Operator),
            ("POST", "/api/v1/agent/secret", Need::Nothing),
            ("POST", "/api/v1/enrol", Need::Nothing),
            ("POST", "/api/v1/enrolments", Need::Operator),
            ("POST", "/api/v1/write", Need::Nothing),
            ("GET", "/healthz", Need::Nothing),
            ("GET", "/healthz2", Need::Viewer),
            ("GET", "/readyz", Need::Nothing),
            ("GET", "/login", Need::Nothing),
            ("POST", "/login", Need::Nothing),
            ("POST", "/logout", Need::Nothing),
            ("GET", "/assets/style.css", Need::Nothing),
            ("GET", "/favicon.ico", Need::Nothing),
            ("GET", "", Need::Viewer),
            ("GET", "//healthz", Need::Viewer),
            ("GET", "/%68ealthz", Need::Viewer),
            ("GET", "/HEALTHZ", Need::Viewer),
        ];
        for (method, path, expected) in table {
            assert_eq!(need(&method.parse().unwrap(), path), expected, "{method} {path}");
        }
    }

    #[test]
    fn the_whole_table_of_answers() {
        let askers = [
            Asker::Local,
            Asker::Led(Led::ByName),
            Asker::Led(Led::ByProxy),
            Asker::Anonymous,
            Asker::Refused,
            Asker::Known(Role::Viewer),
            Asker::Known(Role::Operator),
        ];
        use Answer::{Challenge, Forbidden, GoOn, Login, Misdirected};
        let (name, proxy) = (Misdirected(Led::ByName), Misdirected(Led::ByProxy));
        let table = [
            (Need::Nothing, Wants::Page, [GoOn; 7]),
            (Need::Nothing, Wants::Data, [GoOn; 7]),
            (Need::Viewer, Wants::Page, [GoOn, name, proxy, Login, Challenge, GoOn, GoOn]),
            (Need::Viewer, Wants::Data, [GoOn, name, proxy, Challenge, Challenge, GoOn, GoOn]),
            (Need::Operator, Wants::Page, [GoOn, name, proxy, Login, Challenge, Forbidden, GoOn]),
            (Need::Operator, Wants::Data, [GoOn, name, proxy, Challenge, Challenge, Forbidden, GoOn]),
        ];
        for (need, wants, expected) in table {
            assert_eq!(askers.map(|asker| answer(asker, need, wants)), expected, "{need:?} {wants:?}");
        }
    }

    #[test]
    fn programs_get_a_status_and_browsers_a_page() {
        let table = [
            ("GET", "/", Wants::Page),
            ("GET", "/sites/xa-a", Wants::Page),
            ("GET", "/nowhere", Wants::Page),
            ("POST", "/nowhere", Wants::Data),
            ("GET", "/metrics", Wants::Data),
            ("GET", "/api/v1/overview", Wants::Data),
            ("GET", "/apiary", Wants::Page),
        ];
        for (method, path, expected) in table {
            assert_eq!(wants(&method.parse().unwrap(), path), expected, "{method} {path}");
        }
    }
}
