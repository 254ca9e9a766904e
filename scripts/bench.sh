#!/bin/sh
# npm run bench [-- NAME …]: runs all benchmarks, or those named after their file in bench/; 1 when one of them failed.
set -u
cd "$(dirname "$0")/.." || exit 1
[ $# -gt 0 ] || set -- plugin-start cni cni-ports daemon-churn daemon-idle kubernetes cluster
failed=0
for name; do
	echo "== $name"
	node_modules/.bin/bun "bench/$name.ts" || failed=1
done
exit $failed
