package import CatalogStore
internal import Foundation
internal import PGChannel

// Leases and members end by the clock of the catalog's server, which all machines share.

extension PostgresCatalogStore {
    package func acquireLease(_ name: String, holder: String, ttl: Duration) async throws(CatalogError) -> Lease? {
        // Repeated after a lost answer it renews what it took.
        let result = try await perform(
            writer, isWrite: true, isRepeatable: true, CatalogStatements.acquireLease, [.text(name), .text(holder), .integer(ttl.milliseconds)])
        guard let row = result.rows.first else { return nil }
        guard let token = row.text(0).flatMap(UInt64.init) else { throw .invalid("\(place): the stored catalog is damaged: lease \"\(name)\"") }
        return Lease(name: name, holder: holder, fencingToken: token)
    }

    package func lease(_ name: String) async throws(CatalogError) -> Lease? {
        let rows = try await perform(reader, isWrite: false, isRepeatable: true, CatalogStatements.lease, [.text(name)]).rows
        guard let row = rows.first else { return nil }
        guard let holder = row.text(0), let token = row.text(1).flatMap(UInt64.init) else {
            throw .invalid("\(place): the stored catalog is damaged: lease \"\(name)\"")
        }
        return Lease(name: name, holder: holder, fencingToken: token)
    }

    /// Throws `.fenced` where somebody else has had it since: for a commit that was not stored.
    func requireHeld(_ lease: Lease) async throws(CatalogError) {
        let parameters: [PGParameter] = [.text(lease.name), .text(lease.holder), .integer(Int64(clamping: lease.fencingToken))]
        let rows = try await perform(reader, isWrite: false, isRepeatable: true, CatalogStatements.isHeld, parameters).rows
        if rows.isEmpty { throw .fenced(lease) }
    }

    package func keptAnswer(_ key: String) async throws(CatalogError) -> KeptAnswer? {
        let rows = try await perform(reader, isWrite: false, isRepeatable: true, CatalogStatements.answer, [.text(key)]).rows
        guard let row = rows.first else { return nil }
        guard let text = row.text(0), let answer = try? JSONDecoder().decode(KeptAnswer.self, from: Data(text.utf8)) else {
            throw .invalid("\(place): the stored catalog is damaged: an answer cannot be read")
        }
        return answer
    }

    package func releaseLease(_ lease: Lease) async throws(CatalogError) {
        guard let token = Int64(exactly: lease.fencingToken) else { return }
        _ = try await perform(
            writer, isWrite: true, isRepeatable: true, CatalogStatements.releaseLease, [.text(lease.name), .text(lease.holder), .integer(token)])
    }

    package func announce(_ member: MemberRecord, ttl: Duration) async throws(CatalogError) {
        guard let body = try? JSONEncoder().encode(member) else { throw .invalid("the member cannot be stored") }
        _ = try await perform(
            writer, isWrite: true, isRepeatable: true, CatalogStatements.announce,
            [.text(member.id), .text(String(decoding: body, as: UTF8.self)), .integer(ttl.milliseconds)])
    }

    package func withdraw(memberID: String) async throws(CatalogError) {
        _ = try await perform(writer, isWrite: true, isRepeatable: true, CatalogStatements.withdraw, [.text(memberID)])
    }

    package func members() async throws(CatalogError) -> [MemberRecord] {
        let rows = try await perform(reader, isWrite: false, isRepeatable: true, CatalogStatements.members, []).rows
        return try rows.map { (row) throws(CatalogError) in
            guard let text = row.text(0), let member = try? JSONDecoder().decode(MemberRecord.self, from: Data(text.utf8)) else {
                throw .invalid("\(place): the stored catalog is damaged: a member cannot be read")
            }
            return member
        }
    }
}
