internal import CommitCore

/// What PGMosaic keeps on a shard itself: the schema `pgmosaic`, made when the shard is claimed and dropped when it is released.
///
/// - `identity`: one row, which shard of which cluster the database is, and its fence;
/// - `decisions`: the outcomes of two-phase commits that this shard recorded (`CommitStatements`);
/// - `hello(cluster, shard, router, epoch)`: what a router's session calls first;
/// - `schema_changed()` and the event trigger `pgmosaic_schema`: tell listeners of the channel of that name about DDL run on the shard itself.
///
/// The role of the endpoint owns all of it, and needs CREATE on the database; only the event trigger needs a superuser, and is left out without one.
enum ShardSchema {
    /// SQLSTATE of `hello` for a router whose epoch is below the fence: it must load a newer catalog first.
    static let fencedState = "PM001"
    /// SQLSTATE of `hello` where the database is another shard, or nobody's.
    static let strangerState = "PM002"
    /// The session setting that tells a router's sessions apart; routers send it in the startup packet, so that RESET ALL keeps it.
    static let routerSetting = "pgmosaic.router"
    static let channel = "pgmosaic_schema"

    /// A script to run in a transaction; repeatable.
    static let install = [lock, tables, CommitStatements.decisionsTable, hello, schemaChanged, eventTrigger].joined(separator: "\n")

    /// Takes the event trigger along: it depends on its function.
    static let uninstall = "DROP SCHEMA IF EXISTS pgmosaic CASCADE"

    /// Two registrations at once would both find no schema, and one would fail at making it.
    private static let lock = "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('pgmosaic'));"

    private static let tables = """
        CREATE SCHEMA IF NOT EXISTS pgmosaic;
        CREATE TABLE IF NOT EXISTS pgmosaic.identity (
            one bool PRIMARY KEY DEFAULT true CHECK (one), cluster_id text NOT NULL, database text NOT NULL, shard_id text NOT NULL,
            fence bigint NOT NULL DEFAULT 0);
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
                    ERRCODE = '\(strangerState)',
                    DETAIL = CASE WHEN is_shard IS NULL THEN 'It is no shard.'
                        ELSE pg_catalog.format('It is shard %s of cluster %s.', is_shard, is_cluster) END,
                    HINT = 'Does the endpoint in the catalog lead to the right server?';
            END IF;
            IF epoch IS NULL OR epoch < fenced_below THEN
                RAISE EXCEPTION 'router % serves epoch %, which is below the fence of shard %', router, epoch, shard USING
                    ERRCODE = '\(fencedState)', DETAIL = pg_catalog.format('The fence is at epoch %s.', fenced_below),
                    HINT = 'The router must load a newer catalog before it may use the shard.';
            END IF;
        END
        $hello$;
        REVOKE ALL ON FUNCTION pgmosaic.hello(text, text, text, bigint) FROM PUBLIC;
        """

    /// A router commits DDL of several shards in two phases, and PostgreSQL refuses to prepare a transaction that has notified; so its sessions
    /// are passed over, and the router notifies by itself afterwards.
    private static let schemaChanged = """
        CREATE OR REPLACE FUNCTION pgmosaic.schema_changed() RETURNS event_trigger
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $changed$
        BEGIN
            IF coalesce(pg_catalog.current_setting('\(routerSetting)', true), '') = '' THEN
                PERFORM pg_catalog.pg_notify('\(channel)', '');
            END IF;
        END
        $changed$;
        """

    private static let eventTrigger = """
        DO $trigger$
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_catalog.pg_event_trigger WHERE evtname = 'pgmosaic_schema') THEN
                CREATE EVENT TRIGGER pgmosaic_schema ON ddl_command_end EXECUTE FUNCTION pgmosaic.schema_changed();
            END IF;
        EXCEPTION WHEN insufficient_privilege THEN
            NULL;
        END
        $trigger$;
        """
}
