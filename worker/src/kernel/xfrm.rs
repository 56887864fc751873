//! Security associations and policies as netlink messages (include/uapi/linux/xfrm.h). Knows: where in a message a thing
//! stands. Must not know: which associations there should be, or how a key came about.
//!
//! Keys stand in requests and in what the kernel tells back, so neither is ever shown: errors carry a number and the
//! kernel's own words only.

use super::KernelError;
use super::socket::{Answer, NetlinkSocket};
use super::uapi::{ACK, AF_INET, AF_INET6, CREATE, EXCLUSIVE};
use super::wire::{Messages, attr, u16_at, u32_at, u64_at};
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use swarm_overlay::esp::{Limits, Observed, Policy, Purpose, SaId, Seen, Spi, Step};
use zeroize::{Zeroize, Zeroizing};

const NEW_SA: u16 = 0x10;
const DEL_SA: u16 = 0x11;
const GET_SA: u16 = 0x12;
const DEL_POLICY: u16 = 0x14;
const GET_POLICY: u16 = 0x15;
/// Makes a policy or writes it over, at once for whoever looks it up.
const UPDATE_POLICY: u16 = 0x19;

const ATTR_TEMPLATE: u16 = 5;
const ATTR_AEAD: u16 = 18;
const ATTR_MARK: u16 = 21;
const ATTR_REPLAY_ESN: u16 = 23;

const ESP: u8 = 50;
const UDP: u8 = 17;
const TRANSPORT: u8 = 0;
const FLAG_ESN: u8 = 128;
const OUT: u8 = 1;
const ALLOW: u8 = 0;
const BLOCK: u8 = 1;
/// `XFRM_INF`.
const NEVER: u64 = u64::MAX;

/// Marks associations and policies as ours (`SWMD`). What carries another is never touched.
pub const REQID: u32 = 0x5357_4d44;
const ALGORITHM: &str = "rfc4106(gcm(aes))";
const ICV_BITS: u32 = 128;
/// Packets that may overtake each other.
const WINDOW: u32 = 1024;

/// AES-256 key and the four bytes of salt after it (RFC 4106 §8.1).
pub const KEY_BYTES: usize = 36;

const WAY_PRIORITY: u32 = 100;
const BLOCK_PRIORITY: u32 = 1000;

// Sizes and places within the kernel's structures.
const SELECTOR: usize = 56;
const SA_INFO: usize = 224;
const POLICY_INFO: usize = 168;

/// What a policy's messages need to know beside the policy.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    pub port: u16,
    /// Extended sequence numbers.
    pub extended: bool,
}

/// Lays out a structure field by field.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }
    fn u16(&mut self, value: u16) -> &mut Self {
        self.0.extend(value.to_ne_bytes());
        self
    }
    fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend(value.to_ne_bytes());
        self
    }
    fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend(value.to_ne_bytes());
        self
    }
    fn zeros(&mut self, count: usize) -> &mut Self {
        self.0.resize(self.0.len() + count, 0);
        self
    }
    fn address(&mut self, ip: IpAddr) -> &mut Self {
        match ip {
            IpAddr::V4(ip) => {
                self.0.extend(ip.octets());
                self.zeros(12)
            }
            IpAddr::V6(ip) => {
                self.0.extend(ip.octets());
                self
            }
        }
    }
    /// `xfrm_id`.
    fn id(&mut self, dst: IpAddr, spi: Option<Spi>) -> &mut Self {
        self.address(dst);
        self.0.extend(spi.map_or(0, Spi::get).to_be_bytes());
        self.u8(ESP).zeros(3)
    }
    /// `xfrm_lifetime_cfg`.
    fn limits(&mut self, bytes: [u64; 2], packets: [u64; 2]) -> &mut Self {
        for limit in bytes.into_iter().chain(packets) {
            self.u64(limit);
        }
        self.zeros(32)
    }
}

fn family(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { AF_INET } else { AF_INET6 }
}

