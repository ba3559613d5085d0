package import CatalogStore
internal import Foundation
package import ShardModel
internal import SwiftProtobuf

extension EtcdCatalogStore {
    package func commit(
        _ change: CatalogChange, expecting epoch: Epoch, fence: Lease?, keeping answer: KeptAnswer?
    ) async throws(CatalogError) -> CatalogSnapshot {
        try await finished { (store) throws(CatalogError) in
            let outdated = answer == nil ? [] : try await store.outdatedAnswers(before: epoch)
            return try await store.store(expecting: epoch, fence: fence) { (base) throws(CatalogError) in
                let next = try base.snapshot.applying(change, expecting: epoch)
                let entry = CatalogHistoryEntry(epoch: next.epoch, time: Date().timeIntervalSince1970, change: change, over: base.snapshot, fence: fence)
                return Draft(
                    snapshot: next, touch: change.touch, entry: entry, past: nil, fence: fence, answer: answer, outdatedAnswers: outdated)
            }
        }
    }

    package func replace(
        with snapshot: CatalogSnapshot, history: [CatalogHistoryEntry], author: String, expecting epoch: Epoch
    ) async throws(CatalogError) {
        let past = CatalogHistoryEntry.kept(history, below: snapshot.epoch)
        _ = try await finished { (store) throws(CatalogError) in
            try await store.store(expecting: epoch, fence: nil) { (base) throws(CatalogError) in
                try snapshot.checkReplacement(of: base.snapshot, expecting: epoch)
                let entry = CatalogHistoryEntry(epoch: snapshot.epoch, time: Date().timeIntervalSince1970, change: CatalogChange([], author: author), over: nil)
                return Draft(snapshot: snapshot, touch: CatalogTouch(allOf: snapshot), entry: entry, past: past)
            }
        }
    }

    /// In a task of its own: it is finished even when its caller is cancelled, so that it has an outcome that is known.
    private func finished(
        _ body: @escaping @Sendable (EtcdCatalogStore) async throws(CatalogError) -> CatalogSnapshot
    ) async throws(CatalogError) -> CatalogSnapshot {
        let result = await Task { () -> Result<CatalogSnapshot, CatalogError> in
            do throws(CatalogError) {
                return .success(try await body(self))
            } catch {
                return .failure(error)
            }
        }.value
        return try result.get()
    }

    /// What is to become of the catalog.
    struct Draft {
        var snapshot: CatalogSnapshot
        var touch: CatalogTouch
        var entry: CatalogHistoryEntry
        /// The whole history before the entry, where everything is replaced.
        var past: [CatalogHistoryEntry]?
        var fence: Lease?
        var answer: KeptAnswer?
        /// The keys of answers, and of the entries that lead to them, that are kept long enough.
        var outdatedAnswers: [Data] = []
    }

    /// Compares and sets, again where nothing but the head's number has changed. `decide` makes the next epoch of what is stored.
    private func store(
        expecting epoch: Epoch, fence: Lease?, _ decide: (EtcdCatalog) throws(CatalogError) -> Draft
    ) async throws(CatalogError) -> CatalogSnapshot {
        var deadline = ContinuousClock.now + timing.call
        // What was read last is mostly the newest. Where it is not, or does not allow the change, a look tells why.
        var isFirst = true
        if let base = known(at: epoch), let draft = try? decide(base), let plan = try? EtcdCommit(draft, over: base, keys), !plan.isStaged {
            if let stored = try await store(plan, over: base, until: deadline) { return remembering(stored) }
            isFirst = false
        }
        while true {
            // Most conflicts show here already. Behind a commit that was not stored the look tells why.
            let base = try await stored(until: isFirst ? deadline : .now + timing.call)
            if !isFirst, let fence { try await requireHeld(fence) }
            let plan = try EtcdCommit(try decide(base), over: base, keys)
            if isFirst, plan.isStaged { deadline = .now + timing.whole }
            guard deadline > .now else { throw .unavailable("\(place): the change could not be stored in time") }
            if let stored = try await store(plan, over: base, until: deadline) { return remembering(stored) }
            isFirst = false
        }
    }

