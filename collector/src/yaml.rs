//! YAML that remembers where it came from: every mistake of a file at once, each with its line and column.
//!
//! Deserialising straight into typed structures stops at the first mistake. So a file is read by `serde_yaml` into a plain
//! tree ([`Node`]), which a reader walks with [`At`]: each accessor either yields the value or notes what is wrong and
//! yields nothing, and the walk goes on. The tree holds no positions, because `serde_yaml` tells a position only with an
//! error. [`Locator`] makes use of exactly that: it reads the text again and fails on purpose at the node in question. Good
//! files pay nothing; a bad one pays one reading for each mistake, up to [`LOCATING_BYTES`].

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::mistake::{Mistake, Mistakes, nearest, quote};

/// Bytes that may be read again to locate mistakes; past it they are listed with their key only. It is some seconds of
/// work, enough for every mistake of all but the largest files.
const LOCATING_BYTES: usize = 128 << 20;

/// A value of a YAML document; scalars keep what `serde_yaml` took them for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as text.
    Number(String),
    /// Any other scalar.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the file, repeated keys included.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// What the node is, for a message.
    fn show(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(value) => value.clone(),
            Self::Text(value) => quote(value),
            Self::List(items) => format!("a list of {}", items.len()),
            Self::Map(entries) => format!("a mapping of {} keys", entries.len()),
        }
    }
}

/// One YAML text and the mistakes found in it so far.
pub(crate) struct Document<'t> {
    file: &'t str,
    text: &'t str,
    root: Node,
    mistakes: RefCell<Vec<Pending>>,
    /// How many more mistakes will be located.
    locatable: Cell<usize>,
}

impl<'t> Document<'t> {
    /// Reads `bytes` as UTF-8 and as one YAML document. A file with nothing but comments is an empty mapping.
    pub(crate) fn read(file: &'t str, bytes: &'t [u8]) -> Result<Self, Mistakes> {
        let text = utf8(file, bytes)?;
        let empty = text.lines().all(|line| matches!(line.trim_start().chars().next(), None | Some('#')));
        let root = match empty {
            true => Node::Null,
            false => serde_yaml::from_str(text).map_err(|error| Mistakes::one(syntax(file, &error)))?,
        };
        let root = if root == Node::Null { Node::Map(Vec::new()) } else { root };
        let locatable = Cell::new(LOCATING_BYTES / text.len().max(1));
        Ok(Self { file, text, root, mistakes: RefCell::new(Vec::new()), locatable })
    }

    /// The document's root.
    pub(crate) fn root(&self) -> At<'_> {
        At { document: self, node: &self.root, path: Path(Vec::new()), name: String::new() }
    }

    /// Where the node of `path` stands: its line and column, or zeros.
    pub(crate) fn locate(&self, path: &Path) -> (usize, usize) {
        let Some(left) = self.locatable.get().checked_sub(1) else { return (0, 0) };
        self.locatable.set(left);
        let locator = Locator { steps: &path.0 };
        match locator.deserialize(serde_yaml::Deserializer::from_str(self.text)) {
            Ok(()) => (0, 0),
            Err(error) => error.location().map_or((0, 0), |at| (at.line(), at.column())),
        }
    }

    /// The mistakes noted so far, located.
    pub(crate) fn into_mistakes(self) -> Vec<Mistake> {
        let locate = |Pending { path, mut mistake }| {
            (mistake.line, mistake.column) = self.locate(&path);
            mistake
        };
        self.mistakes.take().into_iter().map(locate).collect()
    }

    fn note(&self, path: Path, key: &str, found: String, expected: String, remedy: String) {
        let (line, column, file, key) = (0, 0, self.file.to_owned(), key.to_owned());
        let mistake = Mistake { file, line, column, key, found, expected, remedy };
        self.mistakes.borrow_mut().push(Pending { path, mistake });
    }
}

/// Where a node is: the index of the child at each level, and at the end possibly the key of a mapping's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path(Vec<Step>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The n-th item of a list, or the n-th entry's value in a mapping.
    Child(usize),
    /// The n-th entry's key in a mapping.
    Key(usize),
}

