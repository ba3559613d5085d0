internal import CPGQuery

extension ParsedSQL {
    /// A name that the text holds, and the byte offset of its place, where one is known.
    package struct Name: Hashable, Sendable {
        package var text: String
        package var location: Int?
    }

    /// The first name beyond ASCII for which `predicate` is true. Literals, comments and the bodies of functions are none.
    package func firstName(where predicate: (String) -> Bool) -> Name? {
        guard bytes.contains(where: { $0 >= 0x80 }) || holdsEscapedNames else { return nil }
        return firstSpelledName(where: predicate) ?? (holdsEscapedNames ? firstEscapedName(where: predicate) : nil)
    }

    private func firstSpelledName(where predicate: (String) -> Bool) -> Name? {
        bytes.withUnsafeBytes { buffer in
            // Unsafe: the lexer holds the buffer's pointer, and ends with the closure.
            var lexer = SQLLexer(buffer)
            while true {
                let token = lexer.next()
                guard token != .end else { return nil }
                guard token == .word || token == .quotedIdentifier else { continue }
                let spelled = buffer[lexer.start..<lexer.position]
                guard spelled.contains(where: { $0 >= 0x80 }) else { continue }
                // A doubled quote inside stands for one, which makes no difference to what is asked.
                let name = token == .quotedIdentifier ? spelled.dropFirst().dropLast() : spelled
                let text = String(decoding: name, as: UTF8.self)
                if predicate(text) { return Name(text: text, location: lexer.start) }
            }
        }
    }

    /// U&"d\0061ta": what it means is in the tree only.
    private var holdsEscapedNames: Bool {
        var before: UInt8 = 0
        for byte in bytes {
            if byte == 0x22, before == 0x26 { return true }
            before = byte
        }
        return false
    }

    /// Looks at each text of the tree that is no constant. Some are no names (what COMMENT says), which few texts with such names have.
    private func firstEscapedName(where predicate: (String) -> Bool) -> Name? {
        for statement in statements {
            var found: Name?
            let look = { (message: UnsafeMutableRawPointer) in
                if found == nil, let text = MessageField.texts(in: message).first(where: predicate) { found = Name(text: text, location: nil) }
            }
            statement.node.forEachMessage(look)
            if let found { return found }
        }
        return nil
    }
}

extension UnsafeMutablePointer where Pointee == PgQuery__Node {
    /// Every struct below this node but constants.
    fileprivate func forEachMessage(_ visit: (UnsafeMutableRawPointer) -> Void) { Self.forEachMessage(below: UnsafeMutableRawPointer(self), visit) }

    private static func forEachMessage(below message: UnsafeMutableRawPointer, _ visit: (UnsafeMutableRawPointer) -> Void) {
        for field in MessageField.allSet(in: message) {
            guard MessageField.descriptor(of: field.message).pointee.short_name != pg_query__a__const__descriptor.short_name else { continue }
            visit(field.message)
            forEachMessage(below: field.message, visit)
        }
    }
}
