//! Words that several tables share, or by which a file is known again.

use crate::calendar::Month;
use crate::lang::Lang;
use crate::ledger::incident::IncidentKind;
use crate::report::coverage::Standing;
use crate::report::uptime::{HoursOf, Policy};

/// A text in both languages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words(&'static str, &'static str);

impl Words {
    pub(super) const fn in_lang(self, lang: Lang) -> &'static str {
        lang.pick(self.0, self.1)
    }
}

pub(super) const PARAMETERS: Words = Words("Quy tắc và tham số", "Rules and parameters");
pub(super) const MONTH: Words = Words("Kỳ báo cáo", "Month");
pub(super) const MADE_AT: Words = Words("Thời điểm lập", "Made at");

pub(super) const POLICY: Words = Words("Thời gian có kế hoạch được", "Planned time is");

pub(super) const SITE: Words = Words("Mã đơn vị", "Site");
pub(super) const NAME: Words = Words("Tên đơn vị", "Name");
pub(super) const TIER: Words = Words("Cấp", "Tier");
pub(super) const BRANCH: Words = Words("Khối", "Branch");
pub(super) const SYSTEM: Words = Words("Hệ thống", "System");
pub(super) const LINK: Words = Words("Đường truyền", "Link");
pub(super) const CARRIER: Words = Words("Nhà mạng", "Carrier");
pub(super) const UPTIME: Words = Words("Tỷ lệ thời gian kết nối", "Uptime");
pub(super) const LOW: Words = Words("Cận dưới", "Low bound");
pub(super) const HIGH: Words = Words("Cận trên", "High bound");
pub(super) const AVAILABILITY: Words = Words("Tỷ lệ hoạt động tốt", "Availability");
pub(super) const OBSERVED: Words = Words("Tỷ lệ thời gian quan sát được", "Observed share");
pub(super) const DOWN: Words = Words("Thời gian mất kết nối", "Time down");
pub(super) const OUTAGES: Words = Words("Số lần mất kết nối", "Outages");
pub(super) const LONGEST: Words = Words("Lần dài nhất", "Longest outage");
pub(super) const LONGEST_START: Words = Words("Lần dài nhất bắt đầu lúc", "Longest outage from");
pub(super) const STARTED: Words = Words("Bắt đầu", "From");
pub(super) const ENDED: Words = Words("Kết thúc", "To");
pub(super) const CAUSE: Words = Words("Nguyên nhân", "Cause");
pub(super) const RULE: Words = Words("Căn cứ kết luận", "Why");
pub(super) const EVIDENCE: Words = Words("Bằng chứng", "Evidence");
pub(super) const TARGET: Words = Words("Chỉ tiêu kế hoạch", "Plan's target");
pub(super) const STANDING: Words = Words("Đánh giá", "Standing");
pub(super) const CONTRACT: Words = Words("Hợp đồng", "Contract");
pub(super) const EQUIPPED: Words = Words("Tỷ lệ đã trang bị thiết bị giám sát", "Equipped share");
pub(super) const CHARGED: Words = Words("Thời gian do nhà mạng", "Charged to the carrier");

