internal import RoutePlanning
internal import SQLSyntax
internal import ShardModel
internal import Synchronization

/// Plans by text, of one database, for one epoch and one reading of its schema.
final class PlanCache: Sendable {
    private struct State {
        var epoch = Epoch.zero
        var generation: SchemaGeneration?
        /// By the text's bytes, for literals are in it.
        var plans: [[UInt8]: StatementPlan] = [:]
        var context: PlanningContext?
    }
    private static let plansMax = 2048
    /// Longer texts are seldom sent twice.
    private static let textMax = 16 << 10
    private let state = Mutex(State())

    /// Throws the refusal as `needsRouter`, a syntax error as `syntax`. `isCuredByReload`: a newer schema may give a plan.
    func plan(_ sql: String, _ topology: Topology, _ schema: SchemaSnapshot) throws(PlanFailure) -> StatementPlan {
        let bytes = Array(sql.utf8)
        let (known, context) = state.withLock { state in
            if state.epoch != topology.epoch || state.generation != schema.generation || state.context == nil {
                state = State(epoch: topology.epoch, generation: schema.generation, context: Self.context(topology, schema))
            }
            return (state.plans[bytes], state.context)
        }
        if let known { return known }
        let plan: StatementPlan
        do throws(StatementPlanner.TextError) {
            plan = try StatementPlanner.plan(bytes: bytes, literals: nil, context: context ?? Self.context(topology, schema), limits: Self.limits)
        } catch {
            switch error {
            case .syntax(let error): throw PlanFailure(error: MosaicError(error), isCuredByReload: false)
            case .refused(let refusal): throw PlanFailure(error: MosaicError(refusal), isCuredByReload: refusal.code.isCuredByReload)
            }
        }
        if plan.reuse != .never, bytes.count <= Self.textMax {
            state.withLock { state in
                guard state.epoch == topology.epoch, state.generation == schema.generation else { return }
                if state.plans.count >= Self.plansMax { state.plans.removeAll(keepingCapacity: true) }
                state.plans[bytes] = plan
            }
        }
        return plan
    }

    /// The parser recurses, on whatever thread a task runs: half a megabyte of stack on some systems.
    static let limits = ParsedSQL.Limits(nestingMax: 150)

    private static func context(_ topology: Topology, _ schema: SchemaSnapshot) -> PlanningContext {
        PlanningContext(
            schema: schema, placements: topology.placements, keyColumnRules: topology.database.keyColumnRules,
            defaultPlacement: topology.database.defaultPlacement, searchPath: schema.resolve(searchPath: schema.defaultSearchPath, roles: []),
            shardCount: topology.shards.count)
    }
}

struct PlanFailure: Error {
    var error: MosaicError
    var isCuredByReload: Bool
}
