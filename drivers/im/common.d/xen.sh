#!/bin/sh
# The host as its hypervisor sees it.

case $(basename "$(pwd)") in
    xen4*) tool=xl other=xm ;;
    *) tool=xm other=xl ;;
esac
if [ ! -x "/usr/sbin/$tool" ] && [ -x "/usr/sbin/$other" ]; then tool=$other; fi

info=$(sudo "/usr/sbin/$tool" info) || exit 255
domains=$(sudo /usr/sbin/xentop -bi2 </dev/null) || exit 255

{ printf '%s\n' "$info" | sed 's/^/info /'; printf '%s\n' "$domains" | sed 's/^/top /'; } | awk -v tool="$tool" '
    $1 == "info" { value[$2] = $4; next }
    { gsub(/no limit/, "no_limit") }
    $2 == "NAME" && $3 == "STATE" { cpu = tx = rx = 0; next }
    NF >= 13 { cpu += $5; tx += $12; rx += $13 }
    END {
        total = value["nr_cpus"] * 100
        free = ("max_free_memory" in value) ? value["max_free_memory"] : value["free_memory"]
        print "HYPERVISOR=xen"
        print "XEN_TOOLSTACK=" tool
        print "TOTALCPU=" total
        print "CPUSPEED=" value["cpu_mhz"] + 0
        printf "TOTALMEMORY=%.0f\n", value["total_memory"] * 1024
        printf "FREEMEMORY=%.0f\n", free * 1024
        printf "USEDMEMORY=%.0f\n", (value["total_memory"] - free) * 1024
        printf "USEDCPU=%d\n", cpu + 0.5
        printf "FREECPU=%d\n", (total > cpu) ? total - cpu + 0.5 : 0
        printf "NETTX=%.0f\nNETRX=%.0f\n", tx, rx
    }'