pub(super) const KIND: Words = Words("Loại đường", "Kind");
pub(super) const STATE: Words = Words("Tình trạng", "State");
pub(super) const TOTAL: Words = Words("Tổng thời gian", "Total");
pub(super) const PLANNED: Words = Words("Thời gian có kế hoạch", "Planned time");
pub(super) const BAD_DOWN: Words = Words("Mất kết nối", "Down");
pub(super) const BAD_DEGRADED: Words = Words("Suy giảm chất lượng", "Degraded");
pub(super) const BAD_UNKNOWN: Words = Words("Không có số liệu", "Unknown");
pub(super) const CAUSE_SHARE: Words = Words("Phần trong thời gian mất kết nối", "Share of time down");
pub(super) const SERVICE_UPTIME: Words = Words("Tỷ lệ kết nối trong giờ phục vụ", "Uptime in service hours");
pub(super) const SERVICE_LOW: Words = Words("Cận dưới trong giờ phục vụ", "Low bound in service hours");
pub(super) const SERVICE_DOWN: Words = Words("Mất kết nối trong giờ phục vụ", "Time down in service hours");
pub(super) const INCIDENT: Words = Words("Loại sự cố", "Incident");
pub(super) const LENGTH: Words = Words("Thời lượng", "Length");
pub(super) const CONTRACT_NAME: Words = Words("Tên hợp đồng", "Contract's name");
pub(super) const HOURS: Words = Words("Giờ tính", "Hours");
pub(super) const LINKS: Words = Words("Số đường", "Links");
pub(super) const PROMISE: Words = Words("Mức cam kết", "Promised uptime");
pub(super) const CONTRACT_UPTIME: Words = Words("Tỷ lệ tính cho nhà mạng", "Uptime charged to the carrier");
pub(super) const UNDECIDED: Words = Words("Chưa rõ trách nhiệm", "Undecided");
pub(super) const EXCUSED: Words = Words("Không do nhà mạng", "Not the carrier's");
pub(super) const LINKS_MET: Words = Words("Số đường đạt", "Links met");
pub(super) const LINKS_MISSED: Words = Words("Số đường không đạt", "Links missed");
pub(super) const LINKS_UNDECIDED: Words = Words("Số đường chưa kết luận được", "Links undecided");
pub(super) const CHARGED_OUTAGES: Words = Words("Số lần do nhà mạng", "Outages charged");
pub(super) const HOURS_MEASURED: Words = Words("Số giờ đo được", "Hours measured");
pub(super) const LOSS: Words = Words("Tỷ lệ mất gói", "Loss");
pub(super) const LOSS_WHILE_UP: Words = Words("Tỷ lệ mất gói khi có kết nối", "Loss while up");
pub(super) const RTT_MEAN: Words = Words("Độ trễ khứ hồi trung bình (ms)", "Mean RTT (ms)");
pub(super) const RTT_P95: Words = Words("Độ trễ khứ hồi p95 (ms)", "RTT p95 (ms)");
pub(super) const JITTER: Words = Words("Độ biến thiên trễ (ms)", "Jitter (ms)");
pub(super) const MOS: Words = Words("MOS ước tính", "MOS (estimate)");
pub(super) const RTT_LIMIT: Words = Words("Độ trễ cam kết (ms)", "Promised RTT (ms)");
pub(super) const RTT_STANDING: Words = Words("Đánh giá độ trễ", "RTT standing");
pub(super) const LOSS_LIMIT: Words = Words("Mất gói cam kết", "Promised loss");
pub(super) const LOSS_STANDING: Words = Words("Đánh giá mất gói", "Loss standing");
pub(super) const NOT_MEASURED: Words = Words("Chưa đo được", "not measured");
pub(super) const WHAT: Words = Words("Nội dung", "What");
pub(super) const EXCEEDED_RTT: Words = Words("Độ trễ quá mức cam kết", "RTT over the limit");
pub(super) const EXCEEDED_LOSS: Words = Words("Mất gói quá mức cam kết", "Loss over the limit");
pub(super) const UPTIME_STANDING: Words = Words("Đánh giá thời gian kết nối", "Uptime standing");
pub(super) const OVER_RTT: Words = Words("Số đường quá độ trễ", "Links over RTT");
pub(super) const OVER_LOSS: Words = Words("Số đường quá mất gói", "Links over loss");
pub(super) const DISTRICT: Words = Words("Địa bàn", "District");
pub(super) const DAY: Words = Words("Ngày", "Day");
pub(super) const REGISTERED: Words = Words("Số đơn vị", "Sites");
pub(super) const NOMINAL: Words = Words("Đã trang bị, cuối kỳ", "Equipped at the end");
pub(super) const END_LOW: Words = Words("Kết nối cuối kỳ, cận dưới", "Connected at the end, low");
pub(super) const END_HIGH: Words = Words("Kết nối cuối kỳ, cận trên", "Connected at the end, high");
pub(super) const MEAN_LOW: Words = Words("Độ phủ cả kỳ, cận dưới", "Coverage over the month, low");
pub(super) const MEAN_HIGH: Words = Words("Độ phủ cả kỳ, cận trên", "Coverage over the month, high");
pub(super) const FIGURE: Words = Words("Chỉ tiêu", "Figure");
pub(super) const VALUE: Words = Words("Giá trị", "Value");
pub(super) const PARAMETER: Words = Words("Tham số", "Parameter");
pub(super) const WHOLE: Words = Words("Toàn tỉnh", "Whole province");
pub(super) const SUBJECT: Words = Words("Đối tượng", "Of what");
pub(super) const SAID: Words = Words("Đã báo cáo", "Reported first");
pub(super) const SAYS: Words = Words("Nay là", "Now");
pub(super) const SINCE: Words = Words("Báo cáo lần đầu lúc", "First reported at");

