use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::sample::{collector, correction, link};
use super::*;
use crate::alert::notice::{Affected, Event};
use crate::config::Config;

fn zone() -> TimeZone {
    TimeZone::get("Asia/Ho_Chi_Minh").unwrap()
}

fn rendered(notice: &Notice, lang: Lang) -> Rendered {
    let zone = zone();
    let setting = Setting { lang, zone: &zone, page: Some("https://wan.example.vn:8443") };
    let (rendered, wrong) = Engine::new(lang).render(notice, &setting);
    assert_eq!(wrong, None);
    rendered
}

/// What is wrong with a channel's templates.
fn mistakes(channel: &str) -> Vec<String> {
    let config = Config::parse("c", format!("alerts:\n  channels:\n{channel}").as_bytes()).unwrap();
    let zone = zone();
    let setting = Setting { lang: Lang::Vi, zone: &zone, page: None };
    load(&config.alerts.channels[0], &setting).mistakes.iter().map(ToString::to_string).collect()
}

#[test]
fn an_end_tells_all_that_is_known_in_the_provinces_time() {
    let told = rendered(&Notice { drill: false, ..link() }, Lang::Vi);
    assert_eq!(told.subject, "[ĐÃ KHÔI PHỤC] Ủy ban nhân dân xã Mẫu, wan: Đường truyền mất kết nối");
    let text = format!(
        "ĐÃ KHÔI PHỤC: Ủy ban nhân dân xã Mẫu, wan\n\
         Đường truyền mất kết nối (mức: Cảnh báo)\n\
         LAN hoạt động, WAN không trả lời\n\
         \n\
         Từ: 00:00:00 ngày 01/11/2026\n\
         Đến: 02:05:00 ngày 01/11/2026\n\
         Kéo dài: 2 giờ 5 phút\n\
         Nguyên nhân: Nhà mạng (WAN)\n\
         Phụ trách xử lý: VNPT\n\
         Đơn vị: Ủy ban nhân dân xã Mẫu (xa-mau), Châu Thành\n\
         Liên hệ: Nguyễn Văn A, 0276 3822 123\n\
         Đường truyền: wan, VNPT, hợp đồng VNPT-2026/01\n\
         Số lần thay đổi gần đây: 6\n\
         Đơn vị bị ảnh hưởng (2):\n\
         - Ủy ban nhân dân xã Mẫu (xa-mau)\n\
         - và 1 đơn vị khác\n\
         Chi tiết: https://wan.example.vn:8443/sites/xa-mau\n\
         Mã cảnh báo: {}\n",
        link().alert
    );
    assert_eq!(told.text, text);
}

#[test]
fn a_beginning_of_little_is_short_in_english_too() {
    let told = rendered(&collector(), Lang::En);
    assert_eq!(told.subject, "[ALERT] Monitoring system: Collector blind");
    let text = format!(
        "ALERT: Monitoring system\nCollector blind (severity: Critical)\n\nSince: 2026-11-01 00:00:00\nDuration: 5 s\n\
         More: https://wan.example.vn:8443/\nAlert: {}\n",
        collector().alert
    );
    assert_eq!(told.text, text);
    for lang in [Lang::Vi, Lang::En] {
        let drill = rendered(&link(), lang);
        let word = lang.pick("DIỄN TẬP", "DRILL");
        assert!(drill.subject.contains(word) && drill.text.starts_with(word) && drill.html.contains(word));
    }
}

