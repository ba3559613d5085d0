import Yams

extension ConfigLoader {
    /// Settings as nested mappings: `wire: {port: 6432}`. Lists, anchors and several documents are refused: no setting needs them.
    func read(yaml: String, name: String) throws(ConfigError) -> [String: Given] {
        let root: Node?
        do {
            root = try Yams.compose(yaml: yaml, .basic)
        } catch let error as YamlError {
            throw ConfigError(name, .malformed("not YAML: \(Self.firstLine(error))"))
        } catch {
            throw ConfigError(name, .malformed("not YAML"))
        }
        var given: [String: Given] = [:]
        guard let root, root != Node("") else { return given }
        guard case .mapping(let mapping) = root else { throw ConfigError(name, .malformed("expected settings, one \"name: value\" a line")) }
        try read(mapping, prefix: "", file: name, into: &given)
        return given
    }

    private func read(
        _ mapping: Node.Mapping, prefix: String, file: String, into given: inout [String: Given]
    ) throws(ConfigError) {
        for (key, value) in mapping {
            guard case .scalar(let scalar) = key else { throw ConfigError(file, .malformed("a setting's name must be plain text")) }
            let name = prefix + scalar.string
            let place = "\(file):\(key.mark?.line ?? 0): \(name)"
            switch value {
            case .mapping(let nested) where names.contains { $0.hasPrefix(name + ".") }:
                try read(nested, prefix: name + ".", file: file, into: &given)
            case .scalar(let text) where names.contains(name):
                guard given.updateValue(Given(text: text.string, place: place), forKey: name) == nil else {
                    throw ConfigError(place, .malformed("given twice"))
                }
            default:
                if names.contains(name) { throw ConfigError(place, .malformed("expected one value")) }
                throw ConfigError(place, .unknown(suggestion: Suggestion.closest(to: name, among: names)))
            }
        }
    }

    private static func firstLine(_ error: YamlError) -> String {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
            "\(problem) (line \(mark.line))"
        case .duplicatedKeysInMapping: "a name is given twice in one mapping"
        default: "it could not be read"
        }
    }
}
