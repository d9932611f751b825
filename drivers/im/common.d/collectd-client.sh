#!/bin/sh
# collectd-client.sh HYPERVISOR DS_LOCATION PORT SECONDS HOST_ID HOST: runs the
# probes every SECONDS and sends what they print to the front-end, as one UDP
# datagram. The front-end is whoever opened the ssh session we were started from.
# Ends when the scripts were updated or are gone: the next request of the front-end
# copies them where they are missing, and starts a client.

here=$(cd "$(dirname "$0")" && pwd) || exit 1
# shellcheck source=drivers/im/collectd_common.sh
. "$here/../collectd_common.sh"

hypervisor=$1
ds_location=$2
port=$3
seconds=$4
host_id=$5
host=$6

case $seconds in
    '' | *[!0-9]* | 0) seconds=20 ;;
esac
case $port$host_id in
    *[!0-9]*) exit 1 ;;
esac

umask 077
echo $$ >"$PID_FILE"
report=$(mktemp "${TMPDIR:-/tmp}/one-collectd.XXXXXX") || exit 1
trap 'rm -f "$report"' EXIT
trap 'exit 0' HUP INT TERM

front_end=${SSH_CLIENT:-127.0.0.1}
front_end=${front_end%% *}

updated() { stat -c %Y "$here/../../.update" 2>/dev/null; }

# send: the report, with one write, because each write makes a datagram.
send() {
    if command -v bash >/dev/null 2>&1; then
        # shellcheck disable=SC2016 # expanded by bash, which has /dev/udp
        bash -c 'dd if="$3" bs=65507 count=1 >"/dev/udp/$1/$2"' send "$front_end" "$port" "$report" 2>/dev/null
    elif command -v socat >/dev/null 2>&1; then
        socat -u -b 65507 "OPEN:$report" "UDP-SENDTO:$front_end:$port" 2>/dev/null
    else
        nc -u -w 1 "$front_end" "$port" <"$report" 2>/dev/null
    fi
}

# measure: one line of the monitoring protocol into the report.
measure() {
    if data=$(./run_probes "$hypervisor-probes" "$ds_location" "$port" "$seconds" "$host_id" "$host" 2>/dev/null); then
        result=SUCCESS
    else
        result=FAILURE
        data="Error executing probes"
    fi
    printf 'MONITOR %s %s %s\n' "$result" "$host_id" "$(printf '%s\n' "$data" | base64 | tr -d '\n')" >"$report"
}

cd "$here/.." || exit 1
version=$(updated)
sleep "$(awk -v pid=$$ -v seconds="$seconds" 'BEGIN { srand(pid + srand()); print int(rand() * seconds) }')"

while [ -x run_probes ] && [ "$(updated)" = "$version" ]; do
    started=$(date +%s)
    measure
    send
    rest=$((seconds - $(date +%s) + started))
    [ "$rest" -le 0 ] || sleep "$rest"
done
