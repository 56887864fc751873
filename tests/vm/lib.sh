# Small virtual machines with Debian's cloud kernel, for what the machine under the tests may lack: ESP and AES-GCM.
# Sourced by the tests beside it, as root. Knows: how machines are built, started, spoken to and ended. Must not know:
# what is tested in them.
#
#   image [BINARY…]     the kernel, and an initramfs of busybox, iproute2, nftables and these programs
#   machines N          starts 1 … N: eth0 = 10.99.0.ID on the bridge `wire`, which is here too (10.99.0.254)
#   on ID 'COMMANDS'    runs them there by dash; what they print comes here, and so does their exit code
#
# Nothing outside of $VM_DIR is written, and no interface is made outside of a network namespace of this shell's own:
# whoever sources this is started again in one. Machines end with the shell.
set -eu
VM_DIR=${VM_DIR:-$(cd "$(dirname "$0")/../.." && pwd)/target/vm}
PACKAGES="qemu-system-x86:qemu-system-x86_64 busybox-static:busybox iproute2:ip nftables:nft iputils-ping:ping tcpdump:tcpdump dash:dash kmod:modprobe"
MODULES="virtio_pci virtio_net virtio_rng veth vxlan bridge xfrm_user esp4 esp6 gcm seqiv echainiv ghash_generic ghash_clmulni_intel ctr
  aesni_intel drbg hmac sha256_generic sha512_generic cryptd crypto_simd sch_netem sch_htb nf_tables nft_ct nft_masq nft_chain_nat nf_conntrack nft_meta_bridge nft_reject_inet"

if [ -z "${VM_INSIDE:-}" ]; then VM_INSIDE=1 exec unshare --net --mount -- bash "$0" "$@"; fi
mkdir -p "$VM_DIR"; WORK=$(mktemp -d "$VM_DIR/run.XXXXXX"); STARTED=""
trap 'for p in $STARTED; do kill "$p" 2>/dev/null || true; done; rm -rf "$WORK"' EXIT

packages() {
  local p missing=""
  for p in $PACKAGES; do command -v "${p#*:}" >/dev/null || missing="$missing ${p%%:*}"; done
  [ -n "$missing" ] || return 0
  # The new namespace has no network; the packages come from the one this shell came from.
  nsenter -t "$PPID" -n sh -c "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing" >/dev/null
}

