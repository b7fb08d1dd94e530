//! Causes, rules and scenes as people read them, in Vietnamese and English.

use std::fmt::Write as _;

use wan_wire::LinkKind;

use super::{Cause, Rule, Scene, Silence, Voice};
use crate::lang::Lang;
use crate::ledger::timeline::{State, Why};

impl Cause {
    /// The cause in a word or two.
    #[must_use]
    pub const fn name(self, lang: Lang) -> &'static str {
        match self {
            Self::Carrier => lang.pick("Nhà mạng (WAN)", "Carrier (WAN)"),
            Self::Isp => lang.pick("Nhà cung cấp Internet", "Internet provider"),
            Self::Lan => lang.pick("Mạng nội bộ (LAN)", "Local network (LAN)"),
            Self::Power => lang.pick("Mất điện hoặc tắt máy", "Power cut or switched off"),
            Self::Agent => lang.pick("Thiết bị giám sát", "Monitoring agent"),
            Self::Upstream => lang.pick("Tuyến trên hoặc hệ thống dùng chung", "Upstream or shared system"),
            Self::Collector => lang.pick("Máy chủ giám sát", "Monitoring collector"),
            Self::Planned => lang.pick("Có kế hoạch", "Planned work"),
            Self::Unknown => lang.pick("Chưa rõ", "Not known"),
        }
    }
}

impl Rule {
    /// The rule in a sentence: why the cause is charged.
    #[must_use]
    pub const fn sentence(self, lang: Lang) -> &'static str {
        match self {
            Self::PlannedWork => lang.pick("nằm trong thời gian đã lên kế hoạch", "planned work covers it"),
            Self::InstrumentFailed => lang.pick(
                "thiết bị giám sát không đo được",
                "the agent's instrument failed, it could not measure",
            ),
            Self::BootInGap => lang.pick(
                "máy của thiết bị giám sát khởi động lại trong khoảng im lặng",
                "the agent's host booted within the silence",
            ),
            Self::CollectorStopped => lang.pick(
                "máy chủ giám sát dừng hoặc mất kết nối, chưa có dữ liệu bổ sung",
                "the collector was stopped or cut off, and no backlog has filled the time",
            ),
            Self::AgentRestarted => lang.pick(
                "chương trình giám sát khởi động lại, máy vẫn chạy",
                "the agent restarted within its silence, its host ran on",
            ),
            Self::LineWorks => lang.pick(
                "thiết bị giám sát im lặng trong khi đường WAN vẫn hoạt động khi nhìn từ nơi khác",
                "the agent is silent while another vantage sees the WAN work",
            ),
            Self::PathCut => lang.pick(
                "tuyến trên của đơn vị bị cắt hoặc không tốt",
                "the path above the site is cut or degraded",
            ),
            Self::NotYetTold => lang.pick(
                "thiết bị giám sát còn im lặng; dữ liệu gửi bù có thể cho biết",
                "the agent is still silent; its backlog may tell",
            ),
            Self::NobodyAtSite => lang.pick(
                "chỉ thấy từ bên ngoài; thiết bị tại đơn vị không gửi gì về thời gian này",
                "seen from outside only; the site's agent told nothing of that time",
            ),
            Self::NeverSpoke => {
                lang.pick("thiết bị giám sát chưa gửi dữ liệu lần nào", "the agent had not spoken before")
            }
            Self::RoundsMissing => lang.pick(
                "thiết bị giám sát vẫn chạy nhưng thiếu số liệu của thời gian này",
                "the agent ran on, and its rounds of that time are missing",
            ),
            Self::NotProbed => {
                lang.pick("thiết bị giám sát không đo đường này", "the agent does not probe this link")
            }
            Self::LanFails => {
                lang.pick("cổng mạng nội bộ không trả lời tốt", "the gateway does not answer as it should")
            }
            Self::BehindLan => {
                lang.pick("mạng nội bộ hỏng, kéo theo đường này", "the LAN fails, and this link with it")
            }
            Self::Contradiction => lang.pick(
                "đơn vị báo mất WAN nhưng từ nơi khác vẫn tới được",
                "the site says its WAN is down, another vantage reaches it",
            ),
            Self::BothSides => lang.pick(
                "cổng nội bộ trả lời; WAN không tới được từ cả hai phía",
                "the gateway answers; the WAN target is unreachable from both sides",
            ),
            Self::GatewayAnswers => {
                lang.pick("cổng nội bộ trả lời; WAN không tốt", "the gateway answers; the WAN fails")
            }
            Self::OtherLineWorks => {
                lang.pick("Internet hoạt động; WAN không tốt", "the Internet works; the WAN fails")
            }
            Self::PathNotSeen => lang.pick(
                "không có số liệu của phần mạng phía trước",
                "nobody sees what lies before the link that fails",
            ),
            Self::BothLinesFail => lang.pick(
                "WAN và Internet hỏng cùng lúc trên hai đường khác nhau",
                "WAN and Internet fail at once, on different lines",
            ),
            Self::WanWorks => {
                lang.pick("WAN hoạt động; Internet không tốt", "the WAN works; the Internet fails")
            }
            Self::GatewayAnswersOnly => lang.pick(
                "cổng nội bộ trả lời, không đo WAN; Internet không tốt",
                "the gateway answers, the WAN is not seen; the Internet fails",
            ),
            Self::SystemFails => lang.pick(
                "WAN hoạt động; hệ thống dùng chung không trả lời",
                "the WAN works; the shared system does not answer",
            ),
        }
    }
}

