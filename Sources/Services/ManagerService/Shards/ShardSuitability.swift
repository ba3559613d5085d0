internal import ShardModel

/// What a PostgreSQL server must be like to become a shard. Pure: an inspection in, sentences out.
enum ShardSuitability {
    static let oldestVersion = 130_000

    /// Reasons against it, each with what to change; empty when there are none.
    static func problems(_ inspection: ShardInspection) -> [String] {
        var problems: [String] = []
        if inspection.versionNumber < oldestVersion {
            problems.append("PostgreSQL \(inspection.versionText) is too old: 13 or newer is needed")
        }
        if inspection.inRecovery {
            problems.append("the server is a replica (pg_is_in_recovery): register the primary, and name replicas in \"replicas\"")
        }
        if inspection.preparedTransactionsMax == 0 {
            problems.append(
                "max_prepared_transactions is 0, so writes to several shards could not be committed as one: set it to at least the number of connections that write, and restart the server")
        }
        if inspection.encoding != "UTF8" {
            problems.append("the database's encoding is \(inspection.encoding): keys are hashed by their UTF-8 bytes, so it must be UTF8")
        }
        if inspection.walLevel != "logical" {
            problems.append(
                "wal_level is \(inspection.walLevel), so its data could not be moved to another shard later: set it to logical, and restart the server")
        }
        if !inspection.mayCreateSchema, inspection.identity == nil {
            problems.append(
                "role \(inspection.role) may not create the schema pgmosaic: GRANT CREATE ON DATABASE to it, or make it the database's owner")
        }
        return problems
    }

    /// What an operator should know; not in the way.
    static func notes(_ inspection: ShardInspection) -> [String] {
        guard !inspection.isSuperuser else { return [] }
        return [
            "role \(inspection.role) is not a superuser, so there are no event triggers: routers notice DDL that is run on the shard itself by polling, within seconds"
        ]
    }
}
