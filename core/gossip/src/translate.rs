//! Between foca's words, in which a member is its slot, and those on the wire. Must not know what is made of them.

use crate::inner::Name;
use crate::known::Known;
use crate::message::{Kind, Named, Standing, Update};
use foca::{Message as Said, State};

impl Known {
    pub(crate) fn name(&self, named: &Named) -> Option<Name> {
        self.slot(&named.number).map(|slot| Name { slot, life: named.life })
    }

    pub(crate) fn named(&self, name: &Name) -> Option<Named> {
        self.member(name.slot).map(|member| Named { number: member.number, life: name.life })
    }

    /// None: of somebody who is not on the roster, or not yet.
    pub(crate) fn told(&self, update: &Update) -> Option<foca::Member<Name>> {
        let state = match update.standing {
            Standing::Alive => State::Alive,
            Standing::Suspect => State::Suspect,
            Standing::Down => State::Down,
        };
        Some(foca::Member::new(self.name(&update.member)?, update.incarnation, state))
    }

    pub(crate) fn update(&self, member: &foca::Member<Name>) -> Option<Update> {
        let standing = match member.state() {
            State::Alive => Standing::Alive,
            State::Suspect => Standing::Suspect,
            State::Down => Standing::Down,
        };
        Some(Update { member: self.named(member.id())?, incarnation: member.incarnation(), standing })
    }

    /// None: of push-pull, or about somebody unknown.
    pub(crate) fn said(&self, kind: &Kind) -> Option<Said<Name>> {
        Some(match kind {
            Kind::Ping(number) => Said::Ping(*number),
            Kind::Ack(number) => Said::Ack(*number),
            Kind::PingReq { target, probe } => {
                Said::PingReq { target: self.name(target)?, probe_number: *probe }
            }
            Kind::IndirectPing { origin, probe } => {
                Said::IndirectPing { origin: self.name(origin)?, probe_number: *probe }
            }
            Kind::IndirectAck { target, probe } => {
                Said::IndirectAck { target: self.name(target)?, probe_number: *probe }
            }
            Kind::ForwardedAck { origin, probe } => {
                Said::ForwardedAck { origin: self.name(origin)?, probe_number: *probe }
            }
            Kind::Announce => Said::Announce,
            Kind::Feed => Said::Feed,
            Kind::Gossip => Said::Gossip,
            Kind::TurnUndead(_) => Said::TurnUndead,
            Kind::Digest(_) | Kind::Whole => return None,
        })
    }

    pub(crate) fn kind(&self, said: &Said<Name>, to: &Name) -> Option<Kind> {
        Some(match said {
            Said::Ping(number) => Kind::Ping(*number),
            Said::Ack(number) => Kind::Ack(*number),
            Said::PingReq { target, probe_number } => {
                Kind::PingReq { target: self.named(target)?, probe: *probe_number }
            }
            Said::IndirectPing { origin, probe_number } => {
                Kind::IndirectPing { origin: self.named(origin)?, probe: *probe_number }
            }
            Said::IndirectAck { target, probe_number } => {
                Kind::IndirectAck { target: self.named(target)?, probe: *probe_number }
            }
            Said::ForwardedAck { origin, probe_number } => {
                Kind::ForwardedAck { origin: self.named(origin)?, probe: *probe_number }
            }
            Said::Announce => Kind::Announce,
            Said::Feed => Kind::Feed,
            Said::Gossip | Said::Broadcast => Kind::Gossip,
            Said::TurnUndead => Kind::TurnUndead(to.life),
        })
    }
}
