/// What was answered to a request that changed the catalog, kept with the change: so that the request, repeated, does nothing and hears the same, whoever
/// serves it then.
///
/// No part of the snapshots. A store keeps the answers of its last `keptMax` epochs.
package struct KeptAnswer: Hashable, Sendable, Codable {
    /// How many epochs back they are kept, and so how many at most.
    package static let keptMax = 1000
    /// Seconds; an older one counts as none.
    package static let lifetime = 86_400.0
    /// The longest body; of a longer one only is kept that there was an answer.
    package static let bodyMax = 512 << 10

    /// Stands for the caller and its `Idempotency-Key`: a digest, so that it has one length.
    package var key: String
    /// Of the request.
    package var digest: String
    package var status: Int
    /// Text of JSON; empty where the answer has none, nil where it was too long.
    package var body: String?
    /// Seconds since 1970, by the clock of the machine that answered.
    package var time: Double

    package init(key: String, digest: String, status: Int, body: String?, time: Double) {
        self.key = key
        self.digest = digest
        self.status = status
        self.body = body.flatMap { $0.utf8.count <= Self.bodyMax ? $0 : nil }
        self.time = time
    }
}
