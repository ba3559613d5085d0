package import CatalogRecovery
package import CatalogStore
package import Foundation
package import Secrets
package import ShardModel

/// A catalog as it is kept on a shard, for the day on which the store is lost.
///
/// Whoever may run SQL on a shard can read and change what is there. So with a key all of it is sealed, and only then users are in it; without one
/// there are no users, and what is there proves nothing (decision 0047).
package struct CatalogCopy: Hashable, Sendable {
    package static let formatMax = 1
    /// A larger catalog (6,000 shards of 256 vnodes) is not copied: each shard would have to take so much for each change.
    package static let bodyMax = 32 << 20
    private static let purpose = "pgmosaic catalog copy"

    package var format: Int
    package var clusterID: String
    package var epoch: Epoch
    package var isSealed: Bool
    package var body: Data

    package init(format: Int, clusterID: String, epoch: Epoch, isSealed: Bool, body: Data) {
        self.format = format
        self.clusterID = clusterID
        self.epoch = epoch
        self.isSealed = isSealed
        self.body = body
    }

    /// - box: nil: there is no key.
    package init(of snapshot: CatalogSnapshot, with box: SecretBox?) throws(SnapshotFileError) {
        format = Self.formatMax
        clusterID = snapshot.clusterID
        epoch = snapshot.epoch
        isSealed = box != nil
        let plain = try SnapshotFile.bytes(of: box == nil ? snapshot.withoutUsers : snapshot, for: "the copy")
        let context = Self.context(snapshot.clusterID, snapshot.epoch)
        body = box.map { $0.seal(plain, purpose: Self.purpose, context: context) } ?? plain
        guard body.count <= Self.bodyMax else { throw SnapshotFileError(.tooLarge, path: "the copy") }
    }

    /// Bound to what is written beside it: a sealed copy of another epoch cannot be put in its place under this one's name.
    private static func context(_ clusterID: String, _ epoch: Epoch) -> String { "\(clusterID)\n\(epoch)" }

    /// The catalog in it, or why there is none to be had.
    package func opened(with box: SecretBox?) -> RecoverySource.Copy {
        func unreadable(_ reason: String) -> RecoverySource.Copy { .unreadable(epoch: epoch, reason: reason) }
        guard format <= Self.formatMax else { return unreadable("it is of a newer version of PGMosaic") }
        var plain = body
        if isSealed {
            guard let box else { return unreadable("it is sealed: name the key that was secrets.key_file of the managers") }
            do throws(SecretError) {
                plain = try box.open(body, purpose: Self.purpose, context: Self.context(clusterID, epoch))
            } catch {
                return unreadable("it is sealed with another key, or damaged")
            }
        }
        guard let snapshot = try? SnapshotFile.snapshot(in: plain, from: "the copy") else { return unreadable("it is damaged") }
        guard snapshot.clusterID == clusterID, snapshot.epoch == epoch else { return unreadable("it holds another catalog than it says") }
        return .readable(snapshot, isWhole: isSealed)
    }
}