impl Path {
    fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

struct Pending {
    path: Path,
    mistake: Mistake,
}

/// A node while it is being read: its value, its place, and its name in messages.
#[derive(Clone)]
pub(crate) struct At<'d> {
    document: &'d Document<'d>,
    node: &'d Node,
    path: Path,
    name: String,
}

impl<'d> At<'d> {
    /// The node's place, for a mistake that is found later.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The node's name, such as `plan.tiers[2].target`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Gives the node another name in messages, such as the id of the site that it describes.
    pub(crate) fn renamed(mut self, name: String) -> Self {
        self.name = name;
        self
    }

    /// Whether nothing stands here.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.node, Node::Null)
    }

    /// The scalar that stands here, whatever it was taken for; notes nothing.
    pub(crate) fn peek(&self) -> Option<&'d str> {
        match self.node {
            Node::Text(text) | Node::Number(text) => Some(text),
            Node::Null | Node::Bool(_) | Node::List(_) | Node::Map(_) => None,
        }
    }

    /// Whether text stands here.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.node, Node::Text(_))
    }

    /// Whether a list stands here.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.node, Node::List(_))
    }

    /// Whether a mapping stands here.
    pub(crate) fn is_map(&self) -> bool {
        matches!(self.node, Node::Map(_))
    }

    /// Notes that this node is wrong.
    pub(crate) fn wrong(&self, expected: impl Into<String>, remedy: impl Into<String>) {
        self.wrong_as(self.node.show(), expected, remedy);
    }

    /// Notes that this node is wrong, with another description of what was found.
    pub(crate) fn wrong_as(&self, found: String, expected: impl Into<String>, remedy: impl Into<String>) {
        self.document.note(self.path.clone(), &self.name, found, expected.into(), remedy.into());
    }

    /// The entries of a mapping whose keys must be among `known`.
    pub(crate) fn fields(&self, known: &[&str]) -> Option<Fields<'d>> {
        let Node::Map(entries) = self.node else {
            self.wrong(format!("a mapping with keys such as {}", first_of(known)), "");
            return None;
        };
        let mut seen: Vec<&str> = Vec::with_capacity(entries.len());
        for (index, (key, _)) in entries.iter().enumerate() {
            let name = self.child_name(key);
            let path = self.path.then(Step::Key(index));
            if !known.contains(&key.as_str()) {
                let remedy = match nearest(key, known.iter().copied()) {
                    Some(meant) => format!("did you mean {meant}?"),
                    None => "remove it".to_owned(),
                };
                let expected = format!("one of {}", known.join(", "));
                self.document.note(path, &name, "an unknown key".to_owned(), expected, remedy);
            } else if seen.contains(&key.as_str()) {
                let remedy = "remove one of them".to_owned();
                self.document.note(path, &name, "the key twice".to_owned(), "it once".to_owned(), remedy);
            }
            seen.push(key);
        }
        Some(Fields { at: self.clone(), entries })
    }

    /// The entries of a mapping whose keys are the user's own; repeated keys are noted.
    pub(crate) fn entries(&self, of: &str) -> Option<Vec<(&'d str, At<'d>)>> {
        let Node::Map(entries) = self.node else {
            self.wrong(format!("a mapping of {of}"), "");
            return None;
        };
        let mut seen: Vec<&str> = Vec::with_capacity(entries.len());
        let mut found = Vec::with_capacity(entries.len());
        for (index, (key, node)) in entries.iter().enumerate() {
            let name = self.child_name(key);
            if seen.contains(&key.as_str()) {
                let path = self.path.then(Step::Key(index));
                let remedy = "remove one of them".to_owned();
                self.document.note(path, &name, "the key twice".to_owned(), "it once".to_owned(), remedy);
                continue;
            }
            seen.push(key);
            let path = self.path.then(Step::Child(index));
            found.push((key.as_str(), At { document: self.document, node, path, name }));
        }
        Some(found)
    }

    /// The items of a list.
    pub(crate) fn items(&self, of: &str) -> Option<Vec<At<'d>>> {
        let Node::List(items) = self.node else {
            self.wrong(format!("a list of {of}"), "begin each item with a dash");
            return None;
        };
        let item = |(index, node)| At {
            document: self.document,
            node,
            path: self.path.then(Step::Child(index)),
            name: format!("{}[{index}]", self.name),
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// Text. A number or a truth value is not text: it has to be quoted, since `007` and `7` are the same number.
    pub(crate) fn text(&self, expected: &str) -> Option<&'d str> {
        match self.node {
            Node::Text(text) => Some(text),
            Node::Bool(_) | Node::Number(_) => {
                self.wrong(expected, "put it in quotes");
                None
            }
            Node::Null | Node::List(_) | Node::Map(_) => {
                self.wrong(expected, "");
                None
            }
        }
    }

    /// A scalar of any kind that `parse` understands.
    pub(crate) fn scalar<T>(
        &self,
        expected: &str,
        remedy: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let parsed = match self.node {
            Node::Text(text) | Node::Number(text) => parse(text),
            Node::Bool(_) | Node::Null | Node::List(_) | Node::Map(_) => None,
        };
        if parsed.is_none() {
            self.wrong(expected, remedy);
        }
        parsed
    }

    fn child_name(&self, key: &str) -> String {
        let key: String = key.chars().filter(|c| !c.is_control()).take(60).collect();
        if self.name.is_empty() { key } else { format!("{}.{key}", self.name) }
    }
}

