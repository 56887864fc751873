#!/usr/bin/env bash
# Every crate of the products denies what could end the process on bytes from outside, and all but one forbid unsafe code.
# What may be allowed after all says why, where it stands.
set -euo pipefail
cd "$(dirname "$0")/.."
wrong=0
complain() { echo "$1" >&2; wrong=1; }
for root in core/{model,state,overlay,gossip} proto identity manager manager/raft worker worker/netns daemon cli; do
  file=$root/src/lib.rs
  [ -f "$file" ] || file=$root/src/main.rs
  for lint in unwrap_used expect_used panic unreachable indexing_slicing string_slice; do
    grep -E '^#!\[cfg_attr\(not\(test\), deny\(' "$file" | grep -q "clippy::$lint" || complain "$file does not deny $lint"
  done
  [ "$root" = worker/netns ] || grep -q '^#!\[forbid(unsafe_code)\]' "$file" || complain "$file does not forbid unsafe code"
done
exceptions=$(grep -rnE '(allow|expect)\(clippy::(unwrap_used|expect_used|panic|unreachable|indexing_slicing|string_slice)' \
  --include='*.rs' core proto/src identity/src manager/src manager/raft/src worker/src worker/netns/src daemon/src cli/src \
  | grep -v 'reason = ' || true)
[ -z "$exceptions" ] || complain "without a reason:"$'\n'"$exceptions"
exit "$wrong"
