//! Users, sessions and tokens in the store, and the commands that manage them.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::io::{Read as _, Write as _};
use std::process::{Command, Output, Stdio};

use wan_collector::access::user::{Role, Session, Token, User, UserName};
use wan_collector::store::Store as _;
use wan_collector::store::sqlite::SqliteStore;
use wan_wire::UnixMillis;

fn name(text: &str) -> UserName {
    text.parse().unwrap()
}

fn user(called: &str) -> User {
    User {
        name: name(called),
        hash: format!("$argon2id$of-{called}"),
        role: Role::Viewer,
        created: UnixMillis(1),
        disabled: None,
        last_seen: None,
    }
}

fn session(number: u8, of: &str) -> Session {
    Session {
        hash: [number; 32],
        user: name(of),
        role: Role::Viewer,
        created: UnixMillis(i64::from(number)),
        last_used: UnixMillis(i64::from(number)),
        expires: UnixMillis(1_000),
    }
}

async fn store(folder: &tempfile::TempDir) -> SqliteStore {
    SqliteStore::open(&folder.path().join("wanwatch.db")).await.unwrap()
}

#[tokio::test]
async fn sessions_and_tokens_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let first = store(&folder).await;
    assert!(!first.somebody_may_read(UnixMillis(5)).await.unwrap());
    assert!(first.add_user(&user("binh")).await.unwrap());
    assert!(!first.add_user(&User { role: Role::Operator, ..user("binh") }).await.unwrap());
    assert!(first.open_session(&session(1, "binh"), "$argon2id$of-binh", UnixMillis(1)).await.unwrap());
    let token = Token {
        name: name("prometheus"),
        hash: [9; 32],
        role: Role::Operator,
        created: UnixMillis(2),
        expires: Some(UnixMillis(50)),
        revoked: None,
    };
    assert!(first.add_reader_token(&token).await.unwrap());
    first.close().await;

    let again = store(&folder).await;
    assert_eq!(again.session(&[1; 32]).await.unwrap(), Some(session(1, "binh")));
    assert_eq!(again.session(&[2; 32]).await.unwrap(), None);
    assert_eq!(again.reader_token(&[9; 32]).await.unwrap(), Some(token.clone()));
    assert_eq!(again.reader_tokens().await.unwrap(), [token]);
    let seen = User { last_seen: Some(UnixMillis(1)), ..user("binh") };
    assert_eq!(again.users().await.unwrap(), std::slice::from_ref(&seen));
    assert_eq!(again.user(&name("binh")).await.unwrap(), Some(seen));
    again.note_session_use(&[1; 32], UnixMillis(40)).await.unwrap();
    again.note_session_use(&[1; 32], UnixMillis(30)).await.unwrap();
    assert_eq!(again.session(&[1; 32]).await.unwrap().unwrap().last_used, UnixMillis(40));
    assert!(again.end_session(&[1; 32]).await.unwrap() && !again.end_session(&[1; 32]).await.unwrap());
}

#[tokio::test]
async fn a_users_role_changes_and_the_users_sessions_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    store.add_user(&user("binh")).await.unwrap();
    store.open_session(&session(1, "binh"), "$argon2id$of-binh", UnixMillis(1)).await.unwrap();
    assert!(store.set_role(&name("binh"), Role::Operator).await.unwrap());
    assert_eq!(store.session(&[1; 32]).await.unwrap().unwrap().role, Role::Operator);
    assert!(!store.set_role(&name("an"), Role::Operator).await.unwrap());
}

