# Sourced by ./dev: the tests on arm64. The distribution's compiler builds for it, against the distribution's libraries
# for it, and qemu-user runs the unit tests and the Lua tests.
# shellcheck shell=bash

# shellcheck disable=SC2034 # used by its name
PACKAGES_arm64="gcc-aarch64-linux-gnu qemu-user mmdebstrap"

ARM64_LIBRARIES="libc6-dev,linux-libc-dev,libgcc-s1,libev-dev,libluajit-5.1-dev,libmnl-dev,libjansson-dev,libpsl-dev,libidn2-dev,libssl-dev,libcrypt-dev,libcap-ng-dev,libcmocka-dev,luajit,lua-busted"
# Tests that fail by qemu-user: those of CPU time and memory limits, which count what the emulator takes as well, and
# those whose namespaces, sockets or messages of netlink it does not translate.
ARM64_UNIT_LEFT_OUT="policy/test_(policy_escape|policy_memory|policy_watchdog|vm)$|follow/test_surroundings|outbound/test_await$"
ARM64_UNIT_LEFT_OUT+="|uplink/test_uplink$|base/test_log_blocked|log/test_log_to|machine/test_(gateway_rule|local_rule|neighbour)$"
ARM64_UNIT_LEFT_OUT+="|net/test_(egress|listener|source)$"
ARM64_LUA_LEFT_OUT="bounds"

# The libraries for arm64 in a tree of their own: nothing of it runs, and this machine's packages stay as they are.
arm64_tree_need() {
  local tree=$1 link
  [ -f "$tree/.whole" ] && return 0
  rm -rf "$tree"
  mkdir -p "$(dirname "$tree")"
  say "Unpacking libraries for arm64 into $tree"
  mmdebstrap --architectures=arm64 --variant=extract --format=directory --include="$ARM64_LIBRARIES" \
    "$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")" "$tree" >"$tree.log" 2>&1 || {
    tail -n 5 "$tree.log" >&2
    die "the libraries for arm64 could not be had"
  }
  # The linker would follow these out of the tree.
  find "$tree/usr/lib" -type l -lname '/*' | while read -r link; do
    ln -snf "$(realpath -m --relative-to="$(dirname "$link")" "$tree$(readlink "$link")")" "$link"
  done
  touch "$tree/.whole"
}

cmd_test_arm64() {
  local tree=$ROOT/build/tools/arm64 folder=$ROOT/build/arm64 status=0 options=()
  packages_need run lint test arm64
  cd "$ROOT" || exit 1
  folder_need arm64
  arm64_tree_need "$tree"
  command -v ccache >/dev/null && options+=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
  cmake -S . -B "$folder" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$ROOT/cmake/arm64.cmake" -DSTEERWAY_ARM64_TREE="$tree" \
    -DCMAKE_BUILD_TYPE=Debug -DSTEERWAY_TESTS=ON "${options[@]}" >/dev/null && cmake --build "$folder" -j "$(jobs_max)" || exit 1
  qemu-aarch64 -L "$tree" "$folder/steerway" --version || exit 1
  ctest --test-dir "$folder" -j "$(jobs_max)" --timeout 300 --output-on-failure -E "$ARM64_UNIT_LEFT_OUT" || status=1
  qemu-aarch64 -L "$tree" "$tree/usr/bin/luajit" "$tree/usr/bin/busted" --ignore-lua \
    --exclude-pattern="$ARM64_LUA_LEFT_OUT" -o plainTerminal || status=1
  exit $status
}
