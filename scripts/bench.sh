#!/bin/sh
# npm run bench [-- NAME …]: runs all benchmarks, or those named after their file in bench/.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- plugin-start cni daemon-churn daemon-idle
for name; do
  echo "== $name"
  node_modules/.bin/bun "bench/$name.ts"
done
