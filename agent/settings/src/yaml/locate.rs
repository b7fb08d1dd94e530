//! Where a node of a YAML text stands.
//!
//! `serde_yaml` tells a position only with an error. So the text is read again with a visitor that walks to the node and fails
//! exactly there, on purpose.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The n-th item of a list, or the n-th entry's value in a mapping.
    Child(usize),
    /// The n-th entry's key in a mapping.
    Key(usize),
}

/// Line and column of the node to which `steps` lead in `text`, from 1; `None` where there is none.
pub(super) fn locate(text: &str, steps: &[Step]) -> Option<(usize, usize)> {
    let answer = Locator { steps }.deserialize(serde_yaml::Deserializer::from_str(text));
    answer.err()?.location().map(|at| (at.line(), at.column()))
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
