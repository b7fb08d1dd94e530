//! One panel: what it asks, what its figures are, how they look. What Grafana would draw wrongly in silence (a query without a legend,
//! a column that no query gives, figures without a unit) has no form here.

use serde_json::{Map, Value, json};
use wan_wire::Label;

use crate::promql::{Var, Vector};
use crate::words::{Colour, Lang, Text, Word};

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A share, 0 to 1.
    Share,
    /// Seconds of a round trip.
    Seconds,
    /// Seconds as a length of time in words.
    Duration,
    /// An instant in Unix milliseconds.
    Instant,
    /// Bits a second.
    BitsPerSecond,
    /// Bytes.
    Bytes,
    /// So many a second.
    PerSecond,
    /// A count.
    Count,
    /// Degrees of the earth.
    Degrees,
    /// No number: text, or a number that stands for a word.
    None,
}

impl Unit {
    /// Grafana's name for it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Share => "percentunit",
            Self::Seconds => "s",
            Self::Duration => "dtdurations",
            Self::Instant => "dateTimeAsIso",
            Self::BitsPerSecond => "bps",
            Self::Bytes => "bytes",
            Self::PerSecond => "ops",
            Self::Count => "short",
            Self::Degrees => "degree",
            Self::None => "none",
        }
    }

    const fn decimals(self) -> Option<u8> {
        match self {
            Self::Share => Some(2),
            Self::Degrees => Some(5),
            Self::Count => Some(0),
            Self::Seconds
            | Self::Duration
            | Self::Instant
            | Self::BitsPerSecond
            | Self::Bytes
            | Self::PerSecond
            | Self::None => None,
        }
    }
}

/// From which value on which colour.
#[derive(Debug, Clone)]
pub struct Thresholds {
    below: Colour,
    steps: Vec<(f64, Colour)>,
}

impl Thresholds {
    /// One colour whatever the value.
    #[must_use]
    pub const fn always(colour: Colour) -> Self {
        Self { below: colour, steps: Vec::new() }
    }

    /// From this value on, and above all before, another colour.
    #[must_use]
    pub fn from(mut self, value: f64, colour: Colour) -> Self {
        debug_assert!(self.steps.last().is_none_or(|(last, _)| *last < value), "thresholds must ascend");
        self.steps.push((value, colour));
        self
    }

    fn json(&self) -> Value {
        let first = json!({"color": self.below.as_str(), "value": null});
        let more = self.steps.iter().map(|(value, colour)| json!({"color": colour.as_str(), "value": value}));
        let steps: Vec<Value> = [first].into_iter().chain(more).collect();
        json!({"mode": "absolute", "steps": steps})
    }
}

/// What stands instead of a value.
#[derive(Debug, Clone, Copy)]
pub enum Mapping {
    /// Numbers from `first` on are these words, in their order.
    Numbers {
        /// The number of the first word.
        first: u8,
        /// The words.
        words: &'static [Word],
    },
    /// Words of the metrics are called thus.
    Words(&'static [Word]),
}

impl Mapping {
    fn json(self, lang: Lang) -> Value {
        let option = |index: usize, word: &Word| json!({"text": word.name.pick(lang), "color": word.colour.as_str(), "index": index});
        let options: Map<String, Value> = match self {
            Self::Numbers { first, words } => words
                .iter()
                .enumerate()
                .map(|(index, word)| ((usize::from(first) + index).to_string(), option(index, word)))
                .collect(),
            Self::Words(words) => words
                .iter()
                .enumerate()
                .map(|(index, word)| (word.word.to_owned(), option(index, word)))
                .collect(),
        };
        json!([{"type": "value", "options": options}])
    }
}

/// What a query's series are called.
#[derive(Debug, Clone, Copy)]
pub enum Legend {
    /// The same whatever the labels.
    Fixed(Text),
    /// The value of a label.
    Label(Label),
    /// The values of two labels.
    Labels(Label, Label),
}

impl Legend {
    fn text(self, lang: Lang) -> String {
        match self {
            Self::Fixed(text) => text.pick(lang).to_owned(),
            Self::Label(label) => format!("{{{{{label}}}}}"),
            Self::Labels(first, second) => format!("{{{{{first}}}}} · {{{{{second}}}}}"),
        }
    }
}

/// A query over the dashboard's time, and what its series are called.
#[derive(Debug, Clone)]
pub struct Series {
    query: Vector,
    legend: Legend,
    style: Style,
}

impl Series {
    /// Plain series.
    #[must_use]
    pub const fn new(query: Vector, legend: Legend) -> Self {
        Self { query, legend, style: Style::Plain }
    }

