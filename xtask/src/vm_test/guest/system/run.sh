#!/bin/bash
# The checks of a booted system, started by a unit of its own at each boot: `/test` has this script, the pages' blocks,
# the packages and a clone of the repository as far as the pages need one. One line a check goes to the second serial
# port, `check pass NAME` or `check fail NAME: why`, which `verdict.rs` reads; what the checks print stands before it.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive HOME=/root
cd /root || exit 1

for script in common service life source; do
    . "/test/$script.sh"
done

first_boot() {
    wire
    as_the_readme_says
    service
    checks_before_reboot
}

second_boot() {
    wire
    checks_after_reboot
    purge
    from_source
}

boot=$(cat /test/boot 2>/dev/null || echo first)
echo "$(seconds) $boot boot of $(. /etc/os-release && echo "$PRETTY_NAME"), $(uname -r), systemd $(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')"
case $boot in
first)
    echo second >/test/boot
    first_boot
    sync
    systemctl reboot
    ;;
second)
    second_boot
    if [ -e /test/failed ]; then
        journalctl --no-pager -b -u 'capture-agent*' | tail -n 200
    fi
    echo "check done"
    sync
    systemctl poweroff
    ;;
esac
