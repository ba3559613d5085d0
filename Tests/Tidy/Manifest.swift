/// What `Package.swift` says of its targets, read from its text: asking SwiftPM would wait for the build that runs this test.
struct Manifest {
    struct Target {
        var name: String
        /// Relative to the root.
        var path: String
        /// Targets of this package.
        var targets: [String] = []
        /// Products of other packages.
        var products: [String] = []
    }

    private(set) var targets: [Target] = []

    static let ours = Manifest(Repository.text("Package.swift") ?? "")

    init(_ text: String) {
        let text = SwiftCode(text).withoutComments.string
        let helpers = Self.helperPaths(text)
        let constants = Self.constants(text)
        guard let list = text.ranges(of: "    targets: [").last else { return }
        let body = Call.balanced(text[text.index(before: list.upperBound)...])
        targets = Call.split(body).compactMap { element in
            guard let call = Call(element), let name = call.name else { return nil }
            var target = Target(name: name, path: call.path ?? Self.path(call, helpers) ?? "")
            target.add(call.dependencies, constants)
            return target
        }
    }

    subscript(name: String) -> Target? { targets.first { $0.name == name } }

    /// The paths that the functions at the head give, by the functions' names, with `\(name)` in them.
    private static func helperPaths(_ text: String) -> [Substring: Substring] {
        var paths: [Substring: Substring] = [:]
        for match in text.matches(of: /func (\w+)\((?s:.*?)path: "([^"]*)"/) { paths[match.1] = match.2 }
        return paths
    }

    private static func path(_ call: Call, _ helpers: [Substring: Substring]) -> String? {
        helpers[call.function].map { path in
            String(path).replacing("\\(name)", with: call.name ?? "").replacing("\\(layer)", with: call.labelled["in"]?.firstString ?? "")
        }
    }

    /// `let crypto: Target.Dependency = …`, by name.
    private static func constants(_ text: String) -> [Substring: Substring] {
        var constants: [Substring: Substring] = [:]
        for match in text.matches(of: /let (\w+): \[?Target\.Dependency\]? =\s/) {
            let value = text[match.range.upperBound...]
            constants[match.1] = value.hasPrefix("[") ? Call.balanced(value) : value.prefix { $0 != "\n" }
        }
        return constants
    }
}

extension Manifest.Target {
    /// Adds what an expression such as `["A", nio] + [.product(name: "B", package: "b")]` names.
    fileprivate mutating func add(_ expression: Substring, _ constants: [Substring: Substring]) {
        var rest = expression
        for match in expression.matches(of: /\.product\(name: "([^"]*)"[^)]*\)/) { products.append(String(match.1)) }
        rest = Substring(String(rest).replacing(/\.product\([^)]*\)/, with: ""))
        for match in rest.matches(of: /"([^"]*)"/) { targets.append(String(match.1)) }
        for match in rest.replacing(/"[^"]*"/, with: "").matches(of: /\w+/) {
            if let value = constants[match.output] { add(value, [:]) }
        }
    }
}

/// `function(argument, label: argument)`.
private struct Call {
    let function: Substring
    private(set) var plain: [Substring] = []
    private(set) var labelled: [Substring: Substring] = [:]

    init?(_ text: Substring) {
        guard let open = text.firstIndex(of: "(") else { return nil }
        function = text[..<open].trimmed
        for argument in Self.split(Self.balanced(text[open...])) {
            if let label = argument.prefixMatch(of: /(\w+):\s*/) {
                labelled[label.1] = argument[label.range.upperBound...]
            } else {
                plain.append(argument)
            }
        }
    }

    var name: String? { (labelled["name"] ?? plain.first)?.firstString }
    var path: String? { labelled["path"]?.firstString }
    var dependencies: Substring { labelled["dependencies"] ?? plain.dropFirst().first ?? "" }

    /// What stands between the bracket that `text` begins with and the one that closes it.
    static func balanced(_ text: Substring) -> Substring {
        var depth = 0
        for index in text.indices {
            if "([{".contains(text[index]) { depth += 1 }
            if ")]}".contains(text[index]) { depth -= 1 }
            if depth == 0 { return text[text.index(after: text.startIndex)..<index] }
        }
        return text
    }

    /// At the commas outside of brackets.
    static func split(_ text: Substring) -> [Substring] {
        var parts: [Substring] = []
        var depth = 0
        var start = text.startIndex
        for index in text.indices {
            if "([{".contains(text[index]) { depth += 1 }
            if ")]}".contains(text[index]) { depth -= 1 }
            if depth == 0, text[index] == "," {
                parts.append(text[start..<index].trimmed)
                start = text.index(after: index)
            }
        }
        return (parts + [text[start...].trimmed]).filter { !$0.isEmpty }
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        let head = drop { $0.isWhitespace }
        guard let last = head.lastIndex(where: { !$0.isWhitespace }) else { return head }
        return head[...last]
    }

    fileprivate var firstString: String? { firstMatch(of: /"([^"]*)"/).map { String($0.1) } }
}
