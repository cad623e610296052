# The life of an RPM package in /root/one and of a newer one in /root/two, on a machine that never had it. Begins in
# `overlay.sh`. systemd only notes what it is told, in /root/told; the daemon is started by hand.
set -eu
fail() { echo "package: $*" >&2; exit 1; }
# eventually COMMAND…
eventually() {
    for _ in $(seq 150); do
        if "$@" > /dev/null 2>&1; then return; fi
        sleep 0.2
    done
    fail "in vain: $*"
}
rpm_() { rpm --force-debian --nodeps "$@"; }
has_told() { grep -qx -- "$1" /root/told || fail "systemd is not told $1, but: $(cat /root/told)"; }
told_nothing_of() { ! grep -- "$1" /root/told || fail "systemd is told that"; }
rm -rf /etc/capture-agent /var/lib/capture-agent /usr/local/bin/capture-agent /root/.rpmdb
! getent passwd capture-agent > /dev/null || userdel capture-agent
! getent group capture-agent > /dev/null || groupdel capture-agent
cd /root
ip link set lo up
mkdir -p /run/systemd/system
for name in systemctl systemd-run; do
    program=$(command -v "$name" || echo "/usr/bin/$name")
    rm -f "$program"
    cat > "$program" <<'END'
#!/bin/sh
echo "${0##*/} $*" >> /root/told
# `is-active` is the only question.
case "$*" in *is-active*) kill -0 "$(cat /root/daemon)" 2> /dev/null ;; esac
END
    chmod 755 "$program"
done

# A first installation: user, directories, and what the presets say of the service.
: > told
rpm_ -i one
capture-agent --version
[ "$(command -v capture-agent)" = /usr/bin/capture-agent ] || fail "another agent is first in PATH"
[ "$(stat -c '%U:%G %a' /var/lib/capture-agent)" = "capture-agent:capture-agent 700" ] ||
    fail "/var/lib/capture-agent is $(stat -c '%U:%G %a' /var/lib/capture-agent)"
[ "$(stat -c '%U:%G %a' /etc/capture-agent)" = "root:root 755" ] || fail "mode of the directory of the configuration"
[ "$(getent passwd capture-agent | cut -d : -f 6,7)" = /var/lib/capture-agent:/usr/sbin/nologin ] || fail "the user"
said=$(rpm_ -V capture-agent) || fail "rpm finds changes: $said"
has_told "systemctl daemon-reload"
has_told "systemctl --no-reload preset capture-agent.service"
told_nothing_of start
capture-agent daemon --check
for extcap in /usr/lib64/wireshark/extcap/capture-agent /usr/libexec/wireshark/extcap/capture-agent; do
    "$extcap" --extcap-interfaces < /dev/null | grep -q '^extcap {' || fail "Wireshark cannot start $extcap"
done

# An upgrade beside a running task: it is named and goes on, and a unit waits for its end.
echo '# of the administrator' >> /etc/capture-agent/config.toml
capture-agent daemon 2> daemon.log &
echo $! > daemon
eventually capture-agent quota
is_in() { capture-agent task show "$2" -o json | grep -q "\"state\": *\"$1\""; }
capture-agent task create --name beside -i lo --duration 10m -q
eventually is_in running beside
: > told
rpm_ -U two > upgrade 2>&1 || fail "$(cat upgrade)"
cat upgrade
rpm -q capture-agent | grep -q -- '-2\.' || fail "$(rpm -q capture-agent)"
grep -q "these tasks run, so the daemon goes on with the old program" upgrade || fail "the upgrade names no task"
grep -q " beside " upgrade || fail "the upgrade does not name the task"
grep -q '^systemd-run .*--unit=capture-agent-restart .*restart-when-idle --wait$' told || fail "nothing waits: $(cat told)"
for word in try-restart preset disable 'stop capture-agent.service'; do told_nothing_of "$word"; done
is_in running beside || fail "the upgrade has ended it"
grep -q 'of the administrator' /etc/capture-agent/config.toml || fail "an upgrade took the configuration"

# What waits restarts the daemon once the task has ended, and an upgrade without tasks at once.
/usr/lib/capture-agent/restart-when-idle --wait &
waiting=$!
sleep 1
told_nothing_of try-restart
capture-agent task stop beside
wait "$waiting"
has_told "systemctl try-restart capture-agent.service"
: > told
rpm_ -U --force two
has_told "systemctl try-restart capture-agent.service"

# A removal names the task that it ends, and keeps what is not the package's.
capture-agent task create --name last -i lo --duration 10m -q
eventually is_in running last
: > told
rpm_ -e capture-agent > removal 2>&1 || fail "$(cat removal)"
cat removal
grep -q "these tasks run and end now" removal && grep -q " last " removal || fail "the removal does not name the task"
has_told "systemctl --no-reload disable --now capture-agent.service"
kill "$(cat daemon)"
wait "$(cat daemon)" || fail "the daemon ended with $?: $(cat daemon.log)"
[ -e /var/lib/capture-agent/state.db ] && [ -e /etc/capture-agent/config.toml.rpmsave ] || fail "removal took data"
left=$(find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /root -o -path /tmp -o -path /work -o -path /home \
    -o -path /etc/capture-agent -o -path /var/lib/capture-agent \) -prune \
    -o -newer /root/one -name '*capture-agent*' ! -type c -print)
[ -z "$left" ] || fail "left behind: $left"

# Where an image is made, no systemd runs, and the presets hold all the same.
rm -rf /run/systemd/system /etc/capture-agent
: > told
rpm_ -i one
has_told "systemctl --no-reload preset capture-agent.service"
told_nothing_of daemon-reload
rpm_ -e capture-agent
has_told "systemctl --no-reload disable capture-agent.service"
[ ! -e /etc/capture-agent ] || fail "the directory of the configuration is left"
