# The first ten minutes, from the README alone, and the service in its daily life. Sourced by `run.sh`.

as_the_readme_says() {
    cp /test/deb/*.deb /root/
    check "the README installs the package" page readme-install-1
    check "the service is active and enabled" is_up
    check "the README's first capture, in tshark" page readme-first-capture-1
    check "the README's findings" page readme-findings-1
    check "the README makes alice a member of the group" page install-package-1
    check "the README's task, by alice" readme_task
    check "the README's tshark by the extcap, by alice" readme_extcap
    check "the README's graph in Prometheus" readme_graph
    systemctl stop prometheus
    echo "$(seconds) the first ten minutes are over"
}

is_up() {
    systemctl is-active capture-agent
    systemctl is-enabled capture-agent
    failed=$(systemctl list-units --failed --no-legend --plain 'capture-agent*')
    [ -z "$failed" ] || no "$failed"
}

readme_task() {
    as alice "$(cat /test/pages/readme-service-1)"
    [ "$(packets /home/alice/task.pcapng)" -gt 0 ] || no "tshark finds no packets in it"
}

readme_extcap() {
    cat /test/pages/readme-extcap
    as alice "$(cat /test/pages/readme-extcap)" >/test/extcap
    cat /test/extcap
    equal "packets" "$(grep -c ' 443' /test/extcap)" 20
    # Its task ends and goes with tshark.
    eventually 20 is_without wireshark
}
is_without() { ! capture-agent task list -o json | grep -q "\"name\": *\"$1"; }

# Asked of Prometheus as its graph asks. Its first answers come with the second scrape.
has_graph() {
    promtool query range --start="$(date -u -d '-1 min' +%s)" --end="$(date -u +%s)" --step=5s http://127.0.0.1:9090 \
        'sum by (interface) (rate(capture_agent_seen_packets_total{interface="eth0"}[30s]))' >/test/graph
    grep -q '^0*[1-9.]' /test/graph && grep -q eth0 /test/graph
}

readme_graph() {
    page readme-service-2
    id=$(capture-agent task create --name drawn -i eth0 --port 443 --duration 5m -q)
    (eventually 90 has_graph) || no "$(tail -n 5 /test/graph) $(journalctl --no-pager -n 3 -u prometheus)"
    cat /test/graph
    promtool query instant http://127.0.0.1:9090 'up{job="capture-agent"} == 1' | grep -q capture-agent
    capture-agent task stop drawn
}

service() {
    check "alice captures what the neighbour sends" alice_captures
    check "bob is told what to do" bob_is_refused
    check "the exposure is at most 2.0" exposure
    check "the daemon has no capability that it can do without, and a filter of calls" is_confined
    check "a reload without procps" reload
    check "a reload with faults leaves all as it was" faulty_reload
    check "a killed daemon comes back, and recovers" kill_daemon
    check "the page's warnings in the journal" page monitoring-1
    check "the page's backup" page backup-1
    check "the page's restoration" page backup-4
    check "the page's copy in use" page backup-2
    check "the copy's restoration" page backup-3
    check "the page's HTTPS, asked by alice" https
    check "a reload takes a renewed certificate" renewed
    check "the page's HTTPS is taken back" without_https
}

# It stays for what comes then: `without_https` takes it back.
https() {
    cp /etc/capture-agent/config.toml /root/before-https.toml
    echo '127.0.0.1 capture.example' >>/etc/hosts
    certificate first
    cat /test/pages/tls.toml
    sed -i '/^listen = /d' /etc/capture-agent/config.toml
    grep -v '^\[' /test/pages/tls.toml >/test/http
    sed -i '/^\[http\]$/r /test/http' /etc/capture-agent/config.toml
    page tls-1
    capture-agent token create ci --role operator >/test/token
    install -d -o alice -m 700 /home/alice/.cap
    install -o alice -m 600 /test/token /home/alice/.cap/prod
    eventually 30 alice_asks
    cat /test/asked
    has /test/asked pings
}
# certificate NAME: it is the daemon's.
certificate() {
    install -m 644 "/test/$1.pem" /etc/capture-agent/cert.pem
    [ -e /etc/capture-agent/key.pem ] || install -m 600 /dev/null /etc/capture-agent/key.pem
    cat "/test/$1.key" >/etc/capture-agent/key.pem
    install -o alice -m 644 "/test/$1.pem" /home/alice/ca.pem
}
alice_asks() { as alice "$(cat /test/pages/tls-3)" >/test/asked 2>&1; }

renewed() {
    before=$(main_pid)
    certificate renewed
    # The first is still served, and she trusts the second alone.
    ! alice_asks || no "an unknown certificate is trusted"
    has /test/asked certificate
    systemctl reload capture-agent
    eventually 30 alice_asks
    equal "process" "$(main_pid)" "$before"
}

without_https() {
    cp /root/before-https.toml /etc/capture-agent/config.toml
    rm /etc/capture-agent/cert.pem /etc/capture-agent/key.pem
    systemctl restart capture-agent
    eventually 30 capture-agent quota
}

alice_captures() {
    as alice "capture-agent task create --name pings $pinged --duration 5m -q"
    eventually 20 is_in running pings
    pings 25
    as alice "capture-agent task stop pings"
    eventually 30 is_in completed pings
    as alice "capture-agent task show pings; capture-agent task download pings -w pings.pcapng"
    equal "captured" "$(value captured pings)" 50
    equal "tshark's count" "$(packets /home/alice/pings.pcapng)" 50
}

bob_is_refused() {
    status=0
    as bob "capture-agent task list" >/test/bob 2>&1 || status=$?
    cat /test/bob
    equal "exit code" $status 5
    has /test/bob "usermod -aG capture-agent"
}

exposure() { systemd-analyze security --no-pager --threshold=20 capture-agent | tail -n 1; }

is_confined() {
    status=/proc/$(main_pid)/status
    # CAP_NET_ADMIN, for filters of tc.
    case $(uname -r) in 5.* | 6.[0-5].*) kept=0000000000001000 ;; *) kept=0000000000000000 ;; esac
    equal "capabilities" "$(sed -n 's/^CapPrm:\t//p' "$status")" $kept
    equal "seccomp" "$(sed -n 's/^Seccomp:\t//p' "$status")" 2
    equal "no new privileges" "$(sed -n 's/^NoNewPrivs:\t//p' "$status")" 1
    equal "user" "$(ps_user)" capture-agent
}
ps_user() { stat -c %U "/proc/$(main_pid)"; }

reload() {
    [ ! -e /bin/kill ] || no "this system has procps"
    before=$(main_pid)
    sed -i 's/^#edition = .*/edition = "basic"/' /etc/capture-agent/config.toml
    systemctl reload capture-agent
    eventually 20 edition basic
    equal "process" "$(main_pid)" "$before"
    sed -i 's/^edition = .*/edition = "unlimited"/' /etc/capture-agent/config.toml
    systemctl reload capture-agent
    eventually 20 edition unlimited
}
edition() { capture-agent quota -o json | grep -q "\"edition\": *\"$1\""; }

