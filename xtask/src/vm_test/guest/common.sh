# Functions for all scripts of the guest: how a check is reported, how an agent is started and ended, and
# how nothing of it may be left. Sourced by `init.sh`.

# uptime: seconds since boot, for whoever wonders where the time goes.
uptime() { cut -d ' ' -f 1 /proc/uptime; }

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

# start NAME AGENT-ARGUMENT…: an agent in the background, ready when this returns. It captures into the
# working directory, its summary and its words come to /results/NAME.json and .err.
start() {
    name=$1
    shift
    : >"/results/$name.err"
    # Not by `left`: a function in the background would be one process more, which gets the signals.
    /bin/ip netns exec left timeout -s KILL 90 capture-agent run -o json "$@" \
        >"/results/$name.json" 2>"/results/$name.err" &
    agent=$!
    waited=0
    until grep -q '^capturing on' "/results/$name.err"; do
        usleep 100000
        waited=$((waited + 1))
        if [ $waited -gt 400 ] || ! kill -0 $agent 2>/dev/null; then
            fail "$name" "not capturing: $(one_line "/results/$name.err")"
            return 1
        fi
    done
    grep '^capturing on' "/results/$name.err" | sed "s/^/$(uptime) $name: /"
}

# stop NAME PID: the orderly end. Not by SIGINT, which a shell lets its background ignore.
stop() {
    kill -TERM "$2"
    wait "$2"
    status=$?
    [ $status -eq 0 ] || fail "$1" "exit code $status: $(one_line "/results/$1.err")"
    echo "$(uptime) $1: ended"
}

filters() { left tc filter show dev "$1" ingress; left tc filter show dev "$1" egress; }
has_clsact() { left tc qdisc show dev "$1" | grep -q clsact; }

# nothing_left NAME INTERFACE: neither filter, nor qdisc, nor XDP.
nothing_left() {
    filters "$2" >/tmp/left 2>&1
    has_clsact "$2" && echo "a clsact qdisc" >>/tmp/left
    left ip link show "$2" | grep -o 'prog/xdp.*' >>/tmp/left
    [ ! -s /tmp/left ]
    expect "$1 leaves nothing on $2" $? "left: $(one_line /tmp/left)"
}

# loaded: programs, maps and links in the kernel, a line each, without what changes by itself.
loaded() {
    for kind in prog map link; do
        bpftool $kind list | grep '^[0-9]' | sed "s/^/$kind /; s/  *$//"
    done
}

# nothing_loaded NAME: what is loaded is what was loaded at boot. The kernel frees with a delay.
nothing_loaded() {
    for wait in 1 2 3 4 5 6 7 8; do
        loaded >/tmp/loaded 2>&1
        cmp -s /tmp/loaded /tmp/loaded-at-boot && break
        sleep 1
    done
    cmp -s /tmp/loaded /tmp/loaded-at-boot
    expect "$1: no program, map or link is left" $? "left: $(one_line /tmp/loaded)"
}

# capture NAME INTERFACE TRAFFIC AGENT-ARGUMENT…: to NAME.pcapng
capture() {
    label=$1
    interface=$2
    traffic=$3
    shift 3
    if start "$label" -i "$interface" -w "$label.pcapng" "$@"; then
        $traffic
        stop "$label" $agent
    fi
    nothing_left "$label" "$interface"
}
