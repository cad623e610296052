# The wall clock is set while captures run: an hour on, and two back. What their files and summaries must say is
# known to `clock.rs`. Sourced by `init.sh`, late: the clock stays an hour ahead.

# A request and its answer, from the other side.
one_ping() { right ping -q -c 1 -W 5 10.77.0.1 >/dev/null; }

# set_clock SECONDS: ahead of what the clock would be if nobody had set it.
set_clock() {
    now=$(cut -d . -f 1 /proc/uptime)
    date -s "@$((booted + now + $1))" >/dev/null || fail clock "it cannot be set"
}

clock() {
    booted=$(($(date +%s) - $(cut -d . -f 1 /proc/uptime)))
    start clock --tasks /tasks/clock.json || return
    begun=$(cut -d . -f 1 /proc/uptime)
    # Two pings a step, before and after it.
    for ahead in 0 3600 -3600 0 3600; do
        one_ping
        set_clock $ahead
        one_ping
        sleep 1
    done
    # A file has its name once it is complete.
    until [ -e clock-duration.pcapng ] || [ $(($(cut -d . -f 1 /proc/uptime) - begun)) -gt 60 ]; do
        usleep 100000
    done
    took=$(($(cut -d . -f 1 /proc/uptime) - begun))
    [ $took -ge 18 ] && [ $took -le 40 ]
    expect "clock: a duration is kept" $? "$took s, not 20"
    stop clock $agent
    start clock-after -i v0 -w clock-after.pcapng $icmp || return
    date +%s >/results/clock-after.txt
    one_ping
    stop clock-after $agent
    nothing_left clock v0
}
