internal import NIOCore
internal import PGWire
internal import PoolCore
internal import RoutePlanning
internal import ShardModel
internal import Telemetry

/// What one event loop counts: plain integers, read on the loop when somebody scrapes.
final class LoopMetrics {
    var shapeHits: UInt64 = 0
    var textHits: UInt64 = 0
    var statementHits: UInt64 = 0
    var planMisses: UInt64 = 0
    var commits = CommitCounts()
    var scattered = ScatterCounts()
    var clients = ClientCounts()
    var holds = HoldCounts()
    /// Transactions that were ended so that others could go on.
    var deadlocks: UInt64 = 0

    private static let kinds = StatementKind.allCases
    private static let outcomes = ["ok", "error", "refused", "cancelled", "unknown"]
    /// Positions on the shard axis.
    static let noShard = 0
    static let manyShards = 1

    private var statements = CounterGrid(
        MetricCatalogue.statements, axes: [["none", "many"], kinds.map(\.rawValue), outcomes])
    private var seconds: [LatencyHistogram] = [LatencyHistogram(), LatencyHistogram()]
    private var refusals: [String: UInt64] = [:]

    func position(ofShard name: String) -> Int {
        let position = statements.position(of: name)
        while seconds.count <= position { seconds.append(LatencyHistogram()) }
        return position
    }

    /// A unit was answered.
    func record(_ unit: UnitRecord, at now: PoolInstant) {
        guard unit.isRunning else { return }
        let shard = unit.shard?.metricPosition ?? (unit.ranEverywhere ? Self.manyShards : Self.noShard)
        statements.add(at: shard, unit.kind.index, outcome(unit.outcome))
        seconds[shard].record(nanoseconds: now.elapsed(since: unit.started).count)
    }

    private func outcome(_ outcome: UnitRecord.Outcome) -> Int {
        switch outcome {
        case .ok: return 0
        case .shardError: return 1
        case .failed(let error):
            if error.sqlState == .queryCanceled { return 3 }
            if error.sqlState == .transactionResolutionUnknown { return 4 }
            guard let code = error[.detail], code.hasPrefix("PGM-") else { return 1 }
            refusals[String(code.prefix { $0 != ":" && $0 != " " }), default: 0] += 1
            return 2
        }
    }

    /// Statements and their time, by shard.
    var totals: [(shard: String, count: UInt64, nanoseconds: UInt64)] {
        seconds.enumerated().map { (statements.axes[0][$0], $1.count, $1.sum) }.filter { $0.1 > 0 }
    }

    func snapshot(of loop: RouterLoop) -> MetricSnapshot {
        var result = MetricSnapshot()
        statements.collect(into: &result)
        for (position, histogram) in seconds.enumerated() where histogram.count > 0 {
            result.add(MetricCatalogue.statementSeconds, [statements.axes[0][position]], histogram: histogram)
        }
        for (code, count) in refusals { result.add(MetricCatalogue.refusals, [code], counter: count) }
        for (cache, hits) in [("shape", shapeHits), ("text", textHits), ("prepared", statementHits)] {
            result.add(MetricCatalogue.cacheHits, [cache], counter: hits)
        }
        result.add(MetricCatalogue.cacheMisses, ["text"], counter: planMisses)
        result.add(MetricCatalogue.catalogEpoch, gauge: Double(loop.catalog.epoch.number))
        for (outcome, count) in commits.byOutcome { result.add(MetricCatalogue.twoPhase, [outcome], counter: count) }
        for (outcome, count) in [("answered", scattered.answered), ("failed", scattered.failed), ("left", scattered.left)] {
            result.add(MetricCatalogue.scattered, [outcome], counter: count)
        }
        result.add(MetricCatalogue.deadlocks, counter: deadlocks)
        result.add(MetricCatalogue.heldStatements, counter: holds.held)
        result.add(MetricCatalogue.endedTransactions, counter: holds.ended)
        if holds.seconds.count > 0 { result.add(MetricCatalogue.heldSeconds, histogram: holds.seconds) }
        for (outcome, count) in clients.byOutcome { result.add(MetricCatalogue.clientsTotal, [outcome], counter: count) }
        var states = ["idle": 0.0, "active": 0.0, "waiting": 0.0]
        var kept: [String: Double] = [:]
        for session in loop.sessions.values {
            states[session.stateName, default: 0] += 1
            for pin in session.pins { for reason in pin.kept { kept[reason.rawValue, default: 0] += 1 } }
        }
        for (reason, count) in kept { result.add(MetricCatalogue.pinnedSessions, [reason], gauge: count) }
        for (state, count) in states { result.add(MetricCatalogue.clients, [state], gauge: count) }
        for database in loop.databases.values {
            for pool in database.pools { pool.collect(into: &result) }
        }
        return result
    }
}

struct CommitCounts {
    private(set) var byOutcome: [String: UInt64] = [:]
    mutating func add(_ outcome: String) { byOutcome[outcome, default: 0] += 1 }
}

/// Pipelines of reads that several shards answer.
struct ScatterCounts {
    var answered: UInt64 = 0
    var failed: UInt64 = 0
    var left: UInt64 = 0
}

/// Statements that waited while vnodes changed their owner.
struct HoldCounts {
    var held: UInt64 = 0
    var ended: UInt64 = 0
    private(set) var seconds = LatencyHistogram()
    mutating func add(waited: PoolNanoseconds) { seconds.record(nanoseconds: waited.count) }
}

struct ClientCounts {
    enum Outcome: String {
        case accepted
        case rejectedAuth = "rejected_auth"
        case rejectedLimit = "rejected_limit"
        case rejectedProtocol = "rejected_protocol"
    }
    private(set) var byOutcome: [String: UInt64] = [:]
    mutating func add(at outcome: Outcome) { byOutcome[outcome.rawValue, default: 0] += 1 }
}

extension StatementKind {
    /// Its place among `allCases`.
    var index: Int {
        switch self {
        case .select: 0
        case .insert: 1
        case .update: 2
        case .delete: 3
        case .merge: 4
        case .copy: 5
        case .ddl: 6
        case .transaction: 7
        case .session: 8
        case .utility: 9
        case .mosaic: 10
        }
    }
}

extension ClientSession {
    var stateName: String {
        if waiter != nil || held != nil { return "waiting" }
        return work == .ready ? "idle" : "active"
    }
}
