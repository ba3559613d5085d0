/// The shape of a JSON value, as far as the OpenAPI document describes it.
package indirect enum APISchema: Hashable, Sendable {
    case string
    case integer
    case number
    case boolean
    /// RFC 3339, UTC.
    case timestamp
    /// 64 bits as a decimal string.
    case token
    case any
    case choice([String])
    case array(APISchema)
    case nullable(APISchema)
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

    /// JSON Schema 2020-12, as OpenAPI 3.1 has it.
    package var json: JSONValue {
        switch self {
        case .string: ["type": "string"]
        case .integer: ["type": "integer", "format": "int64"]
        case .number: ["type": "number"]
        case .boolean: ["type": "boolean"]
        case .timestamp: ["type": "string", "format": "date-time"]
        case .token: ["type": "string", "pattern": "^[0-9]{1,20}$"]
        case .any: [:]
        case .choice(let choices): ["type": "string", "enum": .array(choices.map { .string($0) })]
        case .array(let element): ["type": "array", "items": element.json]
        case .nullable(let schema): ["anyOf": [schema.json, ["type": "null"]]]
        case .reference(let name): ["$ref": .string("#/components/schemas/\(name)")]
        case .object(let fields):
            .object([
                .init("type", "object"),
                .init("properties", .object(fields.map { .init($0.name, $0.schema.json) })),
                .init("required", .array(fields.filter(\.isRequired).map { .string($0.name) })),
            ])
        }
    }
}
