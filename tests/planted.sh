#!/usr/bin/env bash
# Plants known bugs, one at a time, in a copy of what is committed, and demands that the instrument named for each finds it
# and says what it saw: an instrument that never failed may be blind. The results stand in docs/track-record.md.
#   planted.sh            all of them (about an hour; root)
#   planted.sh NAME…      these
#   planted.sh --check    only whether each can still be planted
set -uo pipefail
cd "$(dirname "$0")/.."
patches=$PWD/tests/planted
place=$PWD/target/planted
source=$place/source

# Which instrument finds it, how it is set, and the words it must use.
instrument() {
  case $1 in
    early-acknowledgement) finds crash nothing_acknowledged_is_lost_by_a_power_cut 'was acknowledged|committed, ' CRASH_SEED=1 ;;
    unsynced-vote) finds crash no_vote_is_lost_by_a_power_cut 'vote [0-9]+ was acknowledged' CRASH_SEED=1 ;;
    disorder) finds chaos a_cluster 'not linearizable|\(I[0-9]+' CHAOS_SEED=1 CHAOS_SECONDS=30 ;;
    stale-read) finds chaos a_cluster 'not linearizable' CHAOS_SEED=1 CHAOS_SECONDS=60 ;;
    fresh-retry) finds chaos a_cluster 'not linearizable' CHAOS_SEED=1 CHAOS_SECONDS=60 ;;
    exclusive-fdb) finds chaos a_cluster '\(I11\)' CHAOS_SEED=1 CHAOS_SECONDS=20 ;;
    address-reuse) finds sim every_seed 'given out unasked' SIM_SEEDS=200 ;;
    silent-removal) finds sim every_seed 'endpoints by events|holds something else' SIM_SEEDS=200 ;;
    erased-too-early) finds sim every_seed 'Raft counts on it' SIM_SEEDS=200 ;;
    level-too-early) finds sim every_seed 'cannot read commands' SIM_SEEDS=200 ;;
    *) echo "no instrument is named for $1 in $0" >&2; return 2 ;;
  esac
}

# finds PROGRAM TEST WORDS SETTING…: 0 when the test fails with these words, 1 when it passes, 2 when it cannot be run.
finds() {
  local program=$1 test=$2 words=$3
  shift 3
  echo "$* cargo test --test $program $test"
  [ "$program" != chaos ] || cargo_in build --bins || return 2
  cargo_in test --no-run --test "$program" || return 2
  (cd "$source" && env "$@" cargo test --locked --workspace --test "$program" "$test" -- --nocapture) >"$log" 2>&1 && return 1
  grep -m 3 -E "$words" "$log" && return 0
  echo "it failed with other words than $words; all of it is in $log"
  grep -m 1 -A 10 'panicked at' "$log"
  return 2
}

cargo_in() {
  local verb=$1
  shift
  (cd "$source" && cargo "$verb" --locked --workspace "$@") >"$log" 2>&1 || { tail -n 20 "$log"; return 1; }
}

copy() {
  mkdir -p "$place"
  [ -d "$source" ] || git clone -q --shared "$PWD" "$source" || return
  git -C "$source" fetch -q origin HEAD && git -C "$source" reset -q --hard FETCH_HEAD
}

check() {
  local stale=0 patch
  for patch in "$patches"/*.patch; do
    git apply --check "$patch" || { echo "$patch does not apply any more: plant the same bug anew" >&2; stale=1; }
  done
  return $stale
}

if [ "${1:-}" = --check ]; then
  check
  exit
fi
[ $# -gt 0 ] || set -- $(basename -a -s .patch "$patches"/*.patch)
export CARGO_TARGET_DIR=$place/build
missed=0
for name; do
  echo "--- $name"
  log=$place/$name.log
  copy && git -C "$source" apply "$patches/$name.patch" && instrument "$name"
  case $? in
    0) echo "--- $name: found" ;;
    1) echo "--- $name: NOT FOUND"; missed=$((missed + 1)) ;;
    *) echo "--- $name: could not be tried"; missed=$((missed + 1)) ;;
  esac
done
[ $missed -eq 0 ] || { echo "$missed of $# planted bugs were not found" >&2; exit 1; }
