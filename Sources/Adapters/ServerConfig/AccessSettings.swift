/// What callers of the REST API may do to the server itself, and from where.
package struct AccessSettings: Hashable, Sendable {
    package struct Address: Hashable, Sendable {
        package var host: String
        package var port: Int

        package init(host: String, port: Int) {
            self.host = host
            self.port = port
        }
    }

    /// A second listener, for health and metrics.
    package var operations: Address?
    package var operationsOnMain: Bool
    package var requestsPerAddressMax: Int
    package var requestsPerUserMax: Int
    package var corsOrigins: [String]
    private let operationsText: String

    init(_ values: ResolvedSettings) {
        typealias Name = SettingsCatalogue
        operationsText = values.text(Name.httpMetricsListen)
        operations = Self.address(operationsText)
        operationsOnMain = values.boolean(Name.httpMetricsOnMain)
        requestsPerAddressMax = values.integer(Name.httpRequestsPerAddressMax)
        requestsPerUserMax = values.integer(Name.httpRequestsPerUserMax)
        corsOrigins = values.text(Name.httpCORSOrigins).split(separator: ",").map { $0.trimmed }
    }

    func check() throws(ConfigError) {
        if !operationsText.isEmpty, operations == nil {
            throw ConfigError(SettingsCatalogue.httpMetricsListen.name, .invalid(expected: "HOST:PORT, as 127.0.0.1:9090 or [::1]:9090"))
        }
        for origin in corsOrigins where !Self.isOrigin(origin) {
            throw ConfigError(SettingsCatalogue.httpCORSOrigins.name, .invalid(expected: "origins with commas between, as https://console.example.com"))
        }
    }

    private static func address(_ text: String) -> Address? {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() } else if host.contains(":") { return nil }
        return host.isEmpty ? nil : Address(host: String(host), port: Int(port))
    }

    /// As browsers send it: scheme, host and port, and nothing behind.
    private static func isOrigin(_ text: String) -> Bool {
        guard let scheme = ["https://", "http://"].first(where: text.hasPrefix) else { return false }
        let rest = text.dropFirst(scheme.count)
        return !rest.isEmpty && rest.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "["),
                UInt8(ascii: "]"):
                true
            default: false
            }
        }
    }
}

extension Substring {
    /// Without blanks around it.
    fileprivate var trimmed: String { String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()) }
}
