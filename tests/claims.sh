#!/usr/bin/env bash
# Every claim of docs/threat-model.md names its test as `path::name`: each must exist and be a test, also one that a macro
# makes for each of several values. A document without claims has lost them.
set -euo pipefail
cd "$(dirname "$0")/.."
document=docs/threat-model.md
claims=$(grep -oE '`[A-Za-z0-9_./-]+\.(rs|sh)(::[a-z0-9_]+)?`' "$document" | tr -d '`' | sort -u)
count=0 wrong=0
for claim in $claims; do
  file=${claim%%::*}
  count=$((count + 1))
  if [ ! -f "$file" ]; then
    echo "$document names $file, which does not exist" >&2
    wrong=1
  elif [ "$file" != "$claim" ]; then
    name=${claim##*::}
    if ! grep -B8 -E "fn $name\(" "$file" | grep -qE '#\[(tokio::)?test|proptest!'; then
      echo "$document names the test $name, which is not in $file" >&2
      wrong=1
    fi
  fi
done
[ "$count" -ge 60 ] || { echo "$document has $count claims; it had more" >&2; wrong=1; }
[ "$wrong" -eq 0 ] && echo "threat model: $count claims, each with its test"
exit "$wrong"
