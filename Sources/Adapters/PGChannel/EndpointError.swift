/// A connection URL that cannot be used. Never quotes the URL: it may hold a password.
package struct EndpointError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Reason: Hashable, Sendable {
        case notAPostgresURL
        case missingHost
        case invalidPort
        case invalidPercentEncoding
        /// '@' behind the host: a '/' or '?' in the user's name or the password that is not percent-encoded would look like this.
        case unescapedCharacter
        case invalidValue
        case missingValue
        case unknownParameter
        /// More than one host: libpq's fail-over lists are not supported.
        case severalHosts
        case passwordUnavailable
    }

    package let reason: Reason
    /// The parameter, variable or file it is about.
    package let name: String?

    package init(_ reason: Reason, name: String? = nil) {
        self.reason = reason
        self.name = name
    }

    package var description: String {
        let text =
            switch reason {
            case .notAPostgresURL: "a connection URL starts with postgres:// or postgresql://"
            case .missingHost: "the connection URL names no host"
            case .invalidPort: "the port must be between 1 and 65535"
            case .invalidPercentEncoding: "invalid percent encoding in the connection URL"
            case .unescapedCharacter: "a '/', '?' or '@' in the parts of a connection URL must be percent-encoded"
            case .missingValue: "a parameter of the connection URL has no value"
            case .invalidValue: "invalid value for a parameter of the connection URL"
            case .unknownParameter: "unknown parameter in the connection URL"
            case .severalHosts: "a connection URL names one host only"
            case .passwordUnavailable: "the password cannot be read"
            }
        return name.map { "\(text) (\($0))" } ?? text
    }
}
