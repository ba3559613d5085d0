/// Why a server will not start with the configuration it was given: one line for a person, which says where.
package struct ConfigError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Problem: Hashable, Sendable {
        /// `suggestion` is the closest known name, when one is close.
        case unknown(suggestion: String?)
        case invalid(expected: String)
        case missing
        /// A flag without its value, or a word that belongs to no flag.
        case malformed(String)
        /// Two settings that do not go together, or a file they name that is not there.
        case inconsistent(String)
    }
    /// "flag --wire-port", "variable PGMOSAIC_ROUTER_WIRE_PORT", "pgmosaic.yaml:3: wire.port"
    package var place: String
    package var problem: Problem

    package init(_ place: String, _ problem: Problem) {
        self.place = place
        self.problem = problem
    }

    package var description: String {
        switch problem {
        case .unknown(let suggestion):
            "\(place): no such setting" + (suggestion.map { "; did you mean \($0)?" } ?? "")
        case .invalid(let expected): "\(place): expected \(expected)"
        case .missing: "\(place): this setting has no default and must be given"
        case .malformed(let reason), .inconsistent(let reason): "\(place): \(reason)"
        }
    }
}
