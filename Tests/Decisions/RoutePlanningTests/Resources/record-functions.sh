#!/bin/sh
# Writes functions.tsv: every function of a fresh PostgreSQL 15 database (schema, name, volatility, user-defined, aggregate), as
# SchemaQueries reads them. Usage: record-functions.sh [psql options]
set -eu
cd "$(dirname "$0")"
psql --no-psqlrc --quiet "$@" --command "COPY (
    SELECT DISTINCT n.nspname, p.proname, p.provolatile, p.oid >= 16384, p.prokind = 'a'
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname IN ('pg_catalog', 'information_schema') ORDER BY 1, 2, 3, 5
) TO STDOUT" > functions.tsv