    /// One series of this name, drawn in a style.
    #[must_use]
    pub const fn styled(query: Vector, name: Text, style: Style) -> Self {
        Self { query, legend: Legend::Fixed(name), style }
    }
}

/// How a series of a time series panel is drawn.
#[derive(Debug, Clone, Copy)]
pub enum Style {
    /// As the panel is.
    Plain,
    /// A line of this colour.
    Line(Colour),
    /// A thin line of this colour, and the area from it down to the series of that name filled.
    DownTo(Colour, Text),
    /// A broken line of this colour: a limit.
    Limit(Colour),
    /// Below the axis.
    Mirrored(Colour),
}

/// What a column of a table shows.
#[derive(Debug, Clone, Copy)]
pub enum Field {
    /// A label of the rows.
    Label(Label),
    /// The value of the query of that place, from 0.
    Value(usize),
}

/// How a cell looks.
#[derive(Debug, Clone)]
pub enum Cell {
    /// Text or a number.
    Plain,
    /// Coloured by thresholds.
    Coloured(Thresholds),
    /// A bar from 0 to 1, coloured by thresholds.
    Bar(Thresholds),
    /// The words for values.
    Words(Mapping),
}

/// A column of a table.
#[derive(Debug, Clone)]
pub struct Column {
    /// What it shows.
    pub field: Field,
    /// Its title.
    pub title: Text,
    /// What its numbers are.
    pub unit: Unit,
    /// How its cells look.
    pub cell: Cell,
    /// Where a click on a cell leads.
    pub link: Option<Link>,
}

impl Column {
    /// A label as it is.
    #[must_use]
    pub const fn label(label: Label, title: Text) -> Self {
        Self { field: Field::Label(label), title, unit: Unit::None, cell: Cell::Plain, link: None }
    }

    /// A label whose values are these words.
    #[must_use]
    pub const fn words(label: Label, title: Text, words: &'static [Word]) -> Self {
        let cell = Cell::Words(Mapping::Words(words));
        Self { field: Field::Label(label), title, unit: Unit::None, cell, link: None }
    }

    /// The value of a query.
    #[must_use]
    pub const fn value(query: usize, title: Text, unit: Unit, cell: Cell) -> Self {
        Self { field: Field::Value(query), title, unit, cell, link: None }
    }

