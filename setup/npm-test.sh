#!/bin/sh
# npm test: sets up what is missing and runs the suite. Arguments go to tests/run.ts.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
exec sh "$here/node.sh" "$here/../tests/run.ts" "$@"
