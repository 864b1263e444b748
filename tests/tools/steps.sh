# Sourced by ./dev: the steps of `./dev test`. Each runs in a subshell, its output kept in build/test/STEP.log and
# shown when it fails. A step adds "PASSED FAILED" lines to $TALLY and prints "SKIPPED why" for what it leaves out.
# shellcheck shell=bash

# shellcheck disable=SC2034 # for dev
STEPS="lint asan unit docs tsan package bench lua e2e e2e-asan"
# These run one after another beside the other steps, which mostly compile: here one processor works, or waits.
SECOND_LANE="package bench lua"
LONG_STEPS="e2e-tsan" # run by name only
# These mostly wait, each in network namespaces of its own. They start first, as soon as their preset's binary is built,
# and all other steps run beside them.
declare -A SIDE_BY_SIDE=([e2e]=dev [e2e-asan]=asan)
declare -A E2E_PARTS=([dev]=4 [asan]=3 [tsan]=3) # that run at once; fewer where the proxy itself takes more
E2E_MAX_S=1200 # a run that takes so long hangs
E2E_UNSTEADY_MAX=2 # failed tests of a part that are run again
UNIT_MAX_S=600 # the same, beside all others

tally() { echo "$1 $2" >>"$TALLY"; }

# Run a command as one test of the step.
check() {
  local name=$1
  shift
  echo "-- $name"
  if "$@"; then
    tally 1 0
  else
    echo "-- $name FAILED"
    tally 0 1
    return 1
  fi
}

lint_lua() {
  local folders=() folder
  for folder in lua policies examples tests; do
    [ -d "$folder" ] && folders+=("$folder")
  done
  luacheck -q --no-color "${folders[@]}"
}

step_lint() {
  local status=0
  check "layers" luajit tests/lint/layers.lua || status=1
  check "rooms" luajit tests/lint/rooms.lua || status=1
  check "events" luajit tests/lint/events.lua || status=1
  check "length" luajit tests/lint/length.lua || status=1
  check "links" luajit tests/lint/links.lua || status=1
  check "sentences" luajit tests/lint/sentences.lua || status=1
  check "words" luajit tests/lint/words.lua || status=1
  check "format" sh tests/lint/format.sh || status=1
  check "luacheck" lint_lua || status=1
  check "shell" sh tests/lint/shell.sh || status=1
  check "man pages" sh tests/lint/man.sh || status=1
  check "the lints themselves" sh tests/lint/selftest || status=1
  return $status
}

# Run the unit tests of a preset's folder; a cmocka test counts as one. More arguments go to ctest.
unit_tests() {
  local log=build/test/ctest-$1.txt status=0 counted
  # Twice as many as there are cores, for some of them mostly wait.
  timeout --foreground --kill-after=10 $UNIT_MAX_S ctest --test-dir "build/$1" -V -j $((2 * $(jobs_max))) "${@:2}" >"$log" 2>&1 || status=$?
  cat "$log"
  counted=$(awk -f tests/tools/ctest.awk "$log")
  grep '^SKIPPED' <<<"$counted"
  echo "${counted##*$'\n'}" >>"$TALLY"
  return $status
}

step_unit() { build dev && unit_tests dev; }

step_docs() {
  [ -f tests/lint/docs.lua ] || { echo "SKIPPED tests/lint/docs.lua does not exist" && return 0; }
  build dev --target steerway && check "docs" luajit tests/lint/docs.lua build/dev/steerway &&
    check "the lint of the docs itself" sh tests/lint/selftest build/dev/steerway
}

# Built by clang, whose warnings are others than gcc's.
step_asan() {
  build asan && ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 unit_tests asan
}

# Where threads meet: the relay, datagrams, and what these stand on.
TSAN_TESTS="net_test_wheel datagram_test_datagram_room relay_test_mailbox relay_test_pipes relay_test_pump relay_test_relay relay_test_relay_look relay_test_tunnel"

step_tsan() {
  # shellcheck disable=SC2086 # a list of words
  build tsan --target $TSAN_TESTS || return 1
  # The target ROOM_test_NAME is the test ROOM/test_NAME.
  unit_tests tsan -R "^($(sed 's|\([a-z]*\)_\([^ ]*\)|\1/\2|g; s/ /|/g' <<<"$TSAN_TESTS"))\$"
}

# What is measured is what is packaged: the bench preset is release with more programs beside it.
step_package() {
  build bench || return 1
  check "an installed tree runs from anywhere" sh tests/tools/try_install.sh build/bench
  check "a folder of another user's is told of" sh tests/tools/try_dev.sh
  check "the release is hardened" sh tests/tools/try_hardening.sh build/bench/steerway
  if command -v dpkg-shlibdeps >/dev/null; then
    check "the Debian package holds what it should" sh tests/tools/try_deb.sh build/bench build/tools/debian-tree.tar
  else
    echo "SKIPPED the Debian package: dpkg-shlibdeps is not installed"
  fi
}

