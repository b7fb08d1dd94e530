//! What is said, in English and Vietnamese: to an officer who pasted a line, and to the administrator on the telephone.

use std::path::Path;

use wan_wire::UnixMillis;
use wan_wire::api::ApiRefusal;

use super::place::{Kept, Place};
use super::start::Started;
use super::{Known, Tried, configured};
use crate::clock;
use crate::push::trust::Stranger;

/// Which language comes first; both are always said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Vietnamese.
    Vietnamese,
}

impl Language {
    /// As the environment says: the first of LC_ALL, LC_MESSAGES and LANG that says anything.
    #[must_use]
    pub fn of_environment() -> Language {
        let said = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(std::env::var_os);
        Language::of(
            said.into_iter().find(|value| !value.is_empty()).and_then(|value| value.into_string().ok()),
        )
    }

    fn of(value: Option<String>) -> Language {
        match value {
            Some(value) if value.starts_with("vi") => Language::Vietnamese,
            Some(_) | None => Language::English,
        }
    }
}

/// The same in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// In English.
    pub en: String,
    /// In Vietnamese.
    pub vi: String,
}

impl Said {
    fn new(en: impl Into<String>, vi: impl Into<String>) -> Said {
        Said { en: en.into(), vi: vi.into() }
    }

    /// Both, this language first.
    #[must_use]
    pub fn show(&self, first: Language) -> String {
        match first {
            Language::English => format!("{}\n{}", self.en, self.vi),
            Language::Vietnamese => format!("{}\n{}", self.vi, self.en),
        }
    }
}

/// One line of foreign text without anything that a terminal would act upon.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

pub(super) fn no_token(secret: bool) -> Said {
    if secret {
        return Said::new(
            "--token: this is an agent's secret (wan_…), not an enrolment token (wane_…); `wan-collector enroll SITE` prints \
             the line to paste",
            "--token: đây là khóa bí mật của agent (wan_…), không phải mã ghi danh (wane_…); lệnh `wan-collector enroll \
             SITE` in ra dòng cần dán",
        );
    }
    Said::new(
        "--token: this is no enrolment token (wane_ and 43 characters); copy the whole line as it was printed",
        "--token: đây không phải mã ghi danh (wane_ và 43 ký tự); hãy chép nguyên cả dòng lệnh đã được cấp",
    )
}

pub(super) fn no_pin(pin: &str) -> Said {
    let pin = plain(pin);
    Said::new(
        format!("--pin {pin}: expected “sha256:” and 44 characters; copy the whole line as it was printed"),
        format!("--pin {pin}: phải là “sha256:” và 44 ký tự; hãy chép nguyên cả dòng lệnh đã được cấp"),
    )
}

pub(super) fn no_url(url: &str) -> Said {
    let url = plain(url);
    Said::new(
        format!(
            "{url}: expected the collector's address, such as https://10.0.0.1:8443; copy the whole line as it was printed"
        ),
        format!(
            "{url}: phải là địa chỉ của máy thu thập, như https://10.0.0.1:8443; hãy chép nguyên cả dòng lệnh đã được cấp"
        ),
    )
}

pub(super) fn plain_http(url: &str) -> Said {
    let url = plain(url);
    Said::new(
        format!(
            "{url}: http:// is not encrypted, whoever listens on the way could speak for this site; use the collector's \
             https:// address (or --insecure-http, if the line is encrypted otherwise)"
        ),
        format!(
            "{url}: http:// không được mã hóa, người nghe lén có thể mạo danh đơn vị; hãy dùng địa chỉ https:// của máy \
             thu thập (hoặc --insecure-http nếu đường truyền đã được mã hóa bằng cách khác)"
        ),
    )
}

pub(super) fn enrolled_already(what: &Path) -> Said {
    let what = what.display();
    Said::new(
        format!(
            "this machine is enrolled already: {what} is there. Nothing was changed. To enrol it anew, add --force to the \
             line; the old files are kept"
        ),
        format!(
            "máy này đã được ghi danh: đã có {what}. Không có gì thay đổi. Nếu muốn ghi danh lại, hãy thêm --force vào \
             dòng lệnh; các tệp cũ vẫn được giữ"
        ),
    )
}

