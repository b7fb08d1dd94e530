//! A dashboard: rows of panels, variables, links. Places, numbers and links between dashboards are computed.

use serde_json::{Value, json};
use wan_wire::Label;

use crate::panel::{Panel, Place, datasource};
use crate::promql::{Selector, Var, Vector};
use crate::words::{Colour, Lang, Text, text};

/// The version of Grafana's JSON model that is written: that of Grafana 10.4. Later versions bring older models up to their own when they
/// load them; an older Grafana does not know a newer model.
pub const SCHEMA_VERSION: u8 = 39;
/// The province's time zone, as everywhere in Wanwatch's defaults.
pub const TIME_ZONE: &str = "Asia/Ho_Chi_Minh";
/// What is seen again within so long is one mark. Wider than scrapes and rounds are apart.
const MARK_STEP: &str = "2m";
/// The width of Grafana's grid.
pub const COLUMNS: u8 = 24;

/// The dashboards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Which {
    /// The whole province.
    Province,
    /// One site.
    Site,
    /// The contracts of carriers.
    Carriers,
    /// The monitor itself.
    Monitor,
}

impl Which {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Province, Self::Site, Self::Carriers, Self::Monitor];

    /// Its name in files and addresses.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Province => "province",
            Self::Site => "site",
            Self::Carriers => "carriers",
            Self::Monitor => "monitor",
        }
    }

    /// Its title.
    #[must_use]
    pub const fn title(self) -> Text {
        match self {
            Self::Province => text("Mạng WAN của tỉnh", "The province’s WAN"),
            Self::Site => text("Đơn vị", "Site"),
            Self::Carriers => text("Hợp đồng với nhà mạng", "Contracts with carriers"),
            Self::Monitor => text("Hệ thống giám sát", "The monitor itself"),
        }
    }

    /// The id by which Grafana knows it for ever.
    #[must_use]
    pub fn uid(self, lang: Lang) -> String {
        format!("wanwatch-{}-{}", self.slug(), lang.code())
    }
}

/// A variable that a dashboard offers.
#[derive(Debug, Clone)]
pub struct Variable {
    var: Var,
    title: Text,
    values: Values,
}

#[derive(Debug, Clone)]
enum Values {
    /// The values of its label.
    OfLabel(String),
    /// Sites by name.
    SitesByName(String),
    /// These, of which the first is chosen at first.
    These(&'static [&'static str]),
}

impl Variable {
    /// The values that the variable's label has in these series.
    #[must_use]
    pub fn of<K>(var: Var, title: Text, series: &Selector<K>) -> Self {
        let query = format!("label_values({}, {})", series.series(), var.label());
        Self { var, title, values: Values::OfLabel(query) }
    }

    /// The sites of these series, shown by the names that the series have as a label.
    #[must_use]
    pub fn sites<K>(title: Text, series: &Selector<K>) -> Self {
        Self {
            var: Var::Site,
            title,
            values: Values::SitesByName(format!("query_result({})", series.series())),
        }
    }

