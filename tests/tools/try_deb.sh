#!/bin/sh
# Make the Debian package of a release build, look into it, and run what is in it. sh tests/tools/try_deb.sh
# BUILD_FOLDER
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
sh "$(dirname "$0")/try_tree.sh" "$scratch/unpacked/usr"
