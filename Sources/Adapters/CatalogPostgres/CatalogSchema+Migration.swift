internal import CatalogStore
internal import Foundation
internal import NIOCore
internal import PGChannel
internal import PGWire

extension CatalogSchema {
    /// Makes sure that the catalog is there, in this format; makes or upgrades it when `isManager`.
    ///
    /// Any number may do so at once: each step is done once, by whoever has the lock.
    func prepare(_ client: PGClient, _ timeout: TimeAmount, isManager: Bool) async throws {
        if try await isReady(client, timeout, isManager: isManager) { return }
        try await client.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", timeout: timeout)
        do {
            try await client.execute("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('pgmosaic_catalog', 0))", timeout: timeout)
            if try await !isReady(client, timeout, isManager: isManager) { try await advance(client, timeout) }
            try await client.execute("COMMIT", timeout: timeout)
        } catch {
            _ = try? await client.execute("ROLLBACK", timeout: timeout)
            throw error
        }
    }

    /// What there is before the tables may be read.
    private static let look = """
        SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'pgmosaic_catalog'),
            EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'pgmosaic_catalog'),
            EXISTS (
                SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = 'pgmosaic_catalog' AND c.relname = 'catalog' AND c.relkind = 'r'),
            pg_catalog.current_setting('server_encoding') = 'UTF8', pg_catalog.pg_is_in_recovery()
        """

    private func isReady(_ client: PGClient, _ timeout: TimeAmount, isManager: Bool) async throws -> Bool {
        let row = try await client.query(Self.look, options: .init(timeout: timeout)).rows.first
        guard let row, row.count == 5 else { throw CatalogError.unavailable("the server does not answer as PostgreSQL does") }
        guard row.bool(3) == true else { throw CatalogError.unavailable("the catalog's database must have the encoding UTF8") }
        guard row.bool(4) == false else { throw CatalogError.unavailable("the server is a standby; the catalog needs the primary") }
        guard row.bool(2) == true else {
            guard row.bool(1) == false else { throw CatalogError.foreign("the schema \(Self.name) holds something that is not a catalog") }
            guard isManager else { throw CatalogError.unavailable("there is no catalog in the database; a manager makes it") }
            return false
        }
        let stored = try await storedFormat(client, timeout)
        guard stored < format else { return true }
        guard isManager else {
            throw CatalogError.unavailable("the catalog has format \(stored) and this version needs \(format); a manager of this version upgrades it")
        }
        return false
    }

    private func storedFormat(_ client: PGClient, _ timeout: TimeAmount) async throws -> Int {
        let stored = try await client.query("SELECT format FROM pgmosaic_catalog.catalog", options: .init(timeout: timeout)).rows.first?.integer(0)
        guard let stored, stored > 0 else { throw CatalogError.foreign("the schema \(Self.name) holds no whole catalog") }
        guard stored <= format else { throw newer(stored) }
        return stored
    }

    func newer(_ stored: Int) -> CatalogError {
        .foreign("the catalog has format \(stored); this version knows formats up to \(format)")
    }

    /// Inside the transaction that has the lock.
    private func advance(_ client: PGClient, _ timeout: TimeAmount) async throws {
        let row = try await client.query(Self.look, options: .init(timeout: timeout)).rows.first
        var stored = 0
        if row?.bool(2) == true { stored = try await storedFormat(client, timeout) }
        if row?.bool(0) == false { try await client.execute("CREATE SCHEMA pgmosaic_catalog", timeout: timeout) }
        for step in steps[stored...] { try await client.execute(step, timeout: timeout) }
        try await client.query("UPDATE pgmosaic_catalog.catalog SET format = $1", [.integer(format)], options: .init(timeout: timeout))
        if stored == 0 {
            try await client.query(
                "UPDATE pgmosaic_catalog.catalog SET cluster_id = $1, commit_id = $2",
                [.text(UUID().uuidString.lowercased()), .text(UUID().uuidString.lowercased())], options: .init(timeout: timeout))
        }
    }
}
