package import CatalogStore
internal import Foundation
internal import ShardModel

// The answers that were kept with commits. An answer's key has the epoch in it, so that the sweeping of an old one cannot hit a newer one.

extension EtcdCatalogStore {
    /// How many are swept out with one commit: each adds one at most.
    private static let sweptMax = 4

    package func keptAnswer(_ key: String) async throws(CatalogError) -> KeptAnswer? {
        try await perform(isWrite: false) { deadline in
            var look = EtcdTransaction()
            look.get(EtcdRange(start: keys.head))
            look.get(keys.answers(key))
            let answer = try await client.transact(look, until: deadline, isRepeatable: true)
            guard let head = try answer.keys(0).first.map({ try Pgmosaic_Catalog_Head(read: $0) }) else { throw Self.gone }
            // In the order of their epochs.
            guard let found = answer.keys(1).last, let epoch = keys.epoch(ofAnswered: found.key),
                epoch.number + UInt64(KeptAnswer.keptMax) > head.epoch
            else { return nil }
            guard let kept = try? JSONDecoder().decode(KeptAnswer.self, from: found.value) else {
                throw CatalogError.invalid("\(place): the stored catalog is damaged: an answer cannot be read")
            }
            return kept
        }
    }

    /// The keys to remove with the commit that follows `epoch`.
    func outdatedAnswers(before epoch: Epoch) async throws(CatalogError) -> [Data] {
        guard epoch.number + 1 >= UInt64(KeptAnswer.keptMax) else { return [] }
        let last = Epoch(epoch.number + 1 - UInt64(KeptAnswer.keptMax))
        return try await perform(isWrite: false) { deadline in
            let page = try await client.range(keys.answered(through: last), limit: Self.sweptMax, until: deadline)
            return page.kvs.flatMap { found -> [Data] in
                guard let epoch = keys.epoch(ofAnswered: found.key) else { return [found.key] }
                return [found.key, keys.answer(String(decoding: found.value, as: UTF8.self), epoch)]
            }
        }
    }
}
