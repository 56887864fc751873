//! Numbers of the kernel's netlink interface (include/uapi/linux/{rtnetlink,if_link,neighbour,netfilter}*.h).
//! Knows: which number means what. Must not know: why it is sent.

pub const REQUEST: u16 = 0x1;
pub const ACK: u16 = 0x4;
pub const DUMP_INTERRUPTED: u16 = 0x10;
pub const REPLACE: u16 = 0x100;
pub const EXCLUSIVE: u16 = 0x200;
pub const DUMP: u16 = 0x300;
pub const CREATE: u16 = 0x400;
pub const CAPPED: u16 = 0x100;

pub const MESSAGE_ERROR: u16 = 2;
pub const MESSAGE_DONE: u16 = 3;
/// `NLMSGERR_ATTR_MSG`: the kernel's own words for an error.
pub const ERROR_TEXT: u16 = 1;
pub const NESTED: u16 = 0x8000;

pub const NEW_LINK: u16 = 16;
pub const DEL_LINK: u16 = 17;
pub const GET_LINK: u16 = 18;
pub const NEW_ADDR: u16 = 20;
pub const DEL_ADDR: u16 = 21;
pub const GET_ADDR: u16 = 22;
pub const NEW_ROUTE: u16 = 24;
pub const DEL_ROUTE: u16 = 25;
pub const GET_ROUTE: u16 = 26;
pub const NEW_NEIGH: u16 = 28;
pub const DEL_NEIGH: u16 = 29;
pub const GET_NEIGH: u16 = 30;

pub const AF_UNSPEC: u8 = 0;
pub const AF_INET: u8 = 2;
pub const AF_BRIDGE: u8 = 7;
pub const AF_INET6: u8 = 10;

/// Multicast groups (`RTNLGRP_*`).
pub const GROUP_LINK: u32 = 1;
pub const GROUP_NEIGH: u32 = 3;
pub const GROUP_IPV4_ADDR: u32 = 5;
pub const GROUP_IPV4_ROUTE: u32 = 7;
pub const GROUP_IPV6_ADDR: u32 = 9;
pub const GROUP_IPV6_ROUTE: u32 = 11;
/// `NFNLGRP_NFTABLES`.
pub const GROUP_NFTABLES: u32 = 7;

pub const IFF_UP: u32 = 1;

pub const IFLA_ADDRESS: u16 = 1;
pub const IFLA_IFNAME: u16 = 3;
pub const IFLA_MTU: u16 = 4;
pub const IFLA_LINK: u16 = 5;
pub const IFLA_MASTER: u16 = 10;
pub const IFLA_OPERSTATE: u16 = 16;
/// `IF_OPER_UNKNOWN` (drivers without the notion) and `IF_OPER_UP`.
pub const OPERATIONAL: [u8; 2] = [0, 6];
pub const IFLA_LINKINFO: u16 = 18;
pub const IFLA_IFALIAS: u16 = 20;
pub const IFLA_AF_SPEC: u16 = 26;
pub const IFLA_NET_NS_FD: u16 = 28;
pub const INFO_KIND: u16 = 1;
pub const INFO_DATA: u16 = 2;
pub const INFO_SLAVE_KIND: u16 = 4;
pub const INFO_SLAVE_DATA: u16 = 5;
pub const VETH_PEER: u16 = 1;
pub const INET6_ADDR_GEN_MODE: u16 = 8;
/// `IN6_ADDR_GEN_MODE_NONE`.
pub const GEN_MODE_NONE: u8 = 1;

pub const BR_FORWARD_DELAY: u16 = 1;
pub const BR_STP_STATE: u16 = 5;
pub const BR_MCAST_SNOOPING: u16 = 23;
pub const BRPORT_LEARNING: u16 = 8;
pub const BRPORT_UNICAST_FLOOD: u16 = 9;
pub const BRPORT_MCAST_FLOOD: u16 = 27;
pub const BRPORT_BCAST_FLOOD: u16 = 30;
pub const BRPORT_NEIGH_SUPPRESS: u16 = 32;
pub const BRPORT_ISOLATED: u16 = 33;

pub const VXLAN_ID: u16 = 1;
pub const VXLAN_LOCAL: u16 = 4;
pub const VXLAN_LEARNING: u16 = 7;
pub const VXLAN_PORT: u16 = 15;
pub const VXLAN_LOCAL6: u16 = 17;

pub const IFA_ADDRESS: u16 = 1;
pub const IFA_LOCAL: u16 = 2;
pub const IFA_BROADCAST: u16 = 4;
pub const IFA_FLAGS: u16 = 8;
/// `IFA_F_NODAD`: use the address at once.
pub const NO_DAD: u32 = 2;
/// `IFA_F_NOPREFIXROUTE`: no route of the kernel's making to the address's subnet.
pub const NO_PREFIX_ROUTE: u32 = 0x200;

/// `RTM_SETNEIGHTBL`, and what is said in it.
pub const SET_NEIGHBOUR_TABLE: u16 = 67;
pub const NDTA_NAME: u16 = 1;
pub const NDTA_PARMS: u16 = 6;
pub const NDTPA_IFINDEX: u16 = 1;
pub const NDTPA_RETRANS_TIME: u16 = 5;
pub const NDTPA_UCAST_PROBES: u16 = 10;
pub const NDTPA_MCAST_PROBES: u16 = 11;

pub const RTA_DST: u16 = 1;
pub const RTA_OIF: u16 = 4;
pub const RTA_GATEWAY: u16 = 5;
pub const RTA_PRIORITY: u16 = 6;
pub const TABLE_MAIN: u8 = 254;
pub const SCOPE_UNIVERSE: u8 = 0;
pub const SCOPE_LINK: u8 = 253;
pub const ROUTE_UNICAST: u8 = 1;
pub const ROUTE_LOCAL: u8 = 2;

pub const NDA_DST: u16 = 1;
pub const NDA_LLADDR: u16 = 2;
pub const NDA_IFINDEX: u16 = 8;
pub const NDA_MASTER: u16 = 9;
pub const NUD_REACHABLE: u16 = 0x02;
pub const NUD_NOARP: u16 = 0x40;
pub const NUD_PERMANENT: u16 = 0x80;
pub const NTF_SELF: u8 = 0x02;
pub const NTF_MASTER: u8 = 0x04;

/// nftables' part of nfnetlink, in the upper byte of a message type.
pub const NFT: u16 = 10 << 8;
pub const NFNL_SUBSYSTEM_NFTABLES: u16 = 10;
pub const NFNL_BATCH_BEGIN: u16 = 0x10;
pub const NFNL_BATCH_END: u16 = 0x11;
pub const NFT_GET_RULE: u16 = 7;
pub const NFT_NEW_SETELEM: u16 = 12;
pub const NFT_GET_SETELEM: u16 = 13;
pub const NFT_DEL_SETELEM: u16 = 14;
pub const NFT_NEW_GEN: u16 = 15;
pub const NFT_FAMILY_INET: u8 = 1;
pub const NFT_FAMILY_BRIDGE: u8 = 7;
pub const NFTA_RULE_TABLE: u16 = 1;
pub const NFTA_RULE_USERDATA: u16 = 7;
pub const NFTA_ELEMS_TABLE: u16 = 1;
pub const NFTA_ELEMS_SET: u16 = 2;
pub const NFTA_ELEMS_LIST: u16 = 3;
pub const NFTA_LIST_ELEM: u16 = 1;
pub const NFTA_ELEM_KEY: u16 = 1;
pub const NFTA_DATA_VALUE: u16 = 1;
