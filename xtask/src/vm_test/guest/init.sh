#!/bin/sh
# The first process of the virtual machine: captures over a veth pair between two namespaces, looks
# at what is left behind, and gives the results to the host. One line a check goes to the console,
# `check pass NAME` or `check fail NAME: why`; all files go as a tar archive to the second serial
# port, where `verdict.rs` reads them.

export PATH=/bin

# The pings and nothing of what IPv6 says of itself.
icmp="--protocol icmp --ip 10.77.0.0/24"

pass() { echo "check pass $1"; }
fail() { echo "check fail $1: $2"; }

# expect NAME CONDITION-RESULT WHY: from the status of a test just made.
expect() { if [ "$2" -eq 0 ]; then pass "$1"; else fail "$1" "$3"; fi; }

# busybox's shell takes its own program of a name before that in PATH.
ip() { /bin/ip "$@"; }
tc() { /bin/tc "$@"; }

left() { ip netns exec left "$@"; }
right() { ip netns exec right "$@"; }

# one_line FILE: its last lines as one, for a message.
one_line() { tail -n 4 "$1" | tr '\n' ' ' | cut -c 1-600; }

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

# Neighbours are fixed, so that every run has the same packets.
wire() {
    ip netns add left
    ip netns add right
    ip link add v0 netns left address 02:00:00:00:00:01 type veth \
        peer name v1 netns right address 02:00:00:00:00:02
    for side in "left v0 1 2" "right v1 2 1"; do
        set -- $side
        ip netns exec "$1" sysctl -q -w "net.ipv6.conf.$2.accept_dad=0"
        ip -n "$1" addr add "10.77.0.$3/24" dev "$2"
        ip -n "$1" addr add "fd77::$3/64" dev "$2" nodad
        ip -n "$1" link set "$2" up
        ip -n "$1" neigh add "10.77.0.$4" lladdr "02:00:00:00:00:0$4" dev "$2" nud permanent
        ip -n "$1" neigh add "fd77::$4" lladdr "02:00:00:00:00:0$4" dev "$2" nud permanent
    done
    mkdir /www
    head -c 200000 /dev/zero >/www/data
    right httpd -p 8080 -h /www
}

# 5 requests, 5 answers, and 2 of each in 3 fragments: 22 frames.
pings() {
    for i in 1 2 3 4 5; do right ping -q -c 1 -W 5 10.77.0.1 >/dev/null; done
    for i in 1 2; do right ping -q -c 1 -W 5 -s 4000 10.77.0.1 >/dev/null; done
}

# 3 requests and 3 answers: 6 frames.
pings6() {
    for i in 1 2 3; do right ping6 -q -c 1 -W 5 fd77::1 >/dev/null; done
}

# 3 datagrams to ports that are asked for, and 3 to others.
datagrams() {
    for port in 5000 6000; do
        right traceroute -n -q 3 -m 1 -w 1 -p $port 10.77.0.1 >/dev/null 2>&1
    done
}

# 200,000 bytes and a little HTTP from right to left, in frames as large as the interface makes them.
stream() {
    left timeout 20 wget -q -O /tmp/received http://10.77.0.2:8080/data
    [ "$(wc -c </tmp/received)" -eq 200000 ] || fail "$name traffic" "the bytes did not arrive"
}

# start NAME AGENT-ARGUMENT…: a capture on v0 in the background, ready when this returns.
start() {
    name=$1
    shift
    # Not by `left`: a function in the background would be one process more, which gets the signals.
    /bin/ip netns exec left timeout -s KILL 90 \
        capture-agent run -i v0 -w "/results/$name.pcapng" -o json "$@" \
        >"/results/$name.json" 2>"/results/$name.err" &
    agent=$!
    waited=0
    until grep -q '^capturing on' "/results/$name.err"; do
        sleep 0.2
        waited=$((waited + 1))
        if [ $waited -gt 200 ] || ! kill -0 $agent 2>/dev/null; then
            fail "$name" "not capturing: $(one_line "/results/$name.err")"
            return 1
        fi
    done
    grep '^capturing on' "/results/$name.err" | sed "s/^/$name: /"
}

