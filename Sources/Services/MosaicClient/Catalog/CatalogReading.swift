internal import ShardModel

/// Where the follower gets catalogs from.
protocol CatalogReading: Sendable {
    /// The newest catalog above `epoch`, waiting for one; nil when none came within half a minute or so. `epoch` nil: whatever there is, at once.
    func next(after epoch: Epoch?) async throws(MosaicError) -> CatalogSnapshot?
    func close() async
}
