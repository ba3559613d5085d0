internal import Foundation
internal import LogicalReplication
internal import PGChannel
internal import ReshardCore
internal import ShardModel
internal import ShardTransfer

/// What jobs keep in a shard's schema `pgmosaic`: repeatable.
enum JobSchema {
    /// - `move_positions`: how far the shard has followed another (`TargetPosition`);
    /// - `move_fences`: what a shard's fence was before an attempt at a cutover raised it;
    /// - `move_sessions`: whom a target had let in before its fence was raised for a copy (`ShieldEffect`).
    static let install = """
        SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('pgmosaic'));
        \(TargetPosition.table)
        CREATE TABLE IF NOT EXISTS pgmosaic.move_fences (fence bigint PRIMARY KEY, before bigint NOT NULL);
        CREATE TABLE IF NOT EXISTS pgmosaic.move_sessions (
            job text, process int, since text, PRIMARY KEY (job, process, since));
        """
}

extension PostgresServerWork {
    func prepare(_ plan: JobPlan) async throws(EffectFailure) {
        for id in Set(plan.record.sources + plan.record.targets).sorted() {
            try await with(id, plan, doing: "making the job's tables") { _ = try await $0.execute(JobSchema.install) }
        }
        for leg in plan.legs {
            for target in leg.copiesTo {
                try await makeEmpty(try await definitions(from: leg.from, to: target, plan), plan)
            }
            try await publish(leg, plan)
        }
    }

    /// The tables whose changes the leg brings. Made anew: there may be more of them than an earlier run saw.
    func publish(_ leg: JobLeg, _ plan: JobPlan) async throws(EffectFailure) {
        try await with(leg.from, plan, doing: "making the publication") { client in
            let existing = try await JobTables.existing(plan.sharded.map(\.name) + plan.reference, client)
            let names = plan.sharded.map(\.name) + (leg.copiesTo.isEmpty ? [] : plan.reference)
            let tables = names.filter { existing.contains($0) }.map { JobTables.quoted($0) }
            let name = ShardQueries.quote(leg.publication)
            _ = try await client.execute(
                "BEGIN; DROP PUBLICATION IF EXISTS \(name); CREATE PUBLICATION \(name)\(tables.isEmpty ? "" : " FOR TABLE \(tables.joined(separator: ", "))"); COMMIT")
        }
    }

    // MARK: definitions

    /// Reads the source's definitions for the target.
    func definitions(from source: ShardID, to target: ShardID, _ plan: JobPlan) async throws(EffectFailure) -> Definitions {
        guard let from = plan.shards[source], let to = plan.shards[target] else { throw .impossible("a shard of the job is not part of the database any more") }
        let names = plan.sharded.map(\.name) + plan.reference
        let (excluded, sourceHasProvenItself) = try await with(source, plan, doing: "looking for local tables") { client in
            let rows = try await client.query(
                LocalObjects.query, [.text(JobTables.array(names.map(\.schema))), .text(JobTables.array(names.map(\.name)))]).rows
            return (rows.compactMap { $0.text(0) }, client.serverHasProvenItself)
        }
        let targetHasProvenItself = try await with(target, plan, doing: "connecting") { $0.serverHasProvenItself }
        do {
            let folder = try PrivateFolder()
            let transfer = SchemaTransfer(
                from: .init(try sessions.endpoint(of: from, as: plan.names.session), hasProvenItself: sourceHasProvenItself),
                to: .init(try sessions.endpoint(of: to, as: plan.names.session), hasProvenItself: targetHasProvenItself), excludedTables: excluded, folder: folder.path)
            try await transfer.dump()
            return Definitions(target: target, transfer: transfer, folder: folder)
        } catch {
            throw EffectFailure(error, doing: "reading the definitions of shard \(source)")
        }
    }

    /// A joining target as it is when nothing was copied to it: with tables, without indexes, keys and triggers.
    func makeEmpty(_ definitions: Definitions, _ plan: JobPlan) async throws(EffectFailure) {
        try await removeDefinitions(from: definitions.target, of: plan.record, plan.shards)
        do {
            try await definitions.transfer.restore(.beforeRows)
        } catch {
            throw EffectFailure(error, doing: "making the tables on shard \(definitions.target)")
        }
    }
}

/// A source's definitions on their way to a joining target.
struct Definitions: Sendable {
    let target: ShardID
    let transfer: SchemaTransfer
    /// Kept until the last of them is made.
    let folder: PrivateFolder
}

enum LocalObjects {
    /// $1 schemas, $2 names of the tables that every shard has. Patterns of pg_dump for all other tables, the views that read them, and their sequences.
    static let query = """
        WITH RECURSIVE shared AS (
            SELECT t.relid AS oid FROM unnest($1::text[], $2::text[]) AS asked(schema, name)
                JOIN pg_catalog.pg_namespace n ON n.nspname = asked.schema
                JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = asked.name AND c.relkind IN ('r', 'p', 'f')
                CROSS JOIN LATERAL (SELECT c.oid AS relid UNION SELECT p.relid FROM pg_catalog.pg_partition_tree(c.oid) p) t),
        local AS (
            SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'f') AND c.oid NOT IN (SELECT oid FROM shared) AND c.relpersistence <> 't'
                AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pgmosaic') AND n.nspname !~ '^pg_toast'
                AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
            UNION
            SELECT r.ev_class FROM local JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = local.oid
                AND d.classid = 'pg_catalog.pg_rewrite'::regclass JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid)
        SELECT pg_catalog.format('"%s"."%s"', pg_catalog.replace(n.nspname, '"', '""'), pg_catalog.replace(c.relname, '"', '""'))
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid IN (
            SELECT oid FROM local
            UNION SELECT d.objid FROM pg_catalog.pg_depend d JOIN local ON d.refobjid = local.oid
                JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
                WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i'))
        ORDER BY 1
        """
}
