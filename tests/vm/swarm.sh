# Machines that are one cluster. Sourced after lib.sh. Knows: how it is formed, what is attached to it, and how to wait for
# what takes a while. Must not know: what is tried on it.
BIN=${SWARM_BIN_DIR:-target/debug}
MEM=${MEM:-768}

# What a network needs is loaded; what encryption needs cannot be, until the modules are moved back.
HIDE='modprobe -a vxlan veth bridge nf_tables nft_masq nft_chain_nat nft_ct nf_conntrack nft_meta_bridge; mv /lib/modules /lib/hidden'

daemon() { # daemon ID: starts it; its log is /run/swarmd.log there
  on "$1" 'setsid swarmd </dev/null >>/run/swarmd.log 2>&1 &
    n=0; until swarmctl info >/dev/null 2>&1; do n=$((n + 1)); [ $n -lt 100 ] || { tail -n 20 /run/swarmd.log; exit 1; }; sleep 0.2; done'
}

cluster() { # cluster N [PROGRAM…]: machines 1 … N; 1 is the manager. WITHOUT_ESP: one that cannot encrypt at first
  local id token program machines=$1; shift
  for program in swarmd swarmctl; do
    [ -x "$BIN/$program" ] || { echo "no $BIN/$program: build it first (cargo build -p swarmd -p swarmctl)"; exit 1; }
    strip -o "$WORK/$program" "$BIN/$program"
  done
  PATH=$WORK:$PATH image bash swarmd swarmctl "$@"; machines "$machines"; echo "      machines up after $SECONDS s"
  for id in $(seq "$machines"); do
    # Room for the managers' log, and the files that sandboxes get their own of.
    on "$id" 'mount -o remount,size=80% /var/lib; touch /etc/hosts; echo nameserver 10.99.0.254 >/etc/resolv.conf'
    [ "$id" != "${WITHOUT_ESP:-}" ] || on "$id" "$HIDE"
    daemon "$id" || { echo "no daemon on machine $id"; exit 1; }
  done
  on 1 'swarmctl init --advertise-addr 10.99.0.1 >/dev/null' || exit 1
  token=$(on 1 'swarmctl join-token -q worker')
  for id in $(seq 2 "$machines"); do on "$id" "swarmctl join --token $token 10.99.0.1:2377 >/dev/null" || exit 1; done
  echo "      a cluster of $machines after $SECONDS s"
}

sandbox() { on "$1" "swarmctl run -d --name $2 --network $3 -- sleep 100000 >/dev/null"; } # sandbox ID NAME NETWORK
inside() { on "$1" "swarmctl exec $2 -- $3"; } # inside ID NAME 'COMMAND'
pings() { inside "$1" "$2" "ping -q -c ${4:-3} -i 0.2 -W 2 $3"; } # pings ID NAME OTHER [COUNT]
address() { inside "$1" "$2" 'ip -4 -o addr show eth0' | sed -n 's/.* inet \([0-9.]*\).*/\1/p'; }
mac() { inside "$1" "$2" 'ip -o link show eth0' | sed -n 's/.*ether \([0-9a-f:]*\).*/\1/p'; }
vni() { on 1 "swarmctl network inspect --format '{{.VNI}}' $1" | tr -dc 0-9; }
encrypts() { # encrypts ID PEER…: it says that encryption with these is verified
  local id=$1 said peer; shift; said=$(on "$id" 'swarmctl info')
  for peer in "$@"; do grep -q "^Encryption: *vm$peer: encrypted and verified$" <<<"$said" || return 1; done
}

clear_of() { printf 'udp port 4789 and udp[12:2]=%d and udp[14]=%d' $(($1 >> 8)) $(($1 & 255)); } # clear_of VNI: a filter
