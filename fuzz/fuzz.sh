#!/usr/bin/env bash
# fuzz.sh MINUTES TARGET…: each target for so long, beginning with its corpus. What is new goes to target/fuzz/found/, not
# into the corpus; bytes that break a target are kept and named, and the end is an error.
set -euo pipefail
cd "$(dirname "$0")/.."
minutes=$1
shift
programs=target/fuzz/$(rustc -vV | sed -n 's/^host: //p')/release
failed=()
for target in "$@"; do
  found=target/fuzz/found/$target
  mkdir -p "$found"
  echo "== $target, $minutes minutes"
  if ! "$programs/$target" "$found" "fuzz/corpus/$target" -max_total_time=$((minutes * 60)) -max_len=65536 -timeout=10 \
    -rss_limit_mb=1024 -artifact_prefix="$found-" -print_final_stats=1 >"$found.log" 2>&1; then
    failed+=("$target")
    tail -n 30 "$found.log"
  fi
  grep -E '^#[0-9]+.*(DONE|INITED)|stat::(number_of_executed_units|average_exec_per_sec|new_units_added|peak_rss_mb)' "$found.log" || true
done
[ ${#failed[@]} -eq 0 ] || { echo "broken: ${failed[*]}; the bytes are in target/fuzz/found/" >&2; exit 1; }
