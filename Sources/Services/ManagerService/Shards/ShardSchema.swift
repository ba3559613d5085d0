internal import CatalogCopies
internal import CommitCore
internal import RoutePlanning
internal import ShardModel

/// What PGMosaic keeps on a shard itself: the schema `pgmosaic`, made when the shard is claimed and dropped when it is released.
///
/// - `identity`: one row, which shard of which cluster the database is, its fence, and the claim of the registration that wrote it;
/// - `decisions`: the outcomes of two-phase commits that this shard recorded (`CommitStatements`);
/// - `catalog_copy`: one row, the catalog as the leader last brought it here (`CatalogCopier`);
/// - `hello(cluster, shard, router, epoch)`: what a router's session calls first;
/// - event triggers that tell of DDL run on the shard itself (`SchemaQueries.eventTrigger`).
///
/// The role of the endpoint owns all of it, and needs CREATE on the database; only event triggers need a superuser, and are left out without one.
enum ShardSchema {
    /// A script to run in a transaction; repeatable.
    static let install = [lock, tables, CommitStatements.decisionsTable, CopyStatements.table, hello, SchemaQueries.eventTrigger].joined(separator: "\n")

    /// Takes the event triggers along: they depend on their function.
    static let uninstall = "DROP SCHEMA IF EXISTS pgmosaic CASCADE"

    /// Two registrations at once would both find no schema, and one would fail at making it.
    static let lock = "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('pgmosaic'));"

    private static let tables = """
        CREATE SCHEMA IF NOT EXISTS pgmosaic;
        CREATE TABLE IF NOT EXISTS pgmosaic.identity (
            one bool PRIMARY KEY DEFAULT true CHECK (one), cluster_id text NOT NULL, database text NOT NULL, shard_id text NOT NULL,
            fence bigint NOT NULL DEFAULT 0, claim text);
        ALTER TABLE pgmosaic.identity ADD COLUMN IF NOT EXISTS claim text;
        """

    /// One read of one row, once a connection. Works on replicas too: it writes nothing.
    private static let hello = """
        CREATE OR REPLACE FUNCTION pgmosaic.hello(cluster text, shard text, router text, epoch bigint) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $hello$
        DECLARE
            is_cluster text;
            is_shard text;
            fenced_below bigint;
        BEGIN
            SELECT i.cluster_id, i.shard_id, i.fence INTO is_cluster, is_shard, fenced_below FROM pgmosaic.identity i;
            IF is_cluster IS DISTINCT FROM cluster OR is_shard IS DISTINCT FROM shard THEN
                RAISE EXCEPTION 'this PostgreSQL database is not shard % of the cluster', shard USING
                    ERRCODE = '\(FenceState.stranger)',
                    DETAIL = CASE WHEN is_shard IS NULL THEN 'It is no shard.'
                        ELSE pg_catalog.format('It is shard %s of cluster %s.', is_shard, is_cluster) END,
                    HINT = 'Does the endpoint in the catalog lead to the right server?';
            END IF;
            IF epoch IS NULL OR epoch < fenced_below THEN
                RAISE EXCEPTION 'router % serves epoch %, which is below the fence of shard %', router, epoch, shard USING
                    ERRCODE = '\(FenceState.fenced)', DETAIL = pg_catalog.format('The fence is at epoch %s.', fenced_below),
                    HINT = 'The router must load a newer catalog before it may use the shard.';
            END IF;
        END
        $hello$;
        REVOKE ALL ON FUNCTION pgmosaic.hello(text, text, text, bigint) FROM PUBLIC;
        """
}
