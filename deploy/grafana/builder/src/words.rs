//! The words of the dashboards in both languages. What the collector's page names too is named as there: a test reads the page's words.

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lang {
    /// Vietnamese.
    Vi,
    /// English.
    En,
}

impl Lang {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Vi, Self::En];

    /// Its code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Vi => "vi",
            Self::En => "en",
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Vi => Self::En,
            Self::En => Self::Vi,
        }
    }
}

/// A text in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    vi: &'static str,
    en: &'static str,
}

impl Text {
    /// It in one language.
    #[must_use]
    pub const fn pick(self, lang: Lang) -> &'static str {
        match lang {
            Lang::Vi => self.vi,
            Lang::En => self.en,
        }
    }
}

/// A text in Vietnamese and English.
#[must_use]
pub const fn text(vi: &'static str, en: &'static str) -> Text {
    Text { vi, en }
}

/// A text that is the same in both.
#[must_use]
pub const fn same(both: &'static str) -> Text {
    text(both, both)
}

/// A colour by its name in Grafana.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Good.
    Green,
    /// Worse than it should be.
    Yellow,
    /// Bad.
    Orange,
    /// Worst.
    Red,
    /// Cut off elsewhere.
    Purple,
    /// On purpose.
    Blue,
    /// Nothing known.
    Grey,
}

impl Colour {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Orange => "orange",
            Self::Red => "red",
            Self::Purple => "purple",
            Self::Blue => "blue",
            Self::Grey => "#8e8e8e",
        }
    }
}

/// A word of the metrics, what it is called, and how it is shown.
#[derive(Debug, Clone, Copy)]
pub struct Word {
    /// As a label's value has it.
    pub word: &'static str,
    /// As people call it.
    pub name: Text,
    /// Its colour.
    pub colour: Colour,
}

const fn word(word: &'static str, name: Text, colour: Colour) -> Word {
    Word { word, name, colour }
}

/// Verdicts, from well to worst: a verdict's number in a panel is its place here, from 1.
pub const VERDICTS: [Word; 9] = [
    word("online", text("Hoạt động", "Online"), Colour::Green),
    word("maintenance", text("Bảo trì", "Maintenance"), Colour::Blue),
    word("not_enrolled", text("Chưa có agent", "Not enrolled"), Colour::Grey),
    word("unknown", text("Chưa rõ", "Unknown"), Colour::Grey),
    word("degraded", text("Suy giảm", "Degraded"), Colour::Yellow),
    word("agent_silent", text("Agent im lặng", "Agent silent"), Colour::Orange),
    word("unreachable", text("Tuyến trên bị cắt", "Unreachable"), Colour::Purple),
    word("wan_down", text("Mất WAN", "WAN down"), Colour::Red),
    word("offline", text("Mất kết nối", "Offline"), Colour::Red),
];

/// The states of a link: 0, 1 and 2 in a panel; nothing where unknown.
pub const STATES: [Word; 3] = [
    word("down", text("Mất", "Down"), Colour::Red),
    word("up", text("Hoạt động", "Up"), Colour::Green),
    word("degraded", text("Suy giảm", "Degraded"), Colour::Yellow),
];

/// What bad time is charged to.
pub const CAUSES: [Word; 9] = [
    word("carrier", text("Nhà mạng (WAN)", "Carrier (WAN)"), Colour::Red),
    word("isp", text("Nhà cung cấp Internet", "Internet provider"), Colour::Orange),
    word("lan", text("Mạng nội bộ (LAN)", "Local network (LAN)"), Colour::Yellow),
    word("power", text("Mất điện hoặc tắt máy", "Power cut or switched off"), Colour::Blue),
    word("agent", text("Thiết bị giám sát", "Monitoring agent"), Colour::Grey),
    word(
        "upstream",
        text("Tuyến trên hoặc hệ thống dùng chung", "Upstream or shared system"),
        Colour::Purple,
    ),
    word("collector", text("Máy chủ giám sát", "Monitoring collector"), Colour::Grey),
    word("planned", text("Có kế hoạch", "Planned work"), Colour::Green),
    word("unknown", text("Chưa rõ", "Not known"), Colour::Grey),
];