# That the measurements work, and the long runs in short.
step_bench() {
  build bench || return 1
  check "picks are measured" build/bench/tests/bench/bench_policy 1000
  check "a policy is stopped again and again" build/bench/tests/soak/soak_kills 1000
  check "a policy's VM is abandoned again and again" build/bench/tests/soak/soak_escapes 150
  check "random policies hold nothing up" build/bench/tests/soak/fuzz_policies 8
  [ "$(id -u)" -ne 0 ] ||
    check "the proxy is measured beside the floor" "$(python)" tests/bench/compare/compare.py build/bench/tests/bench \
      build/bench/steerway --rounds 1 --scale 0.02 --only floor,steerway
  [ "$(id -u)" -ne 0 ] ||
    check "the proxy is measured as connections, uplinks and names grow" "$(python)" tests/bench/compare/own.py \
      build/bench/tests/bench build/bench/steerway --rounds 1 --scale 0.02 --measures open,uplinks,names,threads,reload
}

step_lua() {
  local log=build/test/busted.txt status=0 runner=(busted)
  # Under Debian, busted is a Lua script of the interpreter in its first line; LuaJIT is the one to test with.
  if head -n 1 "$(command -v busted)" | grep -q lua; then
    runner=(luajit "$(command -v busted)" --ignore-lua)
  fi
  timeout --foreground --kill-after=10 $UNIT_MAX_S "${runner[@]}" -o plainTerminal >"$log" 2>&1 || status=$?
  cat "$log"
  sed -n 's/^Pending -> /SKIPPED /p' "$log"
  # 12 successes / 0 failures / 0 errors / 1 pending : 0.1 seconds
  awk '/^[0-9]+ success(es)? \/ / { p = $1; f = $4 + $7 } END { print p + 0, f + 0 }' "$log" >>"$TALLY"
  return $status
}

# Every Nth end-to-end test, its output in $log.K; more arguments go to pytest. In a background job SIGINT is ignored,
# unless it is trapped.
end_to_end_part() {
  trap - INT
  PYTHONPYCACHEPREFIX=$ROOT/build/test/pycache STEERWAY_BIN=$ROOT/build/$preset/steerway exec timeout --foreground --kill-after=10 $E2E_MAX_S \
    "$(python)" -m pytest -q -rfEs -o cache_dir="$ROOT/build/test/cache-$preset-$1" "${@:2}" tests/e2e >"$log.$1" 2>&1
}

# Run the failed tests of a part once more, when the other parts have ended. What passes then is told as unsteady, and
# is a defect all the same: of the test or of the proxy. More than E2E_UNSTEADY_MAX of them are no accident.
end_to_end_again() {
  local part=$1 failed status=0
  failed=$(grep -c '^FAILED ' "$log.$part")
  [ "$failed" -gt 0 ] && [ "$failed" -le $E2E_UNSTEADY_MAX ] && ! grep -q '^ERROR ' "$log.$part" || return 1
  mv "$log.$part" "$log.$part.first"
  (end_to_end_part "$part" "${@:2}" --last-failed --last-failed-no-failures=none) || status=$?
  cat "$log.$part.first"
  [ $status -ne 0 ] || sed -n 's/^FAILED /UNSTEADY /p' "$log.$part.first"
  # The summary of the first run stands for those that passed.
  awk -v failed="$failed" -v again=$status '/ in [0-9.]+s/ && /failed/ {
      for (i = 2; i <= NF; i++) if ($i ~ /^passed/) p = $(i - 1)
    }
    END { print p + (again ? 0 : failed), again ? failed : 0 }' "$log.$part.first" >>"$TALLY"
  return $status
}

# @param preset, whose binary is built; more arguments go to pytest
end_to_end() {
  local preset=$1 log=build/test/e2e-$1.txt status=0 part parts=${E2E_PARTS[$1]} pids=() ended=()
  shift
  rm -rf "$log".[0-9]* build/test/cache-"$preset"-*
  for part in $(seq "$parts"); do
    end_to_end_part "$part" --part="$part/$parts" "$@" &
    pids+=($!)
  done
  for part in "${pids[@]}"; do
    wait "$part" && ended+=(0) || ended+=($?)
  done
  for part in $(seq "$parts"); do
    if [ "${ended[part - 1]}" -ne 0 ]; then
      end_to_end_again "$part" "$@" && continue
      status=1
      [ ! -e "$log.$part.first" ] || { cat "$log.$part" && continue; }
    fi
    cat "$log.$part"
    # 1 failed, 41 passed, 2 skipped, 400 deselected, 1 error in 31.20s
    awk '/ in [0-9.]+s/ && /passed|failed|error/ {
        for (i = 2; i <= NF; i++) {
          if ($i ~ /^passed/) p = $(i - 1)
          if ($i ~ /^(failed|errors?)/) f += $(i - 1)
        }
      }
      END { print p + 0, f + 0 }' "$log.$part" >>"$TALLY"
  done
  return $status
}

step_e2e() { end_to_end dev; }

