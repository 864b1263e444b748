#!/bin/sh
# Make the Debian package of a release build, look into it, and run what is in it, also in a minimal tree that is kept in
# TREE.tar. sh tests/tools/try_deb.sh BUILD_FOLDER TREE.tar
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
(cd "$1" && cpack -G DEB -B "$scratch/packed" >"$scratch/log" 2>&1) || { cat "$scratch/log"; exit 1; }
deb=$(echo "$scratch"/packed/steerway_*_*.deb)
[ -f "$deb" ] || { echo "no package steerway_VERSION_ARCH.deb was made"; exit 1; }

dpkg-deb -f "$deb"
depends=$(dpkg-deb -f "$deb" Depends)
for library in libc6 libev4 libmnl0 libluajit-5.1-2 libjansson4; do
  case $depends in
    *"$library"*) ;;
    *) echo "the package does not depend on $library: $depends"; exit 1 ;;
  esac
done
if dpkg-deb -c "$deb" | awk '$2 != "root/root" || $1 ~ /^.{5}w/ || $1 ~ /^.{8}w/ { bad = 1; print } END { exit !bad }'; then
  echo "files above have the wrong owner or mode"
  exit 1
fi
dpkg-deb -x "$deb" "$scratch/unpacked"
for file in bash-completion/completions/steerway zsh/vendor-completions/_steerway fish/vendor_completions.d/steerway.fish; do
  grep -q steerway "$scratch/unpacked/usr/share/$file" || { echo "not in the package: $file"; exit 1; }
done

if command -v lintian >/dev/null; then
  lintian --allow-root --fail-on error,warning "$deb" || exit 1
else
  echo "SKIPPED lintian is not installed"
fi

unit=$scratch/unpacked/usr/lib/systemd/system/steerway.service
if command -v systemd-analyze >/dev/null; then
  # The threshold is in tenths.
  systemd-analyze security --offline=yes --no-pager --threshold=20 "$unit" >"$scratch/log" 2>&1 ||
    { cat "$scratch/log"; echo "the unit is too open"; exit 1; }
  tail -n 1 "$scratch/log"
  sed "s|=/usr/bin/steerway|=$scratch/unpacked/usr/bin/steerway|" "$unit" >"$scratch/steerway.service"
  # It warns with status 0, and of nothing else here.
  if systemd-analyze verify --man=no "$scratch/steerway.service" 2>&1 | grep 'steerway\.s'; then
    echo "systemd finds fault with the unit"
    exit 1
  fi
else
  echo "SKIPPED the unit's exposure: systemd-analyze is not installed"
fi

sh "$(dirname "$0")/try_package.sh" "$deb" "$2"
sh "$(dirname "$0")/try_tree.sh" "$scratch/unpacked/usr"
