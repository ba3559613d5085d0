internal import CatalogStore
internal import Foundation
internal import ShardModel
internal import SwiftProtobuf

/// A commit as transactions: any number that write what nobody reads yet, and the one that decides.
struct EtcdCommit: Sendable {
    /// etcd's defaults are 128 operations a transaction and 1.5 MiB a request. The rest is for the head, the history and the sweeping.
    static let operationsMax = 100
    static let bytesMax = 1 << 20
    /// The records of a change that is stored in place. Beside them are their names, and the passage of the history.
    static let recordsMax = 400 << 10
    /// The largest value of one key.
    static let valueMax = 1_400_000

    /// The catalog once it is stored; its revisions are not known yet.
    let next: EtcdCatalog
    private(set) var batches: [EtcdTransaction] = []
    private(set) var decision = EtcdTransaction()
    /// What `batches` write.
    private(set) var staged: [EtcdRange] = []

    var isStaged: Bool { !batches.isEmpty }

    init(_ draft: EtcdCatalogStore.Draft, over base: EtcdCatalog, _ keys: EtcdKeys) throws(CatalogError) {
        let changes = try RecordRow.changes(to: draft.snapshot, draft.touch)
        let isReplacement = draft.past != nil
        var puts: [(key: Data, value: Data)] = []
        var head = base.head
        head.clusterID = draft.snapshot.clusterID
        head.epoch = draft.snapshot.epoch.number
        head.commitID = UUID().uuidString.lowercased()
        for row in changes.put { puts.append((keys.record(head.records, row.kind, row.key), try Self.value(row))) }
        let removed = changes.removed.map { keys.record(head.records, $0.kind, $0.key) }
        let isSmall = !isReplacement && puts.count + removed.count <= Self.operationsMax
            && puts.reduce(0, { $0 + $1.key.count + $1.value.count }) + removed.reduce(0, { $0 + $1.count }) <= Self.recordsMax
        var passage = try Self.passage(draft.entry, head.commitID)
        if isSmall {
            passage.touched = changes.put.map { .init($0.kind, $0.key) } + changes.removed.map { .init($0.kind, $0.key) }
        } else {
            // All records anew, below a generation of their own.
            head.records = EtcdKeys.generation(draft.snapshot.epoch, head.commitID)
            let all = isReplacement ? changes.put : try RecordRow.changes(to: draft.snapshot, CatalogTouch(allOf: draft.snapshot)).put
            puts = try all.map { (row) throws(CatalogError) in (keys.record(head.records, row.kind, row.key), try Self.value(row)) }
            staged.append(keys.records(head.records))
        }
        if let past = draft.past {
            head.baseEpoch = head.epoch
            head.history = EtcdKeys.generation(draft.snapshot.epoch, head.commitID)
            staged.append(keys.history(head.history))
            for entry in past {
                let old = try Self.passage(entry, "copied")
                puts.append((keys.passage(head.history, entry.epoch), try Self.bytes(old)))
            }
        }
        let bytes: Data
        (head, bytes) = try head.renewed()
        next = EtcdCatalog(snapshot: draft.snapshot, head: head, headBytes: bytes, headRevision: 0, revision: 0)

        var compare = EtcdTransaction()
        compare.require(keys.head, modRevision: base.headRevision)
        compare.require(keys.head, value: base.headBytes)
        // The token is the revision in which the lease's key was made: a key of that revision is that lease, and nobody has had it since.
        if let fence = draft.fence { compare.require(keys.lease(fence.name), createRevision: Int64(clamping: fence.fencingToken)) }
        decision = compare
        decision.put(keys.head, bytes)
        decision.put(keys.passage(head.history, draft.snapshot.epoch), try Self.bytes(passage))
        if isSmall {
            for put in puts { decision.put(put.key, put.value) }
            for key in removed { decision.delete(key) }
        } else {
            // In the order of their keys: the same catalog is always written in the same way.
            batches = Self.batches(puts.sorted { $0.key.lexicographicallyPrecedes($1.key) }, compare)
        }
        if let answer = draft.answer {
            decision.put(keys.answer(answer.key, draft.snapshot.epoch), try Self.bytes(answer))
            decision.put(keys.answered(draft.snapshot.epoch), Data(answer.key.utf8))
            for key in draft.outdatedAnswers { decision.delete(key) }
        }
        if isReplacement { for range in keys.allAnswers { decision.delete(range) } }
        for range in keys.others(of: "records", than: head.records) + keys.others(of: "history", than: head.history) { decision.delete(range) }
        let kept = UInt64(CatalogHistoryEntry.keptMin)
        if head.epoch >= kept {
            decision.delete(keys.passages(head.history, from: .zero, through: Epoch(head.epoch - kept)))
        }
    }

    private static func batches(_ puts: [(key: Data, value: Data)], _ compare: EtcdTransaction) -> [EtcdTransaction] {
        var batches: [EtcdTransaction] = []
        var (batch, operations, bytes) = (compare, 0, 0)
        for put in puts {
            let size = put.key.count + put.value.count
            if operations > 0, operations == operationsMax || bytes + size > bytesMax {
                batches.append(batch)
                (batch, operations, bytes) = (compare, 0, 0)
            }
            batch.put(put.key, put.value)
            operations += 1
            bytes += size
        }
        return operations > 0 ? batches + [batch] : batches
    }

    // MARK: values

    private static func value(_ row: RecordRow) throws(CatalogError) -> Data {
        var record = Pgmosaic_Catalog_Record()
        (record.version, record.body) = (row.version, row.body)
        if let vnodes = row.vnodes { record.vnodes = vnodes }
        let bytes = try bytes(record)
        // A key without end would do as well.
        guard bytes.count <= valueMax, row.key.utf8.count <= 64 << 10 else {
            throw .invalid("\(row.kind) \"\(row.key.prefix(100))\" is too large for etcd")
        }
        return bytes
    }

    /// An entry that is too large for one key keeps its epoch, time and author.
    private static func passage(_ entry: CatalogHistoryEntry, _ commitID: String) throws(CatalogError) -> Pgmosaic_Catalog_Passage {
        var entry = entry
        var passage = Pgmosaic_Catalog_Passage()
        (passage.commitID, passage.time) = (commitID, entry.time)
        passage.entry = try json(entry)
        if passage.entry.utf8.count > bytesMax / 2 {
            entry.change.operations = []
            entry.isShortened = true
            passage.entry = try json(entry)
        }
        guard passage.entry.utf8.count <= bytesMax / 2 else { throw .invalid("the author of a change is too long") }
        return passage
    }

    private static func bytes(_ answer: KeptAnswer) throws(CatalogError) -> Data {
        guard let bytes = try? JSONEncoder().encode(answer) else { throw .invalid("the answer cannot be stored") }
        return bytes
    }

    private static func json(_ entry: CatalogHistoryEntry) throws(CatalogError) -> String {
        guard let text = try? JSONEncoder().encode(entry) else { throw .invalid("the change cannot be stored") }
        return String(decoding: text, as: UTF8.self)
    }

    private static func bytes(_ message: some Message) throws(CatalogError) -> Data {
        do {
            return try message.serializedData()
        } catch {
            throw .invalid("a record cannot be stored: \(error)")
        }
    }
}