    private func remembering(_ stored: EtcdCatalog) -> CatalogSnapshot {
        remember(stored)
        return stored.snapshot
    }

    /// nil when it certainly is not stored, because the head was another.
    private func store(
        _ plan: EtcdCommit, over base: EtcdCatalog, until deadline: ContinuousClock.Instant
    ) async throws(CatalogError) -> EtcdCatalog? {
        do {
            guard try await stage(plan, until: deadline) else {
                await sweep(plan)
                return nil
            }
        } catch {
            // Nothing that counts was written; and what a request that is still under way may write is swept out by the next commit.
            await sweep(plan)
            throw EtcdFailure.catalogError(error, place, isWrite: false)
        }
        var next = plan.next
        do throws(EtcdFailure) {
            let answer = try await client.transact(plan.decision, until: deadline, isRepeatable: false)
            guard answer.succeeded else {
                await sweep(plan)
                return nil
            }
            (next.revision, next.headRevision) = (answer.header.revision, answer.header.revision)
            return next
        } catch {
            let failure = EtcdFailure.catalogError(error, place, isWrite: true)
            guard case .unknownOutcome(let reason) = failure else {
                await sweep(plan)
                throw failure
            }
            guard let isStored = try await isStored(plan, over: base, reason) else {
                await sweep(plan)
                return nil
            }
            (next.revision, next.headRevision) = (isStored.revision, isStored.headRevision)
            return next
        }
    }

    /// Writes what does not fit into the deciding transaction, while the head stays. False when it did not.
    private func stage(_ plan: EtcdCommit, until deadline: ContinuousClock.Instant) async throws -> Bool {
        for batch in plan.batches {
            guard try await client.transact(batch, until: deadline, isRepeatable: true).succeeded else { return false }
        }
        return true
    }

    /// Removes what was staged for a commit that is not stored. What is missed is removed by the next commit.
    private func sweep(_ plan: EtcdCommit) async {
        guard plan.isStaged else { return }
        var sweeping = EtcdTransaction()
        for range in plan.staged { sweeping.delete(range) }
        _ = try? await client.transact(sweeping, until: .now + timing.call, isRepeatable: true)
    }

    /// Finds out whether a commit that got no answer took effect: the revisions that it is known by when it did, nil when it did not. It may still
    /// be on its way: the head is written anew, with another number, where it is still the old one, so that the commit does not take effect later.
    private func isStored(
        _ plan: EtcdCommit, over base: EtcdCatalog, _ reason: String
    ) async throws(CatalogError) -> (revision: Int64, headRevision: Int64)? {
        var fence = EtcdTransaction()
        fence.require(keys.head, modRevision: base.headRevision)
        fence.require(keys.head, value: base.headBytes)
        fence.put(keys.head, try base.head.renewed().bytes)
        fence.otherwiseGet(EtcdRange(start: keys.head))
        fence.otherwiseGet(EtcdRange(start: keys.passage(plan.next.head.history, plan.next.snapshot.epoch)))
        let answer: Etcdserverpb_TxnResponse
        do throws(EtcdFailure) {
            answer = try await client.transact(fence, until: .now + timing.resolution, isRepeatable: true)
        } catch {
            throw .unknownOutcome(reason)
        }
        if answer.succeeded { return nil }
        guard let key = answer.keys(0).first, let head = try? Pgmosaic_Catalog_Head(read: key) else { throw .unknownOutcome(reason) }
        // Fenced already: by this, when its first answer was lost, or by another writer's.
        if head.epoch == base.head.epoch, head.commitID == base.head.commitID { return nil }
        if let passage = answer.keys(1).first {
            guard let passage = try? Pgmosaic_Catalog_Passage(serializedBytes: passage.value) else { throw .unknownOutcome(reason) }
            guard passage.commitID == plan.next.head.commitID else { return nil }
            // Where the catalog is already further on, the next reading starts from an older revision than it might: it reads a little more.
            return (answer.header.revision, key.modRevision)
        }
        // The epoch was passed over, or everything was replaced since, whoever's it was.
        throw .unknownOutcome(reason)
    }
}
