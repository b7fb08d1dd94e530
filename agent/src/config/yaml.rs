//! Reading YAML so that every mistake of a file is told at once, each with its place.
//!
//! A file is parsed once into a tree; [`Node`]s walk it, and each refusal is noted in the [`Reader`] rather than returned, so
//! reading goes on behind it. The tree carries no positions: a mistake's place is found afterwards, by reading the text again
//! with a visitor that stops exactly at the mistake's path ([`locate`]), which costs nothing for a good file.

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_yaml::Value;

/// One mistake of a configuration file: where, what was found, what was expected, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Mistake {
    /// Line in the file, from 1.
    pub line: usize,
    /// Column in the line, from 1.
    pub column: usize,
    /// The key, as a path: `links[0].targets[1].tcp`.
    pub key: String,
    /// What stands there.
    pub found: String,
    /// What should stand there.
    pub expected: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}: found {}, expected {}; {}",
            self.line, self.column, self.key, self.found, self.expected, self.remedy
        )
    }
}

/// One step of a path into a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Item(usize),
}

struct Noted {
    path: Vec<Step>,
    found: String,
    expected: String,
    remedy: String,
}

/// Collects the mistakes found while reading one text.
pub(crate) struct Reader<'t> {
    text: &'t str,
    noted: RefCell<Vec<Noted>>,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, noted: RefCell::new(Vec::new()) }
    }

    /// The tree of `text`; `Err` when it is no YAML at all, with that one mistake.
    pub(crate) fn parse(&self) -> Result<Value, Mistake> {
        match serde_yaml::from_str::<Value>(self.text) {
            // `key: value` files may be empty or only comments: an empty file says nothing, which is a file of defaults.
            Ok(Value::Null) => Ok(Value::Mapping(serde_yaml::Mapping::new())),
            Ok(value) => Ok(value),
            Err(error) => {
                let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
                Err(Mistake {
                    line,
                    column,
                    key: "(file)".into(),
                    found: format!("`{error}`"),
                    expected: "YAML, every key once".into(),
                    remedy: "correct the indentation, quote or key at this place".into(),
                })
            }
        }
    }

    pub(crate) fn root<'r>(&'r self, value: &'r Value) -> Node<'r, 't> {
        Node { reader: self, path: Vec::new(), value: Some(value) }
    }

    /// All mistakes with their places, in the file's order.
    pub(crate) fn mistakes(&self) -> Vec<Mistake> {
        let mut mistakes: Vec<Mistake> = self
            .noted
            .borrow()
            .iter()
            .map(|noted| {
                let (line, column) = locate(self.text, &noted.path);
                Mistake {
                    line,
                    column,
                    key: show_path(&noted.path),
                    found: noted.found.clone(),
                    expected: noted.expected.clone(),
                    remedy: noted.remedy.clone(),
                }
            })
            .collect();
        mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
        mistakes
    }
}

/// A place in the tree: a value, or the absence of one.
#[derive(Clone)]
pub(crate) struct Node<'r, 't> {
    reader: &'r Reader<'t>,
    path: Vec<Step>,
    value: Option<&'r Value>,
}

