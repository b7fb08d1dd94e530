//! How good a telephone call over a link would sound, estimated: a mean opinion score (MOS) from 1 to 4.5.
//!
//! **An estimate, not a measurement**: no call was made. It is the E-model of ITU-T G.107 with everything at its default but
//! delay and loss, for a G.711 call with packet loss concealment and 20 ms a packet:
//!
//! - R = 93.2 − Id − Ie,eff (G.107 §7.1 with its default values);
//! - Id = 0.024 d + 0.11 (d − 177.3) where that is positive: the usual simplification of G.107 §7.4 (Cole and Rosenbluth, *Voice
//!   over IP performance monitoring*, 2001), d in milliseconds from mouth to ear;
//! - Ie,eff = Ie + (95 − Ie) Ppl ÷ (Ppl + Bpl) (G.107 §7.5, random loss), with Ie = 0 and Bpl = 25.1 for G.711 with
//!   concealment (ITU-T G.113 Appendix I);
//! - MOS = 1 + 0.035 R + R (R − 60) (100 − R) 7·10⁻⁶ (G.107 Annex B).
//!
//! d is half the mean round-trip time, a buffer as long as the round trip's jitter (twice that of one way), and a packet's 20 ms.
//! Loss is that of the round trip, so the estimate is on the low side where both directions lose.

/// The MOS that the mean round-trip time and the jitter, both in seconds, and the loss, 0 to 1, suggest.
#[must_use]
pub fn estimate(rtt_mean: f64, jitter: f64, loss: f64) -> f64 {
    const PACKET_MS: f64 = 20.0;
    const IE: f64 = 0.0;
    const BPL: f64 = 25.1;
    let delay = (rtt_mean / 2.0 + jitter) * 1000.0 + PACKET_MS;
    let id = 0.024 * delay + 0.11 * (delay - 177.3).max(0.0);
    let lost = loss * 100.0;
    let ie = IE + (95.0 - IE) * lost / (lost + BPL);
    score(93.2 - id - ie)
}

/// G.107 Annex B.
fn score(r: f64) -> f64 {
    if r <= 0.0 {
        1.0
    } else if r >= 100.0 {
        4.5
    } else {
        // Between R = 0 and 6.5 the formula dips below 1, where the scale ends.
        (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scores_of_annex_b() {
        // G.107 Annex B, Table B.1: R 90, 80, 70, 60, 50 are the limits 4.34, 4.03, 3.60, 3.10, 2.58.
        for (r, expected) in [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58)] {
            assert!((score(r) - expected).abs() < 0.007, "{r}: {}", score(r));
        }
        assert_eq!((score(-5.0), score(3.0), score(120.0)), (1.0, 1.0, 4.5));
    }

    #[test]
    fn delay_jitter_and_loss_each_cost() {
        let good = estimate(0.010, 0.001, 0.0);
        assert!((4.3..4.45).contains(&good), "{good}");
        assert!(estimate(0.600, 0.001, 0.0) < 3.8);
        assert!(estimate(0.010, 0.200, 0.0) < good - 0.2);
        assert!((2.9..3.5).contains(&estimate(0.010, 0.001, 0.10)), "{}", estimate(0.010, 0.001, 0.10));
        assert!(estimate(3600.0, 0.0, 1.0) == 1.0);
    }
}
