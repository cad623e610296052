# How a check is made and reported, who types what, and the traffic. Sourced by `run.sh`.

# seconds: since the kernel started, for whoever wonders where the time goes.
seconds() { cut -d ' ' -f 1 /proc/uptime; }

# no WHY: ends a check.
no() {
    echo "no: $*"
    exit 1
}

# check NAME FUNCTION…: the first command of it that fails is its end.
check() {
    local name=$1 status
    shift
    echo "$(seconds) $name"
    (set -euo pipefail && "$@") >/test/said 2>&1 </dev/null
    status=$?
    sed 's/^/    /' /test/said
    if [ $status -eq 0 ]; then
        echo "check pass $name"
    else
        touch /test/failed
        echo "check fail $name: exit code $status: $(tail -n 6 /test/said | tr '\n' ' ' | cut -c 1-600)"
    fi
}

# has FILE TEXT: with the file's words where it has not.
has() { grep -q -- "$2" "$1" || no "no \"$2\" in: $(tr '\n' ' ' <"$1" | cut -c 1-500)"; }

# page NAME: the lines of a page, as somebody types them.
page() {
    sed 's/^/$ /' "/test/pages/$1"
    bash -euo pipefail "/test/pages/$1"
}

# as USER COMMAND: in a login of this user, who types one line or several.
as() { runuser -l "$1" -c "$2"; }

# eventually SECONDS COMMAND…
eventually() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || no "not in time: $*"
        sleep 0.3
    done
}

# is_in STATE TASK: so says its record.
is_in() { capture-agent task show "$2" -o json | grep -q "\"state\": *\"$1\""; }

# value KEY TASK: a number of the record of a task, the first of this name.
value() { capture-agent task show "$2" -o json | grep -o "\"$1\": *[0-9]*" | head -n 1 | grep -o '[0-9]*$'; }

# packets FILE: how many tshark finds.
packets() { tshark -n -r "$1" 2>/dev/null | wc -l; }

# equal WHAT ONE OTHER
equal() { [ "$2" = "$3" ] || no "$1: $2, not $3"; }

main_pid() { systemctl show -P MainPID capture-agent; }

# wire: a neighbour at eth0, who knocks at port 443 all the time, and pings when told to.
wire() {
    ip netns add neighbour
    ip link add eth0 address 02:00:00:00:00:05 type veth peer name eth0 netns neighbour address 02:00:00:00:00:09
    ip addr add 10.0.0.5/24 dev eth0
    ip link set eth0 up
    ip -n neighbour addr add 10.0.0.9/24 dev eth0
    ip -n neighbour link set eth0 up
    ip -n neighbour link set lo up
    ip netns exec neighbour bash -c 'while :; do (: <>/dev/tcp/10.0.0.5/443); sleep 0.05; done' 2>/dev/null &
    traffic=$!
}

# pings NUMBER: each two packets.
pings() { ip netns exec neighbour ping -q -n -c "$1" -i 0.1 10.0.0.5 >/dev/null; }

# Of the neighbour's pings, and nothing else.
pinged="-i eth0 --protocol icmp --ip 10.0.0.9"
