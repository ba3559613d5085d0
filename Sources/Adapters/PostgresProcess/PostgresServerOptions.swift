import Foundation

/// How a server is made and run.
package struct PostgresServerOptions: Sendable {
    /// How clients prove who they are.
    package enum Authentication: String, Sendable {
        case trust
        case scram = "scram-sha-256"
    }

    /// `.full` survives a crash of the machine; `.none` is faster and for data that a test throws away.
    package enum Durability: Sendable {
        case full
        case none
    }

    package var dataDirectory: String
    /// 0 takes a free port, which then stays the same over restarts.
    package var port: Int
    package var superuser: String
    /// Needed with `.scram`.
    package var password: String?
    package var authentication: Authentication
    package var durability: Durability
    package var connectionsMax: Int
    package var preparedTransactionsMax: Int
    package var locale: String
    /// Further settings by their names in postgresql.conf; they win over the ones made here.
    package var settings: [String: String]
    /// Where the server's log goes; `<dataDirectory>.log` unless told otherwise.
    package var logFile: String
    package var startLimit: Duration
    /// The folder of `InitdbTemplate`; nil makes the server by initdb.
    var templates = ProcessInfo.processInfo.environment[InitdbTemplate.variable]

    package init(
        dataDirectory: String, port: Int = 0, superuser: String = "postgres", password: String? = nil,
        authentication: Authentication = .trust, durability: Durability = .none, connectionsMax: Int = 200,
        preparedTransactionsMax: Int = 200, locale: String = "C.UTF-8", settings: [String: String] = [:],
        logFile: String? = nil, startLimit: Duration = .seconds(60)
    ) {
        self.dataDirectory = dataDirectory
        self.port = port
        self.superuser = superuser
        self.password = password
        self.authentication = authentication
        self.durability = durability
        self.connectionsMax = connectionsMax
        self.preparedTransactionsMax = preparedTransactionsMax
        self.locale = locale
        self.settings = settings
        self.logFile = logFile ?? dataDirectory + ".log"
        self.startLimit = startLimit
    }

    /// The settings file that every start writes anew.
    func configuration(port: Int) -> String {
        var values: [String: String] = [
            "listen_addresses": "127.0.0.1",
            "port": String(port),
            // Loopback only, as promised: a socket in a shared folder would be a second door.
            "unix_socket_directories": "",
            "wal_level": "logical",
            "max_connections": String(connectionsMax),
            "max_prepared_transactions": String(preparedTransactionsMax),
            "max_wal_senders": "20",
            "max_replication_slots": "20",
            "shared_buffers": "64MB",
            "password_encryption": "scram-sha-256",
            "log_min_messages": "warning",
            "log_line_prefix": "%m [%p] %u@%d ",
        ]
        if durability == .none {
            values.merge(["fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"]) { $1 }
        }
        values.merge(settings) { $1 }
        return values.sorted { $0.key < $1.key }
            .map { "\($0.key) = '\($0.value.unicodeScalars.split(separator: "'", omittingEmptySubsequences: false).map { String($0) }.joined(separator: "''"))'\n" }.joined()
    }
}
