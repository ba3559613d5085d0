package import PGTypes

/// `PREPARE name (types) AS statement`.
package struct PrepareStatement: Hashable, Sendable {
    package var name: String
    /// The statement behind AS, as the client wrote it.
    package var query: String
    /// The characters before it: what must be added to a position in it.
    package var prefixLength: Int
    /// The types' oids; 0: to be inferred.
    package var types: [UInt32]
    package init(name: String, query: String, prefixLength: Int, types: [UInt32]) {
        self.name = name
        self.query = query
        self.prefixLength = prefixLength
        self.types = types
    }
}

/// `EXECUTE name (arguments)`: routed by the prepared statement's plan, with the arguments as the values of its parameters.
package struct ExecuteStatement: Hashable, Sendable {
    package var name: String
    /// Of an EXPLAIN of it: what stands before the name, EXECUTE included.
    package var explainHead: String?
    package var arguments: [ExecuteArgument]
    /// Where the text behind the name begins, in bytes and in characters; the same for every text of one shape.
    package var tailStart: Int
    package var tailStartCharacters: Int
    package init(name: String, arguments: [ExecuteArgument], tailStart: Int, tailStartCharacters: Int) {
        self.name = name
        self.arguments = arguments
        self.tailStart = tailStart
        self.tailStartCharacters = tailStartCharacters
    }
}

/// What the router knows of one argument's value.
package enum ExecuteArgument: Hashable, Sendable {
    case null
    /// Its value as each type of key that it could be, and as an array of them; types that it is none of are left out.
    case constant([KeyType: KeySource], arrays: [KeyType: [KeySource]])
    /// Something that PostgreSQL must evaluate.
    case expression
}

package enum ExecuteArgumentError: Error, Hashable, Sendable {
    case null
    case refused(Refusal)
}

extension ExecuteStatement {
    /// The sources of a prepared statement's keys, each parameter replaced by its argument.
    ///
    /// Precondition: there are as many arguments as parameters.
    package func sources(for sources: [KeySource]) throws(ExecuteArgumentError) -> [KeySource] {
        var result: [KeySource] = []
        for source in sources {
            switch source {
            case .parameter(let number, let type): result.append(try scalar(number, type))
            case .parameterArray(let number, let type): result += try array(number, type)
            case .token, .constant: result.append(source)
            // A prepared statement's plan is made for its very text.
            case .literal: throw .refused(Refusal(.sqlPrepare, name))
            }
        }
        return result
    }

    private func scalar(_ number: Int, _ type: KeyType) throws(ExecuteArgumentError) -> KeySource {
        switch arguments[number - 1] {
        case .null: throw .null
        case .expression: throw .refused(Refusal(.keyExpression, "argument \(number) of EXECUTE"))
        case .constant(let keys, _):
            guard let source = keys[type] else { throw .refused(Refusal(.keyType, "argument \(number) of EXECUTE")) }
            return source
        }
    }

    private func array(_ number: Int, _ type: KeyType) throws(ExecuteArgumentError) -> [KeySource] {
        switch arguments[number - 1] {
        case .null: throw .null
        case .expression: throw .refused(Refusal(.keyExpression, "argument \(number) of EXECUTE"))
        case .constant(_, let arrays):
            guard let sources = arrays[type] else { throw .refused(Refusal(.keyType, "argument \(number) of EXECUTE")) }
            return sources
        }
    }

    /// As many of the sources as have a value that is known: `namedKeys` of a statement that a hint places.
    package func known(_ sources: [KeySource], wanted: Int) -> [KeySource] {
        guard arguments.count == wanted else { return [] }
        return sources.flatMap { source in (try? self.sources(for: [source])) ?? [] }
    }

    /// Whether every argument is a plain value, which each shard reads the same.
    package var hasConstantsOnly: Bool { !arguments.contains(.expression) }
}
