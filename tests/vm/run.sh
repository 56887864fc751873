#!/usr/bin/env bash
# What needs a kernel with ESP, in virtual machines: the commands the design stands on, the worker's tests, and a cluster.
set -eu; cd "$(dirname "$0")/../.."
failed=0
bash tests/vm/scheme.sh || failed=1
bash tests/vm/worker.sh || failed=1
bash tests/vm/cluster.sh || failed=1
exit $failed
