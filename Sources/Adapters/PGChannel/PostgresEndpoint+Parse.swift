internal import NIOCore

extension PostgresEndpoint {
    /// Reads `postgres://user:password@host:port/database?parameter=value&…`, as libpq does.
    ///
    /// Parameters: `host` (a path is a directory with a Unix socket), `port`, `user`, `dbname`, `password` (`env:NAME` and `file:/path` name a
    /// source instead of a value), `sslmode`, `sslrootcert` (`system` for the system's), `connect_timeout` (seconds), `application_name`.
    package static func parse(_ text: String) throws(EndpointError) -> PostgresEndpoint {
        guard let scheme = ["postgres://", "postgresql://"].first(where: text.hasPrefix) else { throw EndpointError(.notAPostgresURL) }
        let rest = text.dropFirst(scheme.count)
        let (beforeQuery, query) = rest.cut(at: "?")
        let (authority, path) = beforeQuery.cut(at: "/")
        // Read on, a part of a password would become a database's or parameter's name, and be shown.
        guard path?.contains("@") != true, query?.contains("@") != true else { throw EndpointError(.unescapedCharacter) }
        var parts = Parts()
        try parts.read(authority: authority)
        if let path, !path.isEmpty { parts.endpoint.database = try decode(path) }
        for pair in (query ?? "").split(separator: "&") {
            let (name, value) = pair.cut(at: "=")
            guard let value else { throw EndpointError(.missingValue) }
            try parts.set(try decode(name), to: try decode(value))
        }
        return try parts.finished()
    }

    fileprivate static func decode(_ text: Substring) throws(EndpointError) -> String {
        var bytes: [UInt8] = []
        var input = text.utf8.makeIterator()
        while let byte = input.next() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = input.next().flatMap(hexDigit), let low = input.next().flatMap(hexDigit), high << 4 | low != 0 else {
                throw EndpointError(.invalidPercentEncoding)
            }
            bytes.append(high << 4 | low)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else { throw EndpointError(.invalidPercentEncoding) }
        return decoded
    }

    private static func hexDigit(_ character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - 48
        case UInt8(ascii: "a")...UInt8(ascii: "f"): character - 97 + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): character - 65 + 10
        default: nil
        }
    }
}

/// The endpoint while its URL is read: host and port may come from two places.
private struct Parts {
    var endpoint = PostgresEndpoint(address: .tcp(host: "", port: 0))
    var host: String?
    var port = 5432

    mutating func read(authority: Substring) throws(EndpointError) {
        var hostAndPort = authority
        if let at = authority.lastIndex(of: "@") {
            let (user, password) = authority[..<at].cut(at: ":")
            if !user.isEmpty { endpoint.user = try PostgresEndpoint.decode(user) }
            if let password { endpoint.password = .literal(try PostgresEndpoint.decode(password)) }
            hostAndPort = authority[authority.index(after: at)...]
        }
        guard !hostAndPort.contains(",") else { throw EndpointError(.severalHosts) }
        let hostText: Substring
        let portText: Substring?
        if hostAndPort.hasPrefix("[") {
            guard let end = hostAndPort.firstIndex(of: "]") else { throw EndpointError(.missingHost) }
            hostText = hostAndPort[hostAndPort.index(after: hostAndPort.startIndex)..<end]
            let behind = hostAndPort[hostAndPort.index(after: end)...]
            guard behind.isEmpty || behind.hasPrefix(":") else { throw EndpointError(.invalidPort) }
            portText = behind.isEmpty ? nil : behind.dropFirst()
        } else {
            (hostText, portText) = hostAndPort.cut(at: ":")
        }
        if !hostText.isEmpty { host = try PostgresEndpoint.decode(hostText) }
        if let portText, !portText.isEmpty { try setPort(String(portText)) }
    }

    mutating func set(_ name: String, to value: String) throws(EndpointError) {
        switch name {
        case "host": host = value
        case "port": try setPort(value)
        case "user": endpoint.user = value
        case "dbname": endpoint.database = value
        case "password": endpoint.password = Self.passwordSource(value)
        case "sslmode":
            guard let mode = PostgresEndpoint.TLSMode(rawValue: value) else { throw EndpointError(.invalidValue, name: name) }
            endpoint.tlsMode = mode
        case "sslrootcert": endpoint.rootCertificate = value == "system" ? nil : value
        case "connect_timeout":
            guard let seconds = Int64(value), seconds >= 0, seconds <= 86_400 else { throw EndpointError(.invalidValue, name: name) }
            endpoint.connectTimeout = seconds == 0 ? nil : .seconds(seconds)
        case "application_name": endpoint.applicationName = value
        default: throw EndpointError(.unknownParameter, name: name)
        }
    }

    private mutating func setPort(_ text: String) throws(EndpointError) {
        guard let port = Int(text), (1...65535).contains(port) else { throw EndpointError(.invalidPort) }
        self.port = port
    }

    private static func passwordSource(_ value: String) -> PostgresEndpoint.PasswordSource {
        if value.hasPrefix("env:") { return .environment(String(value.dropFirst(4))) }
        if value.hasPrefix("file:") { return .file(String(value.dropFirst(5))) }
        return .literal(value)
    }

    func finished() throws(EndpointError) -> PostgresEndpoint {
        guard let host, !host.isEmpty else { throw EndpointError(.missingHost) }
        var endpoint = endpoint
        endpoint.address = host.hasPrefix("/") ? .unix(directory: host, port: port) : .tcp(host: host, port: port)
        return endpoint
    }
}

extension Substring {
    /// What stands before and behind the first `separator`; nil behind where there is none.
    fileprivate func cut(at separator: Character) -> (Substring, Substring?) {
        guard let index = firstIndex(of: separator) else { return (self, nil) }
        return (self[..<index], self[self.index(after: index)...])
    }
}
