# Functions of the collectd client and its shepherds. Sourced, never run.
# shellcheck shell=sh disable=SC2034

# The pid file of 4.6. A cloud that lives in a directory of its own keeps its
# client apart from that of others on the same machine.
PID_FILE=${ONE_LOCATION:+$ONE_LOCATION/var/.collectd-client.pid}
PID_FILE=${PID_FILE:-/tmp/one-collectd-client.pid}

# is_client PID
is_client() {
    tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | grep -q collectd-client
}

# client_pid: of the client that the pid file names, if it lives.
client_pid() {
    client_pid=$(cat "$PID_FILE" 2>/dev/null)
    case $client_pid in
        '' | *[!0-9]*) return 1 ;;
    esac
    is_client "$client_pid" && echo "$client_pid"
}
