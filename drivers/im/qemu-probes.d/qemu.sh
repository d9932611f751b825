#!/bin/sh
# The host as the qemu driver sees it.

# shellcheck source=drivers/im/host_figures.sh
. "$(dirname "$0")/../host_figures.sh"

cpus=$(grep -c '^processor' /proc/cpuinfo)
total=$((cpus * 100))

echo "HYPERVISOR=qemu"
echo "TOTALCPU=$total"
awk -F: '/^cpu MHz/ { printf "CPUSPEED=%d\n", $2; found = 1; exit } END { if (!found) print "CPUSPEED=0" }' /proc/cpuinfo
memory_figures
cpu_figures "$total"
network_figures
