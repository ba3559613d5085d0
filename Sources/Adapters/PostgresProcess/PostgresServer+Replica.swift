import Foundation

extension PostgresServer {
    /// Makes a streaming replica of this server, which must run, and starts it.
    ///
    /// - Parameters:
    ///   - options: its folder and port; user, password and authentication are the primary's, as its data is.
    ///   - slot: a physical replication slot to make on the primary and to stream through; nil for none.
    package func createReplica(
        _ options: PostgresServerOptions, slot: String? = nil
    ) async throws(PostgresProcessError) -> PostgresServer {
        var options = options
        options.superuser = self.options.superuser
        options.password = self.options.password
        options.authentication = self.options.authentication
        let replica = try PostgresServer(options, installation: installation)
        if replica.isPrepared == false { try await replica.copy(from: self, slot: slot) }
        try await replica.start()
        return replica
    }

    /// pg_basebackup with a standby.signal and the primary's address in postgresql.auto.conf.
    private func copy(from primary: PostgresServer, slot: String?) async throws(PostgresProcessError) {
        try? FileManager.default.removeItem(atPath: dataDirectory)
        try DataFolder.make(dataDirectory)
        if let account { try account.own(dataDirectory) }
        var arguments = ["-D", dataDirectory, "--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast"]
        if options.durability == .none { arguments.append("--no-sync") }
        if let slot { arguments += ["--create-slot", "--slot=\(slot)"] }
        var command = primary.client("pg_basebackup", arguments)
        command.account = account
        try await SupervisedProcess.runChecked(command, limit: .seconds(600))
        try writeSettings()
    }
}