pub(super) fn cannot_write(what: &Path, error: &std::io::Error) -> Said {
    let what = what.display();
    let (en, vi) = if error.kind() == std::io::ErrorKind::PermissionDenied {
        (
            "run the line with sudo, as an administrator of this machine",
            "hãy chạy dòng lệnh với sudo, bằng quyền quản trị máy này",
        )
    } else {
        (
            "see that the disk is there, writable and not full, then paste the same line again",
            "hãy kiểm tra ổ đĩa (còn chỗ, ghi được), rồi dán lại đúng dòng lệnh này",
        )
    };
    Said::new(format!("cannot write {what}: {error}; {en}"), format!("không ghi được {what}: {error}; {vi}"))
}

pub(super) fn unusable(why: &str) -> Said {
    Said::new(
        format!("the collector's answer gives no usable configuration: {why}"),
        format!("câu trả lời của máy thu thập không tạo được cấu hình hợp lệ: {why}"),
    )
}

pub(super) fn refused(refusal: &ApiRefusal) -> Said {
    Said::new(
        format!("The collector refused: {}", plain(&refusal.en)),
        format!("Máy thu thập từ chối: {}", plain(&refusal.vi)),
    )
}

/// Who answers in place of the collector, for one who cannot judge it.
pub(super) fn stranger(who: &Stranger) -> String {
    format!("another collector answers at {}; it shows {}", who.host, who.pin)
}

/// An agent of the former site holds what is to be put aside.
pub(super) fn still_runs(data: &Path) -> Said {
    let data = data.display();
    Said::new(
        format!(
            "an agent still runs as the former site and holds {data}/queue. Nothing was changed. Stop it, then paste the \
             same line again"
        ),
        format!(
            "một agent của đơn vị cũ vẫn đang chạy và giữ {data}/queue. Chưa có gì thay đổi. Hãy dừng agent đó, rồi dán \
             lại đúng dòng lệnh này"
        ),
    )
}

pub(super) fn unreachable(tried: &[Tried], now: UnixMillis) -> Said {
    let list: String = tried.iter().map(|Tried { url, why, .. }| format!("\n  {url}: {why}")).collect();
    if tried.iter().any(|tried| tried.is_stranger) {
        // Neither the cable nor another try helps, and an officer must not decide whom to trust.
        return Said::new(
            format!(
                "Do not go on: who answers is not the collector that this line is for:{list}\n  Tell the administrator, \
                 show these words, and ask for a new line (`wan-collector certificate` on the collector's host shows its \
                 key). Nothing was changed, and the token was not sent there."
            ),
            format!(
                "Đừng tiếp tục: nơi trả lời không phải máy thu thập của dòng lệnh này:{list}\n  Hãy báo quản trị viên, đưa \
                 xem thông báo này và xin dòng lệnh mới (lệnh `wan-collector certificate` trên máy thu thập cho biết khóa \
                 đúng). Chưa có gì thay đổi, và mã chưa được gửi tới đó."
            ),
        );
    }
    let (mut en, mut vi) = (String::new(), String::new());
    if now < clock::built() {
        en = format!(
            "\n  This machine's clock says {now}. That does not matter here, but tell the administrator: its battery may be dead."
        );
        vi = format!(
            "\n  Đồng hồ máy này báo {now}. Việc ghi danh không phụ thuộc vào giờ, nhưng hãy báo quản trị viên: pin đồng hồ có thể đã hỏng."
        );
    }
    Said::new(
        format!(
            "No collector answered:{list}\n  Check that the network cable is plugged in and that this machine reaches the \
             WAN (`ip addr`, `ip route`), then paste the same line again. Nothing was changed, the token is still good.{en}"
        ),
        format!(
            "Không liên lạc được với máy thu thập:{list}\n  Hãy kiểm tra dây mạng và kết nối WAN của máy này (`ip addr`, `ip \
             route`), rồi dán lại đúng dòng lệnh này. Chưa có gì thay đổi, mã vẫn còn dùng được.{vi}"
        ),
    )
}

pub(super) fn not_enrolled(config: &Path) -> Said {
    let config = config.display();
    Said::new(
        format!(
            "{config} is not there: this machine is not enrolled yet. Paste the line that `wan-collector enroll SITE` prints \
             (sudo wan-agent enroll …), or name another file with --config"
        ),
        format!(
            "chưa có {config}: máy này chưa được ghi danh. Hãy dán dòng lệnh mà `wan-collector enroll SITE` in ra (sudo \
             wan-agent enroll …), hoặc chỉ tệp khác bằng --config"
        ),
    )
}

