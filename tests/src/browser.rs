//! A real browser: headless Chromium driven over the WebDriver protocol (W3C), by plain HTTP to chromedriver on loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::{Value, json};

use crate::clock;
use crate::netns::Namespace;
use crate::process::Process;
use crate::scene::Scene;
use crate::sender::Connection;

/// The key under which WebDriver returns an element's reference.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Starting Chromium on a busy machine of two cores takes seconds; a hang takes for ever.
const LIMIT: Duration = Duration::from_secs(60);

/// One browser window in its own profile. Closed when dropped.
#[derive(Debug)]
pub struct Browser {
    driver: Process,
    connection: Connection,
    session: String,
    pictures: PathBuf,
}

impl Browser {
    /// Starts chromedriver and a window of `width` × `height`; screenshots go to the scene's folder.
    pub fn open(scene: &Scene, width: u32, height: u32) -> Result<Self> {
        Self::open_in(scene, None, width, height)
    }

    /// The same inside a namespace, where it takes any certificate.
    pub fn open_inside(scene: &Scene, space: &Namespace, width: u32, height: u32) -> Result<Self> {
        Self::open_in(scene, Some(space), width, height)
    }

    fn open_in(scene: &Scene, space: Option<&Namespace>, width: u32, height: u32) -> Result<Self> {
        for tool in ["chromium", "chromedriver"] {
            let found = Command::new(tool).arg("--version").output();
            ensure!(
                found.is_ok_and(|out| out.status.success()),
                "`{tool}` is missing: run ./tests/run as root, it installs Debian's chromium and chromium-driver"
            );
        }
        let port = free_port()?;
        let argument = format!("--port={port}");
        let mut driver =
            Process::start("chromedriver", Path::new("chromedriver"), &[&argument], space, scene.dir())?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut connection = clock::eventually("chromedriver listens", LIMIT, || {
            driver.check_running()?;
            match space {
                Some(space) => space.within(|| Connection::open(address, LIMIT)),
                None => Connection::open(address, LIMIT),
            }
        })?;
        let mut arguments: Vec<String> = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--lang=vi",
        ]
        .map(str::to_owned)
        .to_vec();
        arguments.push(format!("--window-size={width},{height}"));
        arguments.push(format!("--user-data-dir={}", scene.path("browser-profile")));
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "acceptInsecureCerts": space.is_some(),
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        }}});
        let created = exchange(&mut connection, "POST", "/session", Some(&capabilities))?;
        let session = text(&created, "sessionId")?;
        Ok(Self { driver, connection, session, pictures: scene.dir().to_owned() })
    }

    /// Loads a page and waits for its load event.
    pub fn go(&mut self, url: &str) -> Result<()> {
        self.call("POST", "url", Some(&json!({ "url": url }))).map(drop)
    }

    /// How many elements a CSS selector finds.
    pub fn count(&mut self, css: &str) -> Result<usize> {
        let found = self.call("POST", "elements", Some(&json!({ "using": "css selector", "value": css })))?;
        Ok(found.as_array().map_or(0, Vec::len))
    }

    /// The visible text of the first element that a CSS selector finds.
    pub fn text(&mut self, css: &str) -> Result<String> {
        let element = self.element(css)?;
        let value = self.call("GET", &format!("element/{element}/text"), None)?;
        value.as_str().map(str::to_owned).ok_or_else(|| anyhow!("the text of {css}: {value}"))
    }

    /// An attribute of the first element that a CSS selector finds.
    pub fn attribute(&mut self, css: &str, name: &str) -> Result<Option<String>> {
        let element = self.element(css)?;
        let value = self.call("GET", &format!("element/{element}/attribute/{name}"), None)?;
        Ok(value.as_str().map(str::to_owned))
    }

    /// Clicks the first element that a CSS selector finds, as a person would: it must be visible.
    pub fn click(&mut self, css: &str) -> Result<()> {
        let element = self.element(css)?;
        self.call("POST", &format!("element/{element}/click"), Some(&json!({}))).map(drop)
    }

    /// Types into the first element that a CSS selector finds.
    pub fn fill(&mut self, css: &str, typed: &str) -> Result<()> {
        let element = self.element(css)?;
        self.call("POST", &format!("element/{element}/value"), Some(&json!({ "text": typed }))).map(drop)
    }

    /// Runs JavaScript in the page (`return …`) and gives its value.
    pub fn script(&mut self, code: &str) -> Result<Value> {
        self.call("POST", "execute/sync", Some(&json!({ "script": code, "args": [] })))
    }

    /// What the page wrote to the console at level SEVERE: script errors, failed requests, policy violations.
    pub fn console_errors(&mut self) -> Result<Vec<String>> {
        let entries = self.call("POST", "se/log", Some(&json!({ "type": "browser" })))?;
        let severe = |entry: &&Value| entry.get("level").and_then(Value::as_str) == Some("SEVERE");
        let message =
            |entry: &Value| entry.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(entries.as_array().into_iter().flatten().filter(severe).map(message).collect())
    }

    /// Saves a picture of the window as `NAME.png` in the scene's folder and gives its path.
    pub fn screenshot(&mut self, name: &str) -> Result<PathBuf> {
        let value = self.call("GET", "screenshot", None)?;
        let encoded = value.as_str().ok_or_else(|| anyhow!("a screenshot that is no text: {value}"))?;
        let path = self.pictures.join(format!("{name}.png"));
        std::fs::write(&path, base64(encoded)?).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    fn element(&mut self, css: &str) -> Result<String> {
        let found = self
            .call("POST", "element", Some(&json!({ "using": "css selector", "value": css })))
            .with_context(|| format!("find {css}"))?;
        text(&found, ELEMENT)
    }

    fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        self.driver.check_running()?;
        let path = format!("/session/{}/{path}", self.session);
        exchange(&mut self.connection, method, &path, body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends Chromium, which is chromedriver's child and would outlive it.
        let _ = exchange(&mut self.connection, "DELETE", &format!("/session/{}", self.session), None);
    }
}

