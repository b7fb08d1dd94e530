//! A document, and the walk over it that notes mistakes.
//!
//! A file is read by `serde_yaml` into a plain tree ([`tree`]), which a reader walks with [`At`]: each accessor either yields the
//! value or notes what is wrong and yields nothing, and the walk goes on. The tree holds no positions; those of the mistakes
//! are found when all are known ([`locate`]). Good files pay nothing; a bad one pays one reading for each mistake, up to
//! [`LOCATING_BYTES`].

mod locate;
mod tree;

use std::cell::{Cell, RefCell};
use std::time::Duration;

use self::locate::{Step, locate};
use self::tree::Node;
use crate::file::utf8;
use crate::mistake::{Mistake, Mistakes, nearest};
use crate::units::{self, show_bytes, show_duration};

/// Bytes that may be read again to locate mistakes; past it they are listed with their key only. It is some seconds of
/// work, enough for every mistake of all but the largest files.
const LOCATING_BYTES: usize = 128 << 20;

/// What to do where a mapping should stand.
const MAPPING: &str = "write it as “key: value” lines";

/// One YAML text and the mistakes found in it so far.
pub struct Document<'t> {
    file: &'t str,
    text: &'t str,
    root: Node,
    mistakes: RefCell<Vec<Pending>>,
    /// How many more mistakes will be located.
    locatable: Cell<usize>,
}

impl<'t> Document<'t> {
    /// Reads `bytes` as UTF-8 and as one YAML document; `file` is its name in messages. A file with nothing but comments is an
    /// empty mapping.
    ///
    /// # Errors
    /// The one mistake for which there is no tree: a byte that is not UTF-8, or text that is not YAML.
    pub fn read(file: &'t str, bytes: &'t [u8]) -> Result<Self, Mistakes> {
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
    pub fn root(&self) -> At<'_> {
        At { document: self, node: &self.root, path: NodePath(Vec::new()), name: String::new() }
    }

    /// Where the node of `path` stands: its line and column, from 1; zeros where that is not known, or where so many have been
    /// located that another would take too long.
    pub fn locate(&self, path: &NodePath) -> (usize, usize) {
        let Some(left) = self.locatable.get().checked_sub(1) else { return (0, 0) };
        self.locatable.set(left);
        locate(self.text, &path.0).unwrap_or_default()
    }

    /// `value`, which was made of this document, if nothing is wrong with it.
    ///
    /// # Errors
    /// Everything that was noted, in the file's order.
    pub fn finish<T>(self, value: T) -> Result<T, Mistakes> {
        let mistakes = self.into_mistakes();
        if mistakes.is_empty() { Ok(value) } else { Err(Mistakes::new(mistakes)) }
    }

    /// The mistakes noted so far, located, in the order of noting: for a reader of several documents.
    pub fn into_mistakes(self) -> Vec<Mistake> {
        let locate = |Pending { path, mut mistake }| {
            (mistake.line, mistake.column) = self.locate(&path);
            mistake
        };
        self.mistakes.take().into_iter().map(locate).collect()
    }

    fn note(&self, path: NodePath, key: &str, found: String, expected: String, remedy: String) {
        let (line, column, file, key) = (0, 0, self.file.to_owned(), key.to_owned());
        let mistake = Mistake { file, line, column, key, found, expected, remedy };
        self.mistakes.borrow_mut().push(Pending { path, mistake });
    }
}

/// Where a node is: the index of the child at each level, and at the end possibly the key of a mapping's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePath(Vec<Step>);

impl NodePath {
    fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

struct Pending {
    path: NodePath,
    mistake: Mistake,
}

/// A node while it is being read: its value, its place, and its name in messages.
///
/// Every accessor that yields `None` has noted why, but [`peek`](At::peek).
#[derive(Clone)]
pub struct At<'d> {
    document: &'d Document<'d>,
    node: &'d Node,
    path: NodePath,
    name: String,
}

impl<'d> At<'d> {
    /// The node's place, for a mistake that is found later.
    pub fn path(&self) -> &NodePath {
        &self.path
    }

    /// Where the node stands in the file: its line and column, from 1; zeros as for [`Document::locate`].
    pub fn place(&self) -> (usize, usize) {
        self.document.locate(&self.path)
    }

    /// The node's name, such as `plan.tiers[2].target`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the node another name in messages, such as the id of the site that it describes.
    pub fn renamed(mut self, name: String) -> Self {
        self.name = name;
        self
    }

    /// Another place of the same document, to note a mistake there.
    pub(crate) fn elsewhere(&self, path: &NodePath) -> Self {
        Self { path: path.clone(), ..self.clone() }
    }

