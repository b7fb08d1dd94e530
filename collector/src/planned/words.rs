//! When a window is, in words that people read.

use jiff::civil::Weekday;

use super::when::{CalendarTime, MonthDay, Weekdays, When};
use crate::calendar::WEEKDAYS;
use crate::lang::Lang;

impl When {
    /// When it is: `every week on Saturday, 22:00-02:00`. Of a one-off window only that it is one: its times are the province's.
    #[must_use]
    pub fn sentence(&self, lang: Lang) -> String {
        match self {
            Self::Once { .. } => lang.pick("một lần", "once").to_owned(),
            Self::Weekly { weekdays, hours } if weekdays.all() => {
                format!("{}, {hours}", lang.pick("hằng ngày", "every day"))
            }
            Self::Weekly { weekdays, hours } => {
                let days: Vec<&str> = weekdays.days().map(|day| name(day, lang)).collect();
                format!("{} {}, {hours}", lang.pick("hằng tuần vào", "every week on"), days.join(", "))
            }
            Self::Monthly { day, hours } => {
                format!("{} {}, {hours}", lang.pick("hằng tháng vào", "every month on"), day.sentence(lang))
            }
            Self::Calendar(CalendarTime::OutsideServiceHours) => {
                lang.pick("ngoài giờ phục vụ", "outside the hours of service").to_owned()
            }
            Self::Calendar(CalendarTime::Holidays) => lang.pick("ngày nghỉ lễ", "on holidays").to_owned(),
        }
    }
}

impl MonthDay {
    fn sentence(self, lang: Lang) -> String {
        match (self, lang) {
            (Self::Day(day), Lang::Vi) => format!("ngày {day}"),
            (Self::Day(day), Lang::En) => format!("day {day}"),
            (Self::Last, Lang::Vi) => "ngày cuối tháng".to_owned(),
            (Self::Last, Lang::En) => "the last day".to_owned(),
            (Self::Nth(nth, day), Lang::Vi) => format!("{} lần thứ {nth} trong tháng", name(day, lang)),
            (Self::Nth(nth, day), Lang::En) => format!("{} number {nth}", name(day, lang)),
            (Self::LastOf(day), Lang::Vi) => format!("{} cuối cùng trong tháng", name(day, lang)),
            (Self::LastOf(day), Lang::En) => format!("the last {}", name(day, lang)),
        }
    }
}

impl Weekdays {
    fn all(self) -> bool {
        self.days().count() == WEEKDAYS.len()
    }

    fn days(self) -> impl Iterator<Item = Weekday> {
        WEEKDAYS.into_iter().map(|(_, day)| day).filter(move |day| self.holds(*day))
    }
}

const fn name(day: Weekday, lang: Lang) -> &'static str {
    match day {
        Weekday::Monday => lang.pick("thứ Hai", "Monday"),
        Weekday::Tuesday => lang.pick("thứ Ba", "Tuesday"),
        Weekday::Wednesday => lang.pick("thứ Tư", "Wednesday"),
        Weekday::Thursday => lang.pick("thứ Năm", "Thursday"),
        Weekday::Friday => lang.pick("thứ Sáu", "Friday"),
        Weekday::Saturday => lang.pick("thứ Bảy", "Saturday"),
        Weekday::Sunday => lang.pick("Chủ nhật", "Sunday"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_recur_has_words_in_both_languages() {
        let cases = [
            ("once 0..60000", "một lần", "once"),
            ("weekly day 22:00-02:00", "hằng ngày, 22:00-02:00", "every day, 22:00-02:00"),
            (
                "weekly mon,sat 22:00-23:00",
                "hằng tuần vào thứ Hai, thứ Bảy, 22:00-23:00",
                "every week on Monday, Saturday, 22:00-23:00",
            ),
            (
                "monthly 15 01:00-02:00",
                "hằng tháng vào ngày 15, 01:00-02:00",
                "every month on day 15, 01:00-02:00",
            ),
            (
                "monthly last 01:00-02:00",
                "hằng tháng vào ngày cuối tháng, 01:00-02:00",
                "every month on the last day, 01:00-02:00",
            ),
            (
                "monthly 2-tue 01:00-02:00",
                "hằng tháng vào thứ Ba lần thứ 2 trong tháng, 01:00-02:00",
                "every month on Tuesday number 2, 01:00-02:00",
            ),
            (
                "monthly last-sun 01:00-02:00",
                "hằng tháng vào Chủ nhật cuối cùng trong tháng, 01:00-02:00",
                "every month on the last Sunday, 01:00-02:00",
            ),
            ("calendar holidays", "ngày nghỉ lễ", "on holidays"),
            ("calendar outside-service-hours", "ngoài giờ phục vụ", "outside the hours of service"),
        ];
        for (when, vi, en) in cases {
            let when: When = when.parse().unwrap();
            assert_eq!((when.sentence(Lang::Vi), when.sentence(Lang::En)), (vi.to_owned(), en.to_owned()));
        }
    }
}