pub(super) const INCIDENT_ID: Words = Words("Mã sự cố", "Incident's id");
pub(super) const WAS_KIND: Words = Words("Đã báo", "Told");
pub(super) const WAS_FROM: Words = Words("Đã báo: bắt đầu", "Told: from");
pub(super) const WAS_TO: Words = Words("Đã báo: kết thúc", "Told: to");
pub(super) const WAS_CAUSE: Words = Words("Đã báo: nguyên nhân", "Told: cause");
pub(super) const IS_KIND: Words = Words("Nay là", "Now");
pub(super) const IS_FROM: Words = Words("Nay: bắt đầu", "Now: from");
pub(super) const IS_TO: Words = Words("Nay: kết thúc", "Now: to");
pub(super) const IS_CAUSE: Words = Words("Nay: nguyên nhân", "Now: cause");
pub(super) const BECAUSE: Words = Words("Lý do điều chỉnh", "Because of");
pub(super) const RESTATED: Words = Words("Điều chỉnh lúc", "Restated at");
pub(super) const TIMES: Words = Words("Số lần điều chỉnh", "Times restated");

pub(super) const WINDOW: Words = Words("Số", "Number");
pub(super) const FOR_WHOM: Words = Words("Áp dụng cho", "For whom");
pub(super) const WHEN: Words = Words("Lịch", "When");
pub(super) const OCCURRENCES: Words = Words("Số lần", "Times");
pub(super) const WITHIN: Words = Words("Thời gian trong kỳ", "Within the month");
pub(super) const REASON: Words = Words("Lý do", "Why");
pub(super) const ENTERED_BY: Words = Words("Người nhập", "Entered by");
pub(super) const ENTERED_AT: Words = Words("Nhập lúc", "Entered at");
pub(super) const CUT_SHORT: Words = Words("Kết thúc sớm lúc", "Ended early at");

/// `2026-10`.
pub(super) fn month_id(month: Month) -> String {
    month.first_day().strftime("%Y-%m").to_string()
}

pub(super) fn title(month: Month, lang: Lang) -> String {
    let day = month.first_day();
    match lang {
        Lang::Vi => format!("Báo cáo kết nối mạng WAN tháng {:02}/{}", day.month(), day.year()),
        Lang::En => format!("WAN connectivity report, {}", day.strftime("%B %Y")),
    }
}

pub(super) const fn standing(standing: Standing, lang: Lang) -> &'static str {
    match standing {
        Standing::Met => lang.pick("Đạt", "met"),
        Standing::Missed => lang.pick("Không đạt", "missed"),
        Standing::Undecided => lang.pick("Chưa kết luận được", "undecided"),
    }
}

pub(super) const fn incident_kind(kind: IncidentKind, lang: Lang) -> &'static str {
    match kind {
        IncidentKind::Outage => BAD_DOWN.in_lang(lang),
        IncidentKind::Degradation => BAD_DEGRADED.in_lang(lang),
        IncidentKind::Gap => BAD_UNKNOWN.in_lang(lang),
    }
}

pub(super) const fn hours(hours: HoursOf, lang: Lang) -> &'static str {
    match hours {
        HoursOf::All => lang.pick("Cả ngày", "all"),
        HoursOf::Service => lang.pick("Giờ phục vụ", "service"),
    }
}

pub(super) const fn uptime_note(lang: Lang) -> &'static str {
    lang.pick(
        "Tỷ lệ thời gian kết nối = (tốt + suy giảm) ÷ thời gian quan sát được, không tính thời gian có kế hoạch. Cận dưới coi mọi thời gian \
         không quan sát được là mất kết nối, cận trên coi là có kết nối; giá trị thật nằm giữa hai cận. Thời gian ghi theo giờ:phút:giây.",
        "Uptime = (up + degraded) ÷ observed time, without planned time. The low bound takes all unobserved time for down, the high bound \
         for up; the truth lies between. Lengths of time are hours:minutes:seconds.",
    )
}

pub(super) const fn causes_note(lang: Lang) -> &'static str {
    lang.pick(
        "Mỗi khoảng thời gian không tốt của đơn vị được tính cho đúng một nguyên nhân theo quy tắc; bằng chứng không đủ thì ghi “Chưa rõ”. \
         “Không có số liệu” không phải là mất kết nối: không ai quan sát được. Thời gian ghi theo giờ:phút:giây.",
        "Every bad stretch of a site is charged to exactly one cause by rule; where the evidence does not decide, to “not known”. \
         “Unknown” is not down: nobody could observe it. Lengths of time are hours:minutes:seconds.",
    )
}

