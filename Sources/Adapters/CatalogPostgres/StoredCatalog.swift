internal import CatalogStore
internal import Foundation
internal import NIOCore
internal import PGChannel
internal import ShardModel

/// The catalog as it was read: its snapshot, and what tells this epoch from another of the same number.
struct StoredCatalog: Sendable {
    var snapshot: CatalogSnapshot
    /// Drawn by the epoch's writer.
    var commitID: String
    /// What the next commit must name.
    var nonce: Int64
}

/// The one row of `catalog`, from a row of `CatalogStatements.load`, in the binary format.
struct CatalogHead {
    var format: Int
    var epoch: Epoch
    var nonce: Int64
    var commitID: String
    var clusterID: String
    /// Every record was read, not only the newer ones.
    var isWhole: Bool
    /// Who wrote the epoch that the reader knew; nil when the history does not go back so far.
    var commitIDOfKnown: String?

    init(_ row: PGRow) throws(CatalogError) {
        guard row.count == 12, let format = row.binary(0, Int32.self), let number = row.binary(1, Int64.self), let epoch = UInt64(exactly: number),
            let nonce = row.binary(2, Int64.self), let commitID = row.text(3), let clusterID = row.text(4), !clusterID.isEmpty,
            let isWhole = row.binary(5, UInt8.self)
        else { throw .invalid("the stored catalog is damaged: it has no epoch") }
        self.format = Int(format)
        self.epoch = Epoch(epoch)
        self.nonce = nonce
        self.commitID = commitID
        self.clusterID = clusterID
        self.isWhole = isWhole != 0
        commitIDOfKnown = row.text(6)
    }
}

extension StoredCatalog {
    /// What the rows of `CatalogStatements.load` make of what was known.
    ///
    /// Throws `.foreign` when the known epoch is not one of this catalog's past: it was restored from a copy, lost its last commits, or is another's.
    static func read(_ rows: [PGRow], known: StoredCatalog?, _ schema: CatalogSchema) throws(CatalogError) -> StoredCatalog {
        guard let first = rows.first else { throw .foreign("the catalog's one row is gone") }
        let head = try CatalogHead(first)
        guard head.format <= schema.format else { throw schema.newer(head.format) }
        if let known { try known.requireFollowed(by: head) }
        let known = head.isWhole ? nil : known
        if let known, known.snapshot.epoch == head.epoch {
            return StoredCatalog(snapshot: known.snapshot, commitID: head.commitID, nonce: head.nonce)
        }
        let base = known?.snapshot ?? CatalogSnapshot(clusterID: head.clusterID)
        var snapshot = base
        snapshot.epoch = head.epoch
        var touch = CatalogTouch()
        for row in rows where row[7] != nil { try Self.add(row, to: &snapshot, &touch) }
        do {
            try snapshot.checkInvariants(touch: touch, since: base)
        } catch {
            throw .invalid("the stored catalog breaks its own rules: \(error)")
        }
        return StoredCatalog(snapshot: snapshot, commitID: head.commitID, nonce: head.nonce)
    }

    private func requireFollowed(by head: CatalogHead) throws(CatalogError) {
        guard head.clusterID == snapshot.clusterID || snapshot.epoch == .zero && head.epoch > .zero else {
            throw .foreign("the catalog is another cluster's by now")
        }
        guard head.epoch >= snapshot.epoch else {
            throw .foreign("the catalog went back from epoch \(snapshot.epoch) to \(head.epoch); \(Self.advice)")
        }
        let then = head.epoch == snapshot.epoch ? head.commitID : head.commitIDOfKnown
        guard head.isWhole || snapshot.epoch == .zero || then == commitID else {
            throw .foreign("the catalog has another epoch \(snapshot.epoch) than the one that was read; \(Self.advice)")
        }
    }

    private static let advice = "it was restored from a copy, or its server lost commits: restart this process to take it as it is"

    private static func add(_ row: PGRow, to snapshot: inout CatalogSnapshot, _ touch: inout CatalogTouch) throws(CatalogError) {
        guard let kind = row.text(7).flatMap(RecordRow.Kind.init), let key = row.text(8),
            let version = row.binary(9, Int64.self).flatMap({ UInt64(exactly: $0) })
        else { throw .invalid("the stored catalog holds a record of an unknown kind") }
        guard let body = row.text(10) else { return RecordRow.remove(kind, key, from: &snapshot, &touch) }
        let vnodes = row[11].map { Data($0.readableBytesView) }
        try RecordRow(kind: kind, key: key, version: version, body: body, vnodes: vnodes).add(to: &snapshot, &touch)
    }
}

extension PGRow {
    /// A value of the binary format; nil for NULL, and for one of another length.
    func binary<Number: FixedWidthInteger>(_ index: Int, _: Number.Type) -> Number? {
        guard let bytes = self[index], bytes.readableBytes == MemoryLayout<Number>.size else { return nil }
        return bytes.getInteger(at: bytes.readerIndex)
    }
}