fn host_prefix(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// Asks for the association to be made. The kernel refuses one that is there. It is for packets between these two
/// addresses: the kernel finds it by its index and receiver alone, and without a selector takes what it opens from any
/// sender's address.
pub fn add_sa(messages: &mut Messages, id: &SaId, key: &[u8; KEY_BYTES], context: Context) {
    let mut info = Fields::default();
    info.address(id.dst).address(id.src).zeros(8).u16(u16::from(family(id.dst)));
    info.u8(host_prefix(id.dst)).u8(host_prefix(id.src)).zeros(12);
    info.id(id.dst, Some(id.spi)).address(id.src);
    let packets = match context.extended {
        true => [Limits::SOFT_PACKETS, Limits::HARD_PACKETS],
        false => [Limits::SOFT_SHORT, Limits::HARD_SHORT],
    };
    info.limits([Limits::SOFT_BYTES, Limits::HARD_BYTES], packets).zeros(32 + 12);
    let flags = if context.extended { FLAG_ESN } else { 0 };
    info.u32(0).u32(REQID).u16(u16::from(family(id.dst))).u8(TRANSPORT).u8(0).u8(flags);
    info.0.resize(SA_INFO, 0);
    messages.begin(NEW_SA, CREATE | EXCLUSIVE | ACK, &info.0);
    let mut aead = Fields::default();
    aead.0.extend(ALGORITHM.bytes());
    aead.0.resize(64, 0);
    aead.u32(8 * KEY_BYTES as u32).u32(ICV_BITS).0.extend_from_slice(key);
    messages.attr(ATTR_AEAD, &aead.0);
    aead.0.zeroize();
    let mut replay = Fields::default();
    replay.u32(WINDOW / 32).zeros(16).u32(WINDOW).zeros(WINDOW as usize / 8);
    messages.attr(ATTR_REPLAY_ESN, &replay.0);
}

pub fn delete_sa(messages: &mut Messages, id: &SaId) {
    let mut body = Fields::default();
    body.address(id.dst).0.extend(id.spi.get().to_be_bytes());
    body.u16(u16::from(family(id.dst))).u8(ESP).u8(0);
    messages.begin(DEL_SA, ACK, &body.0);
}

/// `xfrm_selector`, and the mark.
fn selector(fields: &mut Fields, policy: &Policy, port: u16) -> u32 {
    match policy {
        Policy::Block { purpose, ipv4 } => {
            let any: IpAddr = if *ipv4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            fields.zeros(40).u16(u16::from(family(any))).zeros(14);
            purpose.mark().0
        }
        Policy::Way { purpose, src, dst } => {
            let data = *purpose == Purpose::Data;
            let (port, mask) = if data { (port, u16::MAX) } else { (0, 0) };
            fields
                .address(*dst)
                .address(*src)
                .u16(port.to_be())
                .u16(mask)
                .zeros(4)
                .u16(u16::from(family(*dst)));
            fields.u8(host_prefix(*dst)).u8(host_prefix(*src)).u8(if data { UDP } else { 0 }).zeros(11);
            purpose.mark().0
        }
    }
}

fn mark(messages: &mut Messages, value: u32) {
    let mut mark = Fields::default();
    mark.u32(value).u32(u32::MAX);
    messages.attr(ATTR_MARK, &mark.0);
}

pub fn put_policy(messages: &mut Messages, policy: &Policy, spi: Option<Spi>, port: u16) {
    let mut info = Fields::default();
    let value = selector(&mut info, policy, port);
    let (priority, action) = match policy {
        Policy::Block { .. } => (BLOCK_PRIORITY, BLOCK),
        Policy::Way { .. } => (WAY_PRIORITY, ALLOW),
    };
    info.limits([NEVER; 2], [NEVER; 2]).zeros(32).u32(priority).u32(0).u8(OUT).u8(action).zeros(2);
    info.0.resize(POLICY_INFO, 0);
    messages.begin(UPDATE_POLICY, ACK, &info.0);
    if let Policy::Way { src, dst, .. } = policy {
        let mut template = Fields::default();
        template.id(*dst, spi).u16(u16::from(family(*dst))).zeros(2).address(*src).u32(REQID);
        template.u8(TRANSPORT).zeros(3).u32(u32::MAX).u32(u32::MAX).u32(u32::MAX);
        messages.attr(ATTR_TEMPLATE, &template.0);
    }
    mark(messages, value);
}

pub fn delete_policy(messages: &mut Messages, policy: &Policy, port: u16) {
    let mut id = Fields::default();
    let value = selector(&mut id, policy, port);
    id.u32(0).u8(OUT).zeros(3);
    messages.begin(DEL_POLICY, ACK, &id.0);
    mark(messages, value);
}

fn address(body: &[u8], at: usize, family: u8) -> Option<IpAddr> {
    if family == AF_INET {
        return Some(IpAddr::from(<[u8; 4]>::try_from(body.get(at..at + 4)?).ok()?));
    }
    Some(IpAddr::from(<[u8; 16]>::try_from(body.get(at..at + 16)?).ok()?))
}

fn spi_at(body: &[u8], at: usize) -> Option<Spi> {
    Some(Spi::from_bytes(body.get(at..at + 4)?.try_into().ok()?))
}

/// An association of ours.
pub fn read_sa(body: &[u8]) -> Option<(SaId, Seen)> {
    let family = u8::try_from(u16_at(body, 212)?).ok()?;
    let ours = u32_at(body, 208)? == REQID && *body.get(SELECTOR + 20)? == ESP;
    let id = SaId {
        src: address(body, SELECTOR + 24, family)?,
        dst: address(body, SELECTOR, family)?,
        spi: spi_at(body, SELECTOR + 16)?,
    };
    let seen = Seen {
        bytes: u64_at(body, 160)?,
        packets: u64_at(body, 168)?,
        extended: body.get(216)? & FLAG_ESN != 0,
    };
    ours.then_some((id, seen))
}

/// A policy of ours and the index its template names.
pub fn read_policy(body: &[u8], port: u16) -> Option<(Policy, Option<Spi>)> {
    let value = attr(body, POLICY_INFO, ATTR_MARK).and_then(|m| u32_at(m, 0))?;
    let purpose = Purpose::ALL.into_iter().find(|p| p.mark().0 == value)?;
    let (family, dir, action) = (u8::try_from(u16_at(body, 40)?).ok()?, *body.get(160)?, *body.get(161)?);
    let template = attr(body, POLICY_INFO, ATTR_TEMPLATE);
    let (policy, spi) = match template {
        None if action == BLOCK => (Policy::Block { purpose, ipv4: family == AF_INET }, None),
        None => return None,
        Some(template) => {
            let ours = u32_at(template, 44)? == REQID && action == ALLOW;
            let (dst, src) = (address(body, 0, family)?, address(body, 16, family)?);
            (Policy::Way { purpose, src, dst }, spi_at(template, 16).filter(|_| ours))
        }
    };
    // The selector must be the one we would write.
    let mut expected = Fields::default();
    selector(&mut expected, &policy, port);
    (dir == OUT && body.get(..SELECTOR)? == expected.0).then_some((policy, spi))
}

/// Everything of ours in the calling thread's namespace.
pub fn observe(socket: &mut NetlinkSocket, port: u16) -> Result<Observed, KernelError> {
    let mut answers = socket.dump(|m| _ = m.begin(GET_SA, 0, &[]), "list security associations")?;
    let sas: BTreeMap<SaId, Seen> = answers.iter().filter_map(|a| read_sa(&a.body)).collect();
    // The kernel tells keys too.
    answers.iter_mut().for_each(|answer| answer.body.zeroize());
    let answers = socket.dump(|m| _ = m.begin(GET_POLICY, 0, &[]), "list IPsec policies")?;
    let policies = answers.iter().filter_map(|a: &Answer| read_policy(&a.body, port)).collect();
    Ok(Observed { sas, policies })
}

/// A step that failed.
#[derive(Debug)]
pub struct Undone {
    pub step: Step,
    pub error: KernelError,
}

/// Takes the steps in order and goes on after a failure. `key` makes the key of an association that is to be added.
pub fn execute(
    socket: &mut NetlinkSocket,
    steps: &[Step],
    context: Context,
    key: &dyn Fn(&Step) -> Option<Zeroizing<[u8; KEY_BYTES]>>,
) -> Result<Vec<Undone>, KernelError> {
    let mut batch = Messages::default();
    let mut sent = Vec::new();
    for step in steps {
        match step {
            Step::AddSa { id, .. } => match key(step) {
                Some(bytes) => add_sa(&mut batch, id, &bytes, context),
                None => continue,
            },
            Step::DeleteSa(id) => delete_sa(&mut batch, id),
            Step::PutPolicy(policy, spi) => put_policy(&mut batch, policy, *spi, context.port),
            Step::DeletePolicy(policy) => delete_policy(&mut batch, policy, context.port),
        }
        sent.push(step);
    }
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let fine = |step: &Step, errno: Errno| match step {
        Step::DeleteSa(_) => errno == Errno::ESRCH,
        Step::DeletePolicy(_) => errno == Errno::ENOENT,
        Step::AddSa { .. } | Step::PutPolicy(..) => false,
    };
    let failures = socket.run(batch)?;
    let undone = failures.into_iter().filter_map(|failure| {
        let step = *sent.get(failure.index)?;
        (!fine(step, failure.errno))
            .then(|| Undone { step: step.clone(), error: failure.into_error(step.to_string()) })
    });
    Ok(undone.collect())
}

/// What this kernel can do of IPsec, found out by making an association between addresses of documentation and taking it
/// away again. `Err` is a sentence that says what is missing.
pub fn detect(ipv4: bool) -> Result<Context, String> {
    let mut socket = NetlinkSocket::xfrm().map_err(|_| {
        "this kernel has no IPsec: it was built without CONFIG_XFRM_USER, or the module xfrm_user is missing".to_owned()
    })?;
    let (src, dst): (IpAddr, IpAddr) = match ipv4 {
        true => (Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::new(192, 0, 2, 2).into()),
        false => (
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2).into(),
        ),
    };
    let id = SaId { src, dst, spi: Spi::from_bytes(REQID.to_be_bytes()) };
    let mut refusal = Errno::EINVAL;
    for extended in [true, false] {
        let context = Context { port: 0, extended };
        let mut batch = Messages::default();
        delete_sa(&mut batch, &id);
        add_sa(&mut batch, &id, &[0x5a; KEY_BYTES], context);
        delete_sa(&mut batch, &id);
        let failures = socket.run(batch).map_err(|e| e.to_string())?;
        match failures.iter().find(|f| f.index == 1) {
            None => return Ok(context),
            Some(failure) => refusal = failure.errno,
        }
    }
    Err(missing(refusal))
}

