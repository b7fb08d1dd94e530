//! The planned windows of a month in its report.

use super::*;
use crate::planned::Removal;

/// A window for a scope, as the store writes both.
fn window(number: i64, scope: Scope, when: &str, removed: Option<(f64, bool)>) -> PlannedWindow {
    let when: When = when.parse().unwrap();
    let recurs = !matches!(when, When::Once { .. });
    PlannedWindow {
        id: PlannedId(number),
        work: Work {
            scope,
            when,
            valid_from: recurs.then(|| "2026-10-05".parse().unwrap()),
            valid_to: None,
            reason: format!("Lý do {number}"),
            added: at(800.0),
            by: "binh".to_owned(),
        },
        removed: removed.map(|(hours, void)| Removal { at: at(hours), by: "an".to_owned(), void }),
    }
}

fn once(from: f64, to: f64) -> String {
    format!("once {}..{}", at(from).0, at(to).0)
}

fn with(windows: Vec<PlannedWindow>) -> State {
    let state = small();
    let directory = state.directory();
    state.replace_register(Snapshot {
        revision: 2,
        secrets: Vec::new(),
        register: (*directory.register).clone(),
        rotation: Rotation::default(),
        planned: Planned::new(windows),
    });
    state
}

#[test]
fn every_window_of_the_month_is_one_row_with_who_and_why_and_how_much() {
    let state = with(vec![
        window(1, Scope::Site(id("xa-a")), &once(59.0, 60.0), None),
        // Over both ends of the month.
        window(2, Scope::Carrier("VNPT".to_owned()), &once(743.0, 746.0), None),
        window(3, Scope::Subtree(id("trung-tam")), "weekly sat 22:00-02:00", None),
        window(4, Scope::All, &once(-3.0, -2.0), None),
        window(5, Scope::All, &once(300.0, 310.0), Some((400.0, true))),
        window(6, Scope::Tier("commune".parse().unwrap()), &once(310.0, 320.0), Some((312.0, false))),
        window(7, Scope::District("Tân Châu".to_owned()), &once(400.0, 410.0), Some((350.0, false))),
        window(8, Scope::Site(id("xa-xa")), &once(500.0, 501.0), None),
    ]);
    let report = made(&state, Lang::En, CLOSED);
    let planned = table(&report, "planned");
    let rows: Vec<_> = planned.rows.iter().map(|row| row[..7].to_vec()).collect();
    let text = |text: &str| Cell::text(text);
    let row = |number, whom, when, times, from: f64, to: f64, within: f64| {
        let within = at(within).millis_since(at(0.0));
        vec![
            Cell::Count(number),
            text(whom),
            text(when),
            Cell::Count(times),
            Cell::Instant(at(from)),
            Cell::Instant(at(to)),
            Cell::Duration(within),
        ]
    };
    let weekly = "every week on Saturday, 22:00-02:00";
    let expected = [
        row(1, "Ủy ban nhân dân xã A (xa-a)", "once", 1, 59.0, 60.0, 1.0),
        // Saturdays since the 5th: 10, 17, 24 and 31 October; of the last only two hours lie in the month.
        row(3, "Trung tâm dữ liệu (trung-tam) and all below it", weekly, 4, 238.0, 746.0, 14.0),
        row(6, "Sites of tier Commune", "once", 1, 310.0, 312.0, 2.0),
        row(8, "xa-xa", "once", 1, 500.0, 501.0, 1.0),
        row(2, "Links of VNPT", "once", 1, 743.0, 746.0, 1.0),
    ];
    assert_eq!(rows, expected);
    let last = |row: usize| planned.rows[row][7..].to_vec();
    assert_eq!(last(0), [text("Lý do 1"), text("binh"), Cell::Instant(at(800.0)), Cell::Empty]);
    assert_eq!(last(2)[3], Cell::Instant(at(312.0)));
    for format in Format::ALL {
        assert_eq!(verify(&write(&report, format).unwrap(), &report).unwrap().differences, []);
    }
    // Up to now only.
    let middle = made(&state, Lang::Vi, at(240.0));
    assert_eq!(table(&middle, "planned").rows[1][6], Cell::Duration(2 * HOUR));
}

#[test]
fn of_too_many_windows_those_that_begin_last_are_listed() {
    let hour = |number: i64| window(number, Scope::All, &once(100.0, 101.0), None);
    let report = made(&with((1..=1001).map(hour).collect()), Lang::Vi, CLOSED);
    let planned = table(&report, "planned");
    assert_eq!((planned.rows.len(), &planned.rows[0][0]), (1000, &Cell::Count(2)));
    assert!(
        planned.note.ends_with("Liệt kê 1000 kế hoạch bắt đầu muộn nhất trong số 1001."),
        "{}",
        planned.note
    );
}
