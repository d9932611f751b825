#!/bin/sh
# The host as libvirt and its kernel see it.

# shellcheck source=drivers/im/host_figures.sh
. "$(dirname "$0")/../host_figures.sh"
export LANG=C

info=$(virsh -c qemu:///system nodeinfo) || exit 255
cpus=$(printf '%s\n' "$info" | awk '$1 == "CPU(s):" { print $2 }')
speed=$(printf '%s\n' "$info" | awk '/^CPU frequency:/ { print $3 }')

echo "HYPERVISOR=kvm"
echo "TOTALCPU=$((${cpus:-0} * 100))"
echo "CPUSPEED=${speed:-0}"
memory_figures
cpu_figures "$((${cpus:-0} * 100))"
network_figures
