internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// What definitions say about sequences, as far as it decides whether shards can share out their values (`SequenceSlicing`).
enum SequenceDefinition {
    /// Whether a new sequence with these options will be sliced.
    static func canBeSliced(_ options: NodeList) -> Bool {
        options.allSatisfy { node in
            guard let (name, value) = option(node) else { return false }
            switch name {
            case "cache", "owned_by", "sequence_name", "start": return true
            case "increment": return Int64(value.text ?? "").map { $0 > 0 } ?? false
            default: return false
            }
        }
    }

    /// Refuses what would take a sliced sequence out of its slice, or give every shard the same value.
    static func checkChange(of sequence: String, _ options: NodeList) throws(Refusal) {
        for node in options {
            guard let (name, value) = option(node) else { throw Refusal(.sequenceDefault, sequence) }
            switch name {
            case "cache", "owned_by", "generated": continue
            // To its start, which is another one on each shard.
            case "restart" where value.text == nil: continue
            default: throw Refusal(.sequenceDefault, "\(name.uppercased()) of \(sequence)")
            }
        }
    }

    private static func option(_ node: SQLNode) -> (String, DefinitionValue)? {
        guard node.kind == PG_QUERY__NODE__NODE_DEF_ELEM else { return nil }
        return (string(node.pointee.def_elem.pointee.defname), DefinitionValue(node.pointee.def_elem))
    }

    /// `nextval('name')`, with or without a cast to regclass, of a sequence that is sliced.
    static func isNextval(ofSliced node: SQLNode, _ context: PlanningContext) -> Bool { sequence(ofNextval: node, context) != nil }

    /// The sequence with slices that it draws from.
    static func sequence(ofNextval node: SQLNode, _ context: PlanningContext) -> QualifiedName? {
        guard node.kind == PG_QUERY__NODE__NODE_FUNC_CALL, let call = node.pointee.func_call,
            NodeList(call.pointee.n_funcname, call.pointee.funcname).strings?.last == "nextval",
            let parts = sequenceName(NodeList(call.pointee.n_args, call.pointee.args)), let name = parts.last, parts.count <= 2
        else { return nil }
        let schemas = parts.count == 2 ? [parts[0]] : context.searchPath
        let found = schemas.lazy.compactMap { context.schema.relations[QualifiedName(schema: $0, name: name)] }.first
        return found.flatMap { $0.isSlicedSequence ? $0.name : nil }
    }

    private static func sequenceName(_ arguments: NodeList) -> [String]? {
        guard arguments.count == 1, var argument = arguments.first else { return nil }
        if argument.kind == PG_QUERY__NODE__NODE_TYPE_CAST, let cast = argument.pointee.type_cast, let type = cast.pointee.type_name {
            guard NodeList(type.pointee.n_names, type.pointee.names).strings?.last == "regclass", let inner = cast.pointee.arg else { return nil }
            argument = inner
        }
        guard argument.kind == PG_QUERY__NODE__NODE_A_CONST, argument.pointee.a_const.pointee.val_case == PG_QUERY__A__CONST__VAL_SVAL
        else { return nil }
        return IdentifierText.split(string(argument.pointee.a_const.pointee.sval.pointee.sval))
    }
}
