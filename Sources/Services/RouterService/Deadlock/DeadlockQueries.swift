internal import CommitCore
internal import PGChannel
internal import ShardModel

/// What a shard is asked about waits for locks.
enum DeadlockQueries {
    /// The waits of these server processes, and of those that they wait for, and so on; of at most `rowsMax` processes.
    static func waits(of processes: [Int32]) -> String {
        """
        WITH RECURSIVE seen(pid) AS (\
        SELECT pg_catalog.unnest('{\(processes.map(String.init).joined(separator: ","))}'::pg_catalog.int4[]) \
        UNION SELECT pg_catalog.unnest(pg_catalog.pg_blocking_pids(pid)) FROM seen), \
        waiting AS MATERIALIZED (\
        SELECT pid, pg_catalog.pg_blocking_pids(pid) AS blockers FROM (SELECT pid FROM seen WHERE pid OPERATOR(pg_catalog.<>) 0 LIMIT \(rowsMax)) AS bounded) \
        SELECT pid, pg_catalog.array_to_string(blockers, ','), \
        (SELECT pg_catalog.min(l.waitstart)::pg_catalog.text FROM pg_catalog.pg_locks AS l WHERE l.pid OPERATOR(pg_catalog.=) waiting.pid AND NOT l.granted) \
        FROM waiting WHERE pg_catalog.cardinality(blockers) OPERATOR(pg_catalog.>) 0
        """
    }

    static let rowsMax = 1000

    static func waits(in result: PGResult, of shard: ShardID) -> [LockWait] {
        result.rows.compactMap { row in
            // Without a beginning: the wait was over before its lock was looked at.
            guard let process = row.text(0).flatMap({ Int32($0) }), let blockers = row.text(1), let since = row.text(2) else { return nil }
            return LockWait(shard: shard, process: process, since: since, blockers: Set(blockers.split(separator: ",").compactMap { Int32($0) }))
        }
    }
}