impl<'r, 't> Node<'r, 't> {
    /// Absent, or written with no value (`key:`).
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self.value, None | Some(Value::Null))
    }

    /// Notes a mistake at this place.
    pub(crate) fn mistake(&self, expected: impl Into<String>, remedy: impl Into<String>) {
        self.mistake_found(self.show(), expected, remedy);
    }

    /// Notes a mistake at this place, with its own words for what was found.
    pub(crate) fn mistake_found(
        &self,
        found: impl Into<String>,
        expected: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.reader.noted.borrow_mut().push(Noted {
            path: self.path.clone(),
            found: found.into(),
            expected: expected.into(),
            remedy: remedy.into(),
        });
    }

    /// The value in words for a message; secrets are never shown in full.
    pub(crate) fn show(&self) -> String {
        match self.value {
            None | Some(Value::Null) => "nothing".into(),
            Some(Value::Bool(value)) => format!("`{value}`"),
            Some(Value::Number(value)) => format!("`{value}`"),
            Some(Value::String(value)) if value.is_empty() => "an empty text".into(),
            Some(Value::String(value)) => {
                let short: String = value.chars().take(60).collect();
                let tail = if short.len() < value.len() { "…" } else { "" };
                format!("`{short}{tail}`")
            }
            Some(Value::Sequence(items)) => format!("a list of {}", items.len()),
            Some(Value::Mapping(_)) => "a mapping".into(),
            Some(Value::Tagged(tagged)) => format!("a value tagged {}", tagged.tag),
        }
    }

    /// This node as a mapping whose keys are all among `known`. Unknown keys are mistakes; so is another type.
    pub(crate) fn mapping(&self, known: &[&str]) -> Option<Fields<'r, 't>> {
        match self.value {
            None | Some(Value::Null) => None,
            Some(Value::Mapping(mapping)) => {
                for key in mapping.keys() {
                    let name = match key.as_str() {
                        Some(name) => name.to_owned(),
                        None => serde_yaml::to_string(key).unwrap_or_default().trim().to_owned(),
                    };
                    if !known.contains(&name.as_str()) {
                        let remedy = match nearest(&name, known) {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => "remove it".into(),
                        };
                        self.child(Step::Key(name), None).mistake_found(
                            "an unknown key",
                            format!("one of {}", known.join(", ")),
                            remedy,
                        );
                    }
                }
                Some(Fields { node: self.clone(), mapping })
            }
            Some(_) => {
                self.mistake(
                    format!("a mapping with {}", known.join(", ")),
                    "write it as `key: value` lines",
                );
                None
            }
        }
    }

    /// The items of a list; `None` when absent or (a mistake) of another type.
    pub(crate) fn items(&self) -> Option<Vec<Node<'r, 't>>> {
        match self.value {
            None | Some(Value::Null) => None,
            Some(Value::Sequence(items)) => Some(
                items.iter().enumerate().map(|(at, item)| self.child(Step::Item(at), Some(item))).collect(),
            ),
            Some(_) => {
                self.mistake("a list", "write its items on lines that begin with `- `");
                None
            }
        }
    }

    /// A text; numbers and truth values are taken as they would be written.
    pub(crate) fn text(&self) -> Option<String> {
        match self.value {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(Value::Bool(truth)) => Some(truth.to_string()),
            Some(Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_)) => {
                self.mistake("a text", "write one value, in quotes when in doubt");
                None
            }
        }
    }

    /// A text that `T` accepts.
    pub(crate) fn parse<T: FromStr>(&self, expected: &str, remedy: &str) -> Option<T> {
        let text = self.text()?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(_) => {
                self.mistake(expected, remedy);
                None
            }
        }
    }

    /// A duration with its unit (`5s`, `500ms`, `1m30s`), within `[least, most]`.
    pub(crate) fn duration(&self, least: Duration, most: Duration) -> Option<Duration> {
        let text = self.text()?;
        let range = || format!("a duration from {} to {}", show_duration(least), show_duration(most));
        let parsed = text
            .parse::<jiff::SignedDuration>()
            .ok()
            .and_then(|duration| Duration::try_from(duration).ok())
            .filter(|duration| *duration >= least && *duration <= most);
        if parsed.is_none() {
            let remedy = match text.parse::<f64>() {
                Ok(_) => format!("give it a unit, as in `{text}s` or `{text}ms`"),
                Err(_) => "write it as in `5s` or `500ms`, within these limits".into(),
            };
            self.mistake(range(), remedy);
        }
        parsed
    }

    /// A whole number within `[least, most]`.
    pub(crate) fn whole(&self, least: u64, most: u64) -> Option<u64> {
        if self.is_absent() {
            return None;
        }
        let found = match self.value {
            Some(Value::Number(number)) => number.as_u64().filter(|n| (least..=most).contains(n)),
            _ => None,
        };
        if found.is_none() {
            self.mistake(
                format!("a whole number from {least} to {most}"),
                "write a number within these limits",
            );
        }
        found
    }

    /// A number within `[least, most]`.
    pub(crate) fn number(&self, least: f64, most: f64) -> Option<f64> {
        if self.is_absent() {
            return None;
        }
        let found = match self.value {
            Some(Value::Number(number)) => number.as_f64().filter(|n| (least..=most).contains(n)),
            _ => None,
        };
        if found.is_none() {
            self.mistake(format!("a number from {least} to {most}"), "write a number within these limits");
        }
        found
    }

    fn child(&self, step: Step, value: Option<&'r Value>) -> Node<'r, 't> {
        let mut path = self.path.clone();
        path.push(step);
        Node { reader: self.reader, path, value }
    }
}

/// The keys of one mapping.
pub(crate) struct Fields<'r, 't> {
    node: Node<'r, 't>,
    mapping: &'r serde_yaml::Mapping,
}

impl<'r, 't> Fields<'r, 't> {
    /// The node under `key`, absent or not.
    pub(crate) fn get(&self, key: &str) -> Node<'r, 't> {
        self.node.child(Step::Key(key.to_owned()), self.mapping.get(key))
    }

