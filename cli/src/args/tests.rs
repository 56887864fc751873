//! What is taken and what is refused at the command line.

use super::{Cli, Command};
use clap::{CommandFactory, Parser, error::ErrorKind};

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("swarmctl").chain(line.split_whitespace()))
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_form_of_the_contract_is_taken() {
    for line in [
        "init",
        "init --advertise-addr eth0:2377 --listen-addr 10.0.0.1 --data-path-addr eth1 --data-path-port 7777",
        "init --default-addr-pool 10.8.0.0/14 --default-addr-pool 10.20.0.0/16 --default-addr-pool-mask-length 26",
        "init --availability drain --cert-expiry 2160h0m0s --dispatcher-heartbeat 5s --snapshot-interval 500",
        "init --max-snapshots 2 --label rack=a --label ssd",
        "join --token SWMTKN-1-a-b 10.0.0.1:2377 10.0.0.2:2377",
        "join --token-file - --availability pause --advertise-addr 10.0.0.9 host:2377",
        "join-token worker",
        "join-token --rotate -q manager",
        "leave --force",
        "rejoin 10.0.0.1:2377",
        "rejoin --advertise-addr eth0 10.0.0.1:2377 manager.example:2377",
        "info --format json",
        "node ls -f name=a -f role=worker --format {{.ID}}",
        "node ls -q",
        "node inspect self --pretty",
        "node inspect n1 n2 -f {{.ID}}",
        "network create -d overlay --attachable --internal --ipv6 --subnet 10.1.0.0/24 --gateway 10.1.0.1 n",
        "network create --ip-range 10.1.0.0/25 --aux-address a=10.1.0.3 --opt encrypted -o mtu=1400 --label a=b n",
        "network ls -f driver=overlay --no-trunc -q",
        "network inspect -v a b",
        "network rm -f a b",
        "network prune -f",
        "network connect --ip 10.1.0.9 --alias a --alias b net box",
        "network disconnect -f net box",
        "run -- true",
        "run --name a --network n --network m --ip 10.1.0.2 --alias x --hostname h -d -e A=B -- sh -c exit",
        "run --network n sh -c exit",
        "attach --network n --name a --netns blue --ip 10.1.0.2 --mac 02:42:0a:00:00:05 --alias b --ifname eth5",
        "attach --network n --name a --pid 1",
        "detach a",
        "ps -a --format json",
        "rm -f a",
        "exec a -- ls -l",
        "-H unix:///tmp/x.sock info",
        "info -H unix:///tmp/x.sock",
    ] {
        if let Err(error) = parse(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn a_flag_that_run_does_not_know_is_not_taken_for_the_command() {
    for line in ["run --rm -- true", "run -d --nme x --network n -- sleep 1h", "exec -it web sh"] {
        assert_eq!(parse(line).unwrap_err().kind(), clap::error::ErrorKind::UnknownArgument, "{line}");
    }
    for line in ["run ls -l", "run -d -- sh -c true", "exec web ls -l", "exec web -- ls -l"] {
        assert!(parse(line).is_ok(), "{line}");
    }
}

#[test]
fn bad_input_is_a_usage_error() {
    for line in [
        "",
        "nonsense",
        "init --data-path-port 70000",
        "init --default-addr-pool 10.0.0.0",
        "init --cert-expiry soon",
        "init --force-new-cluster --autolock",
        "update --autolock",
        "init --force-new-cluster --data-path-port 7777",
        "init --availability lazy",
        "join 10.0.0.1:2377",
        "join --token a",
        "join --token a 10.0.0.1:99999",
        "rejoin foo:bar",
        "rejoin :",
        "join --token a --token-file f 10.0.0.1:2377",
        "join-token",
        "join-token boss",
        "-H http://10.0.0.1:2377 info",
        "node ls --format yaml",
        "node ls -q --format json",
        "node inspect",
        "node promote",
        "node rm",
        "node update --availability lazy n1",
        "node update --role boss n1",
        "node update --if-revision x n1",
        "network create",
        "network create bad_name_",
        "network create --subnet 10.0.0.0/33 n",
        "network create -d ipvlan n",
        "network connect n",
        "run --network n",
        "run --ip 10.0.0.1 -- true",
        "run -e A -- true",
        "attach --network n --name a",
        "attach --network n --name a --netns b --pid 1",
        "attach --network n --name a --pid 0",
        "attach --network n --name a --pid 1 --mac 02:42",
        "exec a",
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn the_commands_own_flags_stay_its_own() {
    let Command::Run(run) = parse("run --name a -- ls --name -H").unwrap().command else { panic!() };
    assert_eq!(run.command, ["ls", "--name", "-H"]);
    let Command::Exec(exec) = parse("exec a ls -l --format x").unwrap().command else { panic!() };
    assert_eq!(exec.command, ["ls", "-l", "--format", "x"]);
}

#[test]
fn version_and_help_are_not_errors() {
    assert_eq!(parse("--version").unwrap_err().kind(), ErrorKind::DisplayVersion);
    assert_eq!(parse("network create --help").unwrap_err().exit_code(), 0);
}
