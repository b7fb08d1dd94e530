//! A report as data: tables of typed cells, in one language, and in no format.
//!
//! What a figure *is* is decided once, here; how it looks is each renderer's ([`super::render`]). A cell holds the exact value: whole
//! milliseconds, whole counts, shares 0 to 1.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use wan_wire::UnixMillis;

use crate::lang::Lang;

/// A report.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Report {
    /// Its title.
    pub title: String,
    /// Of what, when, and whether it is final.
    pub subtitle: String,
    /// The month, as in `2026-10`.
    pub month: String,
    /// Its language.
    pub lang: Lang,
    /// When it was made, Unix milliseconds.
    #[schema(value_type = i64)]
    pub made_at: UnixMillis,
    /// The month was not over then: every figure is of the part up to `made_at`.
    pub preliminary: bool,
    /// The province's time zone, in which days and months begin and times are told.
    #[serde(serialize_with = "zone_name")]
    #[schema(value_type = String)]
    pub zone: TimeZone,
    /// The tables, in the order in which they are read.
    pub tables: Vec<Table>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Table {
    /// What it is, the same in every language.
    pub id: &'static str,
    /// A few words, at most 31 characters and none of `[]:*?/\`: they name a sheet, too.
    pub name: &'static str,
    /// Its title.
    pub title: String,
    /// How its figures are to be read; empty where that is plain.
    pub note: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// The columns that tell one row from another.
    #[serde(skip)]
    pub key: &'static [usize],
    /// Its rows, each with a cell for every column.
    pub rows: Vec<Vec<Cell>>,
    /// What is drawn beside it.
    #[serde(skip)]
    pub chart: Option<Chart>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Column {
    /// What it is, the same in every language.
    pub id: String,
    /// Its head.
    pub title: String,
    /// What its cells are.
    pub kind: Kind,
}

/// What the cells of a column are. Any of them may be empty (null): then nothing can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Text.
    Text,
    /// Text that may be long: sentences.
    Prose,
    /// A whole number.
    Count,
    /// A number.
    Number,
    /// A share, 0 to 1.
    Share,
    /// A length of time; milliseconds.
    Duration,
    /// An instant; Unix milliseconds.
    Instant,
    /// A day; `2026-10-01`.
    Date,
    /// Each cell says itself what it is: `{"share": 0.98}`, `{"count": 12}`, `{"text": "…"}`.
    Mixed,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing can be said.
    Empty,
    /// Text.
    Text(String),
    /// A whole number.
    Count(i64),
    /// A number.
    Number(f64),
    /// A share, 0 to 1.
    Share(f64),
    /// Milliseconds.
    Duration(i64),
    /// An instant.
    Instant(UnixMillis),
    /// A day.
    Date(Date),
    /// A cell of a [`Kind::Mixed`] column.
    Mixed(Box<Cell>),
}

/// A picture of some columns of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chart {
    /// Shares by day: the first column is the day; each pair of columns is a low and a high bound, between which is shaded.
    Bounds {
        /// The first of the two columns.
        low: usize,
        /// The second.
        high: usize,
    },
    /// Lengths of time, stacked, by what the first column names.
    Stacked {
        /// The columns that are stacked.
        parts: &'static [usize],
    },
}

impl Column {
    /// A column.
    #[must_use]
    pub fn new(id: impl Into<String>, title: impl Into<String>, kind: Kind) -> Self {
        Self { id: id.into(), title: title.into(), kind }
    }
}

impl Cell {
    /// Text; nothing where it is empty.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::Empty } else { Self::Text(text) }
    }

    /// How many there are.
    #[must_use]
    pub fn count(count: usize) -> Self {
        Self::Count(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// A share; nothing where none is defined.
    #[must_use]
    pub fn share(share: Option<f64>) -> Self {
        share.map_or(Self::Empty, Self::Share)
    }

    /// The same cell for a column in which kinds are mixed.
    #[must_use]
    pub fn mixed(self) -> Self {
        Self::Mixed(Box::new(self))
    }

    /// The value itself, out of a mixed column or not.
    #[must_use]
    pub fn plain(&self) -> &Self {
        match self {
            Self::Mixed(inner) => inner,
            Self::Empty
            | Self::Text(_)
            | Self::Count(_)
            | Self::Number(_)
            | Self::Share(_)
            | Self::Duration(_)
            | Self::Instant(_)
            | Self::Date(_) => self,
        }
    }

    /// The text, if it is text; out of a mixed column or not.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        let Self::Text(text) = self.plain() else { return None };
        Some(text)
    }

    /// The share, if it is one; out of a mixed column or not.
    #[must_use]
    pub fn as_share(&self) -> Option<f64> {
        let Self::Share(share) = self.plain() else { return None };
        Some(*share)
    }

    /// The word for its kind in a mixed column.
    const fn word(&self) -> &'static str {
        match self {
            Self::Empty | Self::Mixed(_) => "none",
            Self::Text(_) => "text",
            Self::Count(_) => "count",
            Self::Number(_) => "number",
            Self::Share(_) => "share",
            Self::Duration(_) => "duration",
            Self::Instant(_) => "instant",
            Self::Date(_) => "date",
        }
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Empty => serializer.serialize_none(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Count(count) | Self::Duration(count) => serializer.serialize_i64(*count),
            Self::Number(number) | Self::Share(number) => serializer.serialize_f64(*number),
            Self::Instant(at) => serializer.serialize_i64(at.0),
            Self::Date(day) => serializer.collect_str(day),
            Self::Mixed(inner) if **inner == Self::Empty => serializer.serialize_none(),
            Self::Mixed(inner) => serializer.collect_map([(inner.word(), inner)]),
        }
    }
}

impl utoipa::PartialSchema for Cell {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
        // A mixed cell is an object.
        let any = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Null, Type::String, Type::Number, Type::Object]))
            .description(Some("The value, of the kind that its column says; null where nothing can be said"));
        any.into()
    }
}

impl ToSchema for Cell {}

fn zone_name<S: Serializer>(zone: &TimeZone, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&crate::localtime::zone_name(zone))
}
