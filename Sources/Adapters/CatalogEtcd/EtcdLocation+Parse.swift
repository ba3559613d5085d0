internal import Foundation

extension EtcdLocation {
    /// Reads `etcd://user@host:port,host:port?parameter=value&…`; `etcds://` is TLS.
    ///
    /// Parameters: `password` (`env:NAME` and `file:/path` name a source instead of a value), `user`, `prefix`, and with TLS `cacert`, `cert` and `key`.
    package static func parse(_ text: String) throws(EtcdLocationError) -> EtcdLocation {
        guard let scheme = ["etcd://", "etcds://"].first(where: text.hasPrefix) else { throw EtcdLocationError(.notAnEtcdURL) }
        let (beforeQuery, query) = text.dropFirst(scheme.count).cut(at: "?")
        let (authority, path) = beforeQuery.cut(at: "/")
        // Read on, a part of a password would become a parameter's name, and be shown.
        guard path?.contains("@") != true, query?.contains("@") != true else { throw EtcdLocationError(.unescapedCharacter) }
        guard path?.isEmpty != false else { throw EtcdLocationError(.path) }
        var location = EtcdLocation(endpoints: [])
        if scheme == "etcds://" { location.tls = TLS() }
        try location.read(authority: authority)
        var seen: Set<String> = []
        for pair in (query ?? "").split(separator: "&") {
            let (encodedName, value) = pair.cut(at: "=")
            guard let value else { throw EtcdLocationError(.missingValue) }
            let name = try decoded(encodedName)
            guard seen.insert(name).inserted else { throw EtcdLocationError(.repeatedParameter, name: name) }
            try location.set(name, to: try decoded(value))
        }
        try location.check()
        return location
    }

    private mutating func read(authority: Substring) throws(EtcdLocationError) {
        var hosts = authority
        if let at = authority.lastIndex(of: "@") {
            let (user, password) = authority[..<at].cut(at: ":")
            if !user.isEmpty { self.user = try Self.decoded(user) }
            if let password { self.password = .literal(try Self.decoded(password)) }
            hosts = authority[authority.index(after: at)...]
        }
        for text in hosts.split(separator: ",", omittingEmptySubsequences: false) { endpoints.append(try Self.endpoint(text)) }
        guard endpoints.count <= Self.endpointsMax else { throw EtcdLocationError(.tooManyEndpoints) }
        guard Set(endpoints).count == endpoints.count else { throw EtcdLocationError(.repeatedEndpoint) }
    }

    private static func endpoint(_ text: Substring) throws(EtcdLocationError) -> Endpoint {
        let (host, port): (Substring, Substring?)
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { throw EtcdLocationError(.missingHost) }
            host = text[text.index(after: text.startIndex)..<end]
            let behind = text[text.index(after: end)...]
            guard behind.isEmpty || behind.hasPrefix(":") else { throw EtcdLocationError(.invalidPort) }
            port = behind.isEmpty ? nil : behind.dropFirst()
        } else {
            (host, port) = text.cut(at: ":")
        }
        let name = try decoded(host)
        guard !name.isEmpty else { throw EtcdLocationError(.missingHost) }
        guard let port else { return Endpoint(host: name, port: defaultPort) }
        guard let number = Int(port), (1...65535).contains(number) else { throw EtcdLocationError(.invalidPort) }
        return Endpoint(host: name, port: number)
    }

    private mutating func set(_ name: String, to value: String) throws(EtcdLocationError) {
        guard !value.isEmpty else { throw EtcdLocationError(.missingValue, name: name) }
        switch name {
        case "user": user = value
        case "password": password = EtcdPassword(value)
        case "prefix":
            guard value.utf8.count <= 256 else { throw EtcdLocationError(.invalidValue, name: name) }
            prefix = value.hasSuffix("/") ? value : value + "/"
        case "cacert", "cert", "key":
            guard tls != nil else { throw EtcdLocationError(.filesWithoutTLS, name: name) }
            if name == "cacert" { tls?.authorities = value == "system" ? nil : value }
            if name == "cert" { tls?.certificate = value }
            if name == "key" { tls?.key = value }
        default: throw EtcdLocationError(.unknownParameter, name: name)
        }
    }

    private func check() throws(EtcdLocationError) {
        guard (tls?.certificate == nil) == (tls?.key == nil) else { throw EtcdLocationError(.certificateWithoutKey) }
        guard user == nil || password != nil else { throw EtcdLocationError(.userWithoutPassword) }
        guard user != nil || password == nil else { throw EtcdLocationError(.passwordWithoutUser) }
    }

    private static func decoded(_ text: Substring) throws(EtcdLocationError) -> String {
        guard let decoded = text.removingPercentEncoding, !decoded.unicodeScalars.contains("\0") else {
            throw EtcdLocationError(.invalidPercentEncoding)
        }
        return decoded
    }

    /// As it can stand in a URL.
    static func encoded(_ text: String) -> String {
        let plain = CharacterSet(charactersIn: "a"..."z").union(.init(charactersIn: "A"..."Z")).union(.init(charactersIn: "0"..."9"))
        return text.addingPercentEncoding(withAllowedCharacters: plain.union(.init(charactersIn: "/-._~"))) ?? ""
    }
}

extension Substring {
    /// What stands before and behind the first `separator`; nil behind where there is none.
    fileprivate func cut(at separator: Character) -> (Substring, Substring?) {
        guard let index = firstIndex(of: separator) else { return (self, nil) }
        return (self[..<index], self[self.index(after: index)...])
    }
}
