#!/usr/bin/env bash
# What encryption costs, in two machines: throughput beside a plain network, the time to the first encrypted ping, pings lost
# by rotations. PAIRS, ROTATIONS: how many (5, 100). The processors are emulated, AES instructions too: ratios, not speeds.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/swarm.sh"
cluster 2 iperf3
# On a host udev does so; the kernel alone takes the generic one.
for id in 1 2; do on $id 'modprobe aesni_intel'; done
ms() { echo $(($(date +%s%N) / 1000000)); }
sorted() { sort -n | tr '\n' ' ' | awk '{printf "median %s of %d (%s–%s)\n", $(int((NF + 1) / 2)), NF, $1, $NF}'; }

first_ping() { # first_ping NAME OPTION: from `network create` until a ping has come back, both sandboxes' starts included
  local began; began=$(ms)
  on 1 "swarmctl network create --attachable $2 $1 >/dev/null"
  on 1 "swarmctl run -d --name a$1 --network $1 -- sleep 100000 >/dev/null"; on 2 "swarmctl run -d --name b$1 --network $1 -- sleep 100000 >/dev/null"
  on 2 "n=0; until swarmctl exec b$1 -- ping -q -c 1 -W 0.1 a$1 >/dev/null; do n=\$((n + 1)); [ \$n -lt 300 ] || exit 1; done" || return 1
  echo $(($(ms) - began))
}
for n in $(seq "${PAIRS:-5}"); do
  first_ping "e$n" '--opt encrypted' >>"$WORK/first.encrypted"; first_ping "p$n" '' >>"$WORK/first.plain"
  # Each round begins with no association between the two.
  for id in 1 2; do on $id "swarmctl rm -f $([ $id = 1 ] && echo "ae$n ap$n" || echo "be$n bp$n") >/dev/null"; done
done
echo "create, two runs, first ping, ms, encrypted: $(sorted <"$WORK/first.encrypted")"
echo "create, two runs, first ping, ms, plain:     $(sorted <"$WORK/first.plain")"

on 1 'swarmctl network create --attachable --opt encrypted e; swarmctl network create --attachable p' >/dev/null
for id in 1 2; do for net in e p; do sandbox $id $net$id $net; done; done
within 30 encrypts 1 2 && within 30 encrypts 2 1
for net in e p; do inside 2 ${net}2 'iperf3 -s -D'; done
for n in $(seq "${PAIRS:-5}"); do for net in e p; do
  inside 1 ${net}1 "iperf3 -c ${net}2 -t 5 -f m" | sed -n 's/.* \([0-9.]*\) Mbits.*receiver.*/\1/p' >>"$WORK/mbit.$net"
done; done
echo "TCP, Mbit/s, encrypted: $(sorted <"$WORK/mbit.e")"
echo "TCP, Mbit/s, plain:     $(sorted <"$WORK/mbit.p")"

renewed() { on 1 'grep -c "secrets were renewed" /run/swarmd.log'; }
begun=$(renewed); wanted=$((begun + ${ROTATIONS:-100})); sent=0 got=0
on 1 'swarmctl update --key-rotation 10s >/dev/null'
while [ "$(renewed)" -lt $wanted ]; do
  LONGEST=180 inside 1 e1 'ping -q -i 0.02 -c 400 -W 3 e2' >"$WORK/load" || true
  said=$(sed -n 's/^\([0-9]*\) packets transmitted, \([0-9]*\) received.*/\1 \2/p' "$WORK/load")
  [ -n "$said" ] || { echo "pings did not end: $(cat "$WORK/load")"; continue; }
  sent=$((sent + ${said% *})); got=$((got + ${said#* }))
done
echo "rotations: $(($(renewed) - begun)), pings: $sent, answered: $got"