/// Kinds of incidents.
pub const INCIDENTS: [Word; 3] = [
    word("outage", text("Mất kết nối", "Outage"), Colour::Red),
    word("degradation", text("Suy giảm", "Degraded"), Colour::Yellow),
    word("gap", text("Không có số liệu", "Nothing known"), Colour::Grey),
];

/// Kinds of links.
pub const KINDS: [Word; 4] = [
    word("lan", same("LAN"), Colour::Grey),
    word("wan", same("WAN"), Colour::Grey),
    word("internet", same("Internet"), Colour::Grey),
    word("service", text("Dịch vụ", "Service"), Colour::Grey),
];

/// How a promise stands.
pub const STANDINGS: [Word; 3] = [
    word("met", text("Đạt", "Met"), Colour::Green),
    word("missed", text("Không đạt", "Missed"), Colour::Red),
    word("undecided", text("Chưa kết luận được", "Undecided"), Colour::Yellow),
];

/// Where the time of a contract went.
pub const ACCOUNTS: [Word; 4] = [
    word("kept", text("Có kết nối", "Kept"), Colour::Green),
    word("charged", text("Do nhà mạng", "Charged to the carrier"), Colour::Red),
    word("excused", text("Không do nhà mạng", "Not the carrier’s"), Colour::Blue),
    word("undecided", text("Chưa rõ trách nhiệm", "Undecided"), Colour::Grey),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use wan_collector::lang::Lang as PageLang;
    use wan_collector::ledger::cause::Cause;
    use wan_collector::verdict::Verdict;

    use super::*;

    /// The table of this name among the page's words, for one language.
    fn page(name: &str, lang: Lang) -> BTreeMap<String, String> {
        let source = include_str!("../../../../collector/src/web/text.js");
        let (_, table) = source.split_once(&format!("const {name} = {{")).unwrap();
        let (table, _) = table.split_once("\n};").unwrap();
        let (_, words) = table.split_once(&format!("{}: {{", lang.code())).unwrap();
        let (words, _) = words.split_once('}').unwrap();
        let pairs = words.split("',").filter(|pair| !pair.trim().is_empty());
        let pair = |pair: &str| {
            let (key, value) = pair.split_once(": '").unwrap();
            (key.trim().to_owned(), value.trim_end().trim_end_matches('\'').to_owned())
        };
        pairs.map(pair).collect()
    }

    fn ours(words: &[Word], lang: Lang) -> BTreeMap<String, String> {
        words.iter().map(|word| (word.word.to_owned(), word.name.pick(lang).to_owned())).collect()
    }

    #[test]
    fn states_and_causes_are_called_as_on_the_page() {
        for lang in Lang::ALL {
            assert_eq!(ours(&VERDICTS, lang), page("verdicts", lang));
            assert_eq!(ours(&CAUSES, lang), page("causes", lang));
            assert_eq!(ours(&INCIDENTS, lang), page("incidents", lang));
            assert_eq!(ours(&KINDS, lang), page("kinds", lang));
            let mut states = page("states", lang);
            states.remove("unknown");
            assert_eq!(ours(&STATES, lang), states, "what is unknown is absent from the metrics");
        }
    }

    #[test]
    fn every_word_of_the_collector_has_a_name() {
        let has =
            |words: &[Word], word: &str| assert!(words.iter().any(|known| known.word == word), "{word}");
        for verdict in Verdict::ALL {
            has(&VERDICTS, verdict.as_str());
        }
        assert_eq!(VERDICTS.len(), Verdict::ALL.len());
        for cause in Cause::ALL {
            has(&CAUSES, cause.as_str());
            let ours = CAUSES.iter().find(|known| known.word == cause.as_str()).unwrap();
            assert_eq!(ours.name.pick(Lang::Vi), cause.name(PageLang::Vi));
            assert_eq!(ours.name.pick(Lang::En), cause.name(PageLang::En));
        }
        assert_eq!(CAUSES.len(), Cause::ALL.len());
    }
}
