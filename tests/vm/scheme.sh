#!/usr/bin/env bash
# The ground the encrypted overlays stand on, with commands and without the daemon: which kernel feature does what the
# plan relies on. Two machines, one encrypted VNI (4097) and one plain (4098); this side of the wire is the stranger.
. "$(dirname "$0")/lib.sh"
image bash; machines 2; echo "up after $SECONDS s"
M=0x5e000001; P=0x5e000002
key() { printf '0x%064x%08x' "$1" "$1"; }

base() { # base OWN OTHER: two overlays with an endpoint each, as the daemon makes them
  cat <<END
modprobe vxlan; modprobe veth
for v in 4097:20 4098:30; do vni=\${v%:*}; net=\${v#*:}
  ip netns add ov\$vni; ip netns add sb\$vni
  ip link add vx netns ov\$vni type vxlan id \$vni dstport 4789 local 10.99.0.$1 nolearning
  ip -n ov\$vni link add br0 type bridge; ip -n ov\$vni link set vx master br0 mtu 1400 up
  ip -n ov\$vni link add p0 type veth peer name eth0 netns sb\$vni address 02:42:0a:00:\$net:0$1
  ip -n ov\$vni link set p0 master br0 up; ip -n ov\$vni link set br0 up
  ip -n sb\$vni addr add 10.0.\$net.$1/24 dev eth0; ip -n sb\$vni link set eth0 mtu 1400 up
  ip -n sb\$vni neigh add 10.0.\$net.$2 lladdr 02:42:0a:00:\$net:0$2 dev eth0
  bridge -n ov\$vni fdb append 02:42:0a:00:\$net:0$2 dev vx dst 10.99.0.$2 self
done
END
}
guard() { # guard OWN MEMBERS
  cat <<END
nft -f - <<NFT
table inet wire {
  chain marking {
    type route hook output priority -150
    udp dport 4789 @th,96,24 { 4097 } meta mark set $M
  }
  chain local {
    type filter hook output priority -160
    udp dport 4789 meta skuid != 4294967295 counter drop
  }
  chain leaving {
    type filter hook postrouting priority -150
    udp dport 4789 @th,96,24 { 4097 } rt ipsec missing counter drop
  }
  chain arriving {
    type filter hook input priority -150
    udp dport 4789 ip saddr != { $2 } counter drop
    udp dport 4789 @th,96,24 { 4097 } meta secpath missing counter drop
  }
}
NFT
END
}
state() { echo "ip xfrm state add src 10.99.0.$1 dst 10.99.0.$2 proto esp spi $3 reqid 21335 mode transport replay-window 128 flag esn aead 'rfc4106(gcm(aes))' $(key "$3") 128"; }
policy() { # policy VERB OWN OTHER MARK SPI
  echo "ip xfrm policy $1 src 10.99.0.$2/32 dst 10.99.0.$3/32 ${6-proto udp dport 4789} dir out mark $4 mask 0xffffffff priority 100 tmpl src 10.99.0.$2 dst 10.99.0.$3 proto esp spi $5 reqid 21335 mode transport"
}
block() { for m in $M $P; do for a in 0.0.0.0/0 ::/0; do echo "ip xfrm policy add src $a dst $a dir out mark $m mask 0xffffffff priority 1000 action block"; done; done; }
ping4097() { on 1 'ip netns exec sb4097 ping -c 3 -i 0.2 -W 1 10.0.20.2'; }
ping4098() { on 1 'ip netns exec sb4098 ping -c 3 -i 0.2 -W 1 10.0.30.2'; }

for id in 1 2; do on $id "$(base $id $((3 - id)))"; done
check "both networks work in clear, without rules" ping4097
check "the plain one too" ping4098
for id in 1 2; do check "the guard's rules load on $id" on $id "$(guard $id '10.99.0.1, 10.99.0.2')"; done
capture; check "with the guard and no SA nothing of 4097 gets through" not ping4097; captured
check "and nothing of it is on the wire" test "$(seen 'udp port 4789')" = 0
check "the plain network goes on" ping4098
for id in 1 2; do on $id "$(block)"; done
check "blocked by policy too" not ping4097
for id in 1 2; do
  on $id "$(state 1 2 0x1001; state 2 1 0x1002)"
  check "policy that names an SPI on $id" on $id "$(policy add $id $((3 - id)) $M 0x100$id)"
done
capture; check "4097 works encrypted" ping4097; check "4098 in clear beside it" ping4098; captured
echo "      on the wire: $(seen esp) esp, $(seen 'udp port 4789 and udp[12:2]=0x10 and udp[14]=1') clear 4097, $(seen 'udp port 4789 and udp[13]=0x10 and udp[14]=2') clear 4098"
check "only ESP for 4097" test "$(seen 'udp port 4789 and udp[13]=0x10 and udp[14]=1')" = 0
# A second SA, chosen by SPI; the switch by UPDPOLICY
for id in 1 2; do on $id "$(state 1 2 0x2001; state 2 1 0x2002)"; done
check "probe through a candidate SA" on 1 "$(policy add 1 2 $P 0x2001 ' '); ping -m $((P)) -c 2 -W 1 10.99.0.2"
check "probe whose SA is not there" not on 1 "$(policy update 1 2 $P 0x3001 ' '); ping -m $((P)) -c 2 -W 1 10.99.0.2"
check "SA the peer lacks: probe unanswered" not on 1 "$(state 1 2 0x3001); ping -m $((P)) -c 2 -W 1 10.99.0.2"
check "probe without a policy of its own is blocked" not on 1 "ip xfrm policy delete src 10.99.0.1/32 dst 10.99.0.2/32 dir out mark $P mask 0xffffffff; ping -m $((P)) -c 2 -W 1 10.99.0.2"
(LONGEST=60 on 1 'ip netns exec sb4097 ping -q -i 0.01 -c 800 -W 2 10.0.20.2' >"$WORK/load" || true) & LOAD=$!
sleep 3
for n in 1 2 3 4 5; do on 1 "$(policy update 1 2 $M 0x2001)"; on 2 "$(policy update 2 1 $M 0x2002)"; on 1 "$(policy update 1 2 $M 0x1001)"; on 2 "$(policy update 2 1 $M 0x1002)"; done
on 1 "$(policy update 1 2 $M 0x2001)"; wait $LOAD; cat "$WORK/load"
check "no packet lost by 11 switches" grep -q ' 0% packet loss' "$WORK/load"
# Forged
FRAME='printf "\010\0\0\0\0\020\001\0abcdefghijklmnopqrstuvwxyz" >/dev/udp/10.99.0.2/4789'
capture; on 1 "bash -c '$FRAME'; nft list chain inet wire local | grep counter"; captured
check "a local socket sends no VXLAN" test "$(seen 'udp port 4789')" = 0
capture; eval "$FRAME"; eval "$FRAME"; captured
check "two arrived here from a stranger" test "$(seen 'udp port 4789')" = 2
check "and were dropped" on 2 'nft list chain inet wire arriving | grep -q "saddr.*packets 2 "'
# in clear from a member's address: this side takes machine 1's address for a moment
on 1 'ip link set eth0 down'; ip addr add 10.99.0.1/24 dev wire; ip route replace 10.99.0.2 dev wire src 10.99.0.1; on 2 'ip neigh flush all' || true
for n in 1 2 3; do eval "$FRAME"; done; sleep 0.5
ip route del 10.99.0.2; ip addr del 10.99.0.1/24 dev wire; on 1 'ip link set eth0 up; ip route add default via 10.99.0.254' || true; on 2 'ip neigh flush all' || true
check "three forged in clear with a member's address arrived and were dropped" on 2 'nft list chain inet wire arriving | grep -q "missing counter packets 3 "'
check "after all that it works" ping4097
# MTU: of an underlay of 1500, 1416 fits and 1418 is sent in two pieces (core/overlay/src/mtu.rs)
size() { for id in 1 2; do on $id "for d in vx p0 br0; do ip -n ov4097 link set \$d mtu $1; done; ip -n sb4097 link set eth0 mtu $1"; done
  capture; on 1 "ip netns exec sb4097 ping -q -M do -s $(($1 - 28)) -c 3 -i 0.3 -W 1 10.0.20.2 >/dev/null"; captured
  pieces=$(tcpdump -n -v -r "$WORK/wire.pcap" esp 2>/dev/null | grep -c 'flags \[+\]' || true); }
size 1416; check "the largest packet fits" test "$pieces" = 0 -a "$(seen esp)" -gt 0
size 1418; check "and a larger one does not" test "$pieces" != 0
exit $FAILED
