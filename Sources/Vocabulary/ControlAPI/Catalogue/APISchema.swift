/// The shape of a JSON value, as far as the OpenAPI document describes it.
package indirect enum APISchema: Hashable, Sendable {
    case string
    case integer
    case bounded(ClosedRange<Int>)
    /// Lengths are in characters, as JSON Schema counts, `Int.max` for no limit of its own; the pattern is a regular expression of ECMA-262.
    case text(ClosedRange<Int>, pattern: String)
    case number
    case boolean
    /// RFC 3339, UTC.
    case timestamp
    /// 64 bits as a decimal string.
    case token
    case any
    case choice([String])
    case array(APISchema)
    case list(APISchema, ClosedRange<Int>, isUnique: Bool)
    case nullable(APISchema)
    case oneOf([APISchema])
    /// A named schema of `APISchemas`.
    case reference(String)
    case object([Field])

    package struct Field: Hashable, Sendable {
        package let name: String
        package let schema: APISchema
        package let isRequired: Bool
        package init(_ name: String, _ schema: APISchema, isRequired: Bool = true) {
            self.name = name
            self.schema = schema
            self.isRequired = isRequired
        }
        package static func optional(_ name: String, _ schema: APISchema) -> Field { Field(name, schema, isRequired: false) }
    }

    /// Whole numbers from 0 that JSON's usual readers keep exact.
    package static let count = APISchema.bounded(0...(1 << 53))

    /// JSON Schema 2020-12, as OpenAPI 3.1 has it.
    ///
    /// - isRequest: objects have no members but the named ones, and null stands for an optional one that is left out. Answers may get members in later versions.
    package func json(isRequest: Bool) -> JSONValue {
        switch self {
        case .string: ["type": "string"]
        case .integer: ["type": "integer", "format": "int64"]
        case .bounded(let range):
            ["type": "integer", "format": "int64", "minimum": .integer(Int64(range.lowerBound)), "maximum": .integer(Int64(range.upperBound))]
        case .text(let lengths, let pattern):
            .object(
                [.init("type", "string"), .init("minLength", .integer(Int64(lengths.lowerBound)))]
                    + (lengths.upperBound == .max ? [] : [.init("maxLength", .integer(Int64(lengths.upperBound)))]) + [.init("pattern", .string(pattern))])
        case .number: ["type": "number"]
        case .boolean: ["type": "boolean"]
        case .timestamp: ["type": "string", "format": "date-time"]
        case .token: ["type": "string", "pattern": "^[0-9]{1,20}$"]
        case .any: [:]
        case .choice(let choices): ["type": "string", "enum": .array(choices.map { .string($0) })]
        case .array(let element): ["type": "array", "items": element.json(isRequest: isRequest)]
        case .list(let element, let counts, let isUnique):
            [
                "type": "array", "items": element.json(isRequest: isRequest), "minItems": .integer(Int64(counts.lowerBound)),
                "maxItems": .integer(Int64(counts.upperBound)), "uniqueItems": .bool(isUnique),
            ]
        case .oneOf(let schemas): ["anyOf": .array(schemas.map { $0.json(isRequest: isRequest) })]
        case .nullable(let schema): ["anyOf": [schema.json(isRequest: isRequest), ["type": "null"]]]
        case .reference(let name): ["$ref": .string("#/components/schemas/\(name)")]
        case .object(let fields):
            .object([
                .init("type", "object"),
                .init("properties", .object(fields.map { .init($0.name, Self.member($0, isRequest: isRequest)) })),
                .init("required", .array(fields.filter(\.isRequired).map { .string($0.name) })),
            ] + (isRequest ? [.init("additionalProperties", .bool(false))] : []))
        }
    }

    private static func member(_ field: Field, isRequest: Bool) -> JSONValue {
        switch field.schema {
        case .any, .nullable: field.schema.json(isRequest: isRequest)
        case let schema: (isRequest && !field.isRequired ? APISchema.nullable(schema) : schema).json(isRequest: isRequest)
        }
    }
}
