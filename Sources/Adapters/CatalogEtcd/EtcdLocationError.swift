/// A URL of an etcd cluster that cannot be used. Never quotes the URL: it may hold a password.
package struct EtcdLocationError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Reason: Hashable, Sendable {
        case notAnEtcdURL, missingHost, invalidPort, tooManyEndpoints, repeatedEndpoint, invalidPercentEncoding
        /// '@' or '/' where none can be: in a password that is not percent-encoded.
        case unescapedCharacter
        case path
        case missingValue, invalidValue, unknownParameter, repeatedParameter
        case userWithoutPassword, passwordWithoutUser
        case certificateWithoutKey, filesWithoutTLS
        case passwordUnavailable, unreadableFile
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
            case .notAnEtcdURL: "the URL of an etcd cluster starts with etcd:// or etcds://"
            case .missingHost: "the etcd URL names no host, or an endpoint without one"
            case .invalidPort: "the port must be between 1 and 65535"
            case .tooManyEndpoints: "the etcd URL names more than \(EtcdLocation.endpointsMax) endpoints"
            case .repeatedEndpoint: "the etcd URL names an endpoint twice"
            case .invalidPercentEncoding: "invalid percent encoding in the etcd URL"
            case .unescapedCharacter: "a '/', '?', ',' or '@' in the parts of an etcd URL must be percent-encoded"
            case .path: "an etcd URL has no path; keys are put under another prefix with ?prefix="
            case .missingValue: "a parameter of the etcd URL has no value"
            case .invalidValue: "invalid value for a parameter of the etcd URL"
            case .unknownParameter: "unknown parameter in the etcd URL"
            case .repeatedParameter: "a parameter of the etcd URL is there twice"
            case .userWithoutPassword: "the etcd URL names a user and no password"
            case .passwordWithoutUser: "the etcd URL has a password and names no user"
            case .certificateWithoutKey: "cert and key of an etcd URL go together"
            case .filesWithoutTLS: "cacert, cert and key need etcds://"
            case .passwordUnavailable: "the password cannot be read"
            case .unreadableFile: "a certificate or key cannot be read"
            }
        return name.map { "\(text) (\($0))" } ?? text
    }
}
