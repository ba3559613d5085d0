package import CatalogStore
internal import Foundation
internal import GRDB

// Leases and members end by `LeaseClock`, not by the time of day: the clock of the machine since its start is the same for all processes that can
// share the file, and nobody sets it.

extension SQLiteCatalogStore {
    package func acquireLease(_ name: String, holder: String, ttl: Duration) async throws(CatalogError) -> Lease? {
        try await writer.transaction { [self] db in
            try checkIdentity()
            let now = clock.now
            var state = try lease(name, db) ?? LeaseState(holder: nil, fencingToken: 0, end: now)
            guard state.acquire(holder: holder, ttl: ttl, now: now) else { return nil }
            try store(state, of: name, db)
            return Lease(name: name, holder: holder, fencingToken: state.fencingToken)
        }
    }

    package func lease(_ name: String) async throws(CatalogError) -> Lease? {
        try await reader.run { [self] db in
            try checkIdentity()
            return try lease(name, db)?.current(name, now: clock.now)
        }
    }

    package func releaseLease(_ lease: Lease) async throws(CatalogError) {
        try await writer.transaction { [self] db in
            try checkIdentity()
            guard var state = try self.lease(lease.name, db), state.release(lease) else { return }
            try store(state, of: lease.name, db)
        }
    }

    func lease(_ name: String, _ db: Database) throws -> LeaseState? {
        guard let row = try Row.fetchOne(db, sql: "SELECT holder, token, boot, ends_at FROM lease WHERE name = ?", arguments: [name]) else { return nil }
        guard let token = UInt64(exactly: row[1] as Int64) else { throw CatalogError.invalid("the catalog's file is damaged: lease \"\(name)\"") }
        return LeaseState(holder: row[0], fencingToken: token, end: LeaseInstant(boot: row[2], milliseconds: row[3]))
    }

    private func store(_ state: LeaseState, of name: String, _ db: Database) throws {
        try db.execute(
            sql: """
                INSERT INTO lease (name, holder, token, boot, ends_at) VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, token = excluded.token, boot = excluded.boot, ends_at = excluded.ends_at
                """,
            arguments: [name, state.holder, Int64(state.fencingToken), state.end.boot, state.end.milliseconds])
    }
}

extension SQLiteCatalogStore {
    package func announce(_ member: MemberRecord, ttl: Duration) async throws(CatalogError) {
        try await writer.transaction { [self] db in
            try checkIdentity()
            let now = clock.now
            let end = now.adding(ttl)
            guard let body = try? JSONEncoder().encode(member) else { throw CatalogError.invalid("the member cannot be stored") }
            try db.execute(sql: "DELETE FROM member WHERE boot <> ? OR ends_at <= ?", arguments: [now.boot, now.milliseconds])
            try db.execute(
                sql: "INSERT OR REPLACE INTO member (id, boot, ends_at, body) VALUES (?, ?, ?, ?)",
                arguments: [member.id, end.boot, end.milliseconds, String(decoding: body, as: UTF8.self)])
        }
    }

    package func withdraw(memberID: String) async throws(CatalogError) {
        try await writer.transaction { [self] db in
            try checkIdentity()
            try db.execute(sql: "DELETE FROM member WHERE id = ?", arguments: [memberID])
        }
    }

    package func members() async throws(CatalogError) -> [MemberRecord] {
        try await reader.run { [self] db in
            try checkIdentity()
            let now = clock.now
            let bodies = try String.fetchAll(
                db, sql: "SELECT body FROM member WHERE boot = ? AND ends_at > ? ORDER BY id", arguments: [now.boot, now.milliseconds])
            return try bodies.map { text in
                guard let member = try? JSONDecoder().decode(MemberRecord.self, from: Data(text.utf8)) else {
                    throw CatalogError.invalid("the catalog's file is damaged: a member cannot be read")
                }
                return member
            }
        }
    }
}
