# The daemon as in production, asked by its commands: a task from its creation to its deletion, one over a step of
# the clock, one that the daemon is killed with, one that its end interrupts; the next one takes both up. What
# their records and files must say is known to `daemon.rs`. Sourced by `init.sh`, after `clock.sh`, whose clock it sets.

# start_daemon NAME: ready when this returns; its words come to /results/NAME.err.
start_daemon() {
    log=/results/$1.err
    : >"$log"
    /bin/ip netns exec left timeout -s KILL 120 capture-agent daemon --config /daemon/config.toml 2>"$log" &
    daemon=$!
    waited=0
    until grep -q '^ready$' "$log"; do
        usleep 100000
        waited=$((waited + 1))
        if [ $waited -gt 600 ] || ! kill -0 $daemon 2>/dev/null; then
            fail "$1" "not ready: $(one_line "$log")"
            return 1
        fi
    done
    echo "$(uptime) $1: ready"
}

# task ARGUMENT…: a command about tasks, within a time.
task() { timeout 40 capture-agent task "$@"; }

# until_shown NAME TEXT: the record of the task has this text.
until_shown() {
    waited=0
    until task show "$1" -o json >/tmp/shown 2>&1 && grep -q "$2" /tmp/shown; do
        usleep 200000
        waited=$((waited + 1))
        if [ $waited -gt 100 ]; then
            fail "daemon $1" "not $2: $(one_line /tmp/shown)"
            return 1
        fi
    done
}

# run_task NAME ARGUMENT…: a task that runs when this returns.
run_task() {
    label=$1
    shift
    if ! task create --name "$label" -i v0 $icmp --duration 10m "$@" >/tmp/id 2>&1; then
        fail "daemon $label" "not created: $(one_line /tmp/id)"
        return 1
    fi
    until_shown "$label" '"state":"running"'
}

# keep NAME: the record and the file of a task that has ended, for `daemon.rs`.
keep() {
    task show "$1" -o json >"/results/daemon-$1.json" &&
        task download "$1" -w "/results/daemon-$1.pcapng" >/tmp/downloaded 2>&1 ||
        fail "daemon $1" "no record or file: $(one_line /tmp/downloaded)"
}

# keep_interrupted NAME ID STEM: the same of one that was taken up, with the file of before.
keep_interrupted() {
    until_shown "$1" '"until":"' || return
    stop_task "$1"
    task show "$1" -o json >"/results/daemon-$1.json" &&
        cp "/daemon/captures/$2/$3.pcapng" "/results/daemon-$1.pcapng"
    expect "daemon: $1: the file of before is there" $? "$(ls -R /daemon/captures | tr '\n' ' ')"
}

# stop_task NAME: ended when this returns.
stop_task() {
    task stop "$1" >/tmp/stopped 2>&1 || fail "daemon $1" "not stopped: $(one_line /tmp/stopped)"
    until_shown "$1" '"state":"\(completed\|failed\)"'
}

# A task's whole life, and one over a step of the clock.
daemon_tasks() {
    run_task first || return
    pings
    stop_task first
    keep first
    run_task stepped || return
    one_ping
    set_clock 0
    one_ping
    stop_task stepped
    keep stepped
    set_clock 3600
    nothing_left "daemon: a task that was stopped" v0
    task delete first stepped >/tmp/deleted 2>&1 && [ -z "$(ls /daemon/captures)" ]
    expect "daemon: deleted tasks leave nothing" $? "$(one_line /tmp/deleted) $(ls /daemon/captures)"
}

daemon() {
    mkdir /daemon
    cat >/daemon/config.toml <<-END
	[paths]
	database = "/daemon/state.db"
	captures = "/daemon/captures"
	socket = "/daemon/api.sock"
	[quota]
	edition = "unlimited"
	[capture]
	ring_size = "8MiB"
	END
    export CAPTURE_AGENT_SOCKET=/daemon/api.sock
    start_daemon daemon-1 || return
    daemon_tasks
    run_task killed || return
    pings
    until_shown killed '"captured":22,'
    id=$(cut -c 1-26 /tmp/id)
    kill -KILL $daemon
    wait $daemon 2>/dev/null
    start_daemon daemon-2 || return
    keep_interrupted killed "$id" capture_interrupted
    nothing_left "daemon: a kill, and the next start," v0
    run_task last || return
    pings
    until_shown last '"captured":22,'
    id=$(cut -c 1-26 /tmp/id)
    stop daemon-2 $daemon
    nothing_left "daemon: its end" v0
    start_daemon daemon-3 || return
    keep_interrupted last "$id" capture
    stop daemon-3 $daemon
    nothing_left "daemon: its second end" v0
    nothing_loaded "daemon"
}