#[tokio::test]
async fn whoever_could_read_counts_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    let somebody = async |at: i64| store.somebody_may_read(UnixMillis(at)).await.unwrap();
    store.add_user(&user("binh")).await.unwrap();
    assert!(somebody(5).await);
    assert!(store.set_disabled(&name("binh"), Some(UnixMillis(5))).await.unwrap());
    assert!(!somebody(5).await);
    let expires = Some(UnixMillis(50));
    let token = |called: &str, number: u8| Token {
        name: name(called),
        hash: [number; 32],
        role: Role::Viewer,
        created: UnixMillis(2),
        expires,
        revoked: None,
    };
    store.add_reader_token(&token("a", 1)).await.unwrap();
    assert!(somebody(49).await && !somebody(50).await);
    assert!(store.revoke_reader_token(&name("a"), UnixMillis(6)).await.unwrap());
    assert!(!store.revoke_reader_token(&name("a"), UnixMillis(7)).await.unwrap());
    assert!(!somebody(6).await);
    assert!(store.add_reader_token(&token("a", 2)).await.unwrap(), "the name is free again");
    assert!(!store.add_reader_token(&token("a", 3)).await.unwrap());
    assert_eq!(store.reader_tokens().await.unwrap().len(), 2);
}

#[tokio::test]
async fn whatever_changes_a_user_ends_the_users_sessions_and_nobody_elses() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    for called in ["binh", "an"] {
        store.add_user(&user(called)).await.unwrap();
    }
    store.open_session(&session(200, "an"), "$argon2id$of-an", UnixMillis(1)).await.unwrap();
    let open = async |number| {
        store.open_session(&session(number, "binh"), "$argon2id$of-binh", UnixMillis(1)).await.unwrap()
    };
    let there = async |number: u8| store.session(&[number; 32]).await.unwrap().is_some();
    let binh = name("binh");

    assert!(open(1).await);
    assert!(store.set_disabled(&binh, Some(UnixMillis(5))).await.unwrap());
    assert!(!there(1).await && !open(2).await && !there(2).await, "a disabled user opens none");
    assert!(store.set_disabled(&binh, None).await.unwrap());
    assert!(open(3).await && there(3).await);
    assert!(store.set_password(&binh, "$argon2id$new").await.unwrap());
    assert!(!there(3).await);
    assert!(!open(4).await, "the password that was checked is not the user's any more");
    let fresh = session(5, "binh");
    assert!(store.open_session(&fresh, "$argon2id$new", UnixMillis(1)).await.unwrap());
    assert!(store.remove_user(&binh).await.unwrap());
    assert!(!there(5).await && there(200).await);
    for done in [
        store.remove_user(&binh).await,
        store.set_password(&binh, "x").await,
        store.set_disabled(&binh, None).await,
    ] {
        assert!(!done.unwrap());
    }
}

#[tokio::test]
async fn a_users_sessions_are_bounded_and_those_that_are_over_go() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    store.add_user(&user("binh")).await.unwrap();
    for number in 1..=25 {
        store.open_session(&session(number, "binh"), "$argon2id$of-binh", UnixMillis(1)).await.unwrap();
    }
    let mut there = Vec::new();
    for number in 1..=25 {
        if store.session(&[number; 32]).await.unwrap().is_some() {
            there.push(number);
        }
    }
    assert_eq!(there, (6..=25).collect::<Vec<_>>(), "the newest twenty");
    let last = Session { expires: UnixMillis(2_000), ..session(26, "binh") };
    store.open_session(&last, "$argon2id$of-binh", UnixMillis(1_000)).await.unwrap();
    assert!(
        store.session(&[25; 32]).await.unwrap().is_none()
            && store.session(&[26; 32]).await.unwrap().is_some()
    );
}

/// A folder with a configuration, and the program.
struct Office(tempfile::TempDir);

