internal import CommitCore
internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import ShardModel

/// What sessions ask of the control plane. The futures may complete on any event loop.
protocol ControlRequests: Sendable {
    /// Reads the schema now; done once all loops have it.
    func refreshSchema(database: String) -> EventLoopFuture<Void>
    /// What a committed schema change means for the catalog, and for the plans of this router. The result is a warning for the client, or nil.
    func publish(_ changes: [PlacementChange], database: String, author: String) -> EventLoopFuture<ServerError?>
    /// `SELECT pgmosaic.shard_table(…)` and its siblings.
    func declare(_ statement: MosaicStatement, database: String, author: String) -> EventLoopFuture<Void>
    /// CREATE INDEX CONCURRENTLY and its like. Cancelling the task ends it.
    func run(
        _ work: ConcurrentIndex, statement: String, settings: [String], database: String, progress: @escaping @Sendable (String) -> Void,
        done: @escaping @Sendable (Result<String, ServerError>) -> Void
    ) -> Task<Void, Never>
    /// All of this loop's sessions have let go of what the hold is for. Once for each loop.
    func drained(_ acknowledgement: HoldAcknowledgement, loop: Int)
    /// More waits for the end of the hold than the loop is to keep. Once for each attempt.
    func overfull(_ attempt: HoldAttempt)
    /// Which sessions on shards of jobs are the loop's: once for each loop and epoch at most.
    func counted(_ report: SessionReport, loop: Int)
    /// How the transaction ended, by its record.
    func lookUp(_ id: GlobalTransactionID, database: String) -> EventLoopFuture<Decision>
    /// Whether the prepared transaction is committed at last: asked again and again until `deadline`.
    func commitPrepared(_ name: String, at shard: ShardID, until deadline: NIODeadline) -> EventLoopFuture<Bool>
}

extension ControlPlane: ControlRequests {}
