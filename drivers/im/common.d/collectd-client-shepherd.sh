#!/bin/sh
# Ends every client of this directory but the one that is known, so that a host
# never sends twice.

# shellcheck source=drivers/im/collectd_common.sh
. "$(dirname "$0")/../collectd_common.sh"

im=$(cd "$(dirname "$0")/.." && pwd)
known=$(client_pid)
[ -n "$known" ] || exit 0

# One grep finds the candidates: looking at each process by itself would cost
# more than all other probes.
grep -l -a -F collectd-client.sh /proc/[0-9]*/cmdline 2>/dev/null | while IFS= read -r file; do
    process=${file%/cmdline}
    pid=${process#/proc/}
    [ "$pid" = "$known" ] && continue
    # The second word of a script's command line is its path.
    script=$({ tr '\0' '\n' <"$file" | sed -n 2p; } 2>/dev/null)
    case $script in
        "$im"/*.d/collectd-client.sh)
            # A sub-shell of the client has the same command line.
            grep -q "^PPid:[[:space:]]*$known\$" "$process/status" 2>/dev/null || kill -TERM "$pid" 2>/dev/null
            ;;
    esac
done
exit 0
