//! What the three flags mean on hosts with none, one and several addresses, and what is refused.

use super::*;
use tonic::Code;

pub(super) fn host(addresses: &[(&str, &str)]) -> Vec<HostAddress> {
    let each = |(interface, ip): &(&str, &str)| HostAddress {
        interface: (*interface).into(),
        ip: ip.parse().unwrap(),
    };
    addresses.iter().map(each).collect()
}

fn advertise(typed: &str, addresses: &[(&str, &str)]) -> Result<String, String> {
    let data_path = addresses.first().map_or("", |(_, ip)| *ip);
    let typed = Typed { advertise: typed, data_path, listen: "" };
    choose(typed, &host(addresses)).map(|c| c.advertise.to_string()).map_err(|e| e.to_string())
}

#[test]
fn the_only_address_is_taken_and_of_several_the_user_must_name_one() {
    assert_eq!(advertise("", &[("eth0", "10.1.0.1")]).unwrap(), "10.1.0.1:2377");
    assert_eq!(advertise("", &[("eth0", "10.1.0.1"), ("eth0", "fd00::1")]).unwrap(), "10.1.0.1:2377");
    assert_eq!(advertise("", &[("eth0", "fd00::1")]).unwrap(), "[fd00::1]:2377");
    let error = advertise("", &[("eth0", "10.1.0.1"), ("eth1", "10.2.0.1")]).unwrap_err();
    assert!(error.contains("could not choose an IP"), "{error}");
    assert!(error.contains("10.1.0.1 on eth0, 10.2.0.1 on eth1"), "{error}");
    assert!(error.contains("--advertise-addr"), "{error}");
    assert!(advertise("", &[]).is_err());
}

#[test]
fn each_form_of_an_address_is_understood() {
    let addresses = [("eth0", "10.1.0.1"), ("eth1", "10.2.0.1"), ("eth1", "10.2.0.2")];
    let cases = [
        ("10.9.9.9", Ok("10.9.9.9:2377")),
        ("10.9.9.9:99", Ok("10.9.9.9:99")),
        ("eth0", Ok("10.1.0.1:2377")),
        ("eth0:4000", Ok("10.1.0.1:4000")),
        ("[fd00::5]:4000", Ok("[fd00::5]:4000")),
        ("fd00::5", Ok("[fd00::5]:2377")),
        ("eth1", Err("several addresses")),
        ("eth7", Err("eth7")),
        ("0.0.0.0", Err("non-zero IP")),
        ("::", Err("non-zero IP")),
        ("224.0.0.1", Err("multicast")),
        ("10.0.0.1:0", Err("is not a port")),
        ("10.0.0.1:99999", Err("is not a port")),
        ("10.0.0.256", Err("neither an IP address nor an interface")),
        ("not an address", Err("neither an IP address nor an interface")),
    ];
    for (typed, expected) in cases {
        match (advertise(typed, &addresses), expected) {
            (Ok(got), Ok(wanted)) => assert_eq!(got, wanted, "{typed}"),
            (Err(got), Err(part)) => assert!(got.contains(part), "{typed}: {got}"),
            (got, _) => panic!("{typed}: {got:?}"),
        }
    }
}

#[test]
fn the_data_path_address_must_be_this_hosts_own() {
    let addresses = host(&[("eth0", "10.1.0.1"), ("eth0", "10.1.0.2")]);
    let chosen = |data_path| choose(Typed { advertise: "10.1.0.1", listen: "", data_path }, &addresses);
    assert_eq!(chosen("10.1.0.2").unwrap().data_path.to_string(), "10.1.0.2");
    assert_eq!(chosen("").unwrap().data_path.to_string(), "10.1.0.1");
    assert!(chosen("0.0.0.0").unwrap_err().to_string().contains("must be a non-zero IP"));
    assert!(chosen("10.7.7.7").unwrap_err().to_string().contains("not an address of this host"));
    let foreign = choose(Typed { advertise: "10.9.9.9", ..Typed::default() }, &addresses).unwrap_err();
    assert!(foreign.to_string().contains("--data-path-addr"), "{foreign}");
    let one = host(&[("eth0", "10.1.0.1")]);
    let behind_nat = choose(Typed { advertise: "10.9.9.9", ..Typed::default() }, &one).unwrap();
    assert_eq!(
        (behind_nat.advertise.to_string(), behind_nat.data_path.to_string()),
        ("10.9.9.9:2377".into(), "10.1.0.1".into())
    );
    let warning = behind_nat.warning(&one).unwrap();
    assert!(warning.contains("10.9.9.9 is advertised") && warning.contains("10.1.0.1 on eth0"), "{warning}");
    assert_eq!(chosen("").unwrap().warning(&addresses), None);
    assert!(chosen("10.1.0.2:80").unwrap_err().to_string().contains("takes no port"));
}

