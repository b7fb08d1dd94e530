//! Why an enrolment is refused, for programs and, in both languages, for the person who pasted the line.

use http::StatusCode;
use jiff::tz::TimeZone;
use wan_wire::api::ApiRefusal;
use wan_wire::{SiteId, UnixMillis};

use crate::store::EnrolToken;

/// Why an enrolment is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// What was sent as a token is none.
    NoToken,
    /// What was sent as a token is an agent's secret.
    SecretForToken,
    /// No token of this collector.
    Unknown,
    /// Used already, by another agent or for another secret.
    Used {
        /// For which site.
        site: SiteId,
        /// When.
        at: UnixMillis,
        /// From which address.
        by: String,
    },
    /// Its time is over.
    Expired {
        /// For which site.
        site: SiteId,
        /// Since when.
        at: UnixMillis,
    },
    /// Revoked, or a newer one was issued.
    Revoked {
        /// For which site.
        site: SiteId,
        /// Since when.
        at: UnixMillis,
    },
    /// The site is not in the register any more.
    SiteGone {
        /// Which site.
        site: SiteId,
    },
    /// The site is closed.
    SiteClosed {
        /// Which site.
        site: SiteId,
        /// Since when.
        since: UnixMillis,
    },
    /// The secret is not a new one.
    SecretKnown,
    /// Nobody has asked this agent for a new secret.
    NotAsked,
    /// Too many attempts from this address.
    Limited {
        /// Seconds to wait.
        seconds: u64,
    },
    /// Not what belongs here; in English only, since only a broken program sends it.
    Malformed(&'static str),
    /// Longer than anything that belongs here.
    TooLarge,
    /// The body did not come.
    Slow,
    /// The collector's own failure.
    Failed,
}

/// Why a token of the store cannot be used (any more). The reason that a person can do most about comes first.
#[must_use]
pub fn of_token(token: EnrolToken) -> Refusal {
    let EnrolToken { site, expires, used, revoked, .. } = token;
    match (used, revoked) {
        (Some(used), _) => Refusal::Used { site, at: used.at, by: used.by },
        (None, Some(at)) => Refusal::Revoked { site, at },
        (None, None) => Refusal::Expired { site, at: expires },
    }
}