step_e2e_asan() {
  # A leak found at exit makes the exit code of the proxy, which every test looks at.
  ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 end_to_end asan -m "not once"
}

# The thread sanitizer holds signals back from code that calls nothing, so no endless policy is stopped.
step_e2e_tsan() {
  build tsan --target steerway >build/test/e2e-tsan.build 2>&1 || { cat build/test/e2e-tsan.build && return 1; }
  end_to_end tsan -k "not endless and not that_loops and not timers_of_a_policy and not reloads_in_a_row and not that_is_too_long"
}

seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f s", b - a }'; }

# Run a step. What there is to tell of it stays in build/test: STEP.log, STEP.tally, and STEP.end ("STATUS SECONDS").
step_run() {
  local began=$EPOCHREALTIME status=0
  TALLY=build/test/$1.tally
  : >"$TALLY"
  ("step_${1//-/_}") >"build/test/$1.log" 2>&1 </dev/null || status=$?
  echo "$status $(seconds_since "$began")" >"build/test/$1.end"
}

# Tell how a step ended, and leave its counts in $passed and $failed.
step_tell() {
  local log=build/test/$1.log status took
  read -r status took <"build/test/$1.end"
  read -r passed failed < <(awk '{ p += $1; f += $2 } END { print p + 0, f + 0 }' "build/test/$1.tally")
  # What ends badly without a count (a build, a crash), or well with nothing done, has failed as a whole.
  if [ $failed -eq 0 ] && { [ "$status" -ne 0 ] || { [ $passed -eq 0 ] && ! grep -q '^SKIPPED' "$log"; }; }; then
    failed=1
  fi
  if [ $failed -eq 0 ]; then
    printf 'ok      %8s  %d passed\n' "$took" $passed
    ! grep -q '^UNSTEADY' "$log" || sed 's/^/    /' "$log"
  else
    printf 'FAILED  %8s  %d passed, %d failed\n' "$took" $passed $failed
    sed 's/^/    /' "$log"
  fi
}

# Interrupted, we interrupt what runs beside us: pytest tidies up then, and is deaf to SIGTERM, as the init of its
# namespace.
interrupt_started() {
  local pid
  for pid in "${STARTED[@]}"; do
    kill -INT -- "-$pid" 2>/dev/null
  done
}

# Build for a step that runs beside the others, and start it, in a process group of its own. The build goes first, so that
# no two of them write to one folder.
start_beside() {
  local step=$1 log=build/test/$1.build
  if (build "${SIDE_BY_SIDE[$step]}" --target steerway linkemu) >"$log" 2>&1; then
    set -m
    step_run "$step" &
    STARTED[$step]=$!
    set +m
    trap interrupt_started EXIT
  else
    cp "$log" "build/test/$step.log"
    : >"build/test/$step.tally"
    echo "1 0.0 s" >"build/test/$step.end"
  fi
}

# What runs beside them gives way: they watch the clock.
steps_run_beside() {
  local step
  [ ${#STARTED[@]} -eq 0 ] || renice -n 15 -p "$BASHPID" >/dev/null
  for step in "$@"; do
    step_run "$step"
  done
}

# Start those of the given steps that are of the second lane, if there are others to run beside.
start_second_lane() {
  local step lane=()
  for step in "$@"; do
    [[ " $SECOND_LANE " != *" $step "* ]] || lane+=("$step")
  done
  [ ${#lane[@]} -gt 0 ] && [ ${#lane[@]} -lt $# ] || return 0
  set -m
  steps_run_beside "${lane[@]}" &
  for step in "${lane[@]}"; do STARTED[$step]=$!; done
  set +m
  trap interrupt_started EXIT
}

# Run the named steps and end with 1 if anything failed.
steps_run() {
  local step began=$EPOCHREALTIME passed failed sum_passed=0 sum_failed=0 skipped=
  declare -gA STARTED=()
  folder_need test
  mkdir -p build/test || exit 1
  for step in "$@"; do
    [[ -z ${SIDE_BY_SIDE[$step]:-} || -n ${STARTED[$step]:-} ]] || start_beside "$step"
  done
  start_second_lane "$@"
  for step in "$@"; do
    printf '%-9s' "$step"
    if [ -n "${STARTED[$step]:-}" ]; then
      wait "${STARTED[$step]}"
    elif [ -z "${SIDE_BY_SIDE[$step]:-}" ]; then
      (steps_run_beside "$step")
    fi
    step_tell "$step"
    skipped+=$(sed -n "s/^SKIPPED/skipped in $step:/p; s/^UNSTEADY/unsteady in $step:/p" "build/test/$step.log" | sort -u)$'\n'
    sum_passed=$((sum_passed + passed))
    sum_failed=$((sum_failed + failed))
  done
  trap - EXIT
  printf '%s' "$skipped" | grep .
  printf 'in %s\n' "$(seconds_since "$began")"
  printf '%d passed, %d failed\n' $sum_passed $sum_failed
  [ $sum_failed -eq 0 ]
}
