package import CatalogStore
internal import Foundation
internal import PGChannel
internal import PGWire
package import ShardModel

extension PostgresCatalogStore {
    package func commit(
        _ change: CatalogChange, expecting epoch: Epoch, fence: Lease?, keeping answer: KeptAnswer?
    ) async throws(CatalogError) -> CatalogSnapshot {
        // In a task of its own: it is finished even when its caller is cancelled, so that it has an outcome that is known.
        let result = await Task { () -> Result<CatalogSnapshot, CatalogError> in
            do throws(CatalogError) {
                return .success(try await self.store(change, expecting: epoch, fence, answer))
            } catch {
                return .failure(error)
            }
        }.value
        return try result.get()
    }

    package func replace(
        with snapshot: CatalogSnapshot, history: [CatalogHistoryEntry], author: String, expecting epoch: Epoch
    ) async throws(CatalogError) {
        let past = CatalogHistoryEntry.kept(history, below: snapshot.epoch)
            + [CatalogHistoryEntry(epoch: snapshot.epoch, time: 0, change: CatalogChange([], author: author), over: nil)]
        let result = await Task { () -> CatalogError? in
            do throws(CatalogError) {
                _ = try await self.store(CatalogStatements.replace, expecting: epoch, fence: nil) { (base) throws(CatalogError) in
                    try snapshot.checkReplacement(of: base.snapshot, expecting: epoch)
                    let next = StoredCatalog(snapshot: snapshot, commitID: UUID().uuidString.lowercased(), nonce: base.nonce)
                    return (next, try Self.parameters(next, past, over: base, format: self.schema.format))
                }
                return nil
            } catch {
                return error
            }
        }.value
        if let result { throw result }
    }

    private func store(
        _ change: CatalogChange, expecting epoch: Epoch, _ fence: Lease?, _ answer: KeptAnswer?
    ) async throws(CatalogError) -> CatalogSnapshot {
        let terms = try Self.parameters(fence, answer)
        return try await store(CatalogStatements.commit, expecting: epoch, fence: fence) { (base) throws(CatalogError) in
            let next = StoredCatalog(
                snapshot: try base.snapshot.applying(change, expecting: epoch), commitID: UUID().uuidString.lowercased(), nonce: base.nonce)
            return (next, try Self.parameters(next, change, fence, over: base, format: self.schema.format) + terms)
        }
    }

    private typealias Decision = (next: StoredCatalog, parameters: [PGParameter])

    /// Compares and sets, again where nothing but the nonce has changed. `decide` makes the next epoch of what is stored, and the statement's parameters.
    private func store(
        _ sql: String, expecting epoch: Epoch, fence: Lease?, _ decide: (StoredCatalog) throws(CatalogError) -> Decision
    ) async throws(CatalogError) -> CatalogSnapshot {
        let deadline = ContinuousClock.now + timing.call
        // What was read last is mostly the newest. Where it is not, or does not allow the change, a look tells why.
        var isFirst = true
        if let base = known(at: epoch), let (next, parameters) = try? decide(base) {
            if try await store(next, sql, parameters, over: base, until: deadline) { return remembering(next) }
            isFirst = false
        }
        while true {
            // Most conflicts show here already, and the nonce is read. Behind a commit that was not stored the look tells why.
            let base = try await stored(until: isFirst ? deadline : .now + timing.call)
            if !isFirst, let fence { try await requireHeld(fence) }
            let (next, parameters) = try decide(base)
            guard deadline > .now else { throw .unavailable("\(place): the change could not be stored in time") }
            if try await store(next, sql, parameters, over: base, until: deadline) { return remembering(next) }
            isFirst = false
        }
    }

    private func remembering(_ next: StoredCatalog) -> CatalogSnapshot {
        remember(next)
        return next.snapshot
    }

    /// Whether `next` is stored; it certainly is not when false.
    private func store(
        _ next: StoredCatalog, _ sql: String, _ parameters: [PGParameter], over base: StoredCatalog, until deadline: ContinuousClock.Instant
    ) async throws(CatalogError) -> Bool {
        do {
            let result = try await writer.run(until: deadline, isRepeatable: false) { client, timeout in
                try await client.query(sql, parameters, options: .catalog(timeout, prepared: sql == CatalogStatements.commit ? "commit" : nil))
            }
            if let warning = result.notices.first(where: { $0.severity == .warning }), !result.rows.isEmpty {
                // Of a standby that it was to be sent to first, say. It is there, and might be lost with the server.
                throw CatalogError.unknownOutcome("\(place): stored, but \(warning.message)")
            }
            return !result.rows.isEmpty
        } catch {
            let failure = PostgresFailure.catalogError(error, place, isWrite: true)
            guard case .unknownOutcome(let reason) = failure, error is PGClientError else { throw failure }
            return try await isStored(next, over: base, reason)
        }
    }