    /// The key of this mapping's entry, to note a mistake there.
    pub fn at_key(&self) -> Self {
        let mut path = self.path.clone();
        if let Some(Step::Child(index)) = path.0.last().copied() {
            path.0.pop();
            path.0.push(Step::Key(index));
        }
        Self { path, ..self.clone() }
    }

    /// The truth value that stands here; notes nothing.
    pub fn truth(&self) -> Option<bool> {
        match self.node {
            Node::Bool(value) => Some(*value),
            Node::Text(_) | Node::Number(_) | Node::Null | Node::List(_) | Node::Map(_) => None,
        }
    }

    /// Whether a mapping without entries stands here.
    pub fn is_empty_map(&self) -> bool {
        matches!(self.node, Node::Map(entries) if entries.is_empty())
    }

    /// How many mistakes were noted in the document so far.
    pub fn noted(&self) -> usize {
        self.document.mistakes.borrow().len()
    }

    /// Whether nothing stands here.
    pub fn is_null(&self) -> bool {
        matches!(self.node, Node::Null)
    }

    /// The scalar that stands here, whatever it was taken for; notes nothing.
    pub fn peek(&self) -> Option<&'d str> {
        match self.node {
            Node::Text(text) | Node::Number(text) => Some(text),
            Node::Null | Node::Bool(_) | Node::List(_) | Node::Map(_) => None,
        }
    }

    /// Whether text stands here.
    pub fn is_text(&self) -> bool {
        matches!(self.node, Node::Text(_))
    }

    /// Whether a list stands here.
    pub fn is_list(&self) -> bool {
        matches!(self.node, Node::List(_))
    }

    /// Whether a mapping stands here.
    pub fn is_map(&self) -> bool {
        matches!(self.node, Node::Map(_))
    }

    /// Notes that this node is wrong.
    pub fn wrong(&self, expected: impl Into<String>, remedy: impl Into<String>) {
        self.wrong_as(self.node.show(), expected, remedy);
    }

    /// Notes that this node is wrong, with another description of what was found.
    pub fn wrong_as(&self, found: impl Into<String>, expected: impl Into<String>, remedy: impl Into<String>) {
        self.document.note(self.path.clone(), &self.name, found.into(), expected.into(), remedy.into());
    }

    /// The entries of a mapping whose keys must be among `known`.
    pub fn fields(&self, known: &[&str]) -> Option<Fields<'d>> {
        let Node::Map(entries) = self.node else {
            let expected = match known {
                [one] => format!("a mapping with the key {one}"),
                _ => format!("a mapping with keys among {}", known.join(", ")),
            };
            self.wrong(expected, MAPPING);
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
    pub fn entries(&self, of: &str) -> Option<Vec<(&'d str, At<'d>)>> {
        let Node::Map(entries) = self.node else {
            self.wrong(format!("a mapping of {of}"), MAPPING);
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
    pub fn items(&self, of: &str) -> Option<Vec<At<'d>>> {
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

    /// Text. A number or a truth value is not text: it has to be quoted, since `1.10` and `1.1` are the same number.
    pub fn text(&self, expected: &str) -> Option<&'d str> {
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
    pub fn scalar<T>(
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

    /// A whole number from `least` to `most`.
    pub fn whole(&self, least: u64, most: u64) -> Option<u64> {
        let expected = format!("a whole number from {least} to {most}");
        self.scalar(&expected, "write a number within these limits", |text| {
            text.parse().ok().filter(|number| (least..=most).contains(number))
        })
    }

    /// A duration with its unit, as [`units::duration`] reads it, from `least` to `most`.
    pub fn duration(&self, least: Duration, most: Duration) -> Option<Duration> {
        let expected = || format!("a duration from {} to {}", show_duration(least), show_duration(most));
        self.measure(least, most, units::duration, expected, |text| {
            // A bare number most likely lacks its unit: those with which it would do.
            let meant: Vec<String> = ["ms", "s", "m", "h", "d"]
                .iter()
                .map(|unit| format!("{}{unit}", text.unwrap_or_default()))
                .filter(|text| units::duration(text).is_some_and(|d| (least..=most).contains(&d)))
                .collect();
            match meant.as_slice() {
                [] => "write it as in 500ms, 15s, 5m, 2h or 35d".to_owned(),
                meant => format!("give it a unit, as in {}", meant.join(" or ")),
            }
        })
    }

    /// A size in bytes, as [`units::bytes`] reads it, from `least` to `most`.
    pub fn size(&self, least: u64, most: u64) -> Option<u64> {
        let expected = || format!("a size from {} to {}", show_bytes(least), show_bytes(most));
        let remedy = |_: Option<&str>| "write it as in 512KiB, 4MiB or 8GiB".to_owned();
        self.measure(least, most, units::bytes, expected, remedy)
    }

    /// A share from 0 to 1, as [`units::share`] reads it.
    pub fn share(&self, remedy: &str) -> Option<f64> {
        self.scalar(units::SHARE, remedy, units::share)
    }

    /// What `read` makes of the scalar, if that is from `least` to `most`; `unreadable` is the remedy where it makes nothing.
    fn measure<T: PartialOrd>(
        &self,
        least: T,
        most: T,
        read: impl FnOnce(&str) -> Option<T>,
        expected: impl FnOnce() -> String,
        unreadable: impl FnOnce(Option<&str>) -> String,
    ) -> Option<T> {
        let text = self.peek();
        let value = text.and_then(read);
        let remedy = match &value {
            Some(value) if (least..=most).contains(value) => None,
            Some(_) => Some("keep it within these limits".to_owned()),
            None => Some(unreadable(text)),
        };
        if let Some(remedy) = remedy {
            self.wrong(expected(), remedy);
            return None;
        }
        value
    }

    fn child_name(&self, key: &str) -> String {
        let key: String = key.chars().filter(|c| !c.is_control()).take(60).collect();
        if self.name.is_empty() { key } else { format!("{}.{key}", self.name) }
    }
}

/// The entries of a mapping with known keys.
pub struct Fields<'d> {
    at: At<'d>,
    entries: &'d [(String, Node)],
}

impl<'d> Fields<'d> {
    /// The mapping itself, for what is wrong with it as a whole.
    pub fn at(&self) -> &At<'d> {
        &self.at
    }

    /// Whether the file names `key`, be it with a value or without.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name == key)
    }

    /// The value of `key`, where the file gives one that is not null.
    pub fn get(&self, key: &str) -> Option<At<'d>> {
        self.named(key).filter(|at| !at.is_null())
    }

    /// The value of `key`, where the file names it: null where it says nothing more.
    pub fn named(&self, key: &str) -> Option<At<'d>> {
        let (index, (_, node)) = self.entries.iter().enumerate().find(|(_, (name, _))| name == key)?;
        let path = self.at.path.then(Step::Child(index));
        Some(At { document: self.at.document, node, path, name: self.at.child_name(key) })
    }

    /// The value of `key`, which must be there.
    pub fn need(&self, key: &str, expected: &str) -> Option<At<'d>> {
        self.need_with(key, expected, &format!("add “{key}: …”"))
    }

    /// The value of `key`, which must be there; `remedy` says what to do where it is not.
    pub fn need_with(&self, key: &str, expected: &str, remedy: &str) -> Option<At<'d>> {
        let found = self.get(key);
        if found.is_none() {
            // A key without a value stands somewhere; one that is missing is missing from the mapping.
            let path = match self.entries.iter().position(|(name, _)| name == key) {
                Some(index) => self.at.path.then(Step::Key(index)),
                None => self.at.path.clone(),
            };
            let (name, expected) = (self.at.child_name(key), expected.to_owned());
            self.at.document.note(path, &name, "nothing".to_owned(), expected, remedy.to_owned());
        }
        found
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str =
        "# first\na: 1\nb:\n  - x\n  - {c: d, e: [f, g]}\n  - >\n    folded\n    text\nh: null\n";

    fn place(steps: &[Step]) -> (usize, usize) {
        Document::read("t", TEXT.as_bytes()).unwrap().locate(&NodePath(steps.to_vec()))
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
        let document = Document::read("t", TEXT.as_bytes()).unwrap();
        let fields = document.root().fields(&["a", "b", "h"]).unwrap();
        assert_eq!(fields.get("a").map(|at| at.place()), Some((2, 4)));
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

    /// What `read` notes in a file of `text`.
    fn noted(text: &str, read: impl FnOnce(&Fields<'_>)) -> Vec<String> {
        let document = Document::read("f", text.as_bytes()).unwrap();
        read(&document.root().fields(&["a", "b"]).unwrap());
        document.into_mistakes().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_missing_key_is_located_at_the_mapping_that_lacks_it_and_an_empty_one_where_it_stands() {
        let need = |fields: &Fields<'_>| assert!(fields.need("b", "a b").is_none());
        assert_eq!(noted("# a\na: 1\n", need), ["f:2:1: b: found nothing, expected a b; add “b: …”"]);
        assert_eq!(noted("a: 1\nb:\n", need), ["f:2:1: b: found nothing, expected a b; add “b: …”"]);
        assert_eq!(noted("", need), ["f:1:1: b: found nothing, expected a b; add “b: …”"]);
        noted("a:\n", |fields| {
            assert!(fields.has("a") && fields.get("a").is_none() && !fields.has("b"));
        });
    }

    #[test]
    fn the_wrong_kind_of_value_is_answered_with_the_right_one() {
        let kinds = |fields: &Fields<'_>| {
            let a = fields.get("a").unwrap();
            assert!(a.fields(&["x", "y"]).is_none() && a.items("links").is_none());
            assert!(a.entries("links").is_none() && a.text("a name").is_none());
        };
        assert_eq!(
            noted("a: 7", kinds),
            [
                "f:1:4: a: found 7, expected a mapping with keys among x, y; write it as “key: value” lines",
                "f:1:4: a: found 7, expected a list of links; begin each item with a dash",
                "f:1:4: a: found 7, expected a mapping of links; write it as “key: value” lines",
                "f:1:4: a: found 7, expected a name; put it in quotes",
            ]
        );
    }

    #[test]
    fn measures_are_answered_with_their_limits_and_what_to_do() {
        let (least, most) = (Duration::from_secs(1), Duration::from_secs(300));
        let duration = |text: &str| {
            noted(text, |fields| assert_eq!(fields.get("a").unwrap().duration(least, most), None))
        };
        for (text, found, remedy) in [
            ("a: 5", "5", "give it a unit, as in 5s or 5m"),
            ("a: '5'", "“5”", "give it a unit, as in 5s or 5m"),
            ("a: 200", "200", "give it a unit, as in 200s"),
            ("a: 999", "999", "write it as in 500ms, 15s, 5m, 2h or 35d"),
            ("a: 6m", "“6m”", "keep it within these limits"),
            ("a: soon", "“soon”", "write it as in 500ms, 15s, 5m, 2h or 35d"),
            ("a: []", "a list of 0", "write it as in 500ms, 15s, 5m, 2h or 35d"),
        ] {
            assert_eq!(
                duration(text),
                [format!("f:1:4: a: found {found}, expected a duration from 1s to 5m; {remedy}")]
            );
        }
        let size =
            |text: &str| noted(text, |fields| assert_eq!(fields.get("a").unwrap().size(1024, 1 << 30), None));
        let expected = "expected a size from 1KiB to 1GiB";
        assert_eq!(size("a: 5"), [format!("f:1:4: a: found 5, {expected}; keep it within these limits")]);
        assert_eq!(
            size("a: x"),
            [format!("f:1:4: a: found “x”, {expected}; write it as in 512KiB, 4MiB or 8GiB")]
        );
        let whole = |text: &str| noted(text, |fields| assert_eq!(fields.get("a").unwrap().whole(1, 9), None));
        for (text, found) in [("a: 0", "0"), ("a: 1.5", "1.5"), ("a: -1", "-1"), ("a: ''", "an empty text")] {
            let expected = "expected a whole number from 1 to 9; write a number within these limits";
            assert_eq!(whole(text), [format!("f:1:4: a: found {found}, {expected}")]);
        }
        let good = noted("a: 1m30s\nb: 70%", |fields| {
            assert_eq!(fields.get("a").unwrap().duration(least, most), Some(Duration::from_secs(90)));
            assert_eq!(fields.get("b").unwrap().share(""), Some(0.7));
        });
        assert!(good.is_empty());
    }

    #[test]
    fn a_document_yields_its_value_or_all_that_is_wrong_in_the_files_order() {
        let read = |text: &'static str| {
            let document = Document::read("f", text.as_bytes()).unwrap();
            let fields = document.root().fields(&["a", "b"]);
            let whole = |key| fields.as_ref()?.get(key)?.whole(1, 9);
            let value = (whole("b"), whole("a"));
            drop(fields);
            document.finish(value)
        };
        assert_eq!(read("a: 1\nb: 2"), Ok((Some(2), Some(1))));
        let lines: Vec<usize> =
            read("a: x\nb: y\nc: z").unwrap_err().iter().map(|mistake| mistake.line).collect();
        assert_eq!(lines, [1, 2, 3]);
    }

    #[test]
    fn past_the_bound_mistakes_are_told_without_their_place() {
        let document = Document::read("f", TEXT.as_bytes()).unwrap();
        assert_eq!(document.locatable.get(), LOCATING_BYTES / TEXT.len());
        document.locatable.set(2);
        let root = document.root();
        assert_eq!([0; 3].map(|_| document.locate(root.path())), [(2, 1), (2, 1), (0, 0)]);
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
