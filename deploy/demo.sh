#!/usr/bin/env bash
# demo.sh: three hosts out of namespaces, one daemon each, one overlay network, one sandbox per host; each pings the others
# by name. Prints every command as it would be typed and what it answers; succeeds only if every step did.
# Nothing outlives it: the hosts hang on a pipe of this shell, and all that runs on them hangs on the hosts.
#   DEMO_PROFILE=release|debug   which build to use (release)
#   SWARM_BIN_DIR=DIR            use the programs there and build nothing
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${DEMO_PROFILE:-release}
hosts=3
declare -a holder pipe   # index 0: the wire between the hosts
dir=

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
die() { printf 'demo: %s\n' "$*" >&2; exit 1; }

close_pipes() {
  local fd
  for fd in "${pipe[@]}"; do exec {fd}>&-; done
}

cleanup() {
  local code=$? n said
  trap - EXIT INT TERM
  if [ "$code" -ne 0 ] && [ -n "$dir" ]; then
    for n in $(seq "$hosts"); do
      [ -s "$dir/host$n.log" ] && { printf -- '--- the end of host%s: swarmd\n' "$n"; tail -n 20 "$dir/host$n.log"; } >&2
    done
  fi
  # The shell has a line for each child that is killed, and they all are.
  exec {said}>&2 2>/dev/null
  close_pipes
  wait || true
  exec 2>&"$said"
  [ -n "$dir" ] && rm -rf "$dir"
  [ "$code" -eq 0 ] || echo "demo: failed; everything it made is gone again" >&2
  exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

prepare() {
  [ "$(id -u)" -eq 0 ] || die "making network namespaces needs root: run it as root"
  deploy/packages.sh iproute2 nftables iputils-ping procps dnsutils
  bin=${SWARM_BIN_DIR:-${CARGO_TARGET_DIR:-target}/$profile}
  if [ -z "${SWARM_BIN_DIR:-}" ]; then
    local flags=(--locked -p swarmd -p swarmctl)
    [ "$profile" = debug ] || flags+=(--release)
    cargo build "${flags[@]}"
  fi
  bin=$(cd "$bin" && pwd)
  [ -x "$bin/swarmd" ] && [ -x "$bin/swarmctl" ] || die "no swarmd and swarmctl in $bin"
  export PATH="$bin:$PATH"
  dir=$(mktemp -d "${TMPDIR:-/tmp}/swarm-demo.XXXXXX")
}

# hold N SETUP: namespaces of their own, in which SETUP has run; they live until the pipe to their first process closes.
hold() {
  local n=$1 ready=$dir/ready$1 try parent fd
  mkfifo "$dir/pipe$n"
  exec {fd}<>"$dir/pipe$n"
  (
    close_pipes
    exec {fd}>&-
    exec unshare --net --mount --uts --pid --fork --kill-child --propagation private --mount-proc -- \
      sh -c "set -e; ip link set lo up; $2; touch $ready; set +e; trap '' INT; cat; exit 0" <"$dir/pipe$n" >/dev/null
  ) &
  parent=$!
  pipe[n]=$fd
  for try in $(seq 200); do [ -e "$ready" ] && break; sleep 0.02; done
  [ -e "$ready" ] || die "the namespaces of host$n could not be made"
  holder[n]=$(tr -d ' ' <"/proc/$parent/task/$parent/children")
}

# What runs on a host must not keep the hosts' pipes open, nor may a shell that waits for it.
enter() {
  local n=$1; shift
  close_pipes
  exec nsenter -t "${holder[n]}" -n -m -u -p -- "$@"
}
inside() { (enter "$@"); }

# A host as a small machine: its own /run and /var/lib, a name, an address.
make_hosts() {
  local n
  hold 0 'ip link add br0 type bridge mcast_snooping 0; ip link set br0 up; ip addr add 10.99.0.254/24 dev br0'
  for n in $(seq "$hosts"); do
    hold "$n" "hostname host$n; mount -t tmpfs -o mode=755 tmpfs /run; mkdir /run/lock; mount -t tmpfs -o mode=755 tmpfs /var/lib; mount -t sysfs sysfs /sys"
    nsenter --net="/proc/${holder[0]}/ns/net" ip link add "p$n" type veth peer name eth0 netns "${holder[n]}"
    nsenter --net="/proc/${holder[0]}/ns/net" ip link set "p$n" master br0 up
    inside "$n" sh -c "ip link set eth0 up; ip addr add 10.99.0.$n/24 dev eth0; ip route add default via 10.99.0.254"
  done
}

# at N COMMAND…: shows the command with its host's prompt, runs it there, shows and keeps what it answers.
at() {
  local n=$1; shift
  printf '\033[1mhost%s#\033[0m %s\n' "$n" "$*"
  answer=$(inside "$n" timeout 60 "$@") || { local code=$?; [ -z "$answer" ] || printf '%s\n' "$answer"; die "host$n: \`$*\` ended with exit code $code"; }
  [ -z "$answer" ] || printf '%s\n' "$answer"
}

start_daemon() {
  local n=$1 try
  printf '\033[1mhost%s#\033[0m swarmd &\n' "$n"
  enter "$n" swarmd >"$dir/host$n.log" 2>&1 &
  for try in $(seq 250); do inside "$n" swarmctl info >/dev/null 2>&1 && return 0; sleep 0.02; done
  die "the daemon on host$n does not answer"
}

wait_until_ready() {
  local try
  for try in $(seq 500); do
    [ "$(inside 1 swarmctl node ls | grep -c ' Ready ')" -eq "$hosts" ] && return 0
    sleep 0.02
  done
  inside 1 swarmctl node ls
  die "not every node is Ready"
}

prepare
begun=$(date +%s)
make_hosts
say "Three hosts, a daemon on each"
for n in 1 2 3; do start_daemon "$n"; done

say "The first host becomes a cluster, the second joins as a worker, the third as a manager"
at 1 swarmctl init
at 1 swarmctl join-token -q worker
at 2 swarmctl join --token "$answer" 10.99.0.1:2377
at 1 swarmctl join-token -q manager
at 3 swarmctl join --token "$answer" 10.99.0.1:2377
wait_until_ready
at 1 swarmctl node ls

say "One network for all, a sandbox on each host"
at 1 swarmctl network create --attachable my_net
for n in 1 2 3; do at "$n" swarmctl run -d --name "box$n" --network my_net -- sleep infinity; done
for n in 1 2 3; do at "$n" swarmctl ps; done
at 3 swarmctl network inspect my_net

say "Each reaches the others by name"
for from in 1 2 3; do
  for to in 1 2 3; do
    [ "$from" = "$to" ] || at "$from" swarmctl exec "box$from" -- ping -c 1 -W 2 "box$to"
  done
done
at 2 swarmctl exec box2 -- dig +short box3
[ -n "$answer" ] || die "dig found no address of box3"

say "And away again"
for n in 1 2 3; do at "$n" swarmctl rm -f "box$n"; done
at 1 swarmctl network rm my_net
at 2 swarmctl leave
say "Every step worked ($(($(date +%s) - begun)) s without the build)."
