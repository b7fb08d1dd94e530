//! A province from a seed, with everything that fails in it known, against what the ledger derives from what its agents saw. See
//! [`year`]; the size of the issue (300 sites, a year) runs as `cargo bench -p wan-collector --bench year`.

mod year;

use year::{Size, run};

const SMALL: Size = Size { sites: 40, hubs: 4, days: 60, outages: 6, wrong_clocks: 12 };

#[test]
fn the_ledger_tells_a_simulated_province_as_it_was() {
    for seed in 1..=3 {
        let report = run(SMALL, seed);
        let broken = report.broken();
        assert!(broken.is_empty(), "seed {seed}: {broken:?}\n{report}");
    }
}