    /// With a link.
    #[must_use]
    pub fn linked(mut self, link: Link) -> Self {
        self.link = Some(link);
        self
    }
}

/// Where a click leads.
#[derive(Debug, Clone, Copy)]
pub enum Link {
    /// To the dashboard of the row's site; the label that holds its id.
    Site,
    /// To the dashboard of contracts of the row's carrier.
    Carrier,
}

impl Link {
    fn json(self, lang: Lang) -> Value {
        let lang_code = lang.code();
        let (title, url) = match self {
            Self::Site => (
                crate::words::text("Xem đơn vị", "Look at the site").pick(lang),
                format!("/d/wanwatch-site-{lang_code}?var-site=${{__data.fields.site}}"),
            ),
            Self::Carrier => (
                crate::words::text("Xem hợp đồng", "Look at the contracts").pick(lang),
                format!("/d/wanwatch-carriers-{lang_code}?var-carrier=${{__data.fields.carrier}}"),
            ),
        };
        json!({"title": title, "url": format!("{url}&var-datasource=${{datasource}}&${{__url_time_range}}"), "targetBlank": false})
    }
}

/// What a panel is.
#[derive(Debug, Clone)]
pub enum View {
    /// Large figures of now, one for each series; `words` are names and colours of series that are called by a word of the metrics.
    Stat {
        /// The queries.
        series: Vec<Series>,
        /// Colours by value.
        thresholds: Thresholds,
        /// Names and colours of the series that a word names.
        words: &'static [Word],
    },
    /// One bar for each series of now, from 0 on.
    Bars {
        /// The query.
        series: Series,
        /// Colours by value.
        thresholds: Thresholds,
        /// Names and colours of the series that a word names.
        words: &'static [Word],
    },
    /// Lines over time.
    Lines {
        /// The queries.
        series: Vec<Series>,
        /// Whether they are stacked.
        stacked: bool,
        /// The greatest value that the axis shows at least, where that is known.
        max: Option<f64>,
        /// Names and colours of the series that a word names.
        words: &'static [Word],
    },
    /// One row for each series, with what it was when.
    States {
        /// The query.
        series: Series,
        /// What its numbers mean.
        mapping: Mapping,
    },
    /// A table of now: the rows of all queries that have the same labels are one.
    Table {
        /// The queries.
        queries: Vec<Vector>,
        /// The columns; fields that none shows are left out.
        columns: Vec<Column>,
        /// By which column it is sorted, and whether the greatest comes first.
        sort: (usize, bool),
    },
    /// Places without a map beneath: latitude, longitude and value by site.
    Map {
        /// Degrees north, degrees east, and what is shown.
        queries: [Vector; 3],
        /// Labels whose values the tooltip names, and their titles.
        labels: Vec<(Label, Text)>,
        /// What is shown, as a title.
        value: Text,
        /// What its numbers mean.
        mapping: Mapping,
    },
}

/// A panel of a dashboard.
#[derive(Debug, Clone)]
pub struct Panel {
    /// Its title; it may name a variable.
    pub title: Text,
    /// What it shows and how to read it.
    pub help: Text,
    /// What it means that there is nothing to show.
    pub nothing: Text,
    /// What its numbers are.
    pub unit: Unit,
    /// What it is.
    pub view: View,
    /// The variable for each of whose values there is one such panel.
    pub repeat: Option<Var>,
}

/// The place of a panel, in Grafana's 24 columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// From the left.
    pub x: u8,
    /// From the top.
    pub y: u16,
    /// Its width.
    pub width: u8,
    /// Its height.
    pub height: u8,
}

impl Panel {
    /// The queries in the order in which Grafana names them, A, B, C.
    #[must_use]
    pub fn queries(&self) -> Vec<&Vector> {
        match &self.view {
            View::Stat { series, .. } | View::Lines { series, .. } => {
                series.iter().map(|series| &series.query).collect()
            }
            View::Bars { series, .. } | View::States { series, .. } => vec![&series.query],
            View::Table { queries, .. } => queries.iter().collect(),
            View::Map { queries, .. } => queries.iter().collect(),
        }
    }

    /// The panel as Grafana reads it.
    #[must_use]
    pub fn json(&self, id: usize, place: Place, lang: Lang) -> Value {
        let (kind, options, mut overrides) = self.look(lang);
        let mut defaults = json!({
            "unit": self.unit.as_str(),
            "noValue": self.nothing.pick(lang),
            "color": {"mode": self.colour_mode()},
            "custom": self.custom(),
            "thresholds": self.thresholds().json(),
            "mappings": self.mapping().map_or_else(|| json!([]), |mapping| mapping.json(lang)),
        });
        if let Some(decimals) = self.unit.decimals() {
            defaults["decimals"] = json!(decimals);
        }
        match &self.view {
            View::Lines { max, stacked, .. } => {
                if *stacked || max.is_some() {
                    defaults["min"] = json!(0);
                }
                if let Some(max) = max {
                    defaults["max"] = json!(max);
                }
            }
            View::Bars { .. } => defaults["min"] = json!(0),
            View::Stat { .. } | View::States { .. } | View::Table { .. } | View::Map { .. } => {}
        }
        overrides.extend(self.word_overrides(lang));
        let mut panel = json!({
            "id": id,
            "type": kind,
            "title": self.title.pick(lang),
            "description": self.help.pick(lang),
            "datasource": datasource(),
            "gridPos": {"x": place.x, "y": place.y, "w": place.width, "h": place.height},
            "fieldConfig": {"defaults": defaults, "overrides": overrides},
            "options": options,
            "targets": self.targets(lang),
            "transformations": self.transformations(),
        });
        if let Some(var) = self.repeat {
            panel["repeat"] = json!(var.as_str());
            panel["repeatDirection"] = json!("h");
            panel["maxPerRow"] = json!(24 / place.width);
        }
        panel
    }

