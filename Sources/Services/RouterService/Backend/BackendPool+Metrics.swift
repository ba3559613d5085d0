internal import PoolCore
internal import ReplicaCore
internal import ShardModel
internal import Telemetry

extension BackendPool {
    func collect(into snapshot: inout MetricSnapshot) {
        if let replica { return collect(replica, into: &snapshot) }
        let shard = shardID.name
        for (state, count) in states { snapshot.add(MetricCatalogue.poolBackends, [shard, state], gauge: Double(count)) }
        if core.statistics.waits > 0 {
            snapshot.add(MetricCatalogue.poolWaiting, [shard], gauge: Double(core.statistics.waiting))
            snapshot.add(MetricCatalogue.poolWaitSeconds, [shard], histogram: waitSeconds)
        }
        for (reason, count) in failures { snapshot.add(MetricCatalogue.poolFailures, [shard, reason], counter: count) }
        for (outcome, count) in [("shared", sharedReads), ("moved", movedReads)] where count > 0 {
            snapshot.add(MetricCatalogue.poolSharedReads, [shard, outcome], counter: count)
        }
        for (server, count) in eventualReads.byServer where count > 0 {
            snapshot.add(MetricCatalogue.eventualReads, [shard, server], counter: count)
        }
        for replica in replicas { replica.collect(into: &snapshot) }
    }

    private func collect(_ replica: ReplicaServer, into snapshot: inout MetricSnapshot) {
        for (state, count) in states {
            snapshot.add(MetricCatalogue.replicaBackends, [shardID.name, replica.label, state], gauge: Double(count))
        }
        let now = loop.now
        snapshot.add(
            MetricCatalogue.replicaUsable, [shardID.name, replica.label], gauge: loop.shared.replicaChoice.admits(replica.candidate, now: now, wrote: nil) ? 1 : 0)
        if let currentTo = replica.currentTo {
            let lag = Double(now.elapsed(since: currentTo).count) / 1e9
            snapshot.add(MetricCatalogue.replicaLagSeconds, [shardID.name, replica.label], gauge: lag)
        }
    }

    private var states: [(String, Int)] {
        let statistics = core.statistics
        guard statistics.live > 0 else { return [] }
        return [
            ("idle", statistics.idle), ("busy", statistics.busy), ("connecting", statistics.connecting), ("closing", statistics.closing),
        ]
    }
}

/// Who answered the eventual reads of a shard.
struct EventualReadCounts {
    var replica: UInt64 = 0
    /// No replica qualified.
    var primary: UInt64 = 0
    /// A replica failed, and the primary was asked anew.
    var retried: UInt64 = 0

    var byServer: [(String, UInt64)] { [("replica", replica), ("primary", primary), ("retried", retried)] }
}
