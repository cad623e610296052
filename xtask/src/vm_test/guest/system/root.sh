#!/bin/sh
# Finishes the root file system of `mmdebstrap`, whose directory is $1: users, a unit that starts the checks, and nothing
# that would run beside them.
set -eu

# What was left out of the packages for the sake of size is left out of no package that comes later.
rm -f "$1"/etc/dpkg/dpkg.cfg.d/99mmdebstrap
echo debian >"$1/etc/hostname"
echo '127.0.0.1 localhost debian' >"$1/etc/hosts"
echo '/dev/vda / ext4 defaults 0 1' >"$1/etc/fstab"
for user in alice bob; do chroot "$1" useradd --create-home --shell /bin/bash "$user"; done
cat >"$1/etc/systemd/system/vm-test.service" <<'END'
[Unit]
Description=Checks of the virtual machine
After=multi-user.target

[Service]
ExecStart=/bin/bash -c '[ -e /test/run.sh ] || { mkdir -p /test && tar -xf /dev/vdb -C /test; } && exec bash /test/run.sh'
StandardOutput=file:/dev/ttyS1
StandardError=file:/dev/ttyS1

[Install]
WantedBy=multi-user.target
END
chroot "$1" systemctl --quiet enable vm-test.service
# Those of Debian 12 and 13; none of them is on all systems.
for unit in prometheus.service prometheus-node-exporter.service apt-daily.timer apt-daily-upgrade.timer \
    dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer; do
    chroot "$1" systemctl --quiet disable "$unit" 2>/dev/null || true
done
chroot "$1" systemctl --quiet mask serial-getty@ttyS0.service serial-getty@ttyS1.service getty@tty1.service \
    systemd-timesyncd.service apt-daily.service apt-daily-upgrade.service