    fn targets(&self, lang: Lang) -> Vec<Value> {
        let legends: Vec<Option<Legend>> = match &self.view {
            View::Stat { series, .. } | View::Lines { series, .. } => {
                series.iter().map(|series| Some(series.legend)).collect()
            }
            View::Bars { series, .. } | View::States { series, .. } => vec![Some(series.legend)],
            View::Table { queries, .. } => vec![None; queries.len()],
            View::Map { queries, .. } => vec![None; queries.len()],
        };
        let over_time = match &self.view {
            View::Lines { .. } | View::States { .. } => true,
            View::Stat { .. } | View::Bars { .. } | View::Table { .. } | View::Map { .. } => false,
        };
        let target = |(place, (query, legend)): (usize, (&Vector, Option<Legend>))| {
            json!({
                "refId": ref_id(place),
                "datasource": datasource(),
                "editorMode": "code",
                "expr": query.text(),
                "format": if legend.is_some() { "time_series" } else { "table" },
                "instant": !over_time,
                "range": over_time,
                "legendFormat": legend.map_or_else(String::new, |legend| legend.text(lang)),
            })
        };
        self.queries().into_iter().zip(legends).enumerate().map(target).collect()
    }

    fn colour_mode(&self) -> &'static str {
        match &self.view {
            View::Lines { .. } => "palette-classic",
            View::Stat { .. }
            | View::Bars { .. }
            | View::States { .. }
            | View::Table { .. }
            | View::Map { .. } => "thresholds",
        }
    }

    fn thresholds(&self) -> Thresholds {
        match &self.view {
            View::Stat { thresholds, .. } | View::Bars { thresholds, .. } => thresholds.clone(),
            View::Lines { .. } | View::States { .. } | View::Table { .. } => Thresholds::always(Colour::Grey),
            View::Map { mapping, .. } => number_colours(*mapping),
        }
    }

    const fn mapping(&self) -> Option<Mapping> {
        match &self.view {
            View::States { mapping, .. } | View::Map { mapping, .. } => Some(*mapping),
            View::Stat { .. } | View::Bars { .. } | View::Lines { .. } | View::Table { .. } => None,
        }
    }

    fn custom(&self) -> Value {
        match &self.view {
            View::Stat { .. } | View::Bars { .. } | View::Map { .. } => json!({}),
            View::Lines { stacked, .. } => json!({
                "drawStyle": "line",
                "lineInterpolation": "linear",
                "lineWidth": 1,
                "fillOpacity": if *stacked { 60 } else { 0 },
                "showPoints": "never",
                "spanNulls": false,
                "stacking": {"mode": if *stacked { "normal" } else { "none" }, "group": "A"},
                "axisPlacement": "auto",
            }),
            View::States { .. } => json!({"fillOpacity": 80, "lineWidth": 0}),
            View::Table { .. } => json!({"align": "auto", "cellOptions": {"type": "auto"}, "inspect": false}),
        }
    }

    /// The plugin, its options, and what single fields have of their own.
    fn look(&self, lang: Lang) -> (&'static str, Value, Vec<Value>) {
        let tooltip = json!({"mode": "multi", "sort": "desc"});
        let reduce = json!({"calcs": ["lastNotNull"], "fields": "", "values": false});
        match &self.view {
            View::Stat { .. } => (
                "stat",
                json!({
                    "reduceOptions": reduce, "orientation": "auto", "colorMode": "value", "graphMode": "none", "justifyMode": "auto",
                    "textMode": "value_and_name", "wideLayout": true, "showPercentChange": false,
                }),
                Vec::new(),
            ),
            View::Bars { .. } => (
                "bargauge",
                json!({
                    "reduceOptions": reduce, "orientation": "horizontal", "displayMode": "basic", "valueMode": "color",
                    "namePlacement": "auto", "showUnfilled": true, "sizing": "auto", "minVizWidth": 8, "minVizHeight": 16, "maxVizHeight": 300,
                }),
                Vec::new(),
            ),
            View::Lines { series, .. } => (
                "timeseries",
                json!({
                    "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []},
                    "tooltip": tooltip,
                }),
                series.iter().filter_map(|series| style(series, lang)).collect(),
            ),
            View::States { .. } => (
                "state-timeline",
                json!({
                    "mergeValues": true, "showValue": "never", "alignValue": "left", "rowHeight": 0.9,
                    "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []},
                    "tooltip": {"mode": "single", "sort": "none"},
                }),
                Vec::new(),
            ),
            View::Table { queries, columns, sort } => (
                "table",
                json!({
                    "showHeader": true, "cellHeight": "sm", "frameIndex": 0,
                    "sortBy": [{
                        "displayName": columns.get(sort.0).map_or("", |column| column.title.pick(lang)),
                        "desc": sort.1,
                    }],
                }),
                columns.iter().map(|column| cell(column, queries.len(), lang)).collect(),
            ),
            View::Map { labels, value, .. } => ("geomap", map(), places(labels, *value, lang)),
        }
    }

    fn transformations(&self) -> Value {
        match &self.view {
            View::Stat { .. } | View::Bars { .. } | View::Lines { .. } | View::States { .. } => json!([]),
            View::Table { queries, columns, .. } => {
                let names: Vec<String> =
                    columns.iter().map(|column| field(column.field, queries.len())).collect();
                let order: Map<String, Value> =
                    names.iter().enumerate().map(|(place, name)| (name.clone(), json!(place))).collect();
                json!([
                    {"id": "merge", "options": {}},
                    {"id": "filterFieldsByName", "options": {"include": {"names": names}}},
                    {"id": "organize", "options": {"indexByName": order, "excludeByName": {}, "renameByName": {}}},
                ])
            }
            View::Map { labels, .. } => {
                let names: Vec<String> = labels
                    .iter()
                    .map(|(label, _)| label.as_str().to_owned())
                    .chain((0..3).map(|place| field(Field::Value(place), 3)))
                    .collect();
                json!([
                    {"id": "merge", "options": {}},
                    {"id": "filterFieldsByName", "options": {"include": {"names": names}}},
                ])
            }
        }
    }

    /// Series and bars that a word of the metrics names are called as people call it.
    fn word_overrides(&self, lang: Lang) -> Vec<Value> {
        let words = match &self.view {
            View::Stat { words, .. } | View::Bars { words, .. } | View::Lines { words, .. } => *words,
            View::States { .. } | View::Table { .. } | View::Map { .. } => &[],
        };
        let named = |word: &Word| {
            by_name(
                word.word,
                vec![
                    ("displayName", json!(word.name.pick(lang))),
                    ("color", json!({"mode": "fixed", "fixedColor": word.colour.as_str()})),
                ],
            )
        };
        words.iter().map(named).collect()
    }
}