#[test]
fn a_correction_says_what_had_been_told_and_what_is_so() {
    let told = rendered(&correction(), Lang::Vi);
    assert_eq!(told.subject, "[ĐÍNH CHÍNH] Ủy ban nhân dân xã Mẫu, wan: Đường truyền mất kết nối");
    let text = format!(
        "ĐÍNH CHÍNH: Ủy ban nhân dân xã Mẫu, wan\n\
         Đường truyền mất kết nối (mức: Cảnh báo)\n\
         đường truyền vẫn hoạt động trong thời gian này\n\
         \n\
         Trước đó đã báo: từ 00:00:00 ngày 01/11/2026 đến 02:05:00 ngày 01/11/2026, nguyên nhân: Nhà mạng (WAN)\n\
         Lý do đính chính: số liệu gửi bù của đơn vị\n\
         Đơn vị: Ủy ban nhân dân xã Mẫu (xa-mau), Châu Thành\n\
         Liên hệ: Nguyễn Văn A, 0276 3822 123\n\
         Đường truyền: wan, VNPT, hợp đồng VNPT-2026/01\n\
         Chi tiết: https://wan.example.vn:8443/sites/xa-mau\n\
         Mã cảnh báo: {}\n",
        link().alert
    );
    assert_eq!(told.text, text);
    // It had begun earlier, and was the ISP's.
    let mut moved = correction();
    moved.since = wan_wire::UnixMillis(moved.since.0 - 600_000);
    moved.cause = Some(crate::ledger::cause::Cause::Isp);
    if let Some(correction) = &mut moved.correction {
        correction.is.found = crate::alert::correct::Found::AsTold;
    }
    let told = rendered(&moved, Lang::En);
    let expected = "Formerly told: from 2026-11-01 00:00:00 until 2026-11-01 02:05:00, cause: Carrier (WAN)\n\
                    Corrected because of: the site's backlog\n\
                    Since: 2026-10-31 23:50:00\nUntil: 2026-11-01 02:05:00\nDuration: 2 h 15 min\n\
                    Cause: Internet provider\n";
    assert!(told.text.contains(expected), "{}", told.text);
    for lang in [Lang::Vi, Lang::En] {
        let html = rendered(&correction(), lang).html;
        assert!(html.contains(lang.pick("Trước đó đã báo", "Formerly told")), "{html}");
        assert!(!html.contains(lang.pick("Kéo dài", "Duration")), "it did not last: {html}");
        assert!(!rendered(&link(), lang).html.contains(lang.pick("Trước đó đã báo", "Formerly told")));
    }
}

#[test]
fn html_shows_names_and_runs_none_of_them() {
    let mut notice = link();
    notice.site.as_mut().unwrap().name = "<script>alert('x')</script>".to_owned();
    notice.affected = vec![Affected { id: "a".parse().unwrap(), name: "<img src=x onerror=y>".to_owned() }];
    for lang in [Lang::Vi, Lang::En] {
        let html = rendered(&notice, lang).html;
        assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
        assert!(html.contains("&lt;script&gt;"), "{html}");
        assert!(html.contains("href=\"https:"), "{html}");
    }
}

#[test]
fn a_subject_is_one_line_whatever_names_and_templates_say() {
    let mut notice = link();
    notice.site.as_mut().unwrap().name = "x\r\nBcc: y\u{2028}\u{202e}z\0".to_owned();
    let told = rendered(&notice, Lang::Vi);
    assert!(told.subject.contains("x Bcc: y z ,"), "{}", told.subject);
    assert!(told.text.contains("Đơn vị: x  Bcc: y  z  (xa-mau)"), "{}", told.text);
    let zone = zone();
    let setting = Setting { lang: Lang::Vi, zone: &zone, page: None };
    let mut engine = Engine::new(Lang::Vi);
    engine.add(Slot::Subject, "a\r\n{{ what }}\nb", &setting).unwrap();
    assert_eq!(engine.render(&collector(), &setting).0.subject, "a Hệ thống giám sát b");
    assert_eq!(one_line(&"x".repeat(1000)).chars().count(), MOST_SUBJECT + 1);
}

