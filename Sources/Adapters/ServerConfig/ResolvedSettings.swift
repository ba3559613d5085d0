/// A checked value for every setting of one server.
package struct ResolvedSettings: Hashable, Sendable {
    private var values: [String: SettingValue]

    init(values: [String: SettingValue]) { self.values = values }

    /// The defaults, with `catalog` standing for the one setting that has none.
    package static func defaults(of role: ServerRole, catalog: String) -> ResolvedSettings {
        var values: [String: SettingValue] = [:]
        for declaration in SettingsCatalogue.settings(of: role) { values[declaration.name] = declaration.defaultValue }
        values[SettingsCatalogue.catalog.name] = .text(catalog)
        return ResolvedSettings(values: values)
    }

    /// Every value with its name, in catalogue order: for a log. Of `catalog`, which may hold a password, only the kind is told where it is a URL.
    package func listing(of role: ServerRole) -> [(name: String, value: String)] {
        SettingsCatalogue.settings(of: role).map { ($0.name, shown(values[$0.name], of: $0.name)) }
    }

    private func shown(_ value: SettingValue?, of name: String) -> String {
        let text = value?.description ?? ""
        switch name {
        case SettingsCatalogue.catalog.name: return CatalogLocation.redacted(text)
        // A reference; who gave the secret itself finds that out at the next start.
        case SettingsCatalogue.authSecret.name: return text.isEmpty || text.hasPrefix("env:") || text.hasPrefix("file:") ? text : "***"
        default: return text
        }
    }

    /// One setting's change, for the log.
    package struct Change: Hashable, Sendable, CustomStringConvertible {
        package let name: String
        package let old: String
        package let new: String
        package var description: String { "\(name): \(old.isEmpty ? "empty" : old) -> \(new.isEmpty ? "empty" : new)" }
    }

    /// What a running router makes of settings that were read anew: the reloadable ones are theirs, the others stay as they are.
    package func reloading(_ new: ResolvedSettings) -> (settings: ResolvedSettings, applied: [Change], needRestart: [Change]) {
        let reloadable = Set(SettingsCatalogue.reloadable.map(\.name))
        var result = self
        var (applied, needRestart): ([Change], [Change]) = ([], [])
        for declaration in SettingsCatalogue.router {
            guard let before = values[declaration.name], let after = new.values[declaration.name], before != after else { continue }
            let change = Change(name: declaration.name, old: shown(before, of: declaration.name), new: shown(after, of: declaration.name))
            if reloadable.contains(declaration.name) {
                result.values[declaration.name] = after
                applied.append(change)
            } else {
                needRestart.append(change)
            }
        }
        return (result, applied, needRestart)
    }

    // The wrong accessor for a declaration is our own mistake; the tests read every typed field.

    func integer(_ declaration: SettingDeclaration) -> Int {
        guard case .integer(let value) = values[declaration.name] else { preconditionFailure("\(declaration.name) is not an integer") }
        return value
    }
    func bytes(_ declaration: SettingDeclaration) -> Int {
        guard case .bytes(let value) = values[declaration.name] else { preconditionFailure("\(declaration.name) is not a size") }
        return value
    }
    func duration(_ declaration: SettingDeclaration) -> Duration {
        guard case .duration(let value) = values[declaration.name] else { preconditionFailure("\(declaration.name) is not a duration") }
        return value
    }
    func boolean(_ declaration: SettingDeclaration) -> Bool {
        guard case .boolean(let value) = values[declaration.name] else { preconditionFailure("\(declaration.name) is not a boolean") }
        return value
    }
    func text(_ declaration: SettingDeclaration) -> String {
        guard case .text(let value) = values[declaration.name] else { preconditionFailure("\(declaration.name) is not a text") }
        return value
    }
    func choice<Choice: RawRepresentable<String>>(_ declaration: SettingDeclaration) -> Choice {
        guard let value = Choice(rawValue: text(declaration)) else { preconditionFailure("\(declaration.name) has a choice that its type lacks") }
        return value
    }
    /// nil when empty.
    func path(_ declaration: SettingDeclaration) -> String? {
        let value = text(declaration)
        return value.isEmpty ? nil : value
    }
}

extension ResolvedSettings: CustomStringConvertible, CustomReflectable {
    /// Whoever prints settings does not mean the password that `catalog` may hold.
    package var description: String { "\(values.count) settings" }
    package var customMirror: Mirror { Mirror(self, children: ["count": values.count]) }
}
