# The life of a Debian package in /root, on a machine that never had it; `install` beside it is the page's block. Begins in
# `overlay.sh`.
set -eu
fail() { echo "package: $*" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
rm -rf /etc/capture-agent /var/lib/capture-agent /usr/local/bin/capture-agent
! getent passwd capture-agent > /dev/null || userdel capture-agent
! getent group capture-agent > /dev/null || groupdel capture-agent
cd /root

# As the page says it.
bash -eux ./install < /dev/null
capture-agent --version
[ "$(command -v capture-agent)" = /usr/bin/capture-agent ] || fail "another agent is first in PATH"
[ "$(stat -c '%U:%G %a' /var/lib/capture-agent)" = "capture-agent:capture-agent 700" ] ||
    fail "/var/lib/capture-agent is $(stat -c '%U:%G %a' /var/lib/capture-agent)"
[ "$(stat -c '%U:%G %a' /etc/capture-agent/config.toml)" = "root:root 644" ] || fail "mode of the configuration"
[ "$(stat -c '%U:%G %a' /usr/bin/capture-agent)" = "root:root 755" ] || fail "mode of the program"
dpkg-query -W -f '${Conffiles}\n' capture-agent | grep -q /etc/capture-agent/config.toml || fail "no conffile"
capture-agent daemon --check
[ -z "$(dpkg --verify capture-agent)" ] || fail "$(dpkg --verify capture-agent)"

# Man pages are readable, also for mandoc, and complete.
for page in /usr/share/man/man8/capture-agent*.8.gz /usr/share/man/man5/capture-agent*.5.gz; do
    man -l --warnings "$page" > page.txt 2> page.err < /dev/null || fail "man cannot read $page: $(cat page.err)"
    [ -s page.txt ] || fail "$page is empty"
    [ ! -s page.err ] || fail "man says of $page: $(cat page.err)"
    said=$(zcat "$page" | mandoc -T lint -W error || true)
    [ -z "$said" ] || fail "mandoc says of $page: $said"
done
for name in capture-agent capture-agent-run capture-agent-task capture-agent-daemon capture-agent-analyze; do
    [ -e "/usr/share/man/man8/$name.8.gz" ] || fail "no man page $name"
done

for extcap in /usr/lib/*-linux-gnu/wireshark/extcap/capture-agent /usr/libexec/wireshark/extcap/capture-agent; do
    "$extcap" --extcap-interfaces < /dev/null | grep -q '^extcap {' || fail "Wireshark cannot start $extcap"
done

# Completions load.
bash -c '. /usr/share/bash-completion/completions/capture-agent; complete -p capture-agent' | grep -q capture-agent ||
    fail "bash has no completion"
zsh -n /usr/share/zsh/vendor-completions/_capture-agent
fish --no-execute /usr/share/fish/vendor_completions.d/capture-agent.fish

# An upgrade leaves a changed configuration alone.
echo '# of the administrator' >> /etc/capture-agent/config.toml
dpkg -i ./capture-agent_*.deb
grep -q 'of the administrator' /etc/capture-agent/config.toml || fail "an upgrade took the configuration"

# What removal keeps, purging removes.
touch /var/lib/capture-agent/state.db
dpkg -r capture-agent
[ -e /var/lib/capture-agent/state.db ] && [ -e /etc/capture-agent/config.toml ] || fail "removal took data"
dpkg -P capture-agent
left=$(find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /root -o -path /tmp -o -path /work -o -path /home \) -prune \
    -o -newer /root/install -name '*capture-agent*' ! -type c -print)
[ -z "$left" ] || fail "left behind: $left"
! getent passwd capture-agent > /dev/null || fail "the user is left behind"
