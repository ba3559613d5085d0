/// One setting of a server: where it may come from and what it may be follow from this value alone.
///
/// "pool.size_max" is `pool: {size_max: …}` in YAML, `--pool-size-max` as a flag and `PGMOSAIC_ROUTER_POOL_SIZE_MAX` in the environment.
package struct SettingDeclaration: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case integer(ClosedRange<Int>)
        /// Written with a unit: "250ms", "30s", "5m", "1h"; "0" is zero. Bounds are inclusive.
        case duration(ClosedRange<Duration>)
        /// Written as a plain number of bytes or with a unit: "64KiB", "10MiB", "1GiB".
        case bytes(ClosedRange<Int>)
        case boolean
        case text
        /// A file or folder; relative ones are taken from the working directory.
        case path
        case choice([String])
    }

    package let name: String
    package let kind: Kind
    /// nil: the setting has no default and must be given.
    package let defaultValue: SettingValue?
    package let description: String

    package init(_ name: String, _ kind: Kind, default defaultValue: SettingValue?, _ description: String) {
        self.name = name
        self.kind = kind
        self.defaultValue = defaultValue
        self.description = description
    }

    package var flag: String { "--" + name.map { $0 == "." || $0 == "_" ? "-" : String($0) }.joined() }

    package func environmentName(for role: ServerRole) -> String {
        role.environmentPrefix + name.map { $0 == "." ? "_" : $0.uppercased() }.joined()
    }
}

/// Which server is being configured.
package enum ServerRole: String, Hashable, Sendable, CaseIterable {
    case router, manager

    package var environmentPrefix: String { "PGMOSAIC_\(rawValue.uppercased())_" }

    /// Not settings: what the command-line clients read to find the servers.
    package static let clientVariables: Set<String> = ["PGMOSAIC_ROUTER_URL", "PGMOSAIC_MANAGER_URL"]
}