    /// Those of `keys` that are written here.
    pub(crate) fn present<'k>(&self, keys: &[&'k str]) -> Vec<&'k str> {
        keys.iter().copied().filter(|key| self.mapping.contains_key(*key)).collect()
    }

    /// The mapping itself, for mistakes about it as a whole.
    pub(crate) fn node(&self) -> &Node<'r, 't> {
        &self.node
    }
}

/// A duration as one would write it in the file.
pub(crate) fn show_duration(duration: Duration) -> String {
    jiff::SignedDuration::try_from(duration)
        .map_or_else(|_| format!("{duration:?}"), |signed| format!("{signed:#}"))
}

fn show_path(path: &[Step]) -> String {
    let mut shown = String::new();
    for step in path {
        match step {
            Step::Key(key) => {
                if !shown.is_empty() {
                    shown.push('.');
                }
                shown.push_str(key);
            }
            Step::Item(at) => shown.push_str(&format!("[{at}]")),
        }
    }
    if shown.is_empty() { "(file)".into() } else { shown }
}

/// The known key that `name` most likely meant: at most two edits away.
fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|candidate| (edits(name, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= 2 && *distance < candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance, by characters.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Line and column (from 1) of the value at `path`; of the deepest part of the path that exists when it does not.
fn locate(text: &str, path: &[Step]) -> (usize, usize) {
    for depth in (0..=path.len()).rev() {
        let stop = Stop { path: &path[..depth] };
        if let Err(error) = stop.deserialize(serde_yaml::Deserializer::from_str(text))
            && let Some(at) = error.location()
        {
            return (at.line(), at.column());
        }
    }
    (1, 1)
}

/// Walks to `path` and stops there with an error, to which the YAML parser adds the place.
struct Stop<'p> {
    path: &'p [Step],
}

const HERE: &str = "here";

impl<'de> DeserializeSeed<'de> for Stop<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Stop<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HERE)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.scalar()
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        self.scalar()
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.scalar()
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        self.scalar()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Some((first, rest)) = self.path.split_first() else { return Err(de::Error::custom(HERE)) };
        let mut at = 0;
        loop {
            let found = match first {
                Step::Item(wanted) if *wanted == at => items.next_element_seed(Stop { path: rest })?,
                Step::Item(_) | Step::Key(_) => items.next_element::<IgnoredAny>()?.map(|_| ()),
            };
            if found.is_none() {
                return Ok(());
            }
            at += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Some((first, rest)) = self.path.split_first() else { return Err(de::Error::custom(HERE)) };
        // At the last step the key itself is the place to show: `key: value` is one thing to the reader of the message.
        let stop_at = if rest.is_empty() { Some(first) } else { None };
        while let Some(key) = entries.next_key_seed(StopKey { stop_at })? {
            match first {
                Step::Key(wanted) if *wanted == key => entries.next_value_seed(Stop { path: rest })?,
                Step::Key(_) | Step::Item(_) => {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

impl Stop<'_> {
    fn scalar<E: de::Error>(self) -> Result<(), E> {
        if self.path.is_empty() { Err(E::custom(HERE)) } else { Ok(()) }
    }
}

struct StopKey<'p> {
    stop_at: Option<&'p Step>,
}

impl<'de> DeserializeSeed<'de> for StopKey<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for StopKey<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<String, E> {
        match self.stop_at {
            Some(Step::Key(wanted)) if wanted == key => Err(E::custom(HERE)),
            Some(Step::Key(_) | Step::Item(_)) | None => Ok(key.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Step {
        Step::Key(name.into())
    }

    #[test]
    fn a_path_is_located_at_its_key_and_an_item_at_its_value() {
        let text = "a: 1\nb:\n  - x: 1\n    y: 2\n  - [5, 6]\n";
        assert_eq!(locate(text, &[key("a")]), (1, 1));
        assert_eq!(locate(text, &[key("b"), Step::Item(0), key("y")]), (4, 5));
        assert_eq!(locate(text, &[key("b"), Step::Item(1), Step::Item(1)]), (5, 9));
    }

    #[test]
    fn a_missing_key_is_located_at_the_mapping_that_lacks_it() {
        let text = "a: 1\nb:\n  c: 2\n";
        assert_eq!(locate(text, &[key("b"), key("missing")]), (2, 1));
        assert_eq!(locate("", &[key("a")]), (1, 1));
    }

    #[test]
    fn the_nearest_key_is_offered_only_when_it_is_near() {
        assert_eq!(nearest("intervall", &["interval", "packets"]), Some("interval"));
        assert_eq!(nearest("colour", &["interval", "packets"]), None);
        assert_eq!(edits("kitten", "sitting"), 3);
    }
}