kernel() { # Debian's package, unpacked and not installed
  [ ! -e "$VM_DIR/kernel/boot" ] || return 0
  local name; name=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/{print $2; exit}')
  rm -rf "$VM_DIR/kernel.new"; mkdir -p "$VM_DIR/kernel.new"
  (cd "$VM_DIR/kernel.new" && nsenter -t "$PPID" -n apt-get download -qq "$name" && dpkg -x "$name"_*.deb . && rm -f ./*.deb)
  mv "$VM_DIR/kernel.new" "$VM_DIR/kernel"
}

put() { # a program and the libraries it needs
  local file lib; file=$(command -v "$1"); rm -f "$ROOT/bin/$(basename "$file")"; cp -L "$file" "$ROOT/bin/"
  for lib in $(ldd "$file" 2>/dev/null | grep -o '/[^ )]*'); do
    mkdir -p "$ROOT$(dirname "$lib")"; [ -e "$ROOT$lib" ] || cp -L "$lib" "$ROOT$lib"
  done
}

image() {
  local program module file release from; packages; kernel
  ROOT=$WORK/root; mkdir -p "$ROOT"/{bin,etc,proc,sys,dev,tmp,run,var/lib,root,usr}
  ln -s bin "$ROOT/sbin"; ln -s ../bin "$ROOT/usr/bin"; ln -s ../bin "$ROOT/usr/sbin"
  printf 'icmp 1\ntcp 6\nudp 17\nesp 50\n' >"$ROOT/etc/protocols"; echo 'root:x:0:0::/root:/bin/dash' >"$ROOT/etc/passwd"
  cp "$(command -v busybox)" "$ROOT/bin/busybox"; for program in $(busybox --list | grep -v "^busybox$"); do ln -sf busybox "$ROOT/bin/$program"; done
  for program in dash ip bridge tc nft ping tcpdump "$@"; do put "$program"; done
  release=$(ls "$VM_DIR/kernel/lib/modules"); from=$VM_DIR/kernel/lib/modules/$release
  [ -s "$from/modules.dep" ] || busybox depmod -b "$VM_DIR/kernel" "$release"
  for module in $MODULES; do
    for file in $(grep -E "/${module//_/[-_]}\.ko:" "$from/modules.dep" | head -n 1 | tr -d ':'); do
      mkdir -p "$ROOT/lib/modules/$release/$(dirname "$file")"; cp "$from/$file" "$ROOT/lib/modules/$release/$file"
    done
  done
  busybox depmod -b "$ROOT" "$release"
  cat >"$ROOT/bin/agent" <<'AGENT'
#!/bin/dash
read -r line; file=/tmp/command.$$; printf '%s' "$line" | base64 -d >$file
dash $file 2>&1; printf '\n@@%s\n' $?; rm -f $file
AGENT
  cat >"$ROOT/init" <<'INIT'
#!/bin/dash
# dash, not busybox's shell: that one runs its own ip and tc instead of the real ones
export PATH=/bin HOME=/root
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs run /run; mount -t tmpfs var /var/lib
mkdir -p /dev/pts; mount -t devpts pts /dev/pts
for m in virtio_pci virtio_net virtio_rng; do modprobe $m; done
id=$(sed -n 's/.*\bid=\([0-9]*\).*/\1/p' /proc/cmdline); hostname "vm$id"
for l in lo eth0 eth1; do ip link set $l up; done
ip addr add 10.99.0.$id/24 dev eth0; ip addr add 10.98.0.$id/24 dev eth1; ip route add default via 10.99.0.254
echo "up $(cut -d' ' -f1 /proc/uptime)"
exec nc -ll -p 23 -e /bin/agent
INIT
  chmod +x "$ROOT/init" "$ROOT/bin/agent"; cp "$VM_DIR/kernel/boot/vmlinuz-$release" "$WORK/vmlinuz"
  (cd "$ROOT" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1 >"$WORK/initrd.gz"); rm -rf "$ROOT"
}

machines() {
  local id net; ip link set lo up
  for net in wire:10.99.0 control:10.98.0; do
    ip link add "${net%%:*}" type bridge; ip link set "${net%%:*}" up; ip addr add "${net#*:}.254/24" dev "${net%%:*}"
  done
  for id in $(seq "$1"); do
    for net in wire control; do
      ip tuntap add "$net$id" mode tap; ip link set "$net$id" master $net up
    done
    qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m "${MEM:-512}" -display none -monitor none -serial "file:$WORK/console$id" -no-reboot \
      -device virtio-rng-pci -kernel "$WORK/vmlinuz" -initrd "$WORK/initrd.gz" -append "console=ttyS0 quiet no_timer_check tsc=unstable panic=-1 id=$id" \
      -netdev "tap,id=n0,ifname=wire$id,script=no,downscript=no" -device "virtio-net-pci,netdev=n0,mac=52:54:00:99:00:0$id" \
      -netdev "tap,id=n1,ifname=control$id,script=no,downscript=no" -device "virtio-net-pci,netdev=n1,mac=52:54:00:98:00:0$id" </dev/null >"$WORK/qemu$id" 2>&1 &
    STARTED="$STARTED $!"
  done
  for id in $(seq "$1"); do
    until on "$id" true 2>/dev/null; do
      [ "$SECONDS" -lt 300 ] || { echo "machine $id did not come up"; cat "$WORK/console$id" "$WORK/qemu$id"; exit 1; }
      sleep 0.2
    done
  done
}

on() {
  local answer rc
  answer=$(printf '%s\n' "$(printf '%s' "$2" | base64 -w0)" | timeout "${LONGEST:-60}" busybox nc "10.98.0.$1" 23) || return 99
  rc=${answer##*@@}; printf '%s' "${answer%@@*}" | sed -e '/^$/d'
  case $rc in '' | *[!0-9]*) return 99 ;; *) return "$rc" ;; esac
}

within() { # within SECONDS COMMAND…: it succeeds at last
  local end=$((SECONDS + $1)); shift
  until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.2; done
}

# What is on the wire between `capture` and `captured`; `seen FILTER` counts it.
capture() { tcpdump --immediate-mode -i wire -U -w "$WORK/wire.pcap" 2>"$WORK/tcpdump" & TD=$!; STARTED="$STARTED $TD"; within 10 grep -q listening "$WORK/tcpdump"; }
captured() { sleep 0.5; kill $TD; wait $TD 2>/dev/null || true; }
seen() { tcpdump --count -n -r "$WORK/wire.pcap" "$@" 2>/dev/null | cut -d' ' -f1; }
not() { ! "$@"; }

check() { # check WHAT COMMAND…: the command must succeed
  local what=$1; shift
  if "$@" >"$WORK/check" 2>&1; then echo "ok    $what"; else echo "FAIL  $what"; sed 's/^/      /' "$WORK/check"; FAILED=1; fi
}
FAILED=0
