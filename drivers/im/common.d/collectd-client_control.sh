#!/bin/sh
# collectd-client_control.sh HYPERVISOR DS_LOCATION PORT SECONDS HOST_ID HOST:
# starts the client that pushes monitoring data, unless it runs, and prints one
# round of it.
# collectd-client_control.sh stop: ends the client.

# shellcheck source=drivers/im/collectd_common.sh
. "$(dirname "$0")/../collectd_common.sh"

if [ "${1:-}" = stop ]; then
    if pid=$(client_pid); then
        # The client leads a process group, with whatever probe it runs.
        kill -TERM -- "-$pid" 2>/dev/null || kill -TERM "$pid"
    fi
    rm -f "$PID_FILE"
    exit 0
fi

client=$(cd "$(dirname "$0")" && pwd)/collectd-client.sh

if ! client_pid >/dev/null; then
    rm -f "$PID_FILE"
    launcher=
    command -v setsid >/dev/null 2>&1 && launcher=setsid
    nohup $launcher sh "$client" "$@" </dev/null >/dev/null 2>&1 &
    # The client itself writes the file: with setsid its pid may be another.
fi

hypervisor=$1
shift
cd "$(dirname "$0")/.." && ./run_probes "$hypervisor-probes" "$@"
