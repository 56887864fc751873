//! How large a packet may be inside an overlay. Knows: what VXLAN adds. Must not know: how the path was
//! measured.

use core::net::IpAddr;

/// IPv4 20 + UDP 8 + VXLAN 8 + inner Ethernet 14 (RFC 7348 §5).
pub const OVER_IPV4: u32 = 50;
/// IPv6 40 + UDP 8 + VXLAN 8 + inner Ethernet 14.
pub const OVER_IPV6: u32 = 70;

const LEAST_IPV4: u32 = 576;
/// Below this the kernel takes IPv6 off an interface (RFC 8200 §5).
const LEAST_IPV6: u32 = 1280;
const MOST: u32 = 65_535;

/// The MTU of an overlay whose packets leave from `local` on a path that carries `underlay` bytes. `cap` is
/// `--opt mtu`. Never less than the inner IP version needs, even on a narrower path: the outer packet is then
/// fragmented.
pub fn overlay_mtu(underlay: u32, local: IpAddr, cap: Option<u16>, inner_ipv6: bool) -> u32 {
    let added = if local.is_ipv4() { OVER_IPV4 } else { OVER_IPV6 };
    let least = if inner_ipv6 { LEAST_IPV6 } else { LEAST_IPV4 };
    let carried = underlay.saturating_sub(added);
    carried.min(cap.map_or(MOST, u32::from)).clamp(least, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_path() {
        let (v4, v6) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1]));
        for (underlay, expected) in [(1280, 1230), (1450, 1400), (1500, 1450), (9000, 8950)] {
            assert_eq!(overlay_mtu(underlay, v4, None, false), expected);
        }
        assert_eq!(overlay_mtu(1500, v6, None, false), 1430);
        assert_eq!(overlay_mtu(1500, v4, Some(1300), false), 1300);
        assert_eq!(overlay_mtu(1500, v4, Some(9000), false), 1450, "the cap cannot widen the path");
        assert_eq!(overlay_mtu(1280, v4, None, true), 1280, "IPv6 needs 1280");
        assert_eq!(overlay_mtu(65_536, v4, None, false), 65_486);
    }
}
