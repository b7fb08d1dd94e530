#!/bin/sh
# The inside of a Machine (machine.rs): runs as the first process of new mount, PID, network, UTS and IPC namespaces, and becomes
# the machine's init. What it changes, it changes in memory: the disk is the lower layer of an overlay.
#
# usage: machine.sh FOLDER CGROUP systemd|none
set -eu
folder=$1
cgroup=$2
init=$3

if [ "${4:-}" != inside ]; then
  # A cgroup with nobody else in it becomes the root of the machine's own hierarchy.
  echo 0 >"$cgroup/cgroup.procs"
  exec unshare --cgroup sh "$0" "$folder" "$cgroup" "$init" inside
fi

mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root"
mount -t overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" overlay "$folder/root"
root=$folder/root

mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom tty; do
  : >"$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"

# Only what the tests install is to run: nothing of what the host is set up to do.
: >"$root/etc/fstab"
rm -f "$root"/etc/systemd/system/*.wants/* "$root/usr/sbin/policy-rc.d"
# Nor is anything to be found of a Wanwatch that was run on the host.
rm -rf "$root/etc/wanwatch" "$root"/var/lib/wanwatch*
for unit in systemd-modules-load.service systemd-sysctl.service systemd-binfmt.service systemd-udevd.service; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit"
done

mkdir "$root/run/old"
cd "$root"
pivot_root . run/old
umount -l /run/old
ip link set lo up

# Named after its test's process: a file that lies in the host's /tmp is not taken for this one.
: >"/tmp/made-$(basename "$cgroup")"
case $init in
  systemd) exec env -i container=wanwatch-test PATH="$PATH" /lib/systemd/systemd --unit=basic.target --log-target=journal ;;
  none) exec sleep infinity ;;
esac
