//! foca's side of it: its identity, and the form in which its packets are read and written here. What goes over the wire is
//! made of that (`message`): foca's own header would let a sender say who it is.

use crate::message::Malformed;
use crate::roster::Slot;
use alloc::vec::Vec;
use bytes::{Buf, BufMut};
use foca::{Codec, Header, Identity, Member, Message, State};

/// A member under one of its lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name {
    pub slot: Slot,
    pub life: u32,
}

impl Identity for Name {
    type Addr = Slot;

    /// Declared dead, it goes on as another.
    fn renew(&self) -> Option<Self> {
        Some(Self { life: self.life.checked_add(1)?, ..*self })
    }

    fn addr(&self) -> Slot {
        self.slot
    }

    fn win_addr_conflict(&self, other: &Self) -> bool {
        self.life > other.life
    }
}

/// What foca may fill with news: as much as fits into a datagram once the slots are numbers again.
pub(crate) const MOST_PACKET: usize = 1000;
/// Of an update, so that it takes as much here as on the wire.
const PAD: [u8; 12] = [0; 12];

#[derive(Debug, Default)]
pub(crate) struct Packets;

impl Codec<Name> for Packets {
    type Error = Malformed;

    fn encode_header(&mut self, header: &Header<Name>, mut buf: impl BufMut) -> Result<(), Malformed> {
        if buf.remaining_mut() < 28 {
            return Err(Malformed);
        }
        put_name(&header.src, &mut buf);
        buf.put_u16(header.src_incarnation);
        put_name(&header.dst, &mut buf);
        match &header.message {
            Message::Ping(probe) => buf.put_slice(&[1, *probe]),
            Message::Ack(probe) => buf.put_slice(&[2, *probe]),
            Message::PingReq { target: name, probe_number } => put_relay(3, *probe_number, name, &mut buf),
            Message::IndirectPing { origin: name, probe_number } => {
                put_relay(4, *probe_number, name, &mut buf)
            }
            Message::IndirectAck { target: name, probe_number } => {
                put_relay(5, *probe_number, name, &mut buf)
            }
            Message::ForwardedAck { origin: name, probe_number } => {
                put_relay(6, *probe_number, name, &mut buf)
            }
            Message::Announce => buf.put_u8(7),
            Message::Feed => buf.put_u8(8),
            Message::Gossip | Message::Broadcast => buf.put_u8(9),
            Message::TurnUndead => buf.put_u8(10),
        }
        Ok(())
    }

    fn decode_header(&mut self, mut buf: impl Buf) -> Result<Header<Name>, Malformed> {
        let src = name(&mut buf)?;
        let src_incarnation = buf.try_get_u16().map_err(|_| Malformed)?;
        let dst = name(&mut buf)?;
        let message = message(&mut buf)?;
        Ok(Header { src, src_incarnation, dst, message })
    }

    fn encode_member(&mut self, member: &Member<Name>, mut buf: impl BufMut) -> Result<(), Malformed> {
        if buf.remaining_mut() < 11 + PAD.len() {
            return Err(Malformed);
        }
        put_name(member.id(), &mut buf);
        buf.put_u16(member.incarnation());
        buf.put_u8(match member.state() {
            State::Alive => 0,
            State::Suspect => 1,
            State::Down => 2,
        });
        buf.put_slice(&PAD);
        Ok(())
    }

    fn decode_member(&mut self, mut buf: impl Buf) -> Result<Member<Name>, Malformed> {
        let id = name(&mut buf)?;
        let incarnation = buf.try_get_u16().map_err(|_| Malformed)?;
        let state = match buf.try_get_u8().map_err(|_| Malformed)? {
            0 => State::Alive,
            1 => State::Suspect,
            _ => State::Down,
        };
        if buf.remaining() < PAD.len() {
            return Err(Malformed);
        }
        buf.advance(PAD.len());
        Ok(Member::new(id, incarnation, state))
    }
}

fn put_name(name: &Name, buf: &mut impl BufMut) {
    buf.put_u32(name.slot);
    buf.put_u32(name.life);
}

fn put_relay(code: u8, probe: u8, name: &Name, buf: &mut impl BufMut) {
    buf.put_slice(&[code, probe]);
    put_name(name, buf);
}

fn name(buf: &mut impl Buf) -> Result<Name, Malformed> {
    let mut number = || buf.try_get_u32().map_err(|_| Malformed);
    Ok(Name { slot: number()?, life: number()? })
}

fn message(buf: &mut impl Buf) -> Result<Message<Name>, Malformed> {
    let code = buf.try_get_u8().map_err(|_| Malformed)?;
    Ok(match code {
        1 => Message::Ping(buf.try_get_u8().map_err(|_| Malformed)?),
        2 => Message::Ack(buf.try_get_u8().map_err(|_| Malformed)?),
        3..=6 => {
            let probe_number = buf.try_get_u8().map_err(|_| Malformed)?;
            let name = name(buf)?;
            match code {
                3 => Message::PingReq { target: name, probe_number },
                4 => Message::IndirectPing { origin: name, probe_number },
                5 => Message::IndirectAck { target: name, probe_number },
                _ => Message::ForwardedAck { origin: name, probe_number },
            }
        }
        7 => Message::Announce,
        8 => Message::Feed,
        9 => Message::Gossip,
        10 => Message::TurnUndead,
        _ => return Err(Malformed),
    })
}

/// A packet of foca's taken apart.
pub(crate) fn read(mut packet: &[u8]) -> Result<(Header<Name>, Vec<Member<Name>>), Malformed> {
    let header = Packets.decode_header(&mut packet)?;
    let count = if packet.len() < 2 { 0 } else { packet.get_u16() };
    let members = (0..count).map(|_| Packets.decode_member(&mut packet)).collect::<Result<_, _>>()?;
    Ok((header, members))
}

/// And put together.
pub(crate) fn write(header: &Header<Name>, members: &[Member<Name>]) -> Result<Vec<u8>, Malformed> {
    let mut packet = Vec::new();
    Packets.encode_header(header, &mut packet)?;
    // foca takes no news with an announcement.
    if header.message != Message::Announce && !members.is_empty() {
        packet.put_u16(u16::try_from(members.len()).map_err(|_| Malformed)?);
        members.iter().try_for_each(|member| Packets.encode_member(member, &mut packet))?;
    }
    Ok(packet)
}
