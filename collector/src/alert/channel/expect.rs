//! Whether a receiver that answered 2xx has taken a message, by what its answer says. Pure.
//!
//! Many gateways answer 200 whatever became of the message, and say in the body what did. What the configuration expects there is held against
//! the answer:
//!
//! | the answer | |
//! | --- | --- |
//! | is as expected | delivered |
//! | names a value of `refused` | never: the receiver would say so again |
//! | is anything else: another value, no such value, no JSON, nothing, too much | again |
//!
//! What is unknown is tried again, since a token that has run out is the usual reason, and a message told twice does less harm than one that
//! nobody gets.

use serde_json::Value;

use super::Outcome;
use crate::alert::text::one_line;
use crate::config::alerts::Expect;

/// Most bytes of an answer that are read: what a gateway says of one message is shorter.
pub const MOST_ANSWER_BYTES: usize = 64 << 10;

/// What the body of a 2xx answer means; `whole`: nothing of it is missing.
#[must_use]
pub fn judge(expect: &Expect, body: &[u8], whole: bool) -> Outcome {
    match expect {
        Expect::Contains(text) => {
            let found = String::from_utf8_lossy(body).contains(text.as_str());
            if found { Outcome::Delivered(None) } else { Outcome::again(format!("without {text:?}")) }
        }
        Expect::Json { .. } if !whole => {
            Outcome::again(format!("more than {MOST_ANSWER_BYTES} bytes, or a part of them"))
        }
        Expect::Json { pointer, equals, refused } => {
            let Ok(json) = serde_json::from_slice::<Value>(body) else {
                return Outcome::again(format!("no JSON, so no {}", named(pointer)));
            };
            let Some(found) = json.pointer(pointer).and_then(scalar) else {
                return Outcome::again(format!("nothing to compare at {}", named(pointer)));
            };
            if equals.contains(&found) {
                return Outcome::Delivered(None);
            }
            let why = format!("{} is {}, not {}", named(pointer), one_line(&found), equals.join(" or "));
            if refused.contains(&found) { Outcome::Never(why) } else { Outcome::again(why) }
        }
    }
}

/// A value as the configuration writes it: text without its quotes. Lists and objects have none.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null => Some("null".to_owned()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn named(pointer: &str) -> &str {
    if pointer.is_empty() { "value" } else { pointer }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zalo() -> Expect {
        let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Expect::Json { pointer: "/error".to_owned(), equals: text(&["0"]), refused: text(&["-213"]) }
    }

    fn word(outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Delivered(None) => "delivered",
            Outcome::Delivered(Some(_)) | Outcome::Progress(_) => "?",
            Outcome::Again { .. } => "again",
            Outcome::Never(_) => "never",
        }
    }

    #[test]
    fn an_answer_is_held_against_what_is_expected_at_a_pointer() {
        let deep = "[".repeat(100_000);
        for (body, expected) in [
            (r#"{"error":0,"message":"Success"}"#, "delivered"),
            (r#"{"error":"0"}"#, "delivered"),
            (r#" {"data":{"error":1},"error":0} "#, "delivered"),
            (r#"{"error":-216,"message":"Access token is invalid"}"#, "again"),
            (r#"{"error":-213}"#, "never"),
            (r#"{"error":"-213"}"#, "never"),
            (r#"{"error":0,"error":-213}"#, "never"),
            (r#"{"error":0.5}"#, "again"),
            (r#"{"error":1e400}"#, "again"),
            (r#"{"error":null}"#, "again"),
            (r#"{"error":[0]}"#, "again"),
            (r#"{"error":{"error":0}}"#, "again"),
            (r#"{"Error":0}"#, "again"),
            (r#"[{"error":0}]"#, "again"),
            (r#"{"error":0}{"error":0}"#, "again"),
            (r#"{"error":0"#, "again"),
            ("0", "again"),
            ("", "again"),
            ("<html>502 Bad Gateway</html>", "again"),
            (deep.as_str(), "again"),
        ] {
            assert_eq!(word(&judge(&zalo(), body.as_bytes(), true)), expected, "{body:.60}");
        }
        assert_eq!(word(&judge(&zalo(), b"{\"error\":0,\"x\":\"\xff\"}", true)), "again", "not UTF-8");
        assert_eq!(word(&judge(&zalo(), br#"{"error":0}"#, false)), "again", "a part");
        let told = judge(&zalo(), br#"{"error":-216}"#, true);
        assert_eq!(told, Outcome::again("/error is -216, not 0"));
        let hostile = judge(&zalo(), "{\"error\":\"a\\nb\\u202e\"}".as_bytes(), true);
        assert_eq!(hostile, Outcome::again("/error is a b, not 0"), "on one line");
    }

    #[test]
    fn pointers_are_those_of_rfc_6901() {
        let at = |pointer: &str| {
            let pointer = pointer.to_owned();
            let expect = Expect::Json { pointer, equals: vec!["ok".to_owned()], refused: Vec::new() };
            let body = r#"{"a/b":"ok","m~n":"ok","":"ok","list":[{"x":"ok"}]}"#;
            word(&judge(&expect, body.as_bytes(), true))
        };
        for pointer in ["/a~1b", "/m~0n", "/", "/list/0/x"] {
            assert_eq!(at(pointer), "delivered", "{pointer}");
        }
        for pointer in ["", "/a", "/list/1/x", "/list/-/x", "/list/00/x"] {
            assert_eq!(at(pointer), "again", "{pointer}");
        }
        let whole =
            Expect::Json { pointer: String::new(), equals: vec!["ok".to_owned()], refused: Vec::new() };
        assert_eq!(word(&judge(&whole, br#""ok""#, true)), "delivered");
    }

    #[test]
    fn an_answer_may_have_to_contain_a_text() {
        let expect = Expect::Contains(r#""ok":true"#.to_owned());
        for (body, whole, expected) in [
            (&br#"{"ok":true,"result":{}}"#[..], true, "delivered"),
            (br#"{"ok":false,"description":"chat not found"}"#, true, "again"),
            (b"\xff\xfe\"ok\":true\xff", true, "delivered"),
            (b"", true, "again"),
            (br#"xx"ok":true"#, false, "delivered"),
        ] {
            assert_eq!(word(&judge(&expect, body, whole)), expected, "{}", String::from_utf8_lossy(body));
        }
    }
}