    /// One of these, at first the first.
    #[must_use]
    pub const fn one_of(var: Var, title: Text, values: &'static [&'static str]) -> Self {
        Self { var, title, values: Values::These(values) }
    }

    fn json(&self, lang: Lang) -> Value {
        let mut variable = json!({
            "name": self.var.as_str(),
            "label": self.title.pick(lang),
            "hide": 0,
            "skipUrlSync": false,
        });
        let query = |query: &str| json!({"qryType": 5, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"});
        let more = match &self.values {
            Values::OfLabel(text) => {
                json!({"type": "query", "datasource": datasource(), "query": query(text), "refresh": 2, "sort": 1, "regex": ""})
            }
            Values::SitesByName(text) => json!({
                "type": "query", "datasource": datasource(), "query": query(text), "refresh": 2, "sort": 1,
                "regex": "/name=\"(?<text>[^\"]+)\".*site=\"(?<value>[^\"]+)\"/",
            }),
            Values::These(values) => {
                let option = |(place, value): (usize, &&str)| json!({"text": value, "value": value, "selected": place == 0});
                let first = values.first().copied().unwrap_or_default();
                json!({
                    "type": "custom",
                    "query": values.join(","),
                    "options": values.iter().enumerate().map(option).collect::<Vec<_>>(),
                    "current": {"text": first, "value": first, "selected": true},
                })
            }
        };
        merge(&mut variable, more);
        let several = match &self.values {
            Values::OfLabel(_) if self.var.is_multi() => json!({
                "multi": true, "includeAll": true, "allValue": ".*",
                "current": {"text": ["All"], "value": ["$__all"], "selected": true},
            }),
            Values::OfLabel(_) | Values::SitesByName(_) | Values::These(_) => {
                json!({"multi": false, "includeAll": false})
            }
        };
        merge(&mut variable, several);
        variable
    }
}

/// What is marked over the time axis of every graph, for as long as its query gives something: an annotation, as Grafana calls it.
#[derive(Debug, Clone)]
pub struct Mark {
    /// The name of its switch.
    pub name: Text,
    /// Its colour.
    pub colour: Colour,
    /// What is there for as long as it is marked, above zero.
    pub query: Vector,
    /// The label that a mark is called by.
    pub title: Label,
    /// The label that says more.
    pub detail: Label,
}

impl Mark {
    /// As Grafana 10.4 writes them; later versions move `expr` and `step` into a `target` when they load it.
    fn json(&self, lang: Lang) -> Value {
        json!({
            "name": self.name.pick(lang),
            "datasource": datasource(),
            "enable": true,
            "hide": false,
            "iconColor": self.colour.as_str(),
            "expr": self.query.text(),
            "step": MARK_STEP,
            "titleFormat": format!("{}: {{{{{}}}}}", self.name.pick(lang), self.title.as_str()),
            "textFormat": format!("{{{{{}}}}}", self.detail.as_str()),
            "tagKeys": "",
            "useValueForTime": false,
        })
    }
}

/// Panels beside each other under a heading; what does not fit into a line begins the next.
#[derive(Debug, Clone)]
pub struct Row {
    title: Text,
    panels: Vec<(u8, u8, Panel)>,
}

impl Row {
    /// An empty one.
    #[must_use]
    pub const fn new(title: Text) -> Self {
        Self { title, panels: Vec::new() }
    }

    /// With one more panel of this width (of [`COLUMNS`]) and height.
    #[must_use]
    pub fn with(mut self, width: u8, height: u8, panel: Panel) -> Self {
        self.panels.push((width, height, panel));
        self
    }
}

/// A dashboard in no language yet.
#[derive(Debug, Clone)]
pub struct Dashboard {
    /// Which one.
    pub which: Which,
    /// What it is for.
    pub help: Text,
    /// The time that it shows at first, such as `now-24h`, up to now.
    pub from: &'static str,
    /// How often it asks anew.
    pub refresh: &'static str,
    /// Its variables, besides the data source and the address of the collector's page.
    pub variables: Vec<Variable>,
    /// What is marked over the time axis of every graph.
    pub marks: Vec<Mark>,
    /// Its panels.
    pub rows: Vec<Row>,
}

impl Dashboard {
    /// Every panel.
    pub fn panels(&self) -> impl Iterator<Item = &Panel> {
        self.rows.iter().flat_map(|row| row.panels.iter().map(|(_, _, panel)| panel))
    }

    /// Every query of its panels and marks.
    pub fn queries(&self) -> impl Iterator<Item = &Vector> {
        self.panels().flat_map(Panel::queries).chain(self.marks.iter().map(|mark| &mark.query))
    }

    /// The dashboard as Grafana reads it.
    #[must_use]
    pub fn json(&self, lang: Lang) -> Value {
        json!({
            "uid": self.which.uid(lang),
            "title": self.which.title().pick(lang),
            "description": self.help.pick(lang),
            "tags": ["wanwatch", lang.code()],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": true,
            "graphTooltip": 1,
            "liveNow": false,
            "timezone": TIME_ZONE,
            "weekStart": "monday",
            "fiscalYearStartMonth": 0,
            "refresh": self.refresh,
            "time": {"from": self.from, "to": "now"},
            "timepicker": {"refresh_intervals": ["10s", "30s", "1m", "5m", "15m"]},
            "annotations": {"list": self.marks.iter().map(|mark| mark.json(lang)).collect::<Vec<_>>()},
            "links": self.links(lang),
            "templating": {"list": self.templating(lang)},
            "panels": self.places(lang),
        })
    }

    fn templating(&self, lang: Lang) -> Vec<Value> {
        let datasource = json!({
            "name": "datasource", "label": text("Nguồn dữ liệu", "Data source").pick(lang), "type": "datasource",
            "query": "prometheus", "regex": "", "refresh": 1, "hide": 0, "multi": false, "includeAll": false, "skipUrlSync": false,
            "current": {"text": "Wanwatch", "value": "wanwatch", "selected": true},
        });
        let page = "https://giamsat.example.vn";
        let collector = json!({
            "name": "collector", "label": text("Trang của máy thu thập", "The collector’s page").pick(lang), "type": "constant",
            "query": page, "hide": 2, "skipUrlSync": true,
            "current": {"text": page, "value": page, "selected": true},
        });
        let own = self.variables.iter().map(|variable| variable.json(lang));
        [datasource, collector].into_iter().chain(own).collect()
    }

    /// To the other dashboards, to this one in the other language, to the collector's page.
    fn links(&self, lang: Lang) -> Vec<Value> {
        let link = |title: &str, icon: &str, url: String, tooltip: &str, blank: bool| {
            json!({
                "type": "link", "title": title, "icon": icon, "tooltip": tooltip, "url": url, "tags": [], "asDropdown": false,
                "targetBlank": blank, "includeVars": !blank, "keepTime": !blank,
            })
        };
        let others = Which::ALL.into_iter().filter(|which| *which != self.which).map(|which| {
            link(which.title().pick(lang), "dashboard", format!("/d/{}", which.uid(lang)), "", false)
        });
        let language = link(
            text("English", "Tiếng Việt").pick(lang),
            "dashboard",
            format!("/d/{}", self.which.uid(lang.other())),
            "",
            false,
        );
        let path = match self.which {
            Which::Site => "/sites/${site}",
            Which::Province | Which::Carriers | Which::Monitor => "/",
        };
        let page = link(
            text("Trang của máy thu thập", "The collector’s page").pick(lang),
            "external link",
            format!("${{collector}}{path}?lang={}", lang.code()),
            text(
                "Địa chỉ là hằng “collector” trong phần biến của bảng này",
                "Its address is the constant “collector” among this dashboard’s variables",
            )
            .pick(lang),
            true,
        );
        others.chain([language, page]).collect()
    }

    fn places(&self, lang: Lang) -> Vec<Value> {
        let mut panels = Vec::new();
        let (mut id, mut y) = (0_usize, 0_u16);
        for row in &self.rows {
            id += 1;
            panels.push(json!({
                "id": id, "type": "row", "title": row.title.pick(lang), "collapsed": false, "panels": [],
                "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
            }));
            // How far down each column is filled.
            let mut filled = [y + 1; COLUMNS as usize];
            for (width, height, panel) in &row.panels {
                id += 1;
                let place = place(&mut filled, *width, *height);
                panels.push(panel.json(id, place, lang));
            }
            y = filled.into_iter().max().unwrap_or(y);
        }
        panels
    }
}

/// The highest place, of these the leftmost, where so much is free; it is free no more.
fn place(filled: &mut [u16], width: u8, height: u8) -> Place {
    let wide = usize::from(width);
    let top = |x: usize| filled.iter().skip(x).take(wide).copied().max().unwrap_or_default();
    let places = (0_u8..=COLUMNS.saturating_sub(width)).map(|x| (top(usize::from(x)), x));
    let (y, x) = places.min().unwrap_or_default();
    for column in filled.iter_mut().skip(usize::from(x)).take(wide) {
        *column = y + u16::from(height);
    }
    Place { x, y, width, height }
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}