faulty_reload() {
    before=$(main_pid)
    cp /etc/capture-agent/config.toml /root/config.toml
    sed -i 's/^edition = .*/edition = "golden"/' /etc/capture-agent/config.toml
    ! systemctl reload capture-agent || no "it is taken"
    cp /root/config.toml /etc/capture-agent/config.toml
    journalctl --no-pager -u capture-agent -n 20 >/test/journal
    has /test/journal golden
    edition unlimited
    equal "process" "$(main_pid)" "$before"
}

kill_daemon() {
    capture-agent task create --name killed $pinged --duration 10m -q
    eventually 20 is_in running killed
    pings 5
    eventually 20 captured killed 10
    before=$(main_pid)
    kill -KILL "$before"
    eventually 60 is_another "$before"
    eventually 30 taken_up killed
    capture-agent task stop killed
    capture-agent task show killed -o json >/test/killed
    has /test/killed '"verdict": *"interrupted: 1 gap"'
    has /test/killed '"cause": *"interrupted"'
    mkdir -p /root/killed
    capture-agent task download killed -d /root/killed
    equal "tshark's count" "$(packets "$(find /root/killed -name '*_interrupted.pcapng')")" 10
    systemctl show -P NRestarts capture-agent
}
# taken_up NAME: it captures again after its interruption.
taken_up() { capture-agent task show "$1" -o json | grep -q '"until": *"'; }
captured() { [ "$(value captured "$1")" = "$2" ]; }
is_another() { [ "$(main_pid)" != "$1" ] && systemctl is-active capture-agent && capture-agent quota; }