#[test]
fn a_template_with_a_mistake_is_told_with_its_line() {
    let text = "    - name: a\n      command: {run: [/bin/true]}\n      text: |\n        {{ what }}\n        {{ waht }}\n";
    let told = mistakes(text);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("c:7: alerts.channels[0].text: found undefined value"), "{}", told[0]);
    let inline = mistakes("    - name: a\n      command: {run: [/bin/true]}\n      subject: '{% if %}'\n");
    assert!(inline[0].starts_with("c:5: alerts.channels[0].subject: found syntax error"), "{}", inline[0]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mail.html");
    std::fs::write(&path, "<p>\n\n{{ site.nmae }}").unwrap();
    let file = mistakes(&format!(
        "    - name: a\n      command: {{run: [/bin/true]}}\n      html: {{file: {}}}\n      text: {{file: /nowhere/x}}\n",
        path.display()
    ));
    assert!(file[0].starts_with("/nowhere/x: found no readable file"), "{file:?}");
    assert!(file[1].starts_with(&format!("{}:3: found undefined value", path.display())), "{file:?}");
    let json = mistakes(
        "    - name: a\n      webhook: {url: 'http://127.0.0.1:1/', body: '{\"a\": \"{{ text }}\"}'}\n",
    );
    assert!(json[0].contains("makes no JSON"), "{json:?}");
    assert_eq!(
        mistakes("    - name: a\n      command: {run: [/bin/true]}\n      text: '{{ what }}'\n"),
        [""; 0]
    );
}

#[test]
fn a_template_that_works_too_long_or_writes_too_much_is_refused() {
    let zone = zone();
    let setting = Setting { lang: Lang::Vi, zone: &zone, page: None };
    let mut engine = Engine::new(Lang::Vi);
    for source in [
        "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}",
        "{{ 'x' * 100000000 }}",
        "{% for a in range(9000) %}{{ 'x' * 60 }}{% endfor %}",
        "{% include 'text.txt' %}",
    ] {
        assert!(engine.add(Slot::Text, source, &setting).is_err(), "{source}");
    }
    assert!(engine.render(&collector(), &setting).0.text.contains("Hệ thống"));
}

#[test]
fn one_that_fails_later_is_told_and_the_built_in_ones_stand_in() {
    let zone = zone();
    let setting = Setting { lang: Lang::En, zone: &zone, page: None };
    let mut engine = Engine::new(Lang::En);
    // The samples have no flaps or six.
    engine.add(Slot::Text, "{% if flaps == 7 %}{{ nobody.knows }}{% endif %}fine", &setting).unwrap();
    assert_eq!(engine.render(&link(), &setting).0.text, "fine\n");
    let (told, wrong) = engine.render(&Notice { flaps: 7, ..link() }, &setting);
    assert!(wrong.unwrap().contains("undefined"));
    assert!(told.text.contains("Changes lately: 7"), "{}", told.text);
}

#[test]
fn bodies_are_known_by_their_content_type() {
    for (said, kind) in [
        ("application/json", BodyKind::Json),
        ("application/vnd.x+json; charset=utf-8", BodyKind::Json),
        ("application/x-www-form-urlencoded", BodyKind::Form),
        ("text/html", BodyKind::Markup),
        ("text/xml", BodyKind::Markup),
        ("text/plain", BodyKind::Plain),
        ("", BodyKind::Plain),
    ] {
        assert_eq!(BodyKind::of(said), kind, "{said}");
    }
}

proptest! {
    #[test]
    fn no_notice_makes_rendering_fail(
        name in any::<String>(), why in any::<String>(), since in any::<i64>(), until in any::<i64>(),
        flaps in any::<u32>(), count in any::<u32>(), event in 0..Event::ALL.len(),
    ) {
        let mut notice = link();
        if let Some(site) = &mut notice.site {
            site.name = name;
        }
        (notice.why.vi, notice.flaps, notice.affected_count) = (why, flaps, count);
        notice.since = wan_wire::UnixMillis(since);
        notice.until = Some(wan_wire::UnixMillis(until));
        notice.event = Event::ALL[event];
        let told = rendered(&notice, Lang::Vi);
        prop_assert!(!told.subject.chars().any(char::is_control));
        prop_assert!(told.subject.chars().count() <= MOST_SUBJECT + 1);
    }
}
