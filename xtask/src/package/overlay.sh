# Runs the script $1, named `life`, as root of a copy of this machine, which ends with the namespace: an overlay, in whose
# /root the arguments are.
mount -t tmpfs none /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay none -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
for directory in proc sys dev; do mount --rbind "/$directory" "/mnt/root/$directory"; done
mount -t tmpfs none /mnt/root/run
cp "$@" /mnt/root/root/
chroot /mnt/root bash /root/life > /mnt/life.log 2>&1 || { cat /mnt/life.log >&2; exit 1; }