# stop NAME PID: the orderly end. Not by SIGINT, which a shell lets its background ignore.
stop() {
    kill -TERM "$2"
    wait "$2"
    status=$?
    [ $status -eq 0 ] || fail "$1" "exit code $status: $(one_line "/results/$1.err")"
}

filters() { left tc filter show dev v0 ingress; left tc filter show dev v0 egress; }
has_clsact() { left tc qdisc show dev v0 | grep -q clsact; }

# nothing_left NAME: neither filter, nor qdisc, nor XDP.
nothing_left() {
    filters >/tmp/left 2>&1
    has_clsact && echo "a clsact qdisc" >>/tmp/left
    left ip link show v0 | grep -o 'prog/xdp.*' >>/tmp/left
    [ ! -s /tmp/left ]
    expect "$1 leaves nothing" $? "left: $(one_line /tmp/left)"
}

# capture NAME TRAFFIC AGENT-ARGUMENT…
capture() {
    label=$1
    traffic=$2
    shift 2
    if start "$label" "$@"; then
        $traffic
        stop "$label" $agent
    fi
    nothing_left "$label"
}

# A filter and a qdisc of somebody else stay.
foreign() {
    left tc qdisc add dev v0 clsact
    left tc filter add dev v0 ingress prio 5 protocol all matchall classid 1:1
    start foreign $icmp && pings && stop foreign $agent
    filters >/tmp/left
    grep -q matchall /tmp/left
    expect "foreign filter stays" $? "it is gone"
    ! grep -q capture /tmp/left
    expect "foreign: ours is gone" $? "left: $(one_line /tmp/left)"
    left tc filter del dev v0 ingress
    start foreign-qdisc $icmp && pings && stop foreign-qdisc $agent
    has_clsact
    expect "foreign qdisc stays" $? "it is gone"
    left tc qdisc del dev v0 clsact
}

# What a killed agent leaves is taken away by the next one, and what a live agent has is not.
killed() {
    start first $icmp || return
    first=$agent
    start second $icmp || return
    second=$agent
    kill -KILL $first
    wait $first 2>/dev/null
    start third $icmp || return
    third=$agent
    if [ "$clsact" = yes ]; then
        # One filter each way for each of the two that live.
        count=$(filters | grep -c 'capture-agent/')
        [ "$count" -eq 4 ]
        expect "killed: leftovers are taken away" $? "$count filters, not 4: $(filters | tr '\n' ' ')"
    fi
    pings
    stop second $second
    stop third $third
    nothing_left "killed, then two ended,"
    start last $icmp || return
    kill -KILL $agent
    wait $agent 2>/dev/null
    capture after-kill pings $icmp
    start xdp-last --hook xdp -Q ingress $icmp || return
    kill -KILL $agent
    wait $agent 2>/dev/null
    sleep 1
    nothing_left "killed xdp"
}

everything() {
    uname -r
    timeout -s KILL 120 capture-agent doctor >/results/doctor.txt 2>&1
    expect doctor $? "$(grep -i -A 3 fail /results/doctor.txt | tr '\n' ' ' | cut -c 1-600)"
    wire
    case $(uname -r) in
        5.*|6.[0-5].*) clsact=yes ;;
        *) clsact=no ;;
    esac
    for hook in tc xdp xdp-generic; do
        capture $hook-icmp pings --hook $hook $icmp
        capture $hook-icmp6 pings6 --hook $hook --protocol icmp --ip fd77::2
        capture $hook-udp datagrams --hook $hook --protocol udp --ip 10.77.0.1 --port 5000-5100
        capture $hook-tcp stream --hook $hook --protocol tcp --ip 10.77.0.2 --port 8000-8100 \
            --peer-ip 10.77.0.0/24
    done
    foreign
    killed
}

boot
everything
dmesg >/results/dmesg.txt
(cd /results && tar c .) >/dev/ttyS1
echo "check done"
sync
poweroff -f
