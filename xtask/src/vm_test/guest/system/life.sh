# The package's life: an upgrade beside a running task, a reboot, removal. Sourced by `run.sh`.

checks_before_reboot() {
    check "an upgrade beside a running task ends nothing" upgrade
    check "an upgrade without tasks restarts at once" upgrade_idle
    check "tasks for the reboot" tasks_for_reboot
}

is_old() { readlink "/proc/$(main_pid)/exe" | grep -q deleted; }
is_new() { [ "$(main_pid)" != "$1" ] && systemctl is-active capture-agent && ! is_old; }

upgrade() {
    capture-agent task create --name beside $pinged --duration 10m -q
    eventually 20 is_in running beside
    before=$(main_pid)
    pings 5
    apt-get install -y /test/newer/*.deb >/root/upgrade 2>&1 || no "$(tail -n 5 /root/upgrade)"
    cat /root/upgrade
    has /root/upgrade "these tasks run, so the daemon goes on with the old program"
    has /root/upgrade " beside "
    equal "headings" "$(grep -c "^ID " /root/upgrade)" 1
    equal "process" "$(main_pid)" "$before"
    is_in running beside
    is_old || no "the program is not the old one"
    systemctl is-active capture-agent-restart
    # The administrator's changes are kept.
    has /etc/capture-agent/config.toml '^edition = "unlimited"'
    pings 5
    capture-agent task stop beside
    eventually 30 is_in completed beside
    eventually 60 is_new "$before"
    capture-agent task show beside -o json >/test/beside
    has /test/beside '"verdict": *"complete"'
    ! grep -q '"shutdown"' /test/beside || no "the upgrade has ended it"
    equal "captured" "$(value captured beside)" 20
    eventually 10 is_gone capture-agent-restart
}
is_gone() { ! systemctl is-active "$1"; }

upgrade_idle() {
    before=$(main_pid)
    apt-get install -y --allow-downgrades /root/capture-agent_*.deb >/root/upgrade 2>&1 || no "$(tail -n 5 /root/upgrade)"
    cat /root/upgrade
    is_new "$before"
    capture-agent quota
}

tasks_for_reboot() {
    capture-agent task create --name later $pinged --start-at +12h -q
    # After the reboot the interface comes later than the daemon, and `any` follows it.
    capture-agent task create --name during -i any --protocol icmp --ip 10.0.0.9 --duration 10m -q
    eventually 20 is_in running during
    pings 5
    eventually 20 captured during 10
}

checks_after_reboot() {
    check "after the reboot the service is up by itself" after_reboot
    check "after the reboot the tasks are there" tasks_after_reboot
}

after_reboot() {
    eventually 60 capture-agent quota
    is_up
    edition unlimited
    capture-agent audit verify
}

tasks_after_reboot() {
    capture-agent task list
    is_in pending later
    # It goes on after the reboot, in a further file.
    eventually 30 taken_up during
    pings 5
    eventually 20 captured during 20
    capture-agent task stop during
    capture-agent task show during -o json >/test/during
    has /test/during '"verdict": *"interrupted: 1 gap"'
    mkdir -p /root/during
    capture-agent task download during -d /root/during
    total=0
    for file in /root/during/*.pcapng; do
        total=$((total + $(packets "$file")))
    done
    equal "tshark's count" "$total" 20
    as alice "capture-agent task download pings -w again.pcapng"
    cmp /home/alice/pings.pcapng /home/alice/again.pcapng
}

purge() {
    check "a removal names the task that it ends, and keeps the files" remove_package
    check "a purge leaves nothing" purge_package
}

remove_package() {
    capture-agent task create --name last $pinged --duration 10m -q
    eventually 20 is_in running last
    apt-get remove -y capture-agent >/root/removal 2>&1 || no "$(tail -n 5 /root/removal)"
    cat /root/removal
    has /root/removal "these tasks run and end now"
    has /root/removal last
    [ -z "$(main_pid | grep -v '^0$')" ] || no "it runs"
    [ -e /var/lib/capture-agent/state.db ] && [ -e /etc/capture-agent/config.toml ] || no "files are gone"
}

purge_package() {
    apt-get purge -y capture-agent >/root/removal 2>&1 || no "$(tail -n 5 /root/removal)"
    cat /root/removal
    nothing_left
}

# nothing_left: of the package or of an installation by hand; what checks and the journal have is not of it.
nothing_left() {
    left=$(find / -xdev \( -path /test -o -path /root -o -path /proc -o -path /sys -o -path /home -o -path /var/log -o -path /etc/prometheus \
        -o -path /var/lib/prometheus \) -prune -o -name '*capture-agent*' -print; find /run -name '*capture-agent*' -not -path '/run/log/*')
    [ -z "$left" ] || no "left behind: $left"
    ! getent passwd capture-agent || no "the user is left behind"
    ! getent group capture-agent || no "the group is left behind"
    [ -z "$(systemctl list-units --all --no-legend 'capture-agent*')" ] || no "$(systemctl list-units --all 'capture-agent*')"
    ! systemctl cat capture-agent 2>/dev/null || no "systemd knows it still"
    ! ip link show eth0 | grep -q prog/xdp || no "XDP is left"
}
