#!/bin/sh
# host.sh NAME ADDRESS DIR: an ordinary KVM host, in namespaces of its own: libvirtd,
# virtlogd and sshd, and a bridge br0 to the front-end. Its file systems are those of
# this machine but for what belongs to one host: /run, /tmp, libvirt's directories
# and SCRIPTS_REMOTE_DIR. It ends when its first process is killed.

set -eu

if [ "$1" != inside ]; then
    name=$1
    ip netns add "$name"
    ip link add "lab-$name" master lab0 type veth peer name eth0 netns "$name"
    ip link set "lab-$name" up

    # libvirt's own cgroups: both hosts have a machine one-0.
    group=/sys/fs/cgroup/goned-$name cgroup_version=2
    if [ -d /sys/fs/cgroup/cpu ]; then
        group=/sys/fs/cgroup/cpu/goned-$name cgroup_version=1
    fi
    mkdir -p "$group"
    echo $$ >"$group/cgroup.procs"
    # A host is more than one process, which is what a group weighs by default.
    echo 4096 >"$group/cpu.shares" 2>/dev/null || echo 400 >"$group/cpu.weight" 2>/dev/null || :
    export cgroup_version
    exec ip netns exec "$name" unshare --cgroup --mount --uts --ipc --pid --fork --kill-child --mount-proc \
        sh "$0" inside "$@"
fi

shift
name=$1
address=$2
dir=$3
top=$(dirname "$dir")

hostname "$name"
mount --make-rprivate /
if [ "$cgroup_version" = 1 ]; then
    mount -t tmpfs tmpfs /sys/fs/cgroup
    mkdir /sys/fs/cgroup/cpu
    mount -t cgroup -o cpu cgroup /sys/fs/cgroup/cpu
else
    mount -t cgroup2 cgroup /sys/fs/cgroup
fi

for private in /run /tmp /var/lib/libvirt /var/log/libvirt /var/cache/libvirt /etc/libvirt /var/tmp/one; do
    mkdir -p "$private" "$dir$private"
    chmod 755 "$dir$private"
    mount --bind "$dir$private" "$private"
done
chmod 1777 /tmp
mkdir -p /run/sshd /run/serial

ip link set lo up
ip link add br0 type bridge
ip link set eth0 master br0
ip addr add "$address/24" dev br0
ip link set eth0 up
ip link set br0 up

cat >/etc/libvirt/libvirtd.conf <<END
host_uuid = "$(cat /proc/sys/kernel/random/uuid)"
auth_unix_rw = "none"
log_outputs = "3:file:$dir/libvirtd.log"
END
# No second user: guests run as root, the only one that may read root's directories.
cat >/etc/libvirt/qemu.conf <<END
security_driver = "none"
user = "root"
group = "root"
remember_owner = 0
namespaces = [ ]
cgroup_controllers = [ "cpu" ]
END
cat >/etc/libvirt/virtlogd.conf <<END
log_outputs = "3:file:$dir/virtlogd.log"
END
virtlogd -d
libvirtd -d

cat >"$dir/sshd_config" <<END
ListenAddress $address
HostKey $top/host_key
AuthorizedKeysFile $top/ssh/authorized_keys
PermitRootLogin yes
StrictModes no
UsePAM no
PidFile none
MaxStartups 100
Subsystem sftp internal-sftp
END
# Not exec: the shell is the init of this namespace and buries the dead.
/usr/sbin/sshd -D -e -f "$dir/sshd_config" 2>"$dir/sshd.log"