/// The data source that the dashboard's variable chooses.
#[must_use]
pub fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

/// Grafana's name of the query of a place: A, B, C.
fn ref_id(place: usize) -> String {
    const NAMES: &[u8; 26] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    NAMES.get(place).map_or_else(|| format!("Q{place}"), |name| char::from(*name).to_string())
}

/// Grafana's name of a field: with one query its value is just that.
fn field(field: Field, queries: usize) -> String {
    match field {
        Field::Label(label) => label.as_str().to_owned(),
        Field::Value(_) if queries == 1 => "Value".to_owned(),
        Field::Value(query) => format!("Value #{}", ref_id(query)),
    }
}

fn by_name(name: &str, properties: Vec<(&str, Value)>) -> Value {
    let properties: Vec<Value> =
        properties.into_iter().map(|(id, value)| json!({"id": id, "value": value})).collect();
    json!({"matcher": {"id": "byName", "options": name}, "properties": properties})
}

fn style(series: &Series, lang: Lang) -> Option<Value> {
    let name = match series.legend {
        Legend::Fixed(name) => name.pick(lang),
        Legend::Label(_) | Legend::Labels(..) => return None,
    };
    let fixed = |colour: Colour| ("color", json!({"mode": "fixed", "fixedColor": colour.as_str()}));
    let properties = match series.style {
        Style::Plain => return None,
        Style::Line(colour) => vec![fixed(colour), ("custom.lineWidth", json!(2))],
        Style::DownTo(colour, below) => vec![
            fixed(colour),
            ("custom.lineWidth", json!(1)),
            ("custom.fillBelowTo", json!(below.pick(lang))),
            ("custom.fillOpacity", json!(25)),
        ],
        Style::Limit(colour) => {
            vec![fixed(colour), ("custom.lineStyle", json!({"fill": "dash", "dash": [10, 10]}))]
        }
        Style::Mirrored(colour) => vec![fixed(colour), ("custom.transform", json!("negative-Y"))],
    };
    Some(by_name(name, properties))
}

