# The captures that no other program disturbs: of the stack's own traffic, of 64 tasks at once, of frames
# larger than a page. Sourced by `init.sh`; what the files must hold is known to `verdict.rs`.

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
        right traceroute -n -q 3 -m 1 -w 1 -p $port 10.79.0.1 >/dev/null 2>&1
    done
}

# 200,000 bytes and a little HTTP from right to left, in frames as large as the interface makes them.
stream() {
    left timeout 20 wget -q -O /tmp/received http://10.77.0.2:8080/data
    [ "$(wc -c </tmp/received)" -eq 200000 ] || fail "$name traffic" "the bytes did not arrive"
}

# 3 requests and 3 answers of 8942 bytes each.
jumbo_pings() {
    for i in 1 2 3; do right ping -q -c 1 -W 5 -s 8900 10.78.0.1 >/dev/null; done
}

# Every frame of the host's file comes in, and then goes out.
in_and_out() {
    right frames send /frames.pcap w1 || fail "$name traffic" "the frames were not sent"
    left frames send /frames.pcap w0 || fail "$name traffic" "the frames were not sent"
}

# The stack's own traffic, four tasks for it on each hook.
live() {
    for hook in tc xdp xdp-generic; do
        if start "live-$hook" --tasks "/tasks/live-$hook.json"; then
            pings
            pings6
            datagrams
            stream
            stop "live-$hook" $agent
        fi
        nothing_left "live-$hook" v0
    done
}

# Sixty-four tasks on each hook.
many() {
    for hook in tc xdp xdp-generic; do
        mkdir "/results/many-$hook"
        cd "/results/many-$hook"
        if start "many-$hook" --tasks "/tasks/many-$hook.json"; then
            in_and_out
            stop "many-$hook" $agent
        fi
        cd /results
        nothing_left "many-$hook" w0
    done
}

# Frames in one buffer before 5.18, where veth refuses native XDP above a page; in several since.
jumbo() {
    capture jumbo-tc j0 jumbo_pings --hook tc --protocol icmp --ip 10.78.0.0/24
    capture jumbo-xdp-generic j0 jumbo_pings --hook xdp-generic --protocol icmp --ip 10.78.0.0/24
    if since 5.18; then
        capture jumbo-xdp j0 jumbo_pings --hook xdp --protocol icmp --ip 10.78.0.0/24
        return
    fi
    left timeout -s KILL 90 capture-agent run -i j0 --hook xdp -w refused.pcapng 2>refused.err
    status=$?
    [ $status -eq 6 ]
    expect "jumbo xdp: exit code 6" $? "exit code $status"
    [ "$(wc -l <refused.err)" -eq 1 ] && grep -q 'j0 refuses native XDP.*MTU.*--hook auto' refused.err
    expect "jumbo xdp: one sentence says why, and what to do" $? "$(one_line refused.err)"
    ! ls refused.pcapng* >/dev/null 2>&1
    expect "jumbo xdp: no file" $? "there is one"
    nothing_left "jumbo xdp" j0
}
