#!/bin/sh
# Replays the recordings of the real 4.6.2 against our programs: run.sh SHARED api|sched|db...
# SHARED holds golden/ and tools/; without it there is nothing to replay. Answers that differ because we fix a defect of 4.6 are
# listed, with the reason, in expected-differences.json.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
shared=$1
shift
if [ ! -d "$shared/golden" ]; then
	echo "No recordings in $shared: nothing is replayed. Set SHARED to the directory that holds golden/ and tools/."
	exit 0
fi
shared=$(cd "$shared" && pwd)
status=0
for part in "$@"; do
	case $part in
	api)
		python3 "$here/replay_expected.py" "$shared" "$here/start.sh" "$here/expected-differences.json" || status=1
		;;
	sched)
		python3 "$shared/tools/sched_replay.py" --sched-cmd "$here/../../bin/mm_sched" --level log "$shared/golden/sched" || status=1
		;;
	db)
		for name in one-fresh one-small; do
			python3 "$shared/tools/db_check.py" --server-cmd "$here/start.sh" --db "$shared/golden/db/$name.sqlite" \
				--expected "$shared/golden/db/$name.expected.json" --again || status=1
		done
		python3 "$shared/tools/db_check.py" --server-cmd "$here/start.sh" --db "$shared/golden/db/one-crash.sqlite" \
			--expected "$shared/golden/db/one-crash.expected-silent.json" || status=1
		;;
	esac
done
exit $status