fn cell(column: &Column, queries: usize, lang: Lang) -> Value {
    let mut properties =
        vec![("displayName", json!(column.title.pick(lang))), ("unit", json!(column.unit.as_str()))];
    if let Some(decimals) = column.unit.decimals() {
        properties.push(("decimals", json!(decimals)));
    }
    let look = |kind: &str| ("custom.cellOptions", json!({"type": kind}));
    match &column.cell {
        Cell::Plain => {}
        Cell::Coloured(thresholds) => {
            properties.extend([look("color-text"), ("thresholds", thresholds.json())]);
        }
        Cell::Bar(thresholds) => properties.extend([
            ("custom.cellOptions", json!({"type": "gauge", "mode": "basic"})),
            ("thresholds", thresholds.json()),
            ("min", json!(0)),
            ("max", json!(1)),
        ]),
        Cell::Words(mapping) => properties.extend([look("color-text"), ("mappings", mapping.json(lang))]),
    }
    if let Some(link) = column.link {
        properties.push(("links", json!([link.json(lang)])));
    }
    by_name(&field(column.field, queries), properties)
}

/// The thresholds that give the numbers of words their colours.
fn number_colours(mapping: Mapping) -> Thresholds {
    match mapping {
        Mapping::Numbers { first, words } => {
            words.iter().enumerate().fold(Thresholds::always(Colour::Grey), |thresholds, (place, word)| {
                let number =
                    u8::try_from(place).map_or(f64::MAX, |place| f64::from(first) + f64::from(place));
                thresholds.from(number, word.colour)
            })
        }
        Mapping::Words(_) => Thresholds::always(Colour::Grey),
    }
}

/// A tile of nothing, in the page itself: Grafana asks no server for a map. It knows no base layer that draws nothing, and one whose
/// address is empty would be the Internet's.
const NO_TILE: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

fn map() -> Value {
    let value = field(Field::Value(2), 3);
    json!({
        "view": {"id": "fit", "allLayers": true, "padding": 10, "lat": 0, "lon": 0, "zoom": 9},
        "basemap": {"type": "xyz", "name": "Wanwatch", "config": {"url": NO_TILE, "attribution": ""}, "opacity": 0},
        "controls": {
            "showZoom": true, "mouseWheelZoom": false, "showAttribution": false, "showScale": true, "showMeasure": false, "showDebug": false,
        },
        "tooltip": {"mode": "details"},
        "layers": [{
            "type": "markers",
            "name": "site",
            "tooltip": true,
            "location": {"mode": "coords", "latitude": field(Field::Value(0), 3), "longitude": field(Field::Value(1), 3)},
            "config": {
                "showLegend": false,
                "style": {
                    "color": {"field": value, "fixed": "grey"},
                    "opacity": 0.8,
                    "size": {"fixed": 7, "min": 4, "max": 12},
                    "symbol": {"mode": "fixed", "fixed": "img/icons/marker/circle.svg"},
                    "symbolAlign": {"horizontal": "center", "vertical": "center"},
                    "rotation": {"fixed": 0, "min": -360, "max": 360, "mode": "mod"},
                    "textConfig": {"fontSize": 12, "offsetX": 0, "offsetY": 0, "textAlign": "center", "textBaseline": "middle"},
                },
            },
        }],
    })
}

fn places(labels: &[(Label, Text)], value: Text, lang: Lang) -> Vec<Value> {
    let plain = |place: usize, title: Text| {
        let title = ("displayName", json!(title.pick(lang)));
        let unit = ("unit", json!(Unit::Degrees.as_str()));
        by_name(
            &field(Field::Value(place), 3),
            vec![title, unit, ("decimals", json!(5)), ("mappings", json!([]))],
        )
    };
    let label = |(label, title): &(Label, Text)| {
        by_name(
            label.as_str(),
            vec![("displayName", json!(title.pick(lang))), ("links", json!([Link::Site.json(lang)]))],
        )
    };
    let shown = by_name(&field(Field::Value(2), 3), vec![("displayName", json!(value.pick(lang)))]);
    let degrees = [
        plain(0, crate::words::text("Vĩ độ", "Latitude")),
        plain(1, crate::words::text("Kinh độ", "Longitude")),
    ];
    degrees.into_iter().chain([shown]).chain(labels.iter().map(label)).collect()
}
