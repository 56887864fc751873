//! What a node says of itself: its name, its labels, and where it is reached. Others would print it, and send there.
//! Knows: names, addresses, the other nodes. Must not know: requests, Raft.

use std::net::IpAddr;
use swarm_model::{Labels, Node, NodeId, NodeState, is_dns_name};

/// As it came; addresses in their plain form, IPv4 never inside IPv6.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    pub node: NodeId,
    pub hostname: &'a str,
    pub addr: IpAddr,
    pub data_path_addr: IpAddr,
    /// Where its connection comes from: that it does reach.
    pub from: IpAddr,
}

impl Claim<'_> {
    /// What is on record already was judged when it came there.
    ///
    /// # Errors
    /// A sentence that says what cannot be.
    pub fn check<'n>(
        &self,
        before: Option<&Node>,
        nodes: impl Iterator<Item = &'n Node>,
    ) -> Result<(), String> {
        if before.is_none_or(|node| node.hostname != self.hostname) {
            check_name(self.hostname)?;
        }
        if before.is_none_or(|node| node.addr != self.addr) {
            self.check_host("address", self.addr)?;
        }
        if before.is_some_and(|node| node.data_path_addr == self.data_path_addr) {
            return Ok(());
        }
        self.check_host("data-path address", self.data_path_addr)?;
        let others: Vec<&Node> = nodes.filter(|node| node.id != self.node && is_member(node)).collect();
        self.check_family(&others)?;
        self.check_owner(&others)
    }

    fn check_host(&self, what: &str, ip: IpAddr) -> Result<(), String> {
        let kind = match ip {
            _ if ip.is_unspecified() => "unspecified",
            _ if ip.is_multicast() => "multicast",
            IpAddr::V4(v4) if v4.is_broadcast() => "broadcast",
            IpAddr::V4(v4) if v4.is_link_local() => "link-local",
            IpAddr::V6(v6) if v6.is_unicast_link_local() => "link-local",
            _ if ip.is_loopback() && !self.from.to_canonical().is_loopback() => "loopback",
            _ => return Ok(()),
        };
        Err(format!("{what} {ip} is {kind}: other nodes cannot send to it; give an address of the host"))
    }

    /// VXLAN leaves from one address: it reaches those of its own family only.
    fn check_family(&self, others: &[&Node]) -> Result<(), String> {
        let mut of_others = others.iter().map(|node| node.data_path_addr).filter(|ip| !ip.is_loopback());
        let same = |ip: IpAddr| ip.is_ipv4() == self.data_path_addr.is_ipv4();
        match of_others.next() {
            Some(first) if !same(first) && !of_others.any(same) => Err(format!(
                "data-path address {} is {}, and the nodes of this cluster send over {} (as {first}): choose one with \
                 --data-path-addr",
                self.data_path_addr,
                family(self.data_path_addr),
                family(first),
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// An address that was given to another host moves on record as soon as that host calls from it. Without that, it
    /// stays with the node that is there: whatever is sent to it would go elsewhere.
    fn check_owner(&self, others: &[&Node]) -> Result<(), String> {
        let ip = self.data_path_addr;
        if ip == self.from.to_canonical() || ip.is_loopback() {
            return Ok(());
        }
        let is_owner = |node: &&&Node| node.data_path_addr == ip && node.status.state == NodeState::Ready;
        match others.iter().find(is_owner) {
            None => Ok(()),
            Some(owner) => Err(format!(
                "data-path address {ip} is that of node {} ({}), which is there: choose another with --data-path-addr",
                owner.id, owner.hostname
            )),
        }
    }
}

fn check_name(hostname: &str) -> Result<(), String> {
    if is_dns_name(hostname) {
        return Ok(());
    }
    let shown: String = hostname.chars().take(80).collect();
    Err(format!(
        "host name {shown:?} is no DNS name: labels of 1 to 63 letters, digits, '-' or '_', with dots between them; choose one \
         with `swarmd --hostname`"
    ))
}

/// What is printed line by line, also by scripts, must not make lines of its own.
pub fn check_labels(labels: &Labels) -> Result<(), String> {
    let is_plain = |text: &String| !text.chars().any(char::is_control);
    match labels.iter().find(|(key, value)| !is_plain(key) || !is_plain(value)) {
        None => Ok(()),
        Some((key, _)) => Err(format!(
            "label {key:?} has control characters in its key or value: a label is one line of plain text"
        )),
    }
}

fn is_member(node: &Node) -> bool {
    node.status.state != NodeState::Disconnected
}

fn family(ip: IpAddr) -> &'static str {
    if ip.is_ipv4() { "IPv4" } else { "IPv6" }
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
