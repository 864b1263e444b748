#!/bin/sh
# Install a Debian package into a minimal Debian tree, run what is in it there, upgrade it, remove it and purge it.
# sh tests/tools/try_package.sh PACKAGE.deb TREE.tar
# TREE.tar is made where it is missing, by mmdebstrap; for that, and for namespaces, this runs as root.
set -eu
deb=$1 tar=$2
fail() { echo "$*"; exit 1; }

if [ "${3:-}" != inside ]; then
  command -v mmdebstrap >/dev/null || { echo "SKIPPED the package in a minimal tree: mmdebstrap is not installed"; exit 0; }
  [ "$(id -u)" -eq 0 ] || { echo "SKIPPED the package in a minimal tree: it needs root"; exit 0; }
  needs=$(dpkg-deb -f "$deb" Depends | sed 's/ *|[^,]*//g; s/ *([^)]*)//g; s/ //g'),logrotate
  # A tree that was made for other libraries is made again.
  if [ ! -f "$tar" ] || [ "$(cat "$tar.needs" 2>/dev/null)" != "$needs" ]; then
    mkdir -p "$(dirname "$tar")"
    if ! mmdebstrap --format=tar --variant=minbase --include="$needs" "$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")" \
      "$tar.new" >"$tar.log" 2>&1; then
      tail -n 5 "$tar.log"
      echo "SKIPPED the package in a minimal tree: mmdebstrap could not make one"
      exit 0
    fi
    mv "$tar.new" "$tar"
    echo "$needs" >"$tar.needs"
  fi
  # All that is mounted or started ends with the namespaces.
  exec unshare --mount --pid --net --fork --kill-child sh "$0" "$deb" "$tar" inside
fi

mount --make-rprivate /
tree=$(mktemp -d)
mount -t tmpfs tmpfs "$tree"
trap 'umount -l "$tree"; rmdir "$tree"' EXIT
tar -xf "$tar" -C "$tree" --exclude='./dev/*'
mount -t proc proc "$tree/proc"
for device in null zero random urandom; do
  touch "$tree/dev/$device"
  mount --bind "/dev/$device" "$tree/dev/$device"
done
ip link set lo up

in_tree() { chroot "$tree" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"; }
paths() { (cd "$tree" && find . -xdev \( -path ./proc -o -path ./dev -o -path ./run -o -path ./var/log -o -path ./var/lib/logrotate -o -path ./var/lib/dpkg \) -prune -o -print | sort); }
has() { [ -e "$tree$1" ] || [ -L "$tree$1" ] || fail "$2: $1 is missing"; }
lacks() { [ ! -e "$tree$1" ] && [ ! -L "$tree$1" ] || fail "$2: $1 is still there"; }
config=/etc/steerway/steerway.conf.lua
wanted=/etc/systemd/system/multi-user.target.wants/steerway.service

# The next version, with another config as shipped.
cp "$deb" "$tree/one.deb"
dpkg-deb -R "$deb" "$tree/next"
sed -i 's/^Version: .*/Version: 99.0-1/' "$tree/next/DEBIAN/control"
echo '-- as the next version ships it' >>"$tree/next$config"
dpkg-deb -b "$tree/next" "$tree/two.deb" >/dev/null
rm -r "$tree/next"
paths >/tmp/paths.$$ && mv /tmp/paths.$$ "$tree/before"

echo "-- install"
in_tree dpkg -i /one.deb
in_tree dpkg --verify steerway | grep . && fail "files differ from those of the package"
has $config "after the installation"
has $wanted "after the installation"
lacks /etc/systemd/system/sockets.target.wants "after the installation"
uid=$(in_tree id -u steerway)
[ "$uid" -lt 1000 ] || fail "the user steerway has the number of a person: $uid"

echo "-- the service's commands, as the unit starts them"
# PID 1 is not systemd here: the folders and the user that the unit asks for are made by hand.
unit=$tree/usr/lib/systemd/system/steerway.service
line() { sed -n "s/^$1=//p" "$unit"; }
mkdir -p "$tree/run/steerway" "$tree/var/lib/steerway" "$tree/var/log/steerway"
in_tree chown steerway:steerway /run/steerway /var/lib/steerway /var/log/steerway
sed -i 's|-- log_to|log_to|' "$tree$config"
in_tree runuser -u steerway -- steerway check --config $config
# shellcheck disable=SC2046 # a list of words
in_tree setpriv --reuid=steerway --regid=steerway --clear-groups env RUNTIME_DIRECTORY=/run/steerway \
  STATE_DIRECTORY=/var/lib/steerway $(line ExecStart) >"$tree/out" 2>&1 &
served=
for i in $(seq 100); do
  in_tree env XDG_RUNTIME_DIR=/run/user/0 steerway status >"$tree/status" 2>&1 && served=$i && break
  sleep 0.1
done
[ -n "$served" ] || { cat "$tree/out" "$tree/status"; fail "the service cannot be asked by root"; }
grep -q '127.0.0.1:1080' "$tree/status" || { cat "$tree/status"; fail "it does not listen on localhost"; }
# shellcheck disable=SC2046
in_tree setpriv --reuid=steerway --regid=steerway --clear-groups env RUNTIME_DIRECTORY=/run/steerway $(line ExecReload) ||
  fail "ExecReload fails"
pid=$(in_tree sh -c 'for p in /proc/[0-9]*; do [ "$(readlink $p/exe)" = /usr/bin/steerway ] && echo ${p#/proc/}; done | head -n 1')
log=/var/log/steerway/proxy.log
in_tree logrotate --force /etc/logrotate.d/steerway || fail "logrotate fails"
has $log.1 "after a rotation"
lacks $log "before the signal" # systemctl, which sends it, is not in this tree
kill -USR1 "$pid"
for i in $(seq 100); do
  [ ! -e "$tree$log" ] || break
  sleep 0.1
done
has $log "after the signal"
kill -TERM "$pid"
wait $! || { cat "$tree/out"; fail "the service did not end well"; }
has /var/lib/steerway/state.json "after a run"
grep -q stopping "$tree$log" || fail "the log does not go to the new file"

echo "-- upgrade"
echo '-- by the administrator' >>"$tree$config"
in_tree dpkg --force-confdef --force-confold -i /two.deb
[ "$(in_tree dpkg-query -W -f='${Version}' steerway)" = 99.0-1 ] || fail "it was not upgraded"
grep -q 'by the administrator' "$tree$config" || fail "the upgrade has replaced the administrator's config"
[ "$(in_tree id -u steerway)" = "$uid" ] || fail "the upgrade has changed the user"
has $wanted "after the upgrade"
has /var/lib/steerway/state.json "after the upgrade"

echo "-- remove"
in_tree dpkg -r steerway
lacks /usr/bin/steerway "after the removal"
has /etc/logrotate.d/steerway "after the removal"
has $log "after the removal"
has $config "after the removal"
has /var/lib/steerway/state.json "after the removal"

echo "-- install again, and purge"
in_tree dpkg -i /two.deb
has $wanted "after it was installed again"
in_tree dpkg -P steerway
lacks /var/log/steerway "after the purge"
rm -f "$tree/out" "$tree/status"
mv "$tree/before" /tmp/before.$$
paths >/tmp/after.$$
# Backups of the files of users are adduser's.
left=$(diff /tmp/before.$$ /tmp/after.$$ | grep '^[<>]' | grep -v -e ' \./before$' -e ' \./etc/[a-z]*-$' || true)
rm /tmp/before.$$ /tmp/after.$$
[ -z "$left" ] || fail "the purge leaves or takes files:
$left"
