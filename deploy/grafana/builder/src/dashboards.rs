//! The four dashboards, and what they have in common.

pub mod carriers;
pub mod monitor;
pub mod province;
pub mod site;

use wan_wire::Label;

use crate::dashboard::Variable;
use crate::gauge;
use crate::panel::Thresholds;
use crate::promql::{Gauge, Selector, Var, Vector};
use crate::words::{Colour, Text, VERDICTS, text};

const SITE: Text = text("Mã", "Id");
const NAME: Text = text("Đơn vị", "Site");
const LINK: Text = text("Đường", "Link");
const KIND: Text = text("Loại đường", "Kind");
const CARRIER: Text = text("Nhà mạng", "Carrier");
const CONTRACT: Text = text("Hợp đồng", "Contract");
const CAUSE: Text = text("Nguyên nhân", "Cause");
const SINCE: Text = text("Từ", "Since");
const UPTIME: Text = text("Thời gian hoạt động", "Uptime");
const OBSERVED: Text = text("Được quan sát", "Observed");
const STATE: Text = text("Trạng thái", "State");
const LOW: Text = text("Cận dưới", "Low");
const HIGH: Text = text("Cận trên", "High");
const TARGET: Text = text("Chỉ tiêu", "Target");
const DOWN_TIME: Text = text("Thời gian mất", "Time down");
const VERSION: Text = text("Phiên bản", "Version");

/// Over which time the collector derives figures: as in its API.
const WINDOWS: [&str; 4] = ["24h", "7d", "30d", "month"];

/// The registered sites that the variables choose.
fn chosen_sites() -> Selector<Gauge> {
    gauge!(SiteInfo).chosen(Var::Tier).chosen(Var::Branch).chosen(Var::District)
}

/// Only what is of the chosen sites, with their names.
fn named(of: Vector) -> Vector {
    of.told_by(&[Label::Site], &[Label::SiteName], chosen_sites().now())
}

/// Only what is of the chosen sites.
fn of_chosen(of: Vector) -> Vector {
    of.where_any(&[Label::Site], chosen_sites().now())
}

/// The same for series over a time: the register is that of the time's end, asked once and not at every point.
fn named_at_end(of: Vector) -> Vector {
    of.told_by(&[Label::Site], &[Label::SiteName], chosen_sites().at_end().now())
}

/// Only what is of the sites that are chosen and registered at the end of the time shown.
fn of_chosen_at_end(of: Vector) -> Vector {
    of.where_any(&[Label::Site], chosen_sites().at_end().now())
}

/// The place of each site's verdict in [`VERDICTS`], from 1; of two at once the worse.
fn verdict_numbers(verdicts: Vector) -> Vector {
    verdicts.times_place(Label::Verdict, &VERDICTS).max(&[Label::Site])
}

/// The variables that choose sites.
fn site_filters() -> Vec<Variable> {
    vec![
        Variable::of(Var::Tier, text("Cấp", "Tier"), &gauge!(SiteInfo)),
        Variable::of(Var::Branch, text("Khối", "Branch"), &gauge!(SiteInfo)),
        Variable::of(Var::District, text("Địa bàn", "District"), &gauge!(SiteInfo)),
    ]
}

fn carrier_filter() -> Variable {
    Variable::of(Var::Carrier, CARRIER, &gauge!(LinkUp))
}

fn window() -> Variable {
    Variable::one_of(Var::Window, text("Tính trong", "Figures over"), &WINDOWS)
}

/// The colours of an uptime.
fn uptime_colours() -> Thresholds {
    Thresholds::always(Colour::Red)
        .from(0.95, Colour::Orange)
        .from(0.99, Colour::Yellow)
        .from(0.995, Colour::Green)
}

/// The colours of what should not be there.
fn none_is_good() -> Thresholds {
    Thresholds::always(Colour::Green).from(1.0, Colour::Red)
}