/// The entries of a mapping with known keys.
pub(crate) struct Fields<'d> {
    at: At<'d>,
    entries: &'d [(String, Node)],
}

impl<'d> Fields<'d> {
    /// The value of `key`, where the file gives one that is not null.
    pub(crate) fn get(&self, key: &str) -> Option<At<'d>> {
        let (index, (_, node)) = self.entries.iter().enumerate().find(|(_, (name, _))| name == key)?;
        let path = self.at.path.then(Step::Child(index));
        let at = At { document: self.at.document, node, path, name: self.at.child_name(key) };
        (!at.is_null()).then_some(at)
    }

    /// The value of `key`, which must be there.
    pub(crate) fn need(&self, key: &str, expected: &str) -> Option<At<'d>> {
        let found = self.get(key);
        if found.is_none() {
            let name = self.at.child_name(key);
            let remedy = format!("add “{key}: …”");
            self.at.document.note(
                self.at.path.clone(),
                &name,
                "nothing".to_owned(),
                expected.to_owned(),
                remedy,
            );
        }
        found
    }
}

/// `bytes` as UTF-8 without its byte order mark, or the line and byte of the first one that is not.
pub(crate) fn utf8<'b>(file: &str, bytes: &'b [u8]) -> Result<&'b str, Mistakes> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
            let line = 1 + before.iter().filter(|&&b| b == b'\n').count();
            let found = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
            let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
            Err(Mistakes::one(Mistake {
                file: file.to_owned(),
                line,
                column: String::from_utf8_lossy(before.get(line_start..).unwrap_or_default()).chars().count()
                    + 1,
                key: format!("byte {}", error.valid_up_to() + 1),
                found: if utf16 { "UTF-16 text".to_owned() } else { format!("the byte 0x{found:02x}") },
                expected: "UTF-8 text".to_owned(),
                remedy: "save the file as UTF-8 (in Excel: “CSV UTF-8 (Comma delimited)”)".to_owned(),
            }))
        }
    }
}

fn syntax(file: &str, error: &serde_yaml::Error) -> Mistake {
    let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default().to_owned();
    Mistake {
        file: file.to_owned(),
        line,
        column,
        key: String::new(),
        found: format!("text that is not YAML ({message})"),
        expected: "one YAML document".to_owned(),
        remedy: "check indentation (spaces, no tabs), colons and quotes at and above this line".to_owned(),
    }
}

fn first_of(known: &[&str]) -> String {
    known.iter().take(4).copied().collect::<Vec<_>>().join(", ")
}

impl<'de> de::Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without a tag")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = access.next_entry::<Node, Node>()? {
            let key = match key {
                Node::Text(text) | Node::Number(text) => text,
                Node::Bool(value) => value.to_string(),
                Node::Null | Node::List(_) | Node::Map(_) => {
                    return Err(de::Error::custom("a key that is not text"));
                }
            };
            entries.push((key, value));
        }
        Ok(Node::Map(entries))
    }
}

/// Walks to one node and fails there, so that `serde_yaml` says where it is.
#[derive(Clone, Copy)]
struct Locator<'p> {
    steps: &'p [Step],
}

