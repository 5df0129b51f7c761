#!/bin/sh
# Install the firewalls and the engine that netyard is tried beside, and etcd, without letting any
# of them run on this machine: not now, and not after its next start. Tests start them in lab hosts.
set -eu
missing=
for package in docker.io ufw firewalld dbus iptables etcd-server etcd-client; do
	dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
	trap 'rm -f "$policy"' EXIT
fi
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq \
	--no-install-recommends $missing >/dev/null
for package in $missing; do
	case $package in
	docker.io) units="docker.service docker.socket containerd.service" ;;
	ufw | firewalld) units="$package.service" ;;
	etcd-server) units="etcd.service" ;;
	*) continue ;;
	esac
	for unit in $units; do
		DPKG_MAINTSCRIPT_PACKAGE=$package deb-systemd-helper disable "$unit" >/dev/null 2>&1 || true
	done
done