impl Office {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("collector.yaml"), "data: data\n").unwrap();
        Self(folder)
    }

    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new("setsid")
            .arg(env!("CARGO_BIN_EXE_wan-collector"))
            .args(arguments)
            .arg("--config")
            .arg(self.0.path().join("collector.yaml"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that refuses before it reads closes its end.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn good(&self, arguments: &[&str], input: &str) -> String {
        let out = self.run(arguments, input);
        let (said, error) = (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap());
        assert!(out.status.success(), "{arguments:?}: {said}{error}");
        said
    }

    fn bad(&self, arguments: &[&str], input: &str) -> String {
        let out = self.run(arguments, input);
        assert!(!out.status.success(), "{arguments:?} succeeded");
        assert!(out.stdout.is_empty());
        String::from_utf8(out.stderr).unwrap()
    }
}

#[test]
fn users_are_added_listed_disabled_and_removed_from_the_command_line() {
    let office = Office::new();
    let add = ["users", "add", "binh", "--role", "operator", "--password-file", "-"];
    assert_eq!(office.good(&add, "một hai ba bốn\n"), "binh can log in as operator\n");
    assert!(
        office
            .bad(&add, "một hai ba bốn\n")
            .contains("there is a user binh; `wan-collector users passwd binh`")
    );
    let file = office.0.path().join("password");
    std::fs::write(&file, "mười một mười hai\r\n").unwrap();
    office.good(&["users", "add", "an", "--password-file", file.to_str().unwrap()], "");

    let listed = office.good(&["users", "list", "--format", "csv"], "");
    let mut lines = listed.lines();
    assert_eq!(lines.next(), Some("name,role,state,created,last_seen,disabled"));
    assert!(lines.next().unwrap().starts_with("an,viewer,enabled,20"));
    assert!(lines.next().unwrap().starts_with("binh,operator,enabled,20"));
    let table = office.good(&["users", "list"], "");
    assert!(table.contains("LAST SEEN") && table.ends_with("2 users, 2 of them can log in\n"), "{table}");
    assert!(!listed.contains("argon2") && !table.contains("argon2"));

    assert!(office.good(&["users", "disable", "an"], "").starts_with("an is disabled"));
    assert!(office.good(&["users", "list", "--format", "json"], "").contains("\"state\": \"disabled\""));
    office.good(&["users", "enable", "an"], "");
    assert_eq!(office.good(&["users", "role", "an", "operator"], ""), "an is operator from now on\n");
    assert!(office.good(&["users", "list", "--format", "csv"], "").contains("an,operator,enabled,20"));
    office.good(&["users", "passwd", "an", "--password-file", "-"], "một mật khẩu khác");
    let out = office.run(&["users", "remove", "an", "binh"], "");
    assert!(String::from_utf8(out.stderr).unwrap().contains("nobody can log in"));
    assert!(office.bad(&["users", "remove", "an"], "").contains("there is no user an"));
    office.good(&add, "một hai ba bốn\n");
    assert!(office.bad(&["users", "disable", "bin"], "").contains("did you mean binh?"));
}

#[test]
fn a_bad_password_or_name_is_refused_with_what_to_do() {
    let office = Office::new();
    let add = ["users", "add", "binh", "--password-file", "-"];
    for (input, reason) in [
        ("", "fewer than 10 characters"),
        ("ngắn\n", "fewer than 10 characters"),
        ("một hai ba bốn\nnăm sáu\n", "control character"),
        (&"dài ".repeat(1000), "longer than 512 bytes"),
    ] {
        let said = office.bad(&add, input);
        assert!(said.contains(reason), "{input:.20}: {said}");
    }
    let said = office.bad(&["users", "add", "binh"], "");
    assert!(said.contains("no terminal") && said.contains("--password-file"), "{said}");
    let said = office.bad(&["users", "add", "Bình", "--password-file", "-"], "một hai ba bốn");
    assert!(said.contains("1 to 32 lower-case letters"), "{said}");
    let said = office.bad(&["users", "add", "binh", "--password-file", "/nowhere"], "");
    assert!(said.contains("cannot read the password from /nowhere"), "{said}");
    assert!(
        office
            .bad(&["users", "passwd", "binh", "--password-file", "-"], "x")
            .contains("there is no user binh")
    );
    assert_eq!(
        office.bad(&["users", "role", "binh", "operator"], "").matches("there is no user binh").count(),
        1
    );
    let help = office.good(&["users", "add", "--help"], "");
    assert!(help.contains("Examples:") && !help.contains("--password <"), "{help}");
}

#[test]
fn the_password_is_typed_twice_on_the_terminal_and_never_shown() {
    let office = Office::new();
    let config = office.0.path().join("collector.yaml");
    let typed = |lines: &str, arguments: &str| {
        let command =
            format!("{} {arguments} --config {}", env!("CARGO_BIN_EXE_wan-collector"), config.display());
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--echo", "never", "--command", &command, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut output = child.stdout.take().unwrap();
        // As a person types: after the question. What is typed earlier is thrown away.
        let (mut shown, mut buffer, mut asked) = (Vec::new(), [0; 1024], 0);
        let mut lines = lines.split_inclusive(['\n', '\u{3}']);
        loop {
            let read = output.read(&mut buffer).unwrap();
            if read == 0 {
                break;
            }
            shown.extend_from_slice(&buffer[..read]);
            let text = String::from_utf8_lossy(&shown);
            let questions = text.matches(" characters): ").count() + text.matches("Once more: ").count();
            if questions > asked
                && let Some(line) = lines.next()
            {
                asked += 1;
                input.write_all(line.as_bytes()).unwrap();
            }
        }
        drop(input);
        let done = child.wait().unwrap().success();
        (done, String::from_utf8_lossy(&shown).into_owned())
    };
    let (done, shown) = typed("một hai ba bốn\nmột hai ba bốn\n", "users add binh");
    assert!(done && shown.contains("Once more: ") && shown.contains("binh can log in as viewer"), "{shown}");
    assert!(!shown.contains("một hai"), "{shown}");
    let (done, shown) = typed("một hai ba bốn\nmột hai ba năm\n", "users add an");
    assert!(!done && shown.contains("the two passwords differ"), "{shown}");
    let (done, shown) = typed("một hai\u{3}", "users add an");
    assert!(!done && shown.contains("interrupted; nothing was changed"), "{shown}");
}

#[test]
fn a_token_is_printed_once_and_alone() {
    let office = Office::new();
    let token = office.good(&["tokens", "add", "prometheus"], "");
    let text = token.trim_end();
    assert!(text.starts_with("wanr_") && text.len() == 48 && token.lines().count() == 1, "{token}");
    assert!(office.bad(&["tokens", "add", "prometheus"], "").contains("there is a token prometheus"));
    let more = office.run(&["tokens", "add", "may", "--role", "operator", "--ttl", "90d"], "");
    assert!(String::from_utf8(more.stderr).unwrap().contains("token may (operator, expires 20"));
    let listed = office.good(&["tokens", "list", "--format", "csv"], "");
    assert!(listed.starts_with("name,role,state,created,expires,revoked\nmay,operator,valid,"), "{listed}");
    assert!(!listed.contains("wanr_"), "{listed}");
    assert_eq!(office.good(&["tokens", "revoke", "may"], ""), "the token may is revoked\n");
    assert!(office.bad(&["tokens", "revoke", "may"], "").contains("there is no token may"));
    assert!(office.bad(&["tokens", "revoke", "promtheus"], "").contains("did you mean prometheus?"));
    assert!(office.good(&["tokens", "list"], "").ends_with("2 tokens, 1 of them are accepted\n"));
    let file = office.0.path().join("token");
    let into = |called: &'static str| ["tokens", "add", called, "--output", file.to_str().unwrap()];
    assert_eq!(office.good(&into("luoi"), ""), "");
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(kept.starts_with("wanr_") && kept.len() == 49, "{kept}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    // Neither a token that works nor the file that holds it is lost when something is refused.
    assert!(office.bad(&into("khac"), "").contains("is not overwritten"));
    assert!(!office.good(&["tokens", "list"], "").contains("khac"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), kept);
    std::fs::remove_file(&file).unwrap();
    assert!(office.bad(&into("luoi"), "").contains("there is a token luoi"));
    assert!(!file.exists(), "nothing was made, and nothing is left behind");
    for ttl in ["0s", "forever", "30", "100000d"] {
        let said = office.bad(&["tokens", "add", "x", "--ttl", ttl], "");
        assert!(said.contains("12h or 365d"), "{said}");
    }
}