pub(super) const fn contract_note(lang: Lang) -> &'static str {
    lang.pick(
        "Tỷ lệ tính cho nhà mạng = 1 − thời gian mất kết nối do nhà mạng ÷ thời gian quan sát được, trong giờ tính, không tính thời gian có kế \
         hoạch. Cận dưới tính cả thời gian chưa rõ trách nhiệm cho nhà mạng. “Không đạt” khi cả cận trên cũng dưới mức cam kết, “Đạt” khi \
         cận dưới đã đủ; còn lại là chưa kết luận được. Hợp đồng và đường đạt khi mọi cam kết đo được đều đạt, kể cả độ trễ và mất gói (bảng \
         Chất lượng theo hợp đồng); cam kết không đo được thì không coi là vi phạm.",
        "Uptime charged to the carrier = 1 − time down that is the carrier's ÷ observed time, within the hours that count and without planned \
         time. The low bound charges all that is undecided to the carrier. Missed: even the high bound is below what was promised; met: the \
         low bound reaches it; between the two, undecided. A contract or link has met what was promised when every promise that could be \
         measured is met, also those of round-trip time and loss (see Contract quality); a promise that nobody could measure is not \
         broken.",
    )
}

pub(super) const fn quality_note(lang: Lang) -> &'static str {
    lang.pick(
        "Số liệu của các giờ tròn trong kỳ, kể cả giờ có việc theo kế hoạch. Mất gói: tỷ lệ gói không có trả lời trên đường khứ hồi (ITU-T \
         Y.1540); “khi có kết nối”: chỉ tính những lượt đo có ít nhất một trả lời, vì lượt không có trả lời nào là mất kết nối. p95: 95 % số \
         trả lời không chậm hơn, sai số 5 %. Độ biến thiên trễ theo RFC 5481 (PDV). MOS là giá trị ước tính, không phải đo: điểm mà một \
         cuộc gọi G.711 có thể đạt theo mô hình E (ITU-T G.107), tính từ độ trễ, độ biến thiên và mất gói.",
        "Of the whole hours of the month, those of planned work among them. Loss: the share of packets that got no answer, there and back \
         (ITU-T Y.1540); while up: only of rounds that got any answer, since one without any is time down. p95: 95 % of the answers were no \
         slower, within 5 %. Jitter is the PDV of RFC 5481. MOS is an estimate and no measurement: what a G.711 call would score by the \
         E-model (ITU-T G.107), from delay, jitter and loss.",
    )
}

pub(super) const fn contract_quality_note(lang: Lang) -> &'static str {
    lang.pick(
        "Độ trễ trung bình và tỷ lệ mất gói cả kỳ so với mức cam kết, tính trên các giờ tròn nằm hẳn trong giờ tính và không chạm thời gian có \
         kế hoạch. Mất gói chỉ tính những lượt đo có ít nhất một trả lời: lượt không có trả lời nào đã tính là mất kết nối. “Chưa đo được”: không \
         có số liệu, không kết luận vi phạm.",
        "Mean round-trip time and loss of the month against what was promised, of the whole hours that lie within those that count and touch no \
         planned work. Loss is of rounds that got any answer: one without any is time down already. Not measured: there is no figure, and no \
         promise is said to be broken.",
    )
}

pub(super) const fn evidence_note(lang: Lang) -> &'static str {
    lang.pick(
        "Từng lần mất kết nối mà quy tắc tính cho nhà mạng, với căn cứ và bằng chứng đã dùng; từng quãng giờ liên tiếp mà độ trễ trung bình hoặc \
         tỷ lệ mất gói của mỗi giờ vượt mức cam kết cho cả kỳ; giờ địa phương. Để trống ô kết thúc: chưa kết thúc khi hết kỳ.",
        "Every outage that the rules charge to the carrier, with the rule and the evidence that it rests on, and every run of hours of which each \
         was over what is promised for the month in mean round-trip time or loss; local time. No end: it was not over at the end of the time \
         reported.",
    )
}

pub(super) const fn policy(policy: Policy, lang: Lang) -> &'static str {
    match policy {
        Policy::Exclude => lang.pick("loại khỏi mọi số liệu", "left out of every figure"),
        Policy::CountAsUp => lang.pick("tính là có kết nối", "counted as up"),
        Policy::Ignore => lang.pick("tính như đã quan sát", "counted as it was seen"),
    }
}
