//! The sites that a command is for: named ones, or all that are open.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use wan_wire::{SiteId, UnixMillis};

use crate::config::Config;
use crate::inventory::{Register, Site};

/// Which sites. A command that flattens this in has a group over `sites` and `all`, of which one is required.
#[derive(Debug, clap::Args)]
pub(super) struct Selection {
    /// Ids of sites.
    #[arg(value_name = "SITE")]
    pub(super) sites: Vec<String>,
    /// For all sites that are not closed; written as CSV.
    #[arg(long)]
    pub(super) all: bool,
    /// With --all: only sites of this tier.
    #[arg(long, requires = "all")]
    tier: Option<String>,
    /// With --all: leave out sites that have a secret.
    #[arg(long, requires = "all")]
    pub(super) missing: bool,
}

impl Selection {
    /// With --all: the sites that are open at `now`, of the tier that was named.
    ///
    /// # Errors
    /// The plan has no such tier.
    pub(super) fn open<'r>(
        &self,
        config: &Config,
        register: &'r Register,
        now: UnixMillis,
    ) -> anyhow::Result<Vec<&'r Site>> {
        if let Some(tier) = &self.tier
            && config.plan.tier(tier).is_none()
        {
            anyhow::bail!("there is no tier {tier:?} in the plan");
        }
        let of_tier = |site: &&Site| {
            self.tier
                .as_deref()
                .is_none_or(|tier| site.as_of_instant(now, &config.timezone).tier.as_str() == tier)
        };
        let open = |site: &&Site| is_open(site, &config.timezone, now);
        Ok(register.sites().filter(open).filter(of_tier).collect())
    }

    /// Of these, with --missing, those that no secret was issued for.
    pub(super) fn lacking<'r>(
        &self,
        sites: Vec<&'r Site>,
        active: &BTreeMap<SiteId, UnixMillis>,
    ) -> Vec<&'r Site> {
        sites.into_iter().filter(|site| !(self.missing && active.contains_key(&site.id))).collect()
    }
}

/// Whether a site is not closed at `now`.
pub(super) fn is_open(site: &Site, zone: &TimeZone, now: UnixMillis) -> bool {
    site.valid_to_ms(zone).is_none_or(|closed| now < closed)
}
