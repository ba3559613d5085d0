/// What a client holds at a moment.
public struct MosaicStatistics: Sendable, Hashable {
    public struct Server: Sendable, Hashable {
        /// Open ones, idle or lent.
        public var connections: Int
        public var idle: Int
        /// Calls in the line.
        public var waiting: Int
    }

    /// The epoch of the catalog that it routes by.
    public var epoch: UInt64
    /// Why the catalog could not be read last; nil: it could. The client goes on with the catalog that it has.
    public var catalogProblem: MosaicError?
    /// By shard: its primary.
    public var primaries: [String: Server]
    /// By shard: all of its replicas together.
    public var replicas: [String: Server]
    /// By address.
    public var routers: [String: Server]
}
