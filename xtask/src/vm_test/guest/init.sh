#!/bin/sh
# The first process of the virtual machine: captures over veth pairs between two namespaces, looks at what
# is left behind, and gives the results to the host. One line a check goes to the console, `check pass NAME`
# or `check fail NAME: why`; all files go as a compressed tar archive to the second serial port, where
# `verdict.rs` reads them.

export PATH=/bin

# busybox's shell takes its own program of a name before that in PATH.
ip() { /bin/ip "$@"; }
tc() { /bin/tc "$@"; }

left() { ip netns exec left "$@"; }
right() { ip netns exec right "$@"; }

. /guest/common.sh
. /guest/captures.sh
. /guest/others.sh
. /guest/clock.sh
. /guest/daemon.sh

# since MAJOR.MINOR: whether the kernel is that one or newer.
since() {
    release=$(uname -r)
    major=${release%%.*}
    minor=${release#*.}
    minor=${minor%%[!0-9]*}
    [ "$major" -gt "${1%.*}" ] || { [ "$major" -eq "${1%.*}" ] && [ "$minor" -ge "${1#*.}" ]; }
}

boot() {
    mount -t proc proc /proc
    mount -t sysfs sys /sys
    mount -t devtmpfs dev /dev
    mount -t bpf bpf /sys/fs/bpf
    exec </dev/console >/dev/console 2>&1
    stty -F /dev/ttyS1 raw
    mkdir -p /results /run/netns /tmp
    while read -r module; do
        insmod "/modules/$module" || fail modules "$module does not load"
    done </modules/order
    # A memory lock as low as that of an ordinary login: the agent must raise it itself.
    ulimit -l 64
    ip link set lo up
}

# pair LEFT RIGHT NETWORK MTU: with addresses .1 and .2, and neighbours that are fixed, so that every run
# has the same packets.
pair() {
    ip link add "$1" netns left address 02:00:00:00:00:01 mtu "$4" type veth \
        peer name "$2" netns right address 02:00:00:00:00:02 mtu "$4"
    net=$3
    for side in "left $1 1 2" "right $2 2 1"; do
        set -- $side
        ip netns exec "$1" sysctl -q -w "net.ipv6.conf.$2.accept_dad=0"
        ip -n "$1" addr add "10.$net.0.$3/24" dev "$2"
        ip -n "$1" addr add "fd$net::$3/64" dev "$2" nodad
        ip -n "$1" link set "$2" up
        ip -n "$1" neigh add "10.$net.0.$4" lladdr "02:00:00:00:00:0$4" dev "$2" nud permanent
        ip -n "$1" neigh add "fd$net::$4" lladdr "02:00:00:00:00:0$4" dev "$2" nud permanent
    done
}

wire() {
    ip netns add left
    ip netns add right
    pair v0 v1 77 1500
    # Datagrams go by addresses of their own: what is answered to them is no ping.
    ip -n left addr add 10.79.0.1/24 dev v0
    ip -n right addr add 10.79.0.2/24 dev v1
    ip -n left neigh add 10.79.0.2 lladdr 02:00:00:00:00:02 dev v0 nud permanent
    ip -n right neigh add 10.79.0.1 lladdr 02:00:00:00:00:01 dev v1 nud permanent
    pair j0 j1 78 9000
    # Over this pair goes what the host made, and nothing else.
    ip link add w0 netns left type veth peer name w1 netns right
    for side in "left w0" "right w1"; do
        set -- $side
        ip netns exec "$1" sysctl -q -w "net.ipv6.conf.$2.disable_ipv6=1"
        ip -n "$1" link set "$2" up
    done
    mkdir /www
    head -c 200000 /dev/zero >/www/data
    right httpd -p 8080 -h /www
}

# Where the kernel refuses a program, the verifier's words are all that matters.
programs() {
    timeout -s KILL 120 capture-agent doctor -o json >/results/doctor.json 2>/results/doctor.err
    status=$?
    [ $status -eq 0 ] && pass doctor && return
    fail doctor "exit code $status; see verifier.txt"
    # Not at the level debug, at which the programs are others: they log.
    CAPTURE_AGENT_LOG=info timeout -s KILL 200 capture-agent doctor -v >/results/verifier.txt 2>&1
    return 1
}

everything() {
    uname -r
    loaded >/tmp/loaded-at-boot
    programs || return
    wire
    cd /results
    live
    many
    jumbo
    nothing_loaded "captures"
    foreign
    generic
    killed
    nothing_loaded "others"
    clock
    daemon
}

boot
everything
dmesg >/results/dmesg.txt
(cd /results && tar c . | gzip -1) >/dev/ttyS1
echo "check done"
sync
poweroff -f