    private static func parameters(
        _ next: StoredCatalog, _ past: [CatalogHistoryEntry], over base: StoredCatalog, format: Int
    ) throws(CatalogError) -> [PGParameter] {
        let entries = try past.map { (entry) throws(CatalogError) in
            guard let text = try? JSONEncoder().encode(entry) else { throw .invalid("the history cannot be stored") }
            return String(decoding: text, as: UTF8.self)
        }
        let snapshot = next.snapshot
        return [
            .text(String(snapshot.epoch.number)), .text(next.commitID), .integer(base.nonce), .text(base.commitID),
            .text(String(base.snapshot.epoch.number)),
        ] + records(try RecordRow.changes(to: snapshot, CatalogTouch(allOf: snapshot))) + [
            .integer(format), .text(snapshot.clusterID), .text(ArrayLiteral.text(past.map { String($0.epoch.number) })),
            .text(ArrayLiteral.text(past.map { $0.epoch == snapshot.epoch ? nil : String($0.time) })),
            .text(ArrayLiteral.text(past.map(\.change.author))), .text(ArrayLiteral.text(entries)),
        ]
    }

    private static func parameters(
        _ next: StoredCatalog, _ change: CatalogChange, _ fence: Lease?, over base: StoredCatalog, format: Int
    ) throws(CatalogError) -> [PGParameter] {
        let entry = CatalogHistoryEntry(epoch: next.snapshot.epoch, time: 0, change: change, over: base.snapshot, fence: fence)
        guard let history = try? JSONEncoder().encode(entry) else { throw .invalid("the change cannot be stored") }
        return [.text(String(next.snapshot.epoch.number)), .text(next.commitID), .integer(base.nonce), .text(base.commitID), .integer(format)]
            + Self.records(try RecordRow.changes(to: next.snapshot, change.touch, over: base.snapshot))
            + [.text(change.author), .text(String(decoding: history, as: UTF8.self))]
    }

    /// Name, holder and token of a lease; key and body of an answer.
    private static func parameters(_ fence: Lease?, _ answer: KeptAnswer?) throws(CatalogError) -> [PGParameter] {
        var body: String?
        if let answer {
            guard let text = try? JSONEncoder().encode(answer) else { throw .invalid("the answer cannot be stored") }
            body = String(decoding: text, as: UTF8.self)
        }
        let token = fence.map { String(Int64(clamping: $0.fencingToken)) }
        return [fence?.name, fence?.holder, token, answer?.key, body].map { $0.map { .text($0) } ?? .null }
    }

    /// Five arrays: kinds, keys, versions, bodies, vnodes.
    static func records(_ changes: (put: [RecordRow], removed: [(kind: RecordRow.Kind, key: String)])) -> [PGParameter] {
        let (put, removed) = changes
        let gone = removed.map { _ in String?.none }
        return [
            ArrayLiteral.text(put.map(\.kind.rawValue) + removed.map(\.kind.rawValue)), ArrayLiteral.text(put.map(\.key) + removed.map(\.key)),
            ArrayLiteral.text(put.map { String($0.version) } + removed.map { _ in "0" }), ArrayLiteral.text(put.map { $0.body } + gone),
            ArrayLiteral.text(put.map { $0.vnodes.map(ArrayLiteral.hex) } + gone),
        ].map { PGParameter.text($0) }
    }

    /// Finds out whether a commit that got no answer took effect. It may still be on its way to the server, or running: the fence makes sure that it
    /// does not take effect later.
    private func isStored(_ next: StoredCatalog, over base: StoredCatalog, _ reason: String) async throws(CatalogError) -> Bool {
        let (epoch, commitID) = (String(base.snapshot.epoch.number), base.commitID)
        do {
            return try await writer.run(until: .now + timing.resolution, isRepeatable: true) { client, timeout in
                let fenced = try await client.query(
                    CatalogStatements.fence, [.text(epoch), .text(commitID)], options: .catalog(timeout))
                guard fenced.rows.isEmpty else { return false }
                let written = try await client.query(
                    CatalogStatements.commitID, [.text(String(next.snapshot.epoch.number))], options: .catalog(timeout))
                guard let id = written.rows.first?.text(0) else { throw CatalogError.unknownOutcome(reason) }
                return id == next.commitID
            }
        } catch {
            throw .unknownOutcome(reason)
        }
    }
}
