#!/usr/bin/env bash
# The worker's own kernel tests, in one machine whose hosts are namespaces: there the tests that need ESP are not left out.
# TEST_DIR: where the test programs are (default: asked of cargo).
. "$(dirname "$0")/lib.sh"
programs=()
for test in kernel_esp kernel_guard; do
  program=$(ls -t "${TEST_DIR:-target/debug/deps}/$test"-* 2>/dev/null | grep -v '\.' | head -n 1)
  [ -n "$program" ] || { echo "no $test: build the tests first (cargo test --no-run -p swarm-worker)"; exit 1; }
  strip -o "$WORK/$test" "$program"; programs+=("$WORK/$test")
done
PATH=$WORK:$PATH image "${programs[@]}"; machines 1; echo "up after $SECONDS s"
for test in kernel_esp kernel_guard; do
  (LONGEST=600 on 1 "cd /tmp; modprobe vxlan; modprobe veth; modprobe bridge; modprobe xfrm_user; modprobe esp4; modprobe gcm; $test --test-threads 1 --nocapture") || FAILED=1
done
exit $FAILED
