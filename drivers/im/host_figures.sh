# What a Linux host says of itself. Sourced by the probes of hypervisors that are
# programs of the host's own kernel.
# shellcheck shell=sh

# memory_figures: KiB. What caches hold is free.
memory_figures() {
    awk '
        { value[$1] = $2 }
        END {
            total = value["MemTotal:"] + 0
            free = value["MemFree:"] + value["Buffers:"] + value["Cached:"]
            if ("MemAvailable:" in value) free = value["MemAvailable:"] + 0
            print "TOTALMEMORY=" total
            print "USEDMEMORY=" total - free
            print "FREEMEMORY=" free
        }' /proc/meminfo
}

# cpu_figures PERCENT: of that whole, the free and used part during one second.
cpu_figures() {
    { grep '^cpu ' /proc/stat; sleep 1; grep '^cpu ' /proc/stat; } | awk -v whole="$1" '
        { all = 0; for (i = 2; i <= 9; i++) all += $i
          idle = $5 + $6
          if (NR == 2 && all > before) share = (idle - idle_before) / (all - before)
          before = all; idle_before = idle }
        END { free = whole * share; printf "FREECPU=%.1f\nUSEDCPU=%.1f\n", free, whole - free }'
}

# network_figures: bytes of the physical interfaces.
network_figures() {
    sed 's/:/ /' /proc/net/dev | awk '
        $1 ~ /^(eth|bond|em)[0-9]+$/ || $1 ~ /^p[0-9]+p[0-9]+$/ || $1 ~ /^en[opsx]/ { rx += $2; tx += $10 }
        END { printf "NETRX=%.0f\nNETTX=%.0f\n", rx, tx }'
}