#[test]
fn s3_a_port_that_is_advertised_is_listened_on() {
    let addresses = host(&[("eth0", "10.1.0.1")]);
    let chosen = |advertise, listen| {
        let chosen = choose(Typed { advertise, listen, data_path: "" }, &addresses).unwrap();
        (chosen.listen.to_string(), chosen.advertise.to_string(), chosen.warning(&addresses).is_some())
    };
    let same = ("0.0.0.0:3000".to_owned(), "10.1.0.1:3000".to_owned(), false);
    assert_eq!(chosen("eth0:3000", ""), same);
    assert_eq!(chosen("10.1.0.1:3000", "0.0.0.0:3000"), same);
    assert_eq!(chosen("eth0", "0.0.0.0:3000"), same);
    // Something may pass it on; that is said.
    let other = ("0.0.0.0:2377".to_owned(), "10.1.0.1:3000".to_owned(), true);
    assert_eq!(chosen("eth0:3000", "0.0.0.0:2377"), other);
    // In front of this host anything may be.
    let nat = ("0.0.0.0:2377".to_owned(), "10.9.9.9:3000".to_owned(), true);
    assert_eq!(chosen("10.9.9.9:3000", ""), nat);
}

#[test]
fn what_nobody_typed_is_no_slip_of_the_one_who_types() {
    let code = |typed: &str, addresses: &[(&str, &str)]| {
        let typed = Typed { advertise: typed, ..Typed::default() };
        Status::from(choose(typed, &host(addresses)).unwrap_err()).code()
    };
    assert_eq!(code("", &[("eth0", "10.1.0.1"), ("eth1", "10.2.0.1")]), Code::FailedPrecondition);
    assert_eq!(code("", &[]), Code::FailedPrecondition);
    assert_eq!(code("foo", &[("eth0", "10.1.0.1")]), Code::InvalidArgument);
    assert_eq!(code("0.0.0.0", &[("eth0", "10.1.0.1")]), Code::InvalidArgument);
}

#[test]
fn a_listen_address_of_its_own_is_advertised_too() {
    let addresses = host(&[("eth0", "10.1.0.1"), ("eth0", "fd00::1"), ("eth1", "10.2.0.1")]);
    let chosen = choose(Typed { listen: "[fd00::1]:3000", ..Typed::default() }, &addresses).unwrap();
    assert_eq!(chosen.listen.to_string(), "[fd00::1]:3000");
    assert_eq!(chosen.advertise.to_string(), "[fd00::1]:3000");
    let foreign = choose(Typed { listen: "10.99.0.1", ..Typed::default() }, &addresses);
    assert!(foreign.unwrap_err().to_string().contains("not an address of this host"));
}

#[test]
fn loopback_is_for_clusters_of_one_host_and_a_worker_is_where_it_says() {
    let addresses = host(&[("eth0", "10.1.0.1")]);
    let may = |advertise: &str, peer: &str| {
        let typed = Typed { advertise, ..Typed::default() };
        let chosen = choose(typed, &addresses)?;
        reachable_for(&[peer.parse().unwrap()], typed, &chosen, &addresses)
    };
    assert_eq!(may("10.1.0.1", "10.1.0.2"), Ok(()));
    assert_eq!(may("127.0.0.2", "127.0.0.1"), Ok(()));
    let said = may("127.0.0.1", "10.1.0.2").unwrap_err().to_string();
    assert!(said.contains("loopback") && said.contains("10.1.0.1 on eth0"), "{said}");
    for slip in ["0.0.0.0", "224.0.0.1", "255.255.255.255"] {
        assert!(may(slip, "10.1.0.2").is_err(), "{slip}");
    }
    let is_ours = |ip: &str| must_be_ours(ip, ip.parse().unwrap(), &addresses);
    assert_eq!(is_ours("10.1.0.1"), Ok(()));
    assert!(is_ours("10.1.0.9").unwrap_err().to_string().contains("not an address of this host"));
}
