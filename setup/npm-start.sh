#!/bin/sh
# npm start: sets up what is missing, starts Skerry, runs the tour and stays up. Arguments go to apps/cli/src/start.ts.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
exec sh "$here/node.sh" "$here/../apps/cli/src/start.ts" "$@"
