internal import CPGQuery
internal import PGTypes
internal import SQLSyntax

/// What stands opposite a key column.
enum KeyOperand {
    case sources([KeySource])
    case null
    /// PostgreSQL would compare, or assign, by another type's rules.
    case wrongType
    case notConstant
}

extension QueryAnalyzer {
    /// A literal, a parameter, or a cast of either that stays within the key's type.
    func keyOperand(_ node: SQLNode, type: KeyType) -> KeyOperand {
        switch node.kind {
        case PG_QUERY__NODE__NODE_A_CONST: constant(node.pointee.a_const, type: type)
        case PG_QUERY__NODE__NODE_PARAM_REF: parameter(node, type: type)
        case PG_QUERY__NODE__NODE_TYPE_CAST: cast(node.pointee.type_cast, type: type)
        default: .notConstant
        }
    }

    /// The right side of `= ANY (…)`.
    func keyArray(_ node: SQLNode, type: KeyType) -> KeyOperand {
        switch node.kind {
        case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
            let array = node.pointee.a_array_expr!
            return keyList(Array(NodeList(array.pointee.n_elements, array.pointee.elements)), type: type)
        case PG_QUERY__NODE__NODE_PARAM_REF:
            let number = Int(node.pointee.param_ref.pointee.number)
            guard TypeFamily.arrayOIDs(type).contains(declaredType(number)) else { return .wrongType }
            return .sources([.parameterArray(number: number, type: type)])
        case PG_QUERY__NODE__NODE_A_CONST:
            return arrayLiteral(node.pointee.a_const, type: type)
        case PG_QUERY__NODE__NODE_TYPE_CAST:
            let cast = node.pointee.type_cast!
            guard let name = typeFamily(cast.pointee.type_name) else { return .wrongType }
            guard name.isArray, name.keyType == type else { return .wrongType }
            let operand = keyArray(cast.pointee.arg, type: type)
            if case .sources = operand, cast.pointee.arg.kind == PG_QUERY__NODE__NODE_PARAM_REF {
                settledParameters[cast.pointee.arg] = type
            }
            return operand
        default:
            return .notConstant
        }
    }

    /// The values of an IN list. NULL elements never match and are left out.
    func keyList(_ nodes: [SQLNode], type: KeyType) -> KeyOperand {
        var sources: [KeySource] = []
        for node in nodes {
            switch keyOperand(node, type: type) {
            case .sources(let some): sources += some
            case .null: continue
            case .wrongType: return .wrongType
            case .notConstant: return .notConstant
            }
        }
        return sources.isEmpty ? .null : .sources(sources)
    }

    private func constant(_ constant: UnsafeMutablePointer<PgQuery__AConst>, type: KeyType) -> KeyOperand {
        if constant.pointee.isnull != 0 { return .null }
        let location = Int(constant.pointee.location)
        switch constant.pointee.val_case {
        case PG_QUERY__A__CONST__VAL_SVAL:
            let value = string(constant.pointee.sval.pointee.sval)
            return .sources([literals.source(value: value, isString: true, location: location, type: type)])
        case PG_QUERY__A__CONST__VAL_IVAL where type == .integer:
            let value = String(constant.pointee.ival.pointee.ival)
            return .sources([literals.source(value: value, isString: false, location: location, type: type)])
        case PG_QUERY__A__CONST__VAL_FVAL where type == .integer:
            // A number too long for int4 comes as a float; digits alone are an int8, if they fit.
            let value = string(constant.pointee.fval.pointee.fval)
            guard Int64(value) != nil else { return .wrongType }
            return .sources([literals.source(value: value, isString: false, location: location, type: type)])
        default:
            return .wrongType
        }
    }

    private func parameter(_ node: SQLNode, type: KeyType) -> KeyOperand {
        let number = Int(node.pointee.param_ref.pointee.number)
        guard TypeFamily.scalarOIDs(type).contains(declaredType(number)) else { return .wrongType }
        return .sources([.parameter(number: number, type: type)])
    }

    /// 0 and 705 (unknown): PostgreSQL takes the type of the place.
    func declaredType(_ number: Int) -> UInt32 {
        let declared = number >= 1 && number <= parameterTypes.count ? parameterTypes[number - 1] : 0
        return declared == 705 ? 0 : declared
    }

    private func cast(_ cast: UnsafeMutablePointer<PgQuery__TypeCast>, type: KeyType) -> KeyOperand {
        guard let name = typeFamily(cast.pointee.type_name), !name.isArray, name.keyType == type else {
            if case .notConstant = keyOperand(cast.pointee.arg, type: .text) { return .notConstant }
            return .wrongType
        }
        if cast.pointee.arg.kind == PG_QUERY__NODE__NODE_PARAM_REF { settledParameters[cast.pointee.arg] = type }
        return keyOperand(cast.pointee.arg, type: type)
    }

    /// `'{1,2}'`: plain elements only. By bytes, as PostgreSQL reads it: a comma with a combining mark behind it is one `Character`, and is a comma all the same.
    private func arrayLiteral(_ constant: UnsafeMutablePointer<PgQuery__AConst>, type: KeyType) -> KeyOperand {
        if constant.pointee.isnull != 0 { return .null }
        guard constant.pointee.val_case == PG_QUERY__A__CONST__VAL_SVAL else { return .wrongType }
        let text = Array(string(constant.pointee.sval.pointee.sval).utf8)
        guard text.count > 2, text.first == UInt8(ascii: "{"), text.last == UInt8(ascii: "}"), !text.dropFirst().dropLast().contains(where: { "{}\"\\".utf8.contains($0) })
        else { return .notConstant }
        findings.dependsOnText = true
        var sources: [KeySource] = []
        for element in text.dropFirst().dropLast().split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            let value = element.trimmingBlanks()
            if value.isEmpty { return .notConstant }
            if value.elementsEqual("null".utf8, by: { $0 | 0x20 == $1 }) { continue }
            sources.append(.constant(Array(value), type: type))
        }
        return sources.isEmpty ? .null : .sources(sources)
    }
}

extension ArraySlice<UInt8> {
    fileprivate func trimmingBlanks() -> ArraySlice<UInt8> {
        let isBlank = { (byte: UInt8) in byte == 0x20 || (0x09...0x0d).contains(byte) }
        var rest = drop(while: isBlank)
        while let last = rest.last, isBlank(last) { rest.removeLast() }
        return rest
    }
}