impl<'de> DeserializeSeed<'de> for Locator<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Locator<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the node that is looked for")
    }

    // Scalars are left to the visitor's default methods: each of them fails, and the error carries the scalar's position.

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let Some((Step::Child(index), steps)) = self.steps.split_first() else {
            return Err(de::Error::custom("here"));
        };
        for _ in 0..*index {
            access.next_element::<IgnoredAny>()?;
        }
        access.next_element_seed(Locator { steps })?;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let Some((step, steps)) = self.steps.split_first() else {
            return Err(de::Error::custom("here"));
        };
        let (Step::Child(index) | Step::Key(index)) = *step;
        for _ in 0..index {
            access.next_entry::<IgnoredAny, IgnoredAny>()?;
        }
        match step {
            Step::Key(_) => {
                access.next_key_seed(Locator { steps: &[] })?;
            }
            Step::Child(_) => {
                access.next_key::<IgnoredAny>()?;
                access.next_value_seed(Locator { steps })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str =
        "# first\na: 1\nb:\n  - x\n  - {c: d, e: [f, g]}\n  - >\n    folded\n    text\nh: null\n";

    fn place(steps: &[Step]) -> (usize, usize) {
        Document::read("t", TEXT.as_bytes()).unwrap().locate(&Path(steps.to_vec()))
    }

    #[test]
    fn every_node_and_key_is_located() {
        use Step::{Child, Key};
        assert_eq!(place(&[]), (2, 1));
        assert_eq!(place(&[Child(0)]), (2, 4));
        assert_eq!(place(&[Key(1)]), (3, 1));
        assert_eq!(place(&[Child(1), Child(0)]), (4, 5));
        assert_eq!(place(&[Child(1), Child(1)]), (5, 5));
        assert_eq!(place(&[Child(1), Child(1), Key(1)]), (5, 12));
        assert_eq!(place(&[Child(1), Child(1), Child(1), Child(1)]), (5, 19));
        assert_eq!(place(&[Child(1), Child(2)]), (6, 5));
        assert_eq!(place(&[Child(2)]), (9, 4));
    }

    #[test]
    fn a_syntax_error_has_its_line() {
        let Err(mistakes) = Document::read("f.yaml", b"a: 1\nb: [1, 2\nc: 3\n") else { panic!("read") };
        let first = mistakes.iter().next().unwrap();
        assert!(first.line >= 2, "{first}");
    }

    #[test]
    fn a_byte_that_is_not_utf8_is_named_by_line_and_byte() {
        let Err(mistakes) = Document::read("f.yaml", b"a: x\nb: T\xe2y Ninh\n") else { panic!("read") };
        assert_eq!(
            mistakes.iter().next().unwrap().to_string(),
            "f.yaml:2:5: byte 10: found the byte 0xe2, expected UTF-8 text; \
             save the file as UTF-8 (in Excel: “CSV UTF-8 (Comma delimited)”)"
        );
    }

    #[test]
    fn unknown_and_repeated_keys_are_both_noted_where_they_stand() {
        let document = Document::read("f.yaml", b"listen: 1\nlisten: 2\ndta: 3\n").unwrap();
        document.root().fields(&["listen", "data"]);
        let shown: Vec<String> = document.into_mistakes().iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "f.yaml:2:1: listen: found the key twice, expected it once; remove one of them",
                "f.yaml:3:1: dta: found an unknown key, expected one of listen, data; did you mean data?",
            ]
        );
    }

    #[test]
    fn a_file_of_comments_is_an_empty_mapping() {
        let document = Document::read("f.yaml", "\u{feff}# nothing yet\n\n".as_bytes()).unwrap();
        assert!(document.root().is_map());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Document::read("f", &bytes).map(|d| d.root().fields(&["a"]).is_some());
        }

        #[test]
        fn no_yaml_like_text_makes_the_reader_panic(text in "[-a-c:{}\\[\\]#&*!|>'\" \n\t,?%@`~0-9.]{0,80}") {
            let _ = Document::read("f", text.as_bytes()).map(|d| {
                d.root().fields(&["a"]);
                d.into_mistakes()
            });
        }
    }
}
