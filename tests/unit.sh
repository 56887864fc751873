#!/usr/bin/env bash
# What systemd says of the rights the unit leaves to the daemon. The number is tenths of its "exposure"; it may fall. Why
# it is not smaller stands in the unit and in docs/threat-model.md.
set -euo pipefail
cd "$(dirname "$0")/.."
most=53
command -v systemd-analyze >/dev/null || { echo "systemd-analyze is missing: install the package systemd" >&2; exit 1; }
if ! report=$(systemd-analyze security --offline=true --no-pager --threshold="$most" deploy/systemd/swarmd.service 2>&1); then
  echo "$report" >&2
  exit 1
fi
echo "$report" | tail -n 1
