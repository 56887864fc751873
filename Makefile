# Everything a developer or an operator types. Root is needed where namespaces are made: demo, test, bench, crash.
SHELL := /bin/bash
.DELETE_ON_ERROR:
export CARGO_TERM_COLOR ?= auto

PACKAGES := systemd iproute2 nftables iputils-ping procps dnsutils busybox-static iperf3 strace e2fsprogs tcpdump
BENCH_PACKAGES := docker.io etcd-server busybox-static iperf3 ethtool strace
DENY_VERSION := 0.20.2
DENY := target/tools/bin/cargo-deny
FUZZ_VERSION := 0.13.2
FUZZ := target/tools/bin/cargo-fuzz
FUZZ_TARGETS := token csr dns_query assignment_chain log_record snapshot state_file netlink_reply gossip_frame

# Test programs that need neither root nor the kernel; always built with the whole workspace, so that its crates are
# compiled once with one set of features.
PURE_TESTS := derive diff dns conversions identity sim members linear corpus

.PHONY: help build demo check advisories test test-vm bench bench-vm chaos crash fuzz sim planted fmt packages bench-packages clean

help: ## what there is to type
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## release binaries: target/release/swarmd and swarmctl
	cargo build --release --locked -p swarmd -p swarmctl

demo: ## three hosts out of namespaces, one overlay network, pings by name; cleans up after itself
	deploy/demo.sh

fmt: ## format the code
	cargo fmt --all

check: $(DENY) ## formatting, lints, dependencies, unit and property tests, 200 simulation seeds
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	$(DENY) --locked --all-features check --hide-inclusion-graph bans licenses sources
	tests/no-os.sh
	tests/lints.sh
	tests/claims.sh
	tests/planted.sh --check
	SIM_SEEDS=200 cargo test --locked --workspace --lib --bins $(addprefix --test ,$(PURE_TESTS))

advisories: $(DENY) ## known faults of dependencies, less those deny.toml gives a reason for (needs the network)
	$(DENY) --locked --all-features check --hide-inclusion-graph advisories

test: packages check ## all tests: also the kernel, real daemons, crash images, and the demo (root)
	tests/unit.sh
	cargo build --locked --workspace --all-targets
	cargo test --locked --workspace
	SWARM_BIN_DIR=$(CURDIR)/target/debug deploy/demo.sh

# The compiler is the pinned one: coverage comes from LLVM's own pass, and no sanitizer is needed where all code is safe.
fuzz: $(FUZZ) ## look for bytes that break a parser: make fuzz MINUTES=10 (for each of the targets, or FUZZ_TARGETS="token csr")
	cd fuzz/run && ../../$(FUZZ) fuzz build --fuzz-dir . --target-dir ../../target/fuzz --release -s none
	fuzz/fuzz.sh $(or $(MINUTES),10) $(FUZZ_TARGETS)

# Installs qemu and unpacks Debian's cloud kernel by itself; nothing is booted but that. Not a part of `test`: without hardware
# virtualisation, which it does not count on, it takes longer than a change should wait.
test-vm: ## what needs a kernel with ESP, in virtual machines (root, software emulation)
	cargo build --locked --workspace --bins
	cargo test --locked --workspace --no-run --test kernel_esp --test kernel_guard
	bash tests/vm/run.sh

bench-vm: bench-packages ## what encryption costs, in virtual machines: PAIRS=5 ROTATIONS=100 (root, half an hour)
	cargo build --locked --workspace --bins
	bash tests/vm/bench.sh

crash: packages ## the storage crash test in full
	CRASH_ROUNDS=$${CRASH_ROUNDS:-60} cargo test --locked -p swarm-raft --test crash -- --nocapture

sim: ## the simulated world: make sim SEEDS=10000
	SIM_SEEDS=$${SEEDS:-1000} cargo test --locked --release -p swarm-tests -p swarm-gossip --test sim --test members -- --nocapture

chaos: packages ## a cluster under faults, its history judged: make chaos SEED=1 SECONDS=300 ROUNDS=100
	cargo build --locked -p swarmd -p swarmctl
	CHAOS_SEED=$(SEED) CHAOS_SECONDS=$(or $(SECONDS),300) CUT_OFF_ROUNDS=$(or $(ROUNDS),100) cargo test --locked -p swarm-tests --test chaos -- --nocapture

planted: packages ## plants known bugs, each of which must be found: make planted BUGS="stale-read disorder"
	tests/planted.sh $(BUGS)

bench: packages bench-packages build ## measure beside the peers and write BENCHMARKS.md
	cargo build --release --locked -p swarm-worker --example kernel_tables
	cargo run --release --locked -p swarm-tests --bin bench

packages:
	@deploy/packages.sh $(PACKAGES)

bench-packages:
	@deploy/packages.sh $(BENCH_PACKAGES)

$(DENY):
	cargo install cargo-deny --version $(DENY_VERSION) --locked --debug --root target/tools

$(FUZZ):
	cargo install cargo-fuzz --version $(FUZZ_VERSION) --locked --debug --root target/tools

clean: ## remove what was built
	cargo clean
