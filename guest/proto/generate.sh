#!/bin/sh
# Makes the Go code from the .proto files. Needs protoc (Debian: protobuf-compiler); the plugins are pinned in go.mod.
set -eu
cd "$(dirname "$0")/.."
plugins=$(mktemp -d)
trap 'rm -rf "$plugins"' EXIT
go build -o "$plugins/protoc-gen-go" google.golang.org/protobuf/cmd/protoc-gen-go
go build -o "$plugins/protoc-gen-connect-go" connectrpc.com/connect/cmd/protoc-gen-connect-go
PATH="$plugins:$PATH" protoc -I proto \
  --go_out=. --go_opt=module=skerry.dev/guest \
  --connect-go_out=. --connect-go_opt=module=skerry.dev/guest \
  proto/process/process.proto proto/filesystem/filesystem.proto
