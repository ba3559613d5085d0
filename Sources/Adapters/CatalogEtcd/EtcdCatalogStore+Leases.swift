package import CatalogStore
internal import Foundation
internal import SwiftProtobuf
internal import Synchronization

// Leases and announcements are keys on leases of etcd, which end by the clock of its leader. etcd counts in seconds, and gives at least one and a
// half times its election timeout (two seconds by default): a lease may last a little longer than was asked for, never shorter.

extension EtcdCatalogStore {
    /// The fencing token is the revision in which the key was made: revisions only grow, and a renewal does not make it anew.
    package func acquireLease(_ name: String, holder: String, ttl: Duration) async throws(CatalogError) -> Lease? {
        let key = keys.lease(name)
        return try await perform(isWrite: true) { deadline in
            while true {
                var look = EtcdTransaction()
                look.get(EtcdRange(start: key))
                let token: Int64?
                if let found = try await client.transact(look, until: deadline, isRepeatable: true).keys(0).first {
                    guard let value = try? Pgmosaic_Catalog_LeaseHolder(serializedBytes: found.value) else {
                        throw CatalogError.invalid("\(place): the stored catalog is damaged: lease \"\(name)\"")
                    }
                    guard value.holder == holder else { return nil }
                    token = try await renew(key, found, value, ttl.etcdSeconds, until: deadline)
                } else {
                    token = try await take(key, holder, ttl.etcdSeconds, until: deadline)
                }
                if let token { return Lease(name: name, holder: holder, fencingToken: UInt64(token)) }
                // Somebody was faster, or it ended just now.
                guard deadline > .now else { throw EtcdFailure(.timedOut, didNotRun: true) }
                try Task.checkCancellation()
            }
        }
    }

    private func take(_ key: Data, _ holder: String, _ seconds: Int64, until deadline: ContinuousClock.Instant) async throws -> Int64? {
        let lease = try await client.grantLease(seconds: seconds, until: deadline)
        var taking = EtcdTransaction()
        taking.require(key, createRevision: 0)
        taking.put(key, try LeaseValue.bytes(holder, seconds), lease: lease)
        taking.otherwiseGet(EtcdRange(start: key))
        do throws(EtcdFailure) {
            let answer = try await client.transact(taking, until: deadline, isRepeatable: true)
            if answer.succeeded { return answer.header.revision }
            // By this very request, when its first answer was lost.
            if let found = answer.keys(0).first, found.lease == lease { return found.createRevision }
        } catch {
            guard error.cause == .leaseGone else {
                if error.didNotRun { await client.revoke(lease, until: deadline) }
                throw error
            }
            return nil
        }
        await client.revoke(lease, until: deadline)
        return nil
    }

    private func renew(
        _ key: Data, _ found: Etcdserverpb_KeyValue, _ value: Pgmosaic_Catalog_LeaseHolder, _ seconds: Int64, until deadline: ContinuousClock.Instant
    ) async throws -> Int64? {
        if value.ttl == seconds {
            guard try await client.keepAlive(found.lease, until: deadline) else { return nil }
            // It may have been released, and taken by another, before the renewal.
            var look = EtcdTransaction()
            look.get(EtcdRange(start: key))
            let now = try await client.transact(look, until: deadline, isRepeatable: true).keys(0).first
            return now?.createRevision == found.createRevision && now?.lease == found.lease ? found.createRevision : nil
        }
        // For another time: the key moves to a lease of that.
        let lease = try await client.grantLease(seconds: seconds, until: deadline)
        var moving = EtcdTransaction()
        moving.require(key, createRevision: found.createRevision)
        moving.require(key, modRevision: found.modRevision)
        moving.put(key, try LeaseValue.bytes(value.holder, seconds), lease: lease)
        moving.otherwiseGet(EtcdRange(start: key))
        let answer = try await client.transact(moving, until: deadline, isRepeatable: true)
        let isMoved = answer.succeeded || answer.keys(0).first?.lease == lease
        await client.revoke(isMoved ? found.lease : lease, until: deadline)
        return isMoved ? found.createRevision : nil
    }

    package func lease(_ name: String) async throws(CatalogError) -> Lease? {
        let key = keys.lease(name)
        return try await perform(isWrite: false) { deadline in
            var look = EtcdTransaction()
            look.get(EtcdRange(start: key))
            guard let found = try await client.transact(look, until: deadline, isRepeatable: true).keys(0).first else { return nil }
            guard let value = try? Pgmosaic_Catalog_LeaseHolder(serializedBytes: found.value) else {
                throw CatalogError.invalid("\(place): the stored catalog is damaged: lease \"\(name)\"")
            }
            return Lease(name: name, holder: value.holder, fencingToken: UInt64(found.createRevision))
        }
    }

