//! What is wrong in a file that a person wrote: where, what was found, what was expected, what to do.
//!
//! Configuration and register are read whole and every mistake is collected, so that a file is mended in one go and not
//! by one run for each mistake. [`Mistake`] is one of them, [`Mistakes`] is the list that a reader returns as its error.

use std::fmt;

/// One mistake in a file.
///
/// Shown as `file:line:column: key: found …, expected …; remedy`, the form that editors and terminals turn into a link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
pub(crate) fn quote(text: &str) -> String {
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
    fn quoted_text_is_cut_and_its_control_characters_are_escaped() {
        assert_eq!(quote("a\u{1b}[2Jb\n"), "“a\\u{1b}[2Jb\\n”");
        assert!(quote(&"x".repeat(5000)).chars().count() < 70);
    }

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        assert_eq!(nearest("comune", ["province", "commune"]), Some("commune"));
        assert_eq!(nearest("xyz", ["province", "commune"]), None);
    }
}
