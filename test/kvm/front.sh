#!/bin/sh
# front.sh DIR HOST=ADDRESS...: makes the namespaces that this is called in a
# network of their own, where the front-end is 10.77.0.1 on the bridge lab0 and
# reaches the hosts by ssh, as root. Nothing of it is seen outside.

set -eu

dir=$1
shift

mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
hostname front

ip link set lo up
ip link add lab0 type bridge
ip addr add 10.77.0.1/24 dev lab0
ip link set lab0 up

mkdir -p "$dir/ssh"
chmod 700 "$dir/ssh"
ssh-keygen -q -t ed25519 -N '' -f "$dir/ssh/id_ed25519"
ssh-keygen -q -t ed25519 -N '' -f "$dir/host_key"
cp "$dir/ssh/id_ed25519.pub" "$dir/ssh/authorized_keys"

echo "127.0.0.1 localhost" >"$dir/hosts"
echo "10.77.0.1 front" >>"$dir/hosts"
for host; do
    echo "${host#*=} ${host%%=*}" >>"$dir/hosts"
    echo "${host%%=*},${host#*=} $(cat "$dir/host_key.pub")" >>"$dir/ssh/known_hosts"
done

# Datastores that all hosts share. libvirt moves running machines only between hosts
# that see the same files, and believes it of cluster file systems alone: this one
# looks like one of those.
mkdir -p "$dir/one/var/datastores"
bindfs -o subtype=glusterfs,fsname=lab,allow_other "$dir/one/var/datastores" "$dir/one/var/datastores"

mount --bind "$dir/hosts" /etc/hosts
# What root's shell does when it starts on this machine is not the hosts' business.
for file in /root/.bashrc /root/.bash_profile /root/.bash_login /root/.profile; do
    if [ -e "$file" ]; then mount --bind /dev/null "$file"; fi
done
mkdir -p /root/.ssh
mount --bind "$dir/ssh" /root/.ssh
