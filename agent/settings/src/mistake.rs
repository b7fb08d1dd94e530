//! What is wrong in a file that a person wrote: where, what was found, what was expected, what to do.
//!
//! [`Mistake`] is one of them, [`Mistakes`] is the list that a reader returns as its error.

use std::fmt;

use serde::Serialize;

/// One mistake in a file.
///
/// Shown as `file:line:column: key: found …, expected …; remedy`, the form that editors and terminals turn into a link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Mistake {
    /// The file as the user named it.
    pub file: String,
    /// Line, counted from 1; 0 where the mistake concerns the file as a whole.
    pub line: usize,
    /// Column in characters, counted from 1; 0 where only the line is known.
    pub column: usize,
    /// The key, column or subject that is wrong, such as `plan.tiers[2].target`; may be empty.
    pub key: String,
    /// What stands there.
    pub found: String,
    /// What could have stood there.
    pub expected: String,
    /// What to do about it.
    pub remedy: String,
}

impl Mistake {
    /// A mistake that concerns the file as a whole.
    pub fn of_file(file: String, found: String, expected: String, remedy: &str) -> Self {
        Self { file, line: 0, column: 0, key: String::new(), found, expected, remedy: remedy.to_owned() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        write!(f, ": ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "found {}", self.found)?;
        if !self.expected.is_empty() {
            write!(f, ", expected {}", self.expected)?;
        }
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

/// All mistakes of one or several files, in the order of file, line and column.
///
/// Serialised as an array of [`Mistake`] objects; shown as a line for each, and a last one with their number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// Sorts and de-duplicates `mistakes`.
    pub fn new(mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort();
        mistakes.dedup();
        Self(mistakes)
    }

    /// The single mistake of a file that could not be looked into at all.
    pub fn one(mistake: Mistake) -> Self {
        Self(vec![mistake])
    }

    /// The mistakes in order.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }

    /// How many there are; never 0 in an error.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mistakes themselves.
    pub fn into_vec(self) -> Vec<Mistake> {
        self.0
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in &self.0 {
            writeln!(f, "{mistake}")?;
        }
        match self.0.len() {
            1 => write!(f, "1 mistake"),
            n => write!(f, "{n} mistakes"),
        }
    }
}

impl std::error::Error for Mistakes {}

/// Shows text from a file in quotes, escaped and cut to a length that fits in a message.
pub fn quote(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text.chars().take(LONGEST).flat_map(escape).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("“{shown}”")
}

/// The entry of `known` that is nearest to `found`, where one is near enough to have been meant.
pub fn nearest<'k>(found: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let limit = (found.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(found, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Control characters in messages could move a terminal's cursor, so they are shown as escapes.
fn escape(c: char) -> impl Iterator<Item = char> {
    let escaped: Vec<char> = if c.is_control() { c.escape_default().collect() } else { vec![c] };
    escaped.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_reads_as_one_line_with_a_link() {
        let mistake = Mistake {
            file: "collector.yaml".into(),
            line: 3,
            column: 9,
            key: "listen".into(),
            found: quote("here"),
            expected: "an address and port".into(),
            remedy: "write 127.0.0.1:8080".into(),
        };
        assert_eq!(
            mistake.to_string(),
            "collector.yaml:3:9: listen: found “here”, expected an address and port; write 127.0.0.1:8080"
        );
    }

    #[test]
    fn mistakes_are_told_once_each_in_the_files_order_and_counted() {
        let at = |line| Mistake { line, ..Mistake::of_file("f".into(), "x".into(), "y".into(), "z") };
        let mistakes = Mistakes::new(vec![at(2), at(1), at(2)]);
        assert_eq!(
            mistakes.to_string(),
            "f:1: found x, expected y; z\nf:2: found x, expected y; z\n2 mistakes"
        );
        let json = serde_json::to_value(&mistakes).unwrap();
        let first = serde_json::json!({
            "file": "f", "line": 1, "column": 0, "key": "", "found": "x", "expected": "y", "remedy": "z"
        });
        assert_eq!(json[0], first);
    }

    #[test]
    fn quoted_text_is_cut_and_its_control_characters_are_escaped() {
        assert_eq!(quote("a\u{1b}[2Jb\n"), "“a\\u{1b}[2Jb\\n”");
        assert!(quote(&"x".repeat(5000)).chars().count() < 70);
    }

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        assert_eq!(nearest("comune", ["province", "commune"]), Some("commune"));
        assert_eq!(nearest("xyz", ["province", "commune"]), None);
        assert_eq!(nearest("intervall", ["interval", "packets"]), Some("interval"));
        assert_eq!(nearest("colour", ["interval", "packets"]), None);
    }
}
