package import NIOCore

/// Where a PostgreSQL server is, who connects to which database, and how the line is protected. Comes from a URL; see `parse`.
package struct PostgresEndpoint: Hashable, Sendable {
    package enum Address: Hashable, Sendable {
        case tcp(host: String, port: Int)
        /// The socket `.s.PGSQL.<port>` in this directory.
        case unix(directory: String, port: Int)
    }

    /// libpq's sslmode.
    package enum TLSMode: String, Hashable, Sendable, CaseIterable {
        case disable
        /// TLS where the server offers it, nothing verified.
        case prefer
        /// TLS, and the certificate's chain is verified only where `rootCertificate` is given, as in libpq.
        case require
        case verifyCA = "verify-ca"
        /// The chain and the host's name.
        case verifyFull = "verify-full"
    }

    package enum PasswordSource: Hashable, Sendable {
        case none
        case literal(String)
        /// A variable of the environment.
        case environment(String)
        /// The first line of a file.
        case file(String)
    }

    package var address: Address
    /// The server's default where nil: the user of the process is never guessed.
    package var user: String?
    package var database: String?
    package var password: PasswordSource = .none
    /// A password that is only referred to may be sent as text, too. Right for endpoints of the process's own settings; not for those of the catalog, whose author could
    /// have any file or variable of this process sent to a server of their own.
    package var sendsReferenceAsText = false
    package var tlsMode: TLSMode = .prefer
    /// A PEM file with the authorities to trust; the system's where nil.
    package var rootCertificate: String?
    package var connectTimeout: TimeAmount?
    package var applicationName: String?

    package init(address: Address, user: String? = nil, database: String? = nil) {
        self.address = address
        self.user = user
        self.database = database
    }
}

extension PostgresEndpoint: CustomStringConvertible, CustomDebugStringConvertible {
    /// As a URL without the password.
    package var description: String {
        let user = user.map { "\($0)@" } ?? ""
        let database = database.map { "/\($0)" } ?? ""
        switch address {
        case .tcp(let host, let port):
            let shown = host.contains(":") ? "[\(host)]" : host
            return "postgres://\(user)\(shown):\(port)\(database)"
        case .unix(let directory, let port):
            return "postgres://\(user)\(database.isEmpty ? "/" : database)?host=\(directory)&port=\(port)"
        }
    }

    package var debugDescription: String { description }
}

extension PostgresEndpoint: CustomReflectable {
    /// `dump` and test failures go through the mirror: they must not show the password either.
    package var customMirror: Mirror { Mirror(self, children: ["url": description]) }
}