    /// Throws `.fenced` where the lease has ended, or somebody else has it: for a commit that was not stored.
    func requireHeld(_ lease: Lease) async throws(CatalogError) {
        let found = try await self.lease(lease.name)
        if found?.fencingToken != lease.fencingToken { throw .fenced(lease) }
    }

    package func releaseLease(_ lease: Lease) async throws(CatalogError) {
        guard let token = Int64(exactly: lease.fencingToken) else { return }
        let key = keys.lease(lease.name)
        try await perform(isWrite: true) { deadline in
            var look = EtcdTransaction()
            look.get(EtcdRange(start: key))
            guard let found = try await client.transact(look, until: deadline, isRepeatable: true).keys(0).first, found.createRevision == token,
                let value = try? Pgmosaic_Catalog_LeaseHolder(serializedBytes: found.value), value.holder == lease.holder
            else { return }
            var releasing = EtcdTransaction()
            releasing.require(key, createRevision: token)
            releasing.delete(key)
            let isReleased = try await client.transact(releasing, until: deadline, isRepeatable: true).succeeded
            if isReleased { await client.revoke(found.lease, until: deadline) }
        }
    }

    // MARK: announcements

    struct Announcement: Sendable {
        var lease: Int64
        var seconds: Int64
    }

    package func announce(_ member: MemberRecord, ttl: Duration) async throws(CatalogError) {
        guard let body = try? JSONEncoder.sorted.encode(member) else { throw .invalid("the member cannot be stored") }
        let (key, seconds) = (keys.member(member.id), ttl.etcdSeconds)
        try await perform(isWrite: true) { deadline in
            if let known = announcements.withLock({ $0[member.id] }) {
                if known.seconds == seconds, try await renew(key, body, known, until: deadline) { return }
                announcements.withLock { $0[member.id] = nil }
            }
            let lease = try await client.grantLease(seconds: seconds, until: deadline)
            var putting = EtcdTransaction()
            putting.put(key, body, lease: lease)
            _ = try await client.transact(putting, until: deadline, isRepeatable: true)
            announcements.withLock { $0[member.id] = Announcement(lease: lease, seconds: seconds) }
        }
    }

    /// False when the lease has ended. Writes only what is new: each write makes the log of etcd longer.
    private func renew(_ key: Data, _ body: Data, _ known: Announcement, until deadline: ContinuousClock.Instant) async throws -> Bool {
        guard try await client.keepAlive(known.lease, until: deadline) else { return false }
        var look = EtcdTransaction()
        look.get(EtcdRange(start: key))
        let found = try await client.transact(look, until: deadline, isRepeatable: true).keys(0).first
        if let found, found.value == body, found.lease == known.lease { return true }
        var putting = EtcdTransaction()
        putting.put(key, body, lease: known.lease)
        do throws(EtcdFailure) {
            _ = try await client.transact(putting, until: deadline, isRepeatable: true)
            return true
        } catch {
            guard error.cause == .leaseGone else { throw error }
            return false
        }
    }

    package func withdraw(memberID: String) async throws(CatalogError) {
        let key = keys.member(memberID)
        try await perform(isWrite: true) { deadline in
            var removing = EtcdTransaction()
            removing.delete(key)
            _ = try await client.transact(removing, until: deadline, isRepeatable: true)
            if let known = announcements.withLock({ $0.removeValue(forKey: memberID) }) { await client.revoke(known.lease, until: deadline) }
        }
    }

    package func members() async throws(CatalogError) -> [MemberRecord] {
        try await perform(isWrite: false) { deadline in
            let found = try await client.all(keys.members, bytesMax: EtcdConnection.answerMax, until: deadline)
            let members = try found.map { key in
                guard let member = try? JSONDecoder().decode(MemberRecord.self, from: key.value) else {
                    throw CatalogError.invalid("\(place): the stored catalog is damaged: a member cannot be read")
                }
                return member
            }
            return members.sorted { $0.id < $1.id }
        }
    }
}

private enum LeaseValue {
    static func bytes(_ holder: String, _ seconds: Int64) throws -> Data {
        var value = Pgmosaic_Catalog_LeaseHolder()
        (value.holder, value.ttl) = (holder, seconds)
        return try value.serializedData()
    }
}

extension JSONEncoder {
    /// The same bytes for the same value.
    fileprivate static var sorted: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return encoder
    }
}

extension Duration {
    /// At least one, at most a hundred years, rounded up.
    fileprivate var etcdSeconds: Int64 {
        let (seconds, attoseconds) = components
        return max(1, min(seconds + (attoseconds > 0 ? 1 : 0), 100 * 366 * 86_400))
    }
}
