internal import CPGQuery

/// A set field of a protobuf-c struct that is itself a struct.
struct MessageField {
    var message: UnsafeMutableRawPointer

    static func descriptor(of message: UnsafeMutableRawPointer) -> UnsafePointer<ProtobufCMessageDescriptor> {
        // Every generated struct starts with a ProtobufCMessage.
        message.assumingMemoryBound(to: ProtobufCMessage.self).pointee.descriptor
    }

    static func isNode(_ message: UnsafeMutableRawPointer) -> Bool {
        // The same string object: a copy of the descriptor has the same pointer in it.
        descriptor(of: message).pointee.short_name == pg_query__node__descriptor.short_name
    }

    static func allSet(in message: UnsafeMutableRawPointer) -> [MessageField] {
        let descriptor = descriptor(of: message).pointee
        var result: [MessageField] = []
        for index in 0..<Int(descriptor.n_fields) {
            let field = descriptor.fields[index]
            guard field.type == PROTOBUF_C_TYPE_MESSAGE else { continue }
            let place = message + Int(field.offset)
            if field.label == PROTOBUF_C_LABEL_REPEATED {
                let count = (message + Int(field.quantifier_offset)).load(as: Int.self)
                guard count > 0 else { continue }
                let items = place.load(as: UnsafeMutablePointer<UnsafeMutableRawPointer>.self)
                for item in 0..<count { result.append(MessageField(message: items[item])) }
            } else if let child = setChild(at: place, of: message, field) {
                result.append(MessageField(message: child))
            }
        }
        return result
    }

    /// The texts that a struct holds itself. The grammar has no lists of them outside of nodes.
    static func texts(in message: UnsafeMutableRawPointer) -> [String] {
        let descriptor = descriptor(of: message).pointee
        return (0..<Int(descriptor.n_fields)).compactMap { index in
            let field = descriptor.fields[index]
            guard field.type == PROTOBUF_C_TYPE_STRING, field.label != PROTOBUF_C_LABEL_REPEATED,
                let text = setChild(at: message + Int(field.offset), of: message, field)
            else { return nil }
            return String(cString: text.assumingMemoryBound(to: CChar.self))
        }
    }

    private static func setChild(
        at place: UnsafeMutableRawPointer, of message: UnsafeMutableRawPointer, _ field: ProtobufCFieldDescriptor
    ) -> UnsafeMutableRawPointer? {
        // The members of a oneof share their place; the quantifier tells which of them is set.
        let isOneOf = field.flags & UInt32(PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue) != 0
        if isOneOf, (message + Int(field.quantifier_offset)).load(as: UInt32.self) != field.id { return nil }
        return place.load(as: UnsafeMutableRawPointer?.self)
    }
}
