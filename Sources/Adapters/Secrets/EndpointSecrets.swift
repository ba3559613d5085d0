internal import Foundation
package import ShardModel

/// The password of a shard's endpoint (`postgres://user@host:port/dbname?…`) in its three states.
///
/// - as given: in the URL (`user:password@`), as `?password=…`, or a reference `?password=env:NAME` / `?password=file:PATH`;
/// - as kept in the catalog: a reference, or `?password=sealed:…`;
/// - as shown: `?password=***` for a sealed one, a reference as it is.
package enum EndpointSecrets {
    /// What goes into the catalog. A sealed password is bound to the rest of the URL, parameters included: they too can say where it is sent. A plain password needs a box; a reference is kept as it is.
    package static func sealed(_ endpoint: String, with box: SecretBox?) throws(SecretError) -> String {
        var parts = try Parts(endpoint)
        guard let password = try parts.takePassword() else { return parts.text }
        switch password {
        case .reference(let reference): parts.set(password: reference)
        case .sealed: throw SecretError(.sealedByClient)
        case .plain(let plain):
            guard let box else { throw SecretError(.noKey) }
            parts.set(password: "sealed:" + box.seal(plain, context: parts.text))
        }
        return parts.text
    }

    /// The endpoint with a plain password in its user part; nil where it names one already, or refers to one.
    package static func adding(password plain: String, to endpoint: String) throws(SecretError) -> String? {
        var parts = try Parts(endpoint)
        guard try parts.takePassword() == nil else { return nil }
        parts.set(userPassword: plain)
        return parts.text
    }

    /// What a connection is made with: a sealed password is opened and put into the URL's user part; references are left for the connector to resolve.
    package static func opened(_ endpoint: String, with box: SecretBox?) throws(SecretError) -> String {
        var parts = try Parts(endpoint)
        guard let password = try parts.takePassword() else { return parts.text }
        switch password {
        case .reference(let reference): parts.set(password: reference)
        case .plain(let plain): parts.set(userPassword: plain)
        case .sealed(let sealed):
            guard let box else { throw SecretError(.noKey) }
            parts.set(userPassword: try box.open(sealed, context: parts.text))
        }
        return parts.text
    }

    /// The endpoint with its password sealed by the first key of `box`, of whose keys one must open it. nil: it is so already, or has no sealed password.
    package static func resealed(_ endpoint: String, with box: SecretBox) throws(SecretError) -> String? {
        var parts = try Parts(endpoint)
        guard case .sealed(let sealed)? = try parts.takePassword() else { return nil }
        let context = parts.text
        if (try? box.parts[0].open(sealed, context: context)) != nil { return nil }
        parts.set(password: "sealed:" + box.seal(try box.open(sealed, context: context), context: context))
        return parts.text
    }

    /// The shards of which a sealed password does not open, in order.
    package static func closed(in catalog: CatalogSnapshot, with box: SecretBox?) -> [ShardID] {
        catalog.shards.values.filter { shard in
            ([shard.primaryEndpoint] + shard.replicas).contains { isSealed($0) && (try? opened($0, with: box)) == nil }
        }.map(\.id).sorted()
    }

    /// Whether a connection to it needs the key that its password was sealed with.
    package static func isSealed(_ endpoint: String) -> Bool {
        guard var parts = try? Parts(endpoint), let password = try? parts.takePassword(), case .sealed = password else { return false }
        return true
    }

    /// What may be shown to anybody. Text that is no endpoint is not shown at all.
    package static func redacted(_ endpoint: String) -> String {
        guard var parts = try? Parts(endpoint), let password = try? parts.takePassword() else {
            return (try? Parts(endpoint))?.shownWithoutPassword ?? "***"
        }
        switch password {
        case .reference(let reference): parts.set(password: reference)
        case .plain, .sealed: parts.set(password: "***")
        }
        return parts.text
    }
}

extension EndpointSecrets {
    enum Password: Hashable {
        case plain(String)
        case reference(String)
        case sealed(String)
    }

    /// A URL cut where passwords can stand; everything else is kept letter by letter.
    struct Parts {
        private var scheme: String
        private var user: String
        private var userPassword: String?
        /// "@host:port/dbname", or "host…" without a user.
        private var rest: String
        private var query: [(name: String, value: String)]

        init(_ endpoint: String) throws(SecretError) {
            guard let separator = endpoint.range(of: "://"), ["postgres", "postgresql"].contains(endpoint[..<separator.lowerBound]) else {
                throw SecretError(.notAnEndpoint)
            }
            scheme = String(endpoint[..<separator.upperBound])
            let afterScheme = endpoint[separator.upperBound...]
            let mark = afterScheme.firstIndex(of: "?") ?? afterScheme.endIndex
            let authority = afterScheme[..<(afterScheme[..<mark].firstIndex(of: "/") ?? mark)]
            user = ""
            if let at = authority.lastIndex(of: "@") {
                let colon = authority[..<at].firstIndex(of: ":") ?? at
                user = String(authority[..<colon])
                if colon < at { userPassword = String(authority[authority.index(after: colon)..<at]) }
                rest = String(afterScheme[at..<mark])
            } else {
                rest = String(afterScheme[..<mark])
            }
            query = afterScheme[mark...].dropFirst().split(separator: "&").map { item in
                let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                return (String(pair[0]), pair.count > 1 ? String(pair[1]) : "")
            }
        }

        var text: String {
            let password = userPassword.map { ":" + $0 } ?? ""
            let items = query.map { "\($0.name)=\($0.value)" }.joined(separator: "&")
            return scheme + user + password + rest + (items.isEmpty ? "" : "?" + items)
        }

        /// `text` when it is known to hold no password.
        var shownWithoutPassword: String? {
            userPassword == nil && !query.contains(where: Self.isPassword) ? text : nil
        }

        /// Takes the password out; nil when there is none.
        mutating func takePassword() throws(SecretError) -> Password? {
            let given = query.filter(Self.isPassword)
            guard given.count + (userPassword == nil ? 0 : 1) <= 1 else { throw SecretError(.twoPasswords) }
            query.removeAll(where: Self.isPassword)
            if let encoded = userPassword {
                userPassword = nil
                guard let plain = encoded.removingPercentEncoding else { throw SecretError(.notAnEndpoint) }
                return .plain(plain)
            }
            guard let encoded = given.first?.value else { return nil }
            guard let value = encoded.removingPercentEncoding else { throw SecretError(.notAnEndpoint) }
            if value.hasPrefix("env:") || value.hasPrefix("file:") { return .reference(encoded) }
            if value.hasPrefix("sealed:") { return .sealed(String(value.dropFirst("sealed:".count))) }
            return .plain(value)
        }

        /// As whoever connects will read the name: `p%61ssword` is one too. A name that nobody can read counts, so that it is not shown.
        private static func isPassword(_ item: (name: String, value: String)) -> Bool {
            item.name.removingPercentEncoding.map { $0 == "password" } ?? true
        }

        mutating func set(password: String) { query.append(("password", password)) }

        mutating func set(userPassword plain: String) {
            // Everything but the unreserved characters of RFC 3986 is encoded: a password may hold "@" or "/".
            let unreserved = CharacterSet(charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
            if !rest.hasPrefix("@") { rest = "@" + rest }
            userPassword = plain.addingPercentEncoding(withAllowedCharacters: unreserved)
        }
    }
}
