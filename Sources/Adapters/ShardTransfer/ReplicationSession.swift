package import LogicalReplication
package import NIOCore
package import PGChannel
internal import PGWire

/// Sessions of a source for logical replication.
package enum ReplicationSession {
    package static func open(_ endpoint: PostgresEndpoint, on group: any EventLoopGroup) async throws -> PGClient {
        var options = PGClient.Options()
        // What the values' text depends on further: they are read by sessions of `TransferSession.settings`.
        let settings = [("TimeZone", "UTC"), ("search_path", "pg_catalog"), ("lc_monetary", "C"), ("bytea_output", "hex"), ("xmloption", "content")]
        options.overrides.parameters = (ReplicationCommand.sessionParameters + settings).map { .init(name: $0.name, value: $0.value) }
        return try await PGClient.connect(to: endpoint, on: group, options: options)
    }

    /// A slot that begins where the snapshot that is exported with it ends. The snapshot lives until the session's next command.
    /// - isTemporary: the slot goes with the session.
    /// - limit: it waits for every transaction that is open when it begins.
    package static func createSlot(_ slot: SlotName, isTemporary: Bool = false, _ session: PGClient, limit: TimeAmount? = nil) async throws -> CreatedSlot {
        let command = ReplicationCommand.createSlot(slot, isTemporary: isTemporary, snapshot: .export, decodesPrepared: false)
        let row = try await session.execute(command.text, timeout: limit ?? TransferSession.unlimited).first?.rows.first
        guard let row, let created = CreatedSlot(row: row.values.indices.map { row.text($0) }) else {
            throw TransferError.shape("the source answered CREATE_REPLICATION_SLOT with another row than expected")
        }
        return created
    }
}
