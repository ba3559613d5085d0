internal import CatalogStore
internal import Foundation
internal import ShardModel
internal import SwiftProtobuf

/// The catalog as it was read: its snapshot, and the head that the next commit must find unchanged.
struct EtcdCatalog: Sendable {
    var snapshot: CatalogSnapshot
    var head: Pgmosaic_Catalog_Head
    /// The head's bytes, and the revision of its last change. No two heads have the same bytes: each has a number of its own.
    var headBytes: Data
    var headRevision: Int64
    /// Of the whole store when it was read.
    var revision: Int64
}

extension Pgmosaic_Catalog_Head {
    static let format: UInt32 = 1

    /// Of the head's key.
    init(read key: Etcdserverpb_KeyValue) throws(CatalogError) {
        guard let head = try? Self(serializedBytes: key.value), head.format > 0, !head.clusterID.isEmpty else {
            throw .foreign("the key \"\(String(decoding: key.key, as: UTF8.self))\" is not a catalog's")
        }
        guard head.format <= Self.format else {
            throw .foreign("the catalog has format \(head.format); this version knows formats up to \(Self.format)")
        }
        guard !head.commitID.isEmpty, !head.records.isEmpty, !head.history.isEmpty, head.epoch <= UInt64(Int64.max) else {
            throw .invalid("the stored catalog is damaged: its head is not whole")
        }
        self = head
    }

    /// The same with a number of its own, as bytes.
    func renewed() throws(CatalogError) -> (head: Self, bytes: Data) {
        var head = self
        head.nonce = .random(in: .min ... .max)
        do {
            return (head, try head.serializedData())
        } catch {
            throw .invalid("the catalog's head cannot be stored: \(error)")
        }
    }
}

/// Reads the catalog: all of it, or what is new since it was last read.
struct EtcdCatalogReader: Sendable {
    /// How many epochs are caught up with by what each of them touched, and how many records at once. Beyond that everything is read.
    static let passagesMax = 64
    static let recordsMax = 100

    let client: EtcdClient
    let keys: EtcdKeys

    /// nil where there is no head.
    ///
    /// Throws `.foreign` when the known epoch is not one of this catalog's past: it was restored from a copy, or is another's.
    func read(known: EtcdCatalog?, until deadline: ContinuousClock.Instant) async throws -> EtcdCatalog? {
        while true {
            do {
                return try await readOnce(known: known, until: deadline)
            } catch let failure as EtcdFailure where failure.cause == .compacted && deadline > .now {
                // Between two requests of one reading. The next begins with a newer revision.
                try Task.checkCancellation()
            }
        }
    }

    private func readOnce(known: EtcdCatalog?, until deadline: ContinuousClock.Instant) async throws -> EtcdCatalog? {
        var look = EtcdTransaction()
        look.get(EtcdRange(start: keys.head))
        if let known {
            // The known epoch's passage first: it tells whether it is still the one that was read.
            let newest = Epoch(UInt64(Int64.max))
            look.get(keys.passages(known.head.history, from: known.snapshot.epoch, through: newest), limit: Self.passagesMax + 1)
        }
        let answer: Etcdserverpb_TxnResponse
        var isShort = true
        do throws(EtcdFailure) {
            answer = try await client.transact(look, until: deadline, isRepeatable: true)
        } catch {
            guard error.cause == .tooLarge, let known else { throw error }
            // Passages of great changes: only the one that tells is needed.
            look = EtcdTransaction()
            look.get(EtcdRange(start: keys.head))
            look.get(EtcdRange(start: keys.passage(known.head.history, known.snapshot.epoch)))
            answer = try await client.transact(look, until: deadline, isRepeatable: true)
            isShort = false
        }
        guard let key = answer.keys(0).first else { return nil }
        let head = try Pgmosaic_Catalog_Head(read: key)
        let passages = try answer.keys(1).map { try passage($0) }
        var catalog = EtcdCatalog(
            snapshot: CatalogSnapshot(clusterID: head.clusterID), head: head, headBytes: key.value, headRevision: key.modRevision,
            revision: answer.header.revision)
        if let known {
            let isWhole = try known.requireFollowed(by: head, passages.first)
            if !isWhole, known.snapshot.epoch.number == head.epoch {
                catalog.snapshot = known.snapshot
                return catalog
            }
            if !isWhole, isShort, head.records == known.head.records, let names = Self.touched(passages, known, head) {
                let records = try await records(names, catalog, until: deadline)
                if let records {
                    catalog.snapshot = try known.snapshot.updated(to: head, records, names)
                    return catalog
                }
            }
        }
        let all = try await client.all(keys.records(head.records), revision: catalog.revision, bytesMax: SnapshotFile.sizeMax, until: deadline)
        catalog.snapshot = try CatalogSnapshot(clusterID: head.clusterID).updated(to: head, try all.map { try row($0, head.records) }, [])
        return catalog
    }

