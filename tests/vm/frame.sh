# One forged VXLAN frame. Sourced after lib.sh. Knows: its bytes. Must not know: who is to take it.

# forged VNI SRC_MAC DST_MAC SRC_IP DST_IP: the UDP payload as printf takes it: a datagram to port 7777 inside
forged() {
  local ip sum=0 n
  ip="4500 0022 0000 4000 4011 0000 $(quads "$4") $(quads "$5")"
  for n in $ip; do sum=$((sum + 0x$n)); done
  sum=$(printf '%04x' $((0xffff - (sum + (sum >> 16)) % 0x10000)))
  escaped "08000000$(printf '%06x' "$1")00" "${3//:/}${2//:/}0800" "${ip/4011 0000/4011 $sum}" "1e611e61000e0000" "$(printf forged | od -An -tx1)"
}
quads() { printf '%02x%02x %02x%02x' ${1//./ }; }
escaped() { printf '%s' "$@" | tr -d ' \n' | sed 's/../\\x&/g'; }
