//! How often, how long, how many. Those of memberlist's for a local network, which hundreds of clusters live with.

use crate::inner::MOST_PACKET;
use core::num::{NonZeroU8, NonZeroUsize};
use core::time::Duration;
use foca::PeriodicParams;

/// Times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Every so often each member asks one other whether it is there.
    pub probe_period_ms: u64,
    /// So long it waits before it has others ask too.
    pub probe_timeout_ms: u64,
    pub indirect_probes: usize,
    /// News are passed on so often, to so many.
    pub gossip_period_ms: u64,
    pub gossip_fanout: usize,
    /// Each piece of news is sent this many times the logarithm of the members.
    pub retransmit: u32,
    /// A suspect is dead after at least this many periods times the logarithm of the members.
    pub suspicion: u64,
    /// While nobody else suspects it, after this many times that.
    pub suspicion_most: u64,
    /// So often some of the dead are asked whether they are.
    pub again_ms: u64,
    /// Every so often each member asks another, over a stream, whether they hold the same. 0: never.
    pub exchange_ms: u64,
    /// How far one's own slowness stretches one's patience. 0: plain SWIM, which knows no slowness.
    pub most_awareness: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            probe_period_ms: 1000,
            probe_timeout_ms: 500,
            indirect_probes: 3,
            gossip_period_ms: 200,
            gossip_fanout: 3,
            retransmit: 4,
            suspicion: 4,
            suspicion_most: 6,
            again_ms: 5000,
            exchange_ms: 60_000,
            most_awareness: 8,
        }
    }
}

/// The decimal logarithm in thousandths.
fn log10_milli(number: u64) -> u64 {
    // The binary one by squaring, in 32 bits behind the point.
    let Some(whole) = number.checked_ilog2() else { return 0 };
    let mut rest = (u128::from(number) << 64) >> whole;
    let mut fraction = 0_u64;
    for bit in 1..=20 {
        rest = (rest >> 32) * (rest >> 32);
        if rest >> 64 >= 2 {
            rest >>= 1;
            fraction |= 1 << (32 - bit);
        }
    }
    let binary = (u64::from(whole) << 32) | fraction;
    // log10(2) = 0.30103
    ((u128::from(binary) * 30_103 / 100) >> 32) as u64
}

impl Settings {
    /// Everything that is foca's to know. Suspects' time is not: see `start` of `Gossip`.
    pub(crate) fn foca(&self, members: usize) -> foca::Config {
        let mut config = foca::Config::simple();
        config.probe_period = Duration::from_millis(self.probe_period_ms);
        config.probe_rtt = Duration::from_millis(self.probe_timeout_ms);
        config.num_indirect_probes = NonZeroUsize::new(self.indirect_probes).unwrap_or(NonZeroUsize::MIN);
        config.max_transmissions = NonZeroU8::new(self.transmissions(members)).unwrap_or(NonZeroU8::MIN);
        config.max_packet_size = NonZeroUsize::new(MOST_PACKET).unwrap_or(NonZeroUsize::MIN);
        config.remove_down_after = None;
        config.notify_down_members = true;
        config.periodic_gossip = Some(PeriodicParams {
            frequency: Duration::from_millis(self.gossip_period_ms),
            num_members: NonZeroUsize::new(self.gossip_fanout).unwrap_or(NonZeroUsize::MIN),
        });
        config
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.most_awareness == 0
    }

    /// How many others have to suspect a member too until it has the least time.
    pub(crate) fn confirmations(&self, members: usize) -> usize {
        let wanted = usize::try_from(self.suspicion.saturating_sub(2)).unwrap_or(usize::MAX);
        if members < wanted.saturating_add(2) { 0 } else { wanted }
    }

    pub(crate) fn transmissions(&self, members: usize) -> u8 {
        let scale = log10_milli(members as u64 + 1).div_ceil(1000);
        u8::try_from(scale.saturating_mul(self.retransmit.into())).unwrap_or(u8::MAX).max(1)
    }

    /// How long a suspect has, of whom `others` said the same.
    pub(crate) fn suspicion_ms(&self, members: usize, others: usize) -> u64 {
        let scale = log10_milli(members as u64).max(1000);
        let least = self.suspicion * self.probe_period_ms * scale / 1000;
        let wanted = self.confirmations(members);
        if self.is_plain() || others >= wanted {
            return least;
        }
        let most = least * self.suspicion_most;
        let part = log10_milli(others as u64 + 1) * 1000 / log10_milli(wanted as u64 + 1).max(1);
        (most - (most - least) * part.min(1000) / 1000).max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms() {
        for (number, milli) in
            [(1, 0), (2, 301), (3, 477), (10, 1000), (1000, 3000), (10_000, 4000), (50_000, 4699)]
        {
            let found = log10_milli(number);
            assert!(found.abs_diff(milli) <= 1, "{number}: {found}");
        }
        assert_eq!(log10_milli(0), 0);
    }

    /// As in memberlist's `suspicionTimeout` and `remainingSuspicionTime`, with its LAN settings.
    #[test]
    fn a_suspect_has_less_time_the_more_suspect_it() {
        let settings = Settings::default();
        let times: [u64; 3] = core::array::from_fn(|others| settings.suspicion_ms(1000, others));
        assert!(times[0].abs_diff(72_000) < 100 && times[1].abs_diff(34_140) < 200, "{times:?}");
        assert!(times[2].abs_diff(12_000) < 20, "{times:?}");
        assert_eq!(settings.suspicion_ms(3, 0), 4000, "nobody else could say so");
    }
}