    private func passage(_ key: Etcdserverpb_KeyValue) throws -> (epoch: Epoch, Pgmosaic_Catalog_Passage) {
        guard let number = UInt64(String(decoding: key.key.suffix(20), as: UTF8.self)),
            let passage = try? Pgmosaic_Catalog_Passage(serializedBytes: key.value)
        else { throw CatalogError.invalid("the stored catalog is damaged: its history cannot be read") }
        return (Epoch(number), passage)
    }

    /// What the epochs above the known one touched, when every one of them is there.
    private static func touched(
        _ passages: [(epoch: Epoch, Pgmosaic_Catalog_Passage)], _ known: EtcdCatalog, _ head: Pgmosaic_Catalog_Head
    ) -> Set<Pgmosaic_Catalog_RecordName>? {
        let newer = passages.filter { $0.epoch > known.snapshot.epoch && $0.epoch.number <= head.epoch }
        guard UInt64(newer.count) == head.epoch - known.snapshot.epoch.number else { return nil }
        let names = newer.reduce(into: Set<Pgmosaic_Catalog_RecordName>()) { $0.formUnion($1.1.touched) }
        return names.count <= recordsMax ? names : nil
    }

    /// nil when they are too much for one answer.
    private func records(
        _ names: Set<Pgmosaic_Catalog_RecordName>, _ catalog: EtcdCatalog, until deadline: ContinuousClock.Instant
    ) async throws -> [RecordRow]? {
        guard !names.isEmpty else { return [] }
        var reading = EtcdTransaction()
        for name in names {
            guard let kind = RecordRow.Kind(rawValue: name.kind) else {
                throw CatalogError.invalid("the stored catalog holds a record of an unknown kind")
            }
            reading.get(EtcdRange(start: keys.record(catalog.head.records, kind, name.key)), revision: catalog.revision)
        }
        let answer: Etcdserverpb_TxnResponse
        do throws(EtcdFailure) {
            answer = try await client.transact(reading, until: deadline, isRepeatable: true)
        } catch {
            guard error.cause == .tooLarge else { throw error }
            return nil
        }
        return try answer.responses.indices.flatMap { try answer.keys($0).map { try row($0, catalog.head.records) } }
    }

    private func row(_ key: Etcdserverpb_KeyValue, _ generation: String) throws -> RecordRow {
        guard let name = keys.name(ofRecord: key.key, generation), let record = try? Pgmosaic_Catalog_Record(serializedBytes: key.value) else {
            throw CatalogError.invalid("the stored catalog is damaged: a record cannot be read")
        }
        return RecordRow(
            kind: name.kind, key: name.key, version: record.version, body: record.body, vnodes: record.hasVnodes ? record.vnodes : nil)
    }
}

extension EtcdCatalog {
    /// Whether everything has to be read, because the history does not go back to the known epoch.
    fileprivate func requireFollowed(
        by head: Pgmosaic_Catalog_Head, _ first: (epoch: Epoch, Pgmosaic_Catalog_Passage)?
    ) throws(CatalogError) -> Bool {
        let epoch = snapshot.epoch
        guard head.clusterID == snapshot.clusterID || epoch == .zero && head.epoch > 0 else {
            throw .foreign("the catalog is another cluster's by now")
        }
        guard head.epoch >= epoch.number else { throw .foreign("the catalog went back from epoch \(epoch) to \(head.epoch); \(Self.advice)") }
        let isWhole = head.clusterID != snapshot.clusterID || epoch.number < head.baseEpoch
            || head.epoch - epoch.number >= UInt64(CatalogHistoryEntry.keptMin)
        let then = head.epoch == epoch.number ? head.commitID : first.flatMap { $0.epoch == epoch ? $0.1.commitID : nil }
        guard isWhole || epoch == .zero && head.epoch > 0 || then == self.head.commitID else {
            throw .foreign("the catalog has another epoch \(epoch) than the one that was read; \(Self.advice)")
        }
        return isWhole
    }

    private static let advice = "it was restored from a copy, or its server lost commits: restart this process to take it as it is"
}

extension CatalogSnapshot {
    /// With these records put, and those of the names that are not among them removed.
    fileprivate func updated(
        to head: Pgmosaic_Catalog_Head, _ rows: [RecordRow], _ names: Set<Pgmosaic_Catalog_RecordName>
    ) throws(CatalogError) -> CatalogSnapshot {
        var next = self
        next.epoch = Epoch(head.epoch)
        var touch = CatalogTouch()
        for row in rows { try row.add(to: &next, &touch) }
        var gone = names
        for row in rows { gone.remove(.init(row.kind, row.key)) }
        for name in gone {
            if let kind = RecordRow.Kind(rawValue: name.kind) { RecordRow.remove(kind, name.key, from: &next, &touch) }
        }
        do {
            try next.checkInvariants(touch: touch, since: self)
        } catch {
            throw .invalid("the stored catalog breaks its own rules: \(error)")
        }
        return next
    }
}

extension Pgmosaic_Catalog_RecordName {
    init(_ kind: RecordRow.Kind, _ key: String) {
        self.init()
        (self.kind, self.key) = (kind.rawValue, key)
    }
}
