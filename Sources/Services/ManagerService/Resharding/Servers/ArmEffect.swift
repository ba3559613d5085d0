internal import LogicalReplication
internal import NIOCore
internal import PGChannel
internal import ReshardCore
internal import ShardModel
internal import ShardTransfer

extension PostgresServerWork {
    /// The definitions are still the same on both sides, the way back has its slots, and the sessions of the cutover are open.
    func arm(_ plan: JobPlan, _ work: JobWork, in catalog: CatalogSnapshot) async throws {
        for leg in plan.legs {
            let source = try await definitions(of: leg.from, plan)
            for target in leg.targets {
                let differing = Set(source).symmetricDifference(try await definitions(of: target, plan)).sorted()
                guard differing.isEmpty else {
                    // Without what stands behind the object's name, which may hold a default's value.
                    let names = Array(Set(differing.map { $0.split(separator: "\u{1f}").first.map(String.init) ?? "" }).sorted().prefix(5))
                    throw EffectFailure.impossible(
                        "the definitions of shards \(leg.from) and \(target) differ (\(names.joined(separator: "; "))): DDL was run on one of them only. "
                            + "Run it on both, or start the job anew")
                }
            }
        }
        for leg in try JobPlan(plan.record, .back, in: catalog).legs {
            try await publish(leg, plan)
            try await with(leg.from, plan, doing: "removing the slot of the way back") { try await JobSlot.drop(leg.slot, $0) }
            do {
                guard let shard = plan.shards[leg.from] else { continue }
                let session = try await ReplicationSession.open(try sessions.endpoint(of: shard, as: plan.names.session), on: sessions.group)
                // Before anything is written there by others: what follows the switch is then in its stream.
                _ = try await ReplicationSession.createSlot(leg.slot, session, limit: .init(settings.slotLimit))
                await session.close()
            } catch {
                throw EffectFailure(error, doing: "making the slot of the way back on shard \(leg.from)")
            }
        }
        for id in Set(plan.record.sources + plan.record.targets).sorted() {
            guard let shard = plan.shards[id] else { continue }
            _ = try await work.control(shard, of: plan.names)
        }
    }

    /// Of every object that sharded and reference tables have, a line: its name first.
    private func definitions(of id: ShardID, _ plan: JobPlan) async throws(EffectFailure) -> [String] {
        let names = plan.sharded.map(\.name) + plan.reference
        return try await with(id, plan, doing: "reading the definitions") { client in
            // What an expression looks like depends on it.
            _ = try await client.query("SET search_path = pg_catalog")
            let rows = try await client.query(
                DefinitionQueries.lines, [.text(JobTables.array(names.map(\.schema))), .text(JobTables.array(names.map(\.name)))]).rows
            return rows.compactMap { $0.text(0) }
        }
    }
}

private enum DefinitionQueries {
    /// $1 schemas, $2 names. Columns by name and not by number: on the source some may have been dropped.
    static let lines = """
        WITH relations AS (
            SELECT c.oid, n.nspname || '.' || c.relname AS name FROM unnest($1::text[], $2::text[]) AS asked(schema, name)
                JOIN pg_catalog.pg_namespace rn ON rn.nspname = asked.schema
                JOIN pg_catalog.pg_class root ON root.relnamespace = rn.oid AND root.relname = asked.name AND root.relkind IN ('r', 'p')
                CROSS JOIN LATERAL (SELECT root.oid AS relid UNION SELECT t.relid FROM pg_catalog.pg_partition_tree(root.oid) t) tree
                JOIN pg_catalog.pg_class c ON c.oid = tree.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace)
        SELECT pg_catalog.concat_ws(E'\\x1f', 'table ' || r.name, c.relkind::text, c.relreplident::text, pg_catalog.pg_get_partkeydef(c.oid),
                pg_catalog.pg_get_expr(c.relpartbound, c.oid), c.relrowsecurity::text)
            FROM relations r JOIN pg_catalog.pg_class c ON c.oid = r.oid
        UNION ALL
        SELECT pg_catalog.concat_ws(E'\\x1f', 'column ' || r.name || '.' || a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull::text,
                a.attidentity::text, a.attgenerated::text, pg_catalog.pg_get_expr(d.adbin, d.adrelid))
            FROM relations r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
                LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        UNION ALL
        SELECT pg_catalog.concat_ws(E'\\x1f', 'index of ' || r.name, pg_catalog.pg_get_indexdef(i.indexrelid), i.indisvalid::text)
            FROM relations r JOIN pg_catalog.pg_index i ON i.indrelid = r.oid
        UNION ALL
        SELECT pg_catalog.concat_ws(E'\\x1f', 'constraint ' || k.conname || ' of ' || r.name, pg_catalog.pg_get_constraintdef(k.oid))
            FROM relations r JOIN pg_catalog.pg_constraint k ON k.conrelid = r.oid WHERE k.contype <> 'n' AND k.conparentid = 0
        UNION ALL
        SELECT pg_catalog.concat_ws(E'\\x1f', 'trigger ' || t.tgname || ' of ' || r.name, pg_catalog.pg_get_triggerdef(t.oid), t.tgenabled::text)
            FROM relations r JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
        """
}
