//! `network create`: flags become a spec, which the model judges before the daemon is asked.

use crate::args::network::NetworkCreateArgs;
use crate::client::{Client, Target, call, request_id};
use crate::error::CliError;
use crate::verbs::{print, say};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::IpAddr;
use swarm_model::{IpamConfig, NetworkSpec, SpecError};
use swarm_proto::v1;

/// The most that an overlay over plain Ethernet carries: 1500 less what VXLAN adds.
const ETHERNET: u16 = 1450;

pub async fn run(target: &Target, args: NetworkCreateArgs) -> Result<(), CliError> {
    let spec = spec(args)?;
    if let Some(mtu) = spec.mtu.filter(|mtu| *mtu > ETHERNET) {
        say(&format!(
            "note: mtu={mtu} is an upper bound: on each host endpoints get what its path to the others carries, if that is less; \
             `swarmctl ps --format json` shows it"
        ));
    }
    let client = Client::connect(target).await?;
    let request = v1::CreateNetworkRequest { spec: Some((&spec).into()), request_id: request_id()? };
    let answer = call(client.control().create_network(request)).await?;
    print(&format!("{}\n", answer.network.unwrap_or_default().id))
}

fn spec(args: NetworkCreateArgs) -> Result<NetworkSpec, CliError> {
    let ipam = Ipam::new(&args.subnets).gateways(&args.gateways)?.ranges(&args.ip_ranges)?;
    let mut spec = NetworkSpec {
        ipam: ipam.aux(&args.aux_addresses)?,
        name: args.name,
        driver: args.driver,
        attachable: args.attachable,
        internal: args.internal,
        ipv6: args.ipv6,
        encrypted: false,
        mtu: None,
        vni: None,
        options: Default::default(),
        labels: args.labels.into_iter().collect(),
    };
    once(&args.options)?;
    args.options.iter().try_for_each(|(option, value)| spec.set_option(option, value)).map_err(refused)?;
    spec.check().map_err(refused)?;
    Ok(spec)
}

/// Which of two would hold is not for guessing, least of all with `encrypted`.
fn once(options: &[(String, String)]) -> Result<(), CliError> {
    let mut seen = BTreeSet::new();
    match options.iter().find(|(option, _)| !seen.insert(option)) {
        Some((option, _)) => Err(CliError::Usage(format!("option {option} is given twice: give it once"))),
        None => Ok(()),
    }
}

fn refused(error: SpecError) -> CliError {
    CliError::Failed(error.to_string())
}

/// Gateways, ranges and addresses are typed apart from their subnets; each belongs to the one it lies in.
struct Ipam(Vec<IpamConfig>);

impl Ipam {
    fn new(subnets: &[IpNet]) -> Self {
        let config = |subnet: &IpNet| IpamConfig { subnet: Some(*subnet), ..IpamConfig::default() };
        Self(subnets.iter().map(config).collect())
    }

    fn around(&mut self, address: IpAddr) -> Option<&mut IpamConfig> {
        self.0.iter_mut().find(|config| config.subnet.is_some_and(|subnet| subnet.contains(&address)))
    }

    fn gateways(mut self, gateways: &[IpAddr]) -> Result<Self, CliError> {
        for gateway in gateways {
            // With one subnet there is no doubt which one was meant.
            let only = match self.0.as_slice() {
                [IpamConfig { subnet: Some(subnet), .. }] => Some(*subnet),
                _ => None,
            };
            let config = self.around(*gateway).ok_or_else(|| {
                refused(match only {
                    Some(subnet) => SpecError::GatewayOutside { gateway: *gateway, subnet },
                    None => SpecError::GatewayWithoutSubnet { gateway: *gateway },
                })
            })?;
            only_one(config.gateway.replace(*gateway), "--gateway")?;
        }
        Ok(self)
    }

    fn ranges(mut self, ranges: &[IpNet]) -> Result<Self, CliError> {
        for range in ranges {
            let config = self.around(range.network());
            let config = config.ok_or_else(|| refused(SpecError::RangeWithoutSubnet { range: *range }))?;
            only_one(config.ip_range.replace(*range), "--ip-range")?;
        }
        Ok(self)
    }

    fn aux(mut self, addresses: &[(String, IpAddr)]) -> Result<Vec<IpamConfig>, CliError> {
        for (name, address) in addresses {
            let outside = || SpecError::AuxOutside { name: name.clone(), address: *address };
            let config = self.around(*address).ok_or_else(|| refused(outside()))?;
            only_one(config.aux_addresses.insert(name.clone(), *address), "--aux-address of that name")?;
        }
        Ok(self.0)
    }
}

fn only_one<T: ToString>(before: Option<T>, flag: &str) -> Result<(), CliError> {
    match before {
        Some(before) => {
            let before = before.to_string();
            Err(CliError::Usage(format!("one subnet takes one {flag}: {before} was given before")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command, network::NetworkCommand};
    use clap::Parser;

    fn typed(line: &str) -> Result<NetworkSpec, CliError> {
        let words = ["swarmctl", "network", "create"].into_iter().chain(line.split(' '));
        match Cli::try_parse_from(words).unwrap().command {
            Command::Network(NetworkCommand::Create(args)) => spec(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_address_goes_to_the_subnet_it_lies_in() {
        let spec = typed(
            "--subnet 10.1.0.0/24 --subnet 10.2.0.0/24 --gateway 10.2.0.9 --ip-range 10.1.0.128/25 \
             --aux-address r=10.1.0.5 --aux-address s=10.2.0.5 --opt encrypted --opt mtu=1400 --opt vni=77 net",
        )
        .unwrap();
        let [one, two] = spec.ipam.as_slice() else { panic!("{:?}", spec.ipam) };
        assert_eq!((one.gateway, two.gateway), (None, Some("10.2.0.9".parse().unwrap())));
        assert_eq!((one.ip_range, two.ip_range), (Some("10.1.0.128/25".parse().unwrap()), None));
        assert_eq!((one.aux_addresses.len(), two.aux_addresses.len()), (1, 1));
        assert_eq!((spec.encrypted, spec.mtu, spec.vni.map(|v| v.get())), (true, Some(1400), Some(77)));
        assert_eq!(spec.options.len(), 3);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_sentence() {
        for (line, said) in [
            ("--gateway 10.1.0.1 net", "none of the subnets"),
            ("--subnet 10.1.0.0/24 --gateway 10.2.0.1 net", "not in subnet 10.1.0.0/24"),
            ("--subnet 10.1.0.0/24 --ip-range 10.2.0.0/25 net", "none of the subnets"),
            ("--subnet 10.1.0.0/24 --aux-address a=10.2.0.1 net", "a=10.2.0.1"),
            ("--subnet 10.1.0.0/24 --gateway 10.1.0.1 --gateway 10.1.0.2 net", "one --gateway"),
            ("--subnet 10.1.0.1/24 net", "did you mean 10.1.0.0/24"),
            ("--subnet 10.1.0.0/24 --subnet 10.1.0.0/25 net", "overlap"),
            ("--opt mtu=abc net", "mtu"),
            ("--opt mtu=100 net", "out of range"),
            ("--opt vni=0 net", "vni"),
            ("--opt encrypted=maybe net", "encrypted"),
            ("--opt speed=fast net", "not known"),
            ("--subnet fd00:1::/64 net", "add --ipv6"),
        ] {
            let error = typed(line).unwrap_err().to_string();
            assert!(error.contains(said), "{line}: {error}");
        }
    }
}