impl Refusal {
    /// A word for programs and for the counter.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Used { .. } => "used",
            Self::Expired { .. } => "expired",
            Self::Revoked { .. } => "revoked",
            Self::SiteGone { .. } | Self::SiteClosed { .. } => "closed",
            Self::NotAsked => "not_asked",
            Self::Limited { .. } => "limited",
            Self::Failed => "failed",
            Self::NoToken
            | Self::SecretForToken
            | Self::SecretKnown
            | Self::Malformed(_)
            | Self::TooLarge
            | Self::Slow => "malformed",
        }
    }

    /// All words of results, with those of success.
    pub const WORDS: [&str; 10] = [
        "accepted",
        "again",
        "unknown",
        "used",
        "expired",
        "revoked",
        "closed",
        "limited",
        "failed",
        "malformed",
    ];

    /// The site that it was about, where that is known.
    #[must_use]
    pub fn site(&self) -> Option<&SiteId> {
        match self {
            Self::Used { site, .. }
            | Self::Expired { site, .. }
            | Self::Revoked { site, .. }
            | Self::SiteGone { site }
            | Self::SiteClosed { site, .. } => Some(site),
            Self::NoToken
            | Self::SecretForToken
            | Self::Unknown
            | Self::SecretKnown
            | Self::NotAsked
            | Self::Limited { .. }
            | Self::Malformed(_)
            | Self::TooLarge
            | Self::Slow
            | Self::Failed => None,
        }
    }

    /// Whether it was about nothing that this collector has given out.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        match self {
            Self::NoToken | Self::SecretForToken | Self::Unknown | Self::Malformed(_) | Self::TooLarge => {
                true
            }
            Self::Used { .. }
            | Self::Expired { .. }
            | Self::Revoked { .. }
            | Self::SiteGone { .. }
            | Self::SiteClosed { .. }
            | Self::SecretKnown
            | Self::NotAsked
            | Self::Limited { .. }
            | Self::Slow
            | Self::Failed => false,
        }
    }

    /// Its HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unknown
            | Self::Used { .. }
            | Self::Expired { .. }
            | Self::Revoked { .. }
            | Self::SiteGone { .. }
            | Self::SiteClosed { .. } => StatusCode::FORBIDDEN,
            Self::NoToken | Self::SecretForToken | Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::SecretKnown | Self::NotAsked => StatusCode::CONFLICT,
            Self::Limited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Failed => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What is wrong and what to do; times are the province's.
    #[must_use]
    pub fn explain(&self, zone: &TimeZone) -> ApiRefusal {
        let new_line = |site: &SiteId| {
            (
                format!("ask the administrator for a new line (`wan-collector enroll {site}`)"),
                format!("hãy xin quản trị viên dòng lệnh mới (`wan-collector enroll {site}`)"),
            )
        };
        let (en, vi) = match self {
            Self::NoToken => (
                "this is no enrolment token: copy the whole line as it was printed".to_owned(),
                "đây không phải mã ghi danh: hãy chép nguyên cả dòng lệnh đã được cấp".to_owned(),
            ),
            Self::SecretForToken => (
                "this is an agent's secret (wan_…), not an enrolment token (wane_…): `wan-collector enroll SITE` \
                 prints the line to paste"
                    .to_owned(),
                "đây là khóa bí mật của agent (wan_…), không phải mã ghi danh (wane_…): lệnh `wan-collector enroll \
                 SITE` in ra dòng cần dán"
                    .to_owned(),
            ),
            Self::Unknown => (
                "this token is not from this collector: check the address in the line, or ask the administrator for a \
                 new line"
                    .to_owned(),
                "mã này không do máy thu thập này cấp: hãy kiểm tra địa chỉ trong dòng lệnh, hoặc xin quản trị viên dòng \
                 lệnh mới"
                    .to_owned(),
            ),
            Self::Used { site, at, by } => {
                let (at, (en, vi)) = (local(*at, zone), new_line(site));
                (
                    format!("this token was used already, at {at} from {by}; a token works once: {en}"),
                    format!("mã này đã được dùng lúc {at} từ địa chỉ {by}; mỗi mã chỉ dùng được một lần: {vi}"),
                )
            }
            Self::Expired { site, at } => {
                let (at, (en, vi)) = (local(*at, zone), new_line(site));
                (format!("this token expired at {at}: {en}"), format!("mã này đã hết hạn lúc {at}: {vi}"))
            }
            Self::Revoked { site, at } => {
                let (at, (en, vi)) = (local(*at, zone), new_line(site));
                (
                    format!("this token was revoked at {at}, or replaced by a newer one: use the newest line, or {en}"),
                    format!("mã này đã bị thu hồi lúc {at} hoặc đã có mã mới thay thế: hãy dùng dòng mới nhất, hoặc {vi}"),
                )
            }
            Self::SiteGone { site } => (
                format!("the site {site} is not in the register any more: ask the administrator"),
                format!("đơn vị {site} không còn trong danh sách: hãy hỏi quản trị viên"),
            ),
            Self::SiteClosed { site, since } => {
                let since = local(*since, zone);
                (
                    format!("the site {site} is closed since {since}: ask the administrator"),
                    format!("đơn vị {site} đã ngừng hoạt động từ {since}: hãy hỏi quản trị viên"),
                )
            }
            Self::SecretKnown => (
                "this secret was used before: an agent must make a new one".to_owned(),
                "khóa bí mật này đã từng được dùng: agent phải tạo khóa mới".to_owned(),
            ),
            Self::NotAsked => (
                "nobody has asked this agent for a new secret (`wan-collector agents rotate SITE` does)".to_owned(),
                "chưa có yêu cầu đổi khóa bí mật cho agent này (`wan-collector agents rotate SITE`)".to_owned(),
            ),
            Self::Limited { seconds } => (
                format!("too many refused attempts from this address: try again in {seconds} s"),
                format!("địa chỉ này đã thử sai quá nhiều lần: hãy thử lại sau {seconds} giây"),
            ),
            Self::Malformed(reason) => ((*reason).to_owned(), format!("yêu cầu không hợp lệ: {reason}")),
            Self::TooLarge => (
                "the request is larger than any enrolment".to_owned(),
                "yêu cầu quá lớn".to_owned(),
            ),
            Self::Slow => (
                "the request broke off, or did not arrive in time: try again".to_owned(),
                "yêu cầu bị đứt giữa chừng hoặc đến quá chậm: hãy thử lại".to_owned(),
            ),
            Self::Failed => (
                "the collector cannot write its database now: try again, and see its log".to_owned(),
                "máy thu thập hiện không ghi được cơ sở dữ liệu: hãy thử lại, và xem nhật ký của máy thu thập".to_owned(),
            ),
        };
        ApiRefusal { reason: self.word().to_owned(), en, vi }
    }
}

