/// SQLSTATEs of `pgmosaic.hello`, which every session with a shard begins with.
package enum FenceState {
    /// The caller's epoch is below the fence: it must load a newer catalog first.
    package static let fenced = "PM001"
    /// The database is another shard, or nobody's.
    package static let stranger = "PM002"
}