fn missing(errno: Errno) -> String {
    match errno {
        Errno::ENOSYS => format!("this kernel lacks AES-GCM for IPsec ({ALGORITHM}): it was built without CONFIG_CRYPTO_GCM, or the module gcm is missing"),
        Errno::EPROTONOSUPPORT => "this kernel lacks ESP: it was built without CONFIG_INET_ESP, or the module esp4 (esp6) is missing".to_owned(),
        Errno::EPERM => "the daemon may not set up IPsec here: it lacks CAP_NET_ADMIN".to_owned(),
        other => format!("this kernel refuses ESP with AES-GCM: {} ({other})", other.desc()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire;
    use super::*;

    fn id(v6: bool) -> SaId {
        let ip = |n: u8| {
            if v6 {
                IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(n)])
            } else {
                IpAddr::from([10, 0, 0, n])
            }
        };
        SaId { src: ip(1), dst: ip(2), spi: Spi::from_bytes([0, 0, 0x10, 1]) }
    }

    fn body(messages: Messages) -> Vec<u8> {
        let pieces = messages.pieces(1, usize::MAX, 1, 0);
        wire::split(&pieces[0].bytes).next().expect("a message").body.to_vec()
    }

    #[test]
    fn what_is_written_is_read_back() {
        for v6 in [false, true] {
            let (id, context) = (id(v6), Context { port: 4789, extended: true });
            let mut messages = Messages::default();
            add_sa(&mut messages, &id, &[7; KEY_BYTES], context);
            let body_ = body(messages);
            assert_eq!(read_sa(&body_), Some((id, Seen { packets: 0, bytes: 0, extended: true })));
            let (src, dst) = (address(&body_, 16, family(id.src)), address(&body_, 0, family(id.dst)));
            assert_eq!((dst, src), (Some(id.dst), Some(id.src)), "for these two alone");
            assert_eq!(body_[42..44], [host_prefix(id.dst); 2]);
            let aead = attr(&body_, SA_INFO, ATTR_AEAD).expect("a key");
            assert_eq!(
                (aead.len(), u32_at(aead, 64), &aead[72..]),
                (72 + KEY_BYTES, Some(288), &[7; KEY_BYTES][..])
            );
            for purpose in Purpose::ALL {
                let way = Policy::Way { purpose, src: id.src, dst: id.dst };
                for (policy, spi) in [(way, Some(id.spi)), (Policy::Block { purpose, ipv4: !v6 }, None)] {
                    let mut messages = Messages::default();
                    put_policy(&mut messages, &policy, spi, 4789);
                    let body_ = body(messages);
                    assert_eq!(read_policy(&body_, 4789), Some((policy, spi)));
                    let other_port = read_policy(&body_, 7777).is_some();
                    assert_eq!(other_port, !matches!(policy, Policy::Way { purpose: Purpose::Data, .. }));
                }
            }
        }
    }

    /// As `strace` shows what iproute2 sends for
    /// `ip xfrm policy update src 10.0.0.1/32 dst 10.0.0.2/32 proto udp dport 4789 dir out`: the selector.
    #[test]
    fn selectors_are_laid_out_as_the_kernel_has_them() {
        let mut fields = Fields::default();
        let way = Policy::Way { purpose: Purpose::Data, src: id(false).src, dst: id(false).dst };
        selector(&mut fields, &way, 4789);
        let mut expected = vec![10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1];
        expected.resize(32, 0);
        expected.extend([0x12, 0xb5, 0xff, 0xff, 0, 0, 0, 0, 2, 0, 32, 32, 17]);
        expected.resize(SELECTOR, 0);
        assert_eq!(fields.0, expected);
    }

    #[test]
    fn no_key_is_shown() {
        let secret = [0xab; KEY_BYTES];
        let mut messages = Messages::default();
        add_sa(&mut messages, &id(false), &secret, Context { port: 4789, extended: false });
        let shown = format!("{messages:?}");
        assert!(!shown.contains("171, 171") && !shown.to_lowercase().contains("abab"), "{shown}");
    }

    #[test]
    fn a_foreign_association_is_not_ours() {
        let mut messages = Messages::default();
        add_sa(&mut messages, &id(false), &[7; KEY_BYTES], Context { port: 4789, extended: true });
        let mut foreign = body(messages);
        foreign[208] ^= 1;
        assert_eq!(read_sa(&foreign), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(body: Vec<u8>) {
            let _ = (read_sa(&body), read_policy(&body, 4789));
        }
    }
}
