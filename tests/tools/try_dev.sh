#!/bin/sh
# See that ./dev says what is wrong where it may not write: in a build folder that is another user's.
# sh tests/tools/try_dev.sh
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
tree=$(mktemp -d)
trap 'chmod -R u+w "$tree" && rm -rf "$tree"' EXIT

cp -R "$here/dev" "$here/CMakePresets.json" "$tree"
mkdir -p "$tree/tests" "$tree/tmp"
cp -R "$here/tests/tools" "$tree/tests/tools"
chmod 755 "$tree"
chmod 777 "$tree/tmp"

# Root may write anywhere, so it becomes somebody else.
as_stranger() {
  if [ "$(id -u)" -eq 0 ]; then
    setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"
  else
    "$@"
  fi
}

must_tell() {
  status=0
  said=$(cd "$tree" && TMPDIR=$tree/tmp as_stranger ./dev "$@" 2>&1) || status=$?
  case $status:$said in
    1:*"belongs to $(id -un): work as that user, or remove the folder build"*) ;;
    *)
      echo "./dev $* ended with $status and said: $said"
      exit 1
      ;;
  esac
  if [ -n "$(ls "$tree/tmp")" ]; then
    echo "./dev $* left files behind: $(ls "$tree/tmp")"
    exit 1
  fi
}

mkdir -p "$tree/build"
chmod 555 "$tree/build"
must_tell run -V
must_tell build
must_tell test lint
must_tell lint

chmod 755 "$tree/build"
mkdir "$tree/build/release" "$tree/build/test"
touch "$tree/build/test/lint.log"
chmod 555 "$tree/build" "$tree/build/release" "$tree/build/test"
must_tell run -V
must_tell test lint
