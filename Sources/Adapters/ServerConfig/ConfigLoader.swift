/// The texts given for each setting, by where they came from: flags before environment before file before defaults.
package struct ConfigLoader {
    private let role: ServerRole
    private let declarations: [SettingDeclaration]

    package init(role: ServerRole) {
        self.role = role
        declarations = SettingsCatalogue.settings(of: role)
    }

    var names: [String] { declarations.map(\.name) }

    /// A flag of theirs alone says "true".
    private var switches: Set<String> { Set(declarations.filter { $0.kind == .boolean }.map(\.name)) }

    /// One text and where it was found, for errors.
    struct Given: Hashable, Sendable {
        var text: String
        var place: String
    }

    /// `file`: the YAML text and the name to show for it. `flags`: the words after the command, without `--config`.
    ///
    /// Throws the first problem found, in the order file, environment, flags; then values, in catalogue order.
    package func load(
        file: (text: String, name: String)? = nil, environment: [String: String] = [:], flags: [String] = []
    ) throws(ConfigError) -> ResolvedSettings {
        let fromFile = try file.map { (file) throws(ConfigError) in try read(yaml: file.text, name: file.name) } ?? [:]
        let fromEnvironment = try read(environment: environment)
        let fromFlags = try read(flags: flags)
        var values: [String: SettingValue] = [:]
        for declaration in declarations {
            let name = declaration.name
            guard let given = fromFlags[name] ?? fromEnvironment[name] ?? fromFile[name] else {
                guard let value = declaration.defaultValue else {
                    throw ConfigError("\(name) (flag \(declaration.flag), variable \(declaration.environmentName(for: role)))", .missing)
                }
                values[name] = value
                continue
            }
            switch SettingValue.parse(given.text, as: declaration.kind) {
            case .success(let value): values[name] = value
            case .failure(let expectation): throw ConfigError(given.place, .invalid(expected: expectation.description))
            }
        }
        return ResolvedSettings(values: values)
    }

    /// Variables that begin with the role's prefix must all be settings; all others are somebody else's.
    private func read(environment: [String: String]) throws(ConfigError) -> [String: Given] {
        let names = Dictionary(uniqueKeysWithValues: declarations.map { ($0.environmentName(for: role), $0.name) })
        var given: [String: Given] = [:]
        for (variable, text) in environment.sorted(by: { $0.key < $1.key })
        where variable.hasPrefix(role.environmentPrefix) && !ServerRole.clientVariables.contains(variable) {
            guard let name = names[variable] else {
                throw ConfigError("variable \(variable)", .unknown(suggestion: Suggestion.closest(to: variable, among: names.keys.sorted())))
            }
            given[name] = Given(text: text, place: "variable \(variable)")
        }
        return given
    }

    /// `--name value` or `--name=value`; the last of a repeated flag counts.
    private func read(flags: [String]) throws(ConfigError) -> [String: Given] {
        let names = Dictionary(uniqueKeysWithValues: declarations.map { ($0.flag, $0.name) })
        var given: [String: Given] = [:]
        var words = flags[...]
        while let word = words.popFirst() {
            guard word.hasPrefix("--") else { throw ConfigError("\"\(word)\"", .malformed("expected a flag such as --log-level")) }
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard let name = names[parts[0]] else {
                throw ConfigError("flag \(parts[0])", .unknown(suggestion: Suggestion.closest(to: parts[0], among: names.keys.sorted())))
            }
            let isSwitch = parts.count == 1 && switches.contains(name) && words.first?.hasPrefix("--") != false
            guard let text = parts.count == 2 ? parts[1] : isSwitch ? "true" : words.popFirst() else {
                throw ConfigError("flag \(parts[0])", .malformed("its value is missing"))
            }
            given[name] = Given(text: text, place: "flag \(parts[0])")
        }
        return given
    }
}
