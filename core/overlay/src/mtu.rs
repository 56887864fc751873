//! How large a packet may be inside an overlay. Knows: what VXLAN and ESP add. Must not know: how the path was
//! measured.

use core::net::IpAddr;
use swarm_model::NetworkSpec;

const IPV4: u32 = 20;
const IPV6: u32 = 40;
/// IPv4 20 + UDP 8 + VXLAN 8 + inner Ethernet 14 (RFC 7348 §5).
pub const OVER_IPV4: u32 = 50;
/// IPv6 40 + UDP 8 + VXLAN 8 + inner Ethernet 14.
pub const OVER_IPV6: u32 = 70;

const LEAST_IPV4: u32 = 576;
/// Below this the kernel takes IPv6 off an interface (RFC 8200 §5).
const LEAST_IPV6: u32 = 1280;
const MOST: u32 = 65_535;

/// ESP's header (SPI and sequence number, RFC 4303 §2) 8 and the initialisation vector of AES-GCM (RFC 4106 §3.1) 8.
const ESP_BEFORE: u32 = 16;
/// Length of the padding and next header: the end of what is encrypted.
const ESP_TRAILER: u32 = 2;
/// What is encrypted is a multiple of four bytes long (RFC 4303 §2.4).
const ESP_ALIGN: u32 = 4;
const ESP_ICV: u32 = 16;

/// The MTU of an overlay whose packets leave from `local` on a path that carries `underlay` bytes. `cap` is
/// `--opt mtu`. Never less than the inner IP version needs, even on a narrower path: the outer packet is then
/// fragmented.
pub fn overlay_mtu(underlay: u32, local: IpAddr, wish: Wish) -> u32 {
    let least = if wish.ipv6 { LEAST_IPV6 } else { LEAST_IPV4 };
    let carried = carried(underlay, local, wish.encrypted);
    carried.min(wish.cap.map_or(MOST, u32::from)).clamp(least, MOST)
}

/// What the network's specification says about the size of its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    pub cap: Option<u16>,
    pub ipv6: bool,
    pub encrypted: bool,
}

impl Wish {
    pub fn of(spec: &NetworkSpec) -> Self {
        Self { cap: spec.mtu, ipv6: spec.ipv6, encrypted: spec.encrypted }
    }
}

/// The largest inner packet that needs no fragments outside.
fn carried(underlay: u32, local: IpAddr, encrypted: bool) -> u32 {
    let (over, ip) = if local.is_ipv4() { (OVER_IPV4, IPV4) } else { (OVER_IPV6, IPV6) };
    if !encrypted {
        return underlay.saturating_sub(over);
    }
    // Transport mode: the outer IP header stays in front, everything of VXLAN behind it is encrypted.
    let room = underlay.saturating_sub(ip + ESP_BEFORE + ESP_ICV);
    (room - room % ESP_ALIGN).saturating_sub(ESP_TRAILER + over - ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_path() {
        let (v4, v6) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1]));
        let overlay_mtu =
            |underlay, local, cap, ipv6| overlay_mtu(underlay, local, Wish { cap, ipv6, encrypted: false });
        for (underlay, expected) in [(1280, 1230), (1450, 1400), (1500, 1450), (9000, 8950)] {
            assert_eq!(overlay_mtu(underlay, v4, None, false), expected);
        }
        assert_eq!(overlay_mtu(1500, v6, None, false), 1430);
        assert_eq!(overlay_mtu(1500, v4, Some(1300), false), 1300);
        assert_eq!(overlay_mtu(1500, v4, Some(9000), false), 1450, "the cap cannot widen the path");
        assert_eq!(overlay_mtu(1280, v4, None, true), 1280, "IPv6 needs 1280");
        assert_eq!(overlay_mtu(65_536, v4, None, false), 65_486);
    }

    /// Each byte counted by hand: the largest inner packet fits, one byte more does not.
    #[test]
    fn esp_takes_its_part() {
        let outer = |inner: u32, ip: u32| {
            let clear = 8 + 8 + 14 + inner + 2;
            ip + 8 + 8 + clear.next_multiple_of(4) + 16
        };
        for (local, ip) in
            [(IpAddr::from([192, 0, 2, 1]), 20), (IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1]), 40)]
        {
            for underlay in 700..9100 {
                let inner = carried(underlay, local, true);
                assert!(
                    outer(inner, ip) <= underlay && outer(inner + 1, ip) > underlay,
                    "{underlay}: {inner}"
                );
            }
        }
        let mtu = |underlay| {
            overlay_mtu(
                underlay,
                IpAddr::from([192, 0, 2, 1]),
                Wish { cap: None, ipv6: false, encrypted: true },
            )
        };
        assert_eq!([1280, 1450, 1500, 9000].map(mtu), [1196, 1364, 1416, 8916]);
    }
}