impl Scene {
    /// The evidence that the rule looked at, in one line: "LAN up; WAN down (site's agent, other vantages); Internet up".
    #[must_use]
    pub fn evidence(&self, lang: Lang) -> String {
        let mut line = String::new();
        for (name, kind, state) in [
            ("LAN", LinkKind::Lan, self.lan),
            ("WAN", LinkKind::Wan, self.wan),
            ("Internet", LinkKind::Internet, self.internet),
        ] {
            let own = kind == self.kind;
            if state == State::Unknown(Why::NotMeasured) && !own {
                continue;
            }
            let state = if own { self.state } else { state };
            let _ =
                write!(line, "{}{name} {}", if line.is_empty() { "" } else { "; " }, state_word(state, lang));
            if own {
                line.push_str(voice_word(self.voice, lang));
            } else if kind == LinkKind::Lan && self.lan == State::Down && !self.lan_fails {
                line.push_str(lang.pick(
                    " (không tính: cổng mạng không trả lời từ trước)",
                    " (not counted: the gateway had not answered before)",
                ));
            }
        }
        if self.kind == LinkKind::Service {
            let name = lang.pick("hệ thống", "service");
            let _ = write!(line, "; {name} {}{}", state_word(self.state, lang), voice_word(self.voice, lang));
        }
        if self.seen_down {
            line.push_str(lang.pick("; nơi khác thấy WAN mất", "; other vantages see the WAN down"));
        } else if self.seen_up {
            line.push_str(lang.pick("; nơi khác thấy WAN hoạt động", "; other vantages see the WAN work"));
        }
        if self.wan_rule.is_some() && matches!(self.wan, State::Up | State::Unknown(_)) {
            line.push_str(
                lang.pick("; WAN hỏng ngay trước hoặc sau đó", "; the WAN failed just before or after"),
            );
        }
        if self.path_cut {
            line.push_str(
                lang.pick("; tuyến trên bị cắt hoặc không tốt", "; path above the site cut or degraded"),
            );
        }
        line.push_str(match self.silence {
            Silence::Speaks => "",
            Silence::Booted => lang.pick(
                "; thiết bị im lặng, máy đã khởi động lại",
                "; agent silent, its host booted meanwhile",
            ),
            Silence::Restarted => lang.pick(
                "; thiết bị im lặng, chương trình khởi động lại",
                "; agent silent, it was restarted meanwhile",
            ),
            Silence::RanOn => lang.pick("; thiết bị im lặng, vẫn chạy", "; agent silent, it ran on"),
            Silence::Open => lang.pick("; thiết bị còn im lặng", "; agent still silent"),
            Silence::Before => lang.pick("; thiết bị chưa từng gửi", "; agent not heard before"),
        });
        line
    }
}

const fn state_word(state: State, lang: Lang) -> &'static str {
    match state {
        State::Up => lang.pick("tốt", "up"),
        State::Degraded => lang.pick("suy giảm", "degraded"),
        State::Down => lang.pick("mất", "down"),
        State::Unknown(Why::Fault) => lang.pick("không đo được", "not measurable"),
        State::Unknown(
            Why::NotYet | Why::NotEquipped | Why::CollectorStopped | Why::Silent | Why::NotMeasured,
        ) => lang.pick("không rõ", "unknown"),
    }
}

const fn voice_word(voice: Voice, lang: Lang) -> &'static str {
    match voice {
        Voice::Own => lang.pick(" (thiết bị tại đơn vị)", " (the site's agent)"),
        Voice::Other => lang.pick(" (từ nơi khác)", " (other vantages)"),
        Voice::Nobody => "",
    }
}
