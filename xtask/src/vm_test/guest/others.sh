# Other programs on the interface: their filters and qdiscs stay, their XDP is borne with, and what killed
# agents left goes. Sourced by `init.sh`.

# The pings and nothing of what IPv6 says of itself.
icmp="--protocol icmp --ip 10.77.0.0/24"

# begin NAME AGENT-ARGUMENT…: an agent on v0 that writes to NAME.pcapng
begin() {
    begun=$1
    shift
    start "$begun" -i v0 -w "$begun.pcapng" "$@"
}

# A filter and a qdisc of somebody else stay.
foreign() {
    left tc qdisc add dev v0 clsact
    left tc filter add dev v0 ingress prio 5 protocol all matchall classid 1:1
    begin foreign $icmp && pings && stop foreign $agent
    filters v0 >/tmp/left
    grep -q matchall /tmp/left
    expect "foreign filter stays" $? "it is gone"
    ! grep -q capture /tmp/left
    expect "foreign: ours is gone" $? "left: $(one_line /tmp/left)"
    left tc filter del dev v0 ingress
    begin foreign-qdisc $icmp && pings && stop foreign-qdisc $agent
    has_clsact v0
    expect "foreign qdisc stays" $? "it is gone"
    left tc qdisc del dev v0 clsact
}

# What a killed agent leaves is taken away by the next one, and what a live agent has is not.
killed() {
    begin first $icmp || return
    first=$agent
    begin second $icmp || return
    second=$agent
    kill -KILL $first
    wait $first 2>/dev/null
    begin third $icmp || return
    third=$agent
    if ! since 6.6; then
        # One filter each way for each of the two that live.
        count=$(filters v0 | grep -c 'capture-agent/')
        [ "$count" -eq 4 ]
        expect "killed: leftovers are taken away" $? "$count filters, not 4: $(filters v0 | tr '\n' ' ')"
    fi
    pings
    stop second $second
    stop third $third
    nothing_left "killed, then two ended," v0
    begin last $icmp || return
    kill -KILL $agent
    wait $agent 2>/dev/null
    capture after-kill v0 pings $icmp
    begin xdp-last --hook xdp -Q ingress $icmp || return
    kill -KILL $agent
    wait $agent 2>/dev/null
    sleep 1
    nothing_left "killed xdp" v0
}


# Generic XDP of another program, and tc on the same interface. Which frames are whole is for the host to say.
generic() {
    begin generic-theirs --hook xdp-generic -Q ingress || return
    theirs=$agent
    begin generic-ours --hook tc -Q ingress || return
    pings
    stop generic-ours $agent
    begin generic-egress --hook tc -Q egress $icmp && pings && stop generic-egress $agent
    stop generic-theirs $theirs
    nothing_left generic v0
}