/// A port on loopback that was free a moment ago.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("bind a port on loopback")?;
    Ok(listener.local_addr().context("its address")?.port())
}

fn exchange(connection: &mut Connection, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let headers: &[(&str, &str)] = &[("Content-Type", "application/json; charset=utf-8")];
    connection.send(&crate::sender::request_to("localhost", method, path, headers, body.as_bytes()))?;
    let answer = connection.receive().with_context(|| format!("{method} {path}"))?;
    let mut parsed: Value =
        serde_json::from_str(&answer.body).with_context(|| format!("{method} {path}: {}", answer.body))?;
    let value = parsed.get_mut("value").map(Value::take).unwrap_or_default();
    if answer.status != 200 {
        let message = value.get("message").and_then(Value::as_str).unwrap_or(&answer.body);
        bail!("{method} {path}: {}", message.lines().next().unwrap_or_default());
    }
    Ok(value)
}

fn text(value: &Value, key: &str) -> Result<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| anyhow!("no {key} in {value}"))
}

/// Decodes standard base64 (RFC 4648 section 4).
fn base64(encoded: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(encoded.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0u32);
    for letter in encoded.bytes().filter(|letter| *letter != b'=' && !letter.is_ascii_whitespace()) {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => bail!("{letter:#x} is no base64"),
        };
        bits = (bits << 6 | u32::from(value)) & 0xff_ffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            let [.., low] = (bits >> held).to_be_bytes();
            bytes.push(low);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_decodes_the_vectors_of_rfc_4648() {
        for (plain, encoded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(encoded).unwrap(), plain.as_bytes());
        }
        assert!(base64("a*").is_err());
    }

    #[test]
    fn the_browser_shows_a_page_and_its_pictures_are_png() {
        let scene = Scene::new("browser").unwrap();
        let mut browser = Browser::open(&scene, 800, 600).unwrap();
        browser.go("data:text/html;charset=utf-8,<p id=hello>Xã Hưng Thuận</p>").unwrap();
        assert_eq!(browser.text("#hello").unwrap(), "Xã Hưng Thuận");
        assert_eq!(browser.count("p").unwrap(), 1);
        let picture = browser.screenshot("hello").unwrap();
        assert!(std::fs::read(picture).unwrap().starts_with(b"\x89PNG"));
        drop(browser);
        scene.passed();
    }
}
