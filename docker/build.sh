#!/usr/bin/env bash
# Builds the extension for PG_CONFIG's server and stages its files below DESTDIR.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${PG_CONFIG:?names the pg_config of the server to build for}"
: "${DESTDIR:?names the directory to stage below}"
exec python3 -m scripts.extension install --destdir "$DESTDIR"