pub(super) fn done(known: &Known, place: &Place, kept: &Kept, started: &Started) -> Said {
    let site = format!("{} ({})", known.name, known.site);
    let urls: Vec<String> =
        known.urls.iter().map(|url| format!("{} ({})", configured(&url.url), url.path)).collect();
    let (urls, files) = (urls.join(", "), format!("{}, {}", place.config.display(), place.secret.display()));
    let (service_en, service_vi) = service(started, &place.config);
    let mut said = Said::new(
        format!(
            "Done: this machine is enrolled.\n  Site       {site}\n  Collector  {urls}\n  Files      {files}\n  Service    \
             {service_en}"
        ),
        format!(
            "Xong: máy này đã được ghi danh.\n  Đơn vị        {site}\n  Máy thu thập  {urls}\n  Tệp           {files}\n  Dịch vụ       \
             {service_vi}"
        ),
    );
    if !kept.0.is_empty() {
        let old: Vec<String> = kept.0.iter().map(|path| path.display().to_string()).collect();
        let old = old.join(", ");
        said.en.push_str(&format!("\n  Old files  {old}"));
        said.vi.push_str(&format!("\n  Tệp cũ        {old}"));
    }
    said
}

fn service(started: &Started, config: &Path) -> (String, String) {
    let by_hand = format!("wan-agent run --config {}", config.display());
    match started {
        Started::Runs(by) => (
            format!("wan-agent is enabled and runs ({by})"),
            format!("wan-agent đã được bật và đang chạy ({by})"),
        ),
        Started::NotAsked => (
            format!("not touched; it is started with: {by_hand}"),
            format!("không thay đổi; khởi động bằng lệnh: {by_hand}"),
        ),
        Started::OwnPlace => (
            format!(
                "not touched, since these are not the service's own files; it is started with: {by_hand}"
            ),
            format!("không thay đổi vì đây không phải tệp của dịch vụ; khởi động bằng lệnh: {by_hand}"),
        ),
        Started::NoService => (
            format!("none is installed here; it is started with: {by_hand}"),
            format!("máy này chưa cài dịch vụ; khởi động bằng lệnh: {by_hand}"),
        ),
        Started::Failed { command, why } => (
            format!("could not be started: {command}: {why}"),
            format!("không khởi động được: {command}: {why}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_of_the_machine_comes_first() {
        let said = Said::new("one", "một");
        assert_eq!(said.show(Language::of(Some("vi_VN.UTF-8".into()))), "một\none");
        for value in [None, Some("en_US.UTF-8"), Some("C"), Some("POSIX")] {
            assert_eq!(said.show(Language::of(value.map(str::to_owned))), "one\nmột");
        }
    }

    #[test]
    fn foreign_text_cannot_act_on_the_terminal() {
        assert_eq!(plain("a\x1b[2Jb\nc\u{7}"), "a[2Jbc");
        assert_eq!(plain(&"x".repeat(10_000)).len(), 300);
    }

    #[test]
    fn who_cannot_write_is_told_the_remedy_that_fits() {
        let path = Path::new("/etc/wanwatch/agent.yaml");
        let said = cannot_write(path, &std::io::ErrorKind::PermissionDenied.into());
        assert!(said.en.contains("with sudo") && said.vi.contains("với sudo"), "{said:?}");
        let said = cannot_write(path, &std::io::ErrorKind::StorageFull.into());
        assert!(said.en.contains("paste the same line again"), "{said:?}");
    }

    #[test]
    fn a_dead_clock_is_said_beside_a_network_that_does_not_work() {
        let tried = [Tried {
            url: "https://10.0.0.1".to_owned(),
            why: "connection refused".to_owned(),
            is_stranger: false,
        }];
        let said = unreachable(&tried, UnixMillis(0));
        assert!(
            said.en.contains("https://10.0.0.1: connection refused") && said.en.contains("battery"),
            "{said:?}"
        );
        assert!(!unreachable(&tried, clock::built()).vi.contains("pin đồng hồ"));
    }

    #[test]
    fn where_another_answers_nobody_is_told_to_try_again_or_to_trust_it() {
        let tried = |is_stranger| Tried { url: "https://10.0.0.1".into(), why: "why".into(), is_stranger };
        let said = unreachable(&[tried(false), tried(true)], UnixMillis(0));
        assert!(said.en.contains("Do not go on") && said.en.contains("Tell the administrator"), "{said:?}");
        assert!(said.vi.contains("Đừng tiếp tục") && said.vi.contains("báo quản trị viên"), "{said:?}");
        for words in ["cable", "paste the same line", "collector.pins", "dây mạng", "dán lại"] {
            assert!(!said.en.contains(words) && !said.vi.contains(words), "{words}: {said:?}");
        }
    }
}
