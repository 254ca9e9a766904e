#!/bin/sh
# Installs the npm packages this repository needs. Quick when there is nothing to do, so every build begins with it.
set -eu
cd "$(dirname "$0")/.."

# npm writes this file last, when an install is complete.
stamp=node_modules/.package-lock.json

if [ ! -e "$stamp" ] || [ -n "$(find package-lock.json -newer "$stamp")" ]; then
	echo "Installing the npm packages"
	# A lock file written where the registry has only some platforms' packages lacks the others, and npm ci refuses it;
	# npm install takes the same versions from it and does not write it.
	npm ci --include=dev --no-audit --no-fund >/dev/null 2>&1 ||
		npm install --no-save --include=dev --no-audit --no-fund
	# The archive may carry an older time than the lock file, which would install again on every start.
	touch "$stamp"
fi

# A configuration that forbids install scripts leaves the bun package without its executable.
if ! node_modules/.bin/bun --version >/dev/null 2>&1; then
	node node_modules/bun/install.js
	if ! node_modules/.bin/bun --version >/dev/null; then
		echo "Cannot run node_modules/.bin/bun: its install script did not leave an executable" >&2
		exit 1
	fi
fi
