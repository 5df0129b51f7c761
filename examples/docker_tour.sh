#!/bin/sh
# Docker's networking overview, command line by command line, with netyard for docker; what each
# must bring about is checked. A command takes the place of the image.
#
# Makes networks and containers called tour-*, publishes 8080 and 8081, and takes all of it away.
# Needs root, netyard, python3, redis-server, dig and curl.
set -eu
PATH=$PATH:/usr/sbin:/sbin
NETYARD=${NETYARD:-netyard}
HOST_IP=${HOST_IP:-$(ip -4 -o addr show scope global | awk '{sub("/.*", "", $4); print $4; exit}')}
WEB="python3 -m http.server"

step() {
	printf '\n# %s\n' "$1"
}

# Show a command line as one would type it, then run it.
run() {
	printf '$ netyard %s\n' "$*"
	$NETYARD "$@"
}

# Check an outcome: what is said must hold.
holds() {
	what=$1
	shift
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		if "$@" >/dev/null 2>&1; then
			printf '  ok: %s\n' "$what"
			return
		fi
		sleep 0.3
	done
	printf '  FAILED: %s\n' "$what" >&2
	exit 1
}

fails() {
	! "$@"
}

says() {
	wanted=$1
	shift
	"$@" 2>&1 | grep -q -e "$wanted"
}

inside() {
	name=$1
	shift
	$NETYARD exec "$name" "$@"
}

clean_up() {
	for name in web3 web2 web container3 container4 redis; do
		$NETYARD rm -f "tour-$name" >/dev/null 2>&1 || true
	done
	$NETYARD network rm -f tour-net tour-other tour-lan >/dev/null 2>&1 || true
}
trap clean_up EXIT
clean_up

step "User-defined networks: create one, run a container on it"
run network create -d bridge tour-net
run run --network=tour-net -itd --name=tour-container3 sh
holds "it runs" says tour-container3 "$NETYARD" ps
run run --network=tour-net -itd --name=tour-container4 sh
holds "containers of one network reach each other by name" \
	inside tour-container4 ping -c1 -W1 tour-container3
address=$($NETYARD inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' tour-container3)
holds "and by address" inside tour-container4 ping -c1 -W1 "$address"

step "Drivers: bridge, host, none"
holds "host shares the host's interfaces" says "$HOST_IP" "$NETYARD" run --rm --network host ip addr
holds "none has a loopback only" says '^1$' \
	"$NETYARD" run --rm --network none sh -c "ls /proc/sys/net/ipv4/conf | grep -vc 'all\|default'"

step "Connecting a container to several networks"
run network create --internal tour-other
run network connect --alias db tour-other tour-container3
run network connect tour-other tour-container4
holds "it has an interface on each" says eth1 inside tour-container3 ip addr
holds "an alias is a name on that network" inside tour-container4 ping -c1 -W1 db
run network disconnect tour-other tour-container3
holds "and gone with it" fails inside tour-container4 ping -c1 -W1 db
holds "several networks at once, at the start" says eth1 \
	"$NETYARD" run --rm --network tour-net --network tour-other ip addr

step "Container networks: sharing another one's"
run run -d --name tour-redis redis-server --bind 127.0.0.1
holds "redis is reached at 127.0.0.1 by who shares its network" says PONG \
	"$NETYARD" run --rm --network container:tour-redis redis-cli -h 127.0.0.1 ping
for flag in --add-host=a:1.2.3.4 --hostname=a --dns=1.1.1.1 --dns-search=a.b --dns-option=ndots:1 \
	--mac-address=02:00:00:00:00:01 --publish=1:1 --publish-all --expose=1; do
	holds "$flag does not go with it" says "conflicting options" \
		"$NETYARD" run --rm --network container:tour-redis "$flag" true
done

step "Published ports"
run run -d --name tour-web --network tour-net $WEB 80
holds "nothing is exposed without -p" fails curl -s -m1 "http://$HOST_IP:8080/"
$NETYARD rm -f tour-web >/dev/null
run run -d --name tour-web --network tour-net -p 8080:80 $WEB 80
holds "-p 8080:80 is open on every address" curl -s -m2 "http://$HOST_IP:8080/"
holds "the loopback too" curl -s -m2 http://127.0.0.1:8080/
$NETYARD rm -f tour-web >/dev/null
run run -d --name tour-web --network tour-net -p "$HOST_IP:8080:80" $WEB 80
holds "-p $HOST_IP:8080:80 is open on that address" curl -s -m2 "http://$HOST_IP:8080/"
holds "and on no other" fails curl -s -m1 http://127.0.0.1:8080/
$NETYARD rm -f tour-web >/dev/null
run run -d --name tour-web --network tour-net -p 8080:80/udp sleep 600
holds "-p 8080:80/udp publishes UDP" says '80/udp -> 0.0.0.0:8080' "$NETYARD" port tour-web
$NETYARD rm -f tour-web >/dev/null
run run -d --name tour-web --network tour-net -p 8080:80/tcp -p 8080:80/udp $WEB 80
holds "both protocols on one port" says '80/tcp -> 0.0.0.0:8080' "$NETYARD" port tour-web
$NETYARD rm -f tour-web >/dev/null
run run -d --name tour-web --network tour-net -p 127.0.0.1:8080:80 $WEB 80
holds "-p 127.0.0.1:8080:80 is for the host" curl -s -m2 http://127.0.0.1:8080/
holds "and for nobody else" fails curl -s -m1 "http://$HOST_IP:8080/"

step "Address and host name"
run network create --subnet 10.123.0.0/24 --ip-range 10.123.0.128/25 --ipv6 tour-lan
run run -d --name tour-web2 --network tour-lan --ip 10.123.0.9 --hostname shop sleep 600
holds "--ip is its address" says 10.123.0.9 inside tour-web2 ip addr
holds "--hostname is its name" says '^shop$' inside tour-web2 hostname
holds "IPv6 beside it" says 'inet6 fd' inside tour-web2 ip addr
run network connect --ip 10.123.0.10 --alias front tour-lan tour-web
holds "connect --ip and --alias" says 10.123.0.10 inside tour-web2 dig +short front
holds "without --hostname it is the short id" \
	says "$($NETYARD ps -q -f name=tour-web$)" inside tour-web hostname

step "DNS services"
run run -d --name tour-web3 --network tour-lan --dns 192.0.2.53 --dns-search corp.test \
	--dns-opt timeout:1 --add-host up:host-gateway sleep 600
holds "a network of one's own has the embedded server" says 'nameserver 127.0.0.11' \
	inside tour-web3 cat /etc/resolv.conf
holds "--dns-search" says 'search corp.test' inside tour-web3 cat /etc/resolv.conf
holds "--dns-opt" says 'timeout:1' inside tour-web3 cat /etc/resolv.conf
holds "--add-host" says 'up$' inside tour-web3 cat /etc/hosts
holds "the default network has a copy of the host's file" fails says 127.0.0.11 \
	"$NETYARD" run --rm cat /etc/resolv.conf

printf '\nthe tour is over: everything held\n'
