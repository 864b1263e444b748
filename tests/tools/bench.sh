# Sourced by ./dev: the measurements.
# shellcheck shell=bash disable=SC2154 # ROOT, say, build_calmly: ./dev's

REPORT=$ROOT/build/bench-report

# shellcheck disable=SC2120 # cmd_bench passes them
bench_picks() { "$ROOT/build/bench/tests/bench/bench_policy" "$@"; }

# shellcheck disable=SC2120
bench_sets() { "$ROOT/build/bench/tests/bench/bench_sets" "$@"; }

bench_lines() {
  packages_need lint test
  nginx_need
  build_calmly dev
  STEERWAY_SATURATION=all STEERWAY_BIN=$ROOT/build/dev/steerway "$(python)" -m pytest -q -s -p no:cacheprovider \
    "$ROOT/tests/e2e/test_fair_share.py" "$ROOT/tests/e2e/test_slow_lines.py"
}

# A program of tests/bench/compare, and its options.
compare() {
  local name=$1
  shift
  mkdir -p "$REPORT"
  "$(python)" "$ROOT/tests/bench/compare/$name.py" "$ROOT/build/bench/tests/bench" "$ROOT/build/bench/steerway" "$@"
}

bench_peers() {
  packages_need test
  peers_need
  compare compare --json "$REPORT/peers.json" --table "$REPORT/peers.md" --plot "$REPORT/peers.svg" "$@"
}

bench_own() {
  packages_need test
  compare own --json "$REPORT/own.json" --table "$REPORT/own.md" --plot "$REPORT/own.svg" "$@"
}

bench_machine() {
  printf '%s, %s cores, Linux %s; steerway %s\n' "$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)" \
    "$(nproc)" "$(uname -r)" "$(git -C "$ROOT" describe --always --dirty 2>/dev/null)"
}

bench_report() {
  printf '# What it costs\n\n%s\n\n## Beside a floor and its peers\n\n![a panel for each measure](peers.svg)\n\n' "$(bench_machine)"
  cat "$REPORT/peers.md" || say "It could not be measured."
  printf '\n## By itself\n\n![a panel for each measure](own.svg)\n\n'
  cat "$REPORT/own.md" || say "It could not be measured."
  printf '\n## How well pairs of lines are filled\n\n```\n'
  sed '/ FAILURES =/,$d; /^Building/d' "$REPORT/lines.txt"
  tail -n 1 "$REPORT/lines.txt"
  printf '```\n'
}

# All of it, also when a part fails.
bench_all() {
  local status=0
  rm -rf "$REPORT" && mkdir -p "$REPORT" || return 1
  bench_peers "$@" || status=1
  bench_own "$@" || status=1
  bench_lines 2>&1 | tee "$REPORT/lines.txt"
  [ "${PIPESTATUS[0]}" -eq 0 ] || status=1
  bench_report >"$REPORT/report.md"
  say "The report is $REPORT/report.md."
  return $status
}

cmd_bench() {
  local part=all
  case ${1:-} in
    picks | sets | lines | peers | own) part=$1 && shift ;;
    '' | -*) ;;
    *) die "unknown part $1; known parts: picks sets lines peers own" ;;
  esac
  packages_need run
  build_calmly bench
  "bench_$part" "$@"
}
