/// Where an etcd cluster is, who asks, and how the line is protected. Comes from a URL; see `parse`.
package struct EtcdLocation: Hashable, Sendable {
    package struct Endpoint: Hashable, Sendable, CustomStringConvertible {
        package var host: String
        package var port: Int

        package init(host: String, port: Int) { (self.host, self.port) = (host, port) }

        package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
    }

    /// Files are read with each new connection, so that renewed certificates are found.
    package struct TLS: Hashable, Sendable {
        /// A PEM file with the authorities to trust; the system's where nil.
        package var authorities: String?
        /// PEM files with our own certificate and its key, for a server that asks for one.
        package var certificate: String?
        package var key: String?

        package init() {}
    }

    package static let defaultPort = 2379
    package static let defaultPrefix = "/pgmosaic/"
    package static let endpointsMax = 16

    package var endpoints: [Endpoint]
    /// Plain text where nil.
    package var tls: TLS?
    package var user: String?
    package var password: EtcdPassword?
    /// What every key begins with; ends with '/'.
    package var prefix = Self.defaultPrefix

    package init(endpoints: [Endpoint]) { self.endpoints = endpoints }
}

extension EtcdLocation: CustomStringConvertible, CustomReflectable {
    /// Without the password.
    package var description: String {
        let scheme = tls == nil ? "etcd" : "etcds"
        let user = user.map { EtcdLocation.encoded($0) + "@" } ?? ""
        let query = prefix == Self.defaultPrefix ? "" : "?prefix=\(EtcdLocation.encoded(prefix))"
        return "\(scheme)://\(user)\(endpoints.map(\.description).joined(separator: ","))\(query)"
    }

    package var customMirror: Mirror { Mirror(self, children: ["location": description]) }
}