/// A time of the province for people.
fn local(at: UnixMillis, zone: &TimeZone) -> String {
    let shown = jiff::Timestamp::from_millisecond(at.0)
        .map(|at| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string());
    shown.unwrap_or_else(|_| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::TokenUse;

    fn site() -> SiteId {
        "ubnd-xa-tan-binh".parse().unwrap()
    }

    fn token(used: Option<TokenUse>, revoked: Option<i64>) -> EnrolToken {
        let (issued, expires) = (UnixMillis(0), UnixMillis(1_793_466_000_000));
        EnrolToken { site: site(), hash: [0; 32], issued, expires, used, revoked: revoked.map(UnixMillis) }
    }

    #[test]
    fn a_token_is_refused_for_what_became_of_it() {
        let used = TokenUse { at: UnixMillis(5), by: "10.0.0.9".to_owned(), secret: [1; 32] };
        let by = "10.0.0.9".to_owned();
        assert_eq!(
            of_token(token(Some(used), Some(7))),
            Refusal::Used { site: site(), at: UnixMillis(5), by }
        );
        assert_eq!(of_token(token(None, Some(7))), Refusal::Revoked { site: site(), at: UnixMillis(7) });
        let at = UnixMillis(1_793_466_000_000);
        assert_eq!(of_token(token(None, None)), Refusal::Expired { site: site(), at });
    }

    #[test]
    fn every_refusal_says_what_and_the_remedy_in_both_languages() {
        let at = UnixMillis(1_793_466_000_000);
        let all = [
            (Refusal::NoToken, 400, "copy the whole line", "chép nguyên cả dòng"),
            (Refusal::SecretForToken, 400, "not an enrolment token", "không phải mã ghi danh"),
            (Refusal::Unknown, 403, "not from this collector", "không do máy thu thập này cấp"),
            (
                Refusal::Used { site: site(), at, by: "10.0.0.9".into() },
                403,
                "used already, at 2026-11-01 00:00 from 10.0.0.9",
                "đã được dùng lúc 2026-11-01 00:00 từ địa chỉ 10.0.0.9",
            ),
            (
                Refusal::Expired { site: site(), at },
                403,
                "expired at 2026-11-01 00:00: ask the administrator for a new line (`wan-collector enroll ubnd-xa-tan-binh`)",
                "hết hạn lúc 2026-11-01 00:00",
            ),
            (Refusal::Revoked { site: site(), at }, 403, "revoked at 2026-11-01 00:00", "bị thu hồi lúc"),
            (Refusal::SiteGone { site: site() }, 403, "not in the register", "không còn trong danh sách"),
            (Refusal::SiteClosed { site: site(), since: at }, 403, "is closed since", "ngừng hoạt động từ"),
            (Refusal::SecretKnown, 409, "was used before", "đã từng được dùng"),
            (Refusal::NotAsked, 409, "nobody has asked", "chưa có yêu cầu"),
            (Refusal::Limited { seconds: 8 }, 429, "try again in 8 s", "sau 8 giây"),
            (Refusal::Malformed("no"), 400, "no", "không hợp lệ: no"),
            (Refusal::TooLarge, 413, "larger", "quá lớn"),
            (Refusal::Slow, 408, "did not arrive in time", "quá chậm"),
            (Refusal::Failed, 503, "cannot write", "không ghi được"),
        ];
        let zone = TimeZone::get("Asia/Ho_Chi_Minh").unwrap();
        for (refusal, status, en, vi) in all {
            let said = refusal.explain(&zone);
            assert!(said.en.contains(en) && said.vi.contains(vi), "{said:?}");
            assert_eq!(refusal.status(), status, "{refusal:?}");
            assert!(said.reason == "not_asked" || Refusal::WORDS.contains(&said.reason.as_str()), "{said:?}");
        }
    }
}
