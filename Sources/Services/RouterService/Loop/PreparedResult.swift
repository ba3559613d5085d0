internal import NIOCore
internal import PGTypes
internal import PGWire

/// What a shard said that a prepared statement takes and gives.
struct PreparedResult {
    struct Column: Equatable {
        let name: String
        let type: UInt32
        let modifier: Int32
    }
    /// Oids; 0 for types that are not PostgreSQL's own, whose oids differ from shard to shard.
    private(set) var parameters: [UInt32] = []
    /// nil: it returns no rows.
    private(set) var columns: [Column]?

    init?(parameterDescription body: ByteBuffer) {
        guard let types = try? ParameterDescription(body: body).types.array else { return nil }
        parameters = types.map(Self.common)
    }

    mutating func setColumns(_ kind: UInt8, _ body: ByteBuffer) {
        guard kind == BackendKind.rowDescription, let description = try? RowDescription(body: body) else { return }
        columns = description.columns.map { Column(name: $0.name, type: Self.common($0.typeOID), modifier: $0.typeModifier) }
    }

    /// From the answer to Describe, whole messages.
    init?(answers: ByteBuffer) {
        var rest = answers
        var result: PreparedResult?
        while let frame = try? rest.readFrame(limit: .max) {
            if frame.kind == BackendKind.parameterDescription { result = PreparedResult(parameterDescription: frame.body) }
            result?.setColumns(frame.kind, frame.body)
        }
        guard let result else { return nil }
        self = result
    }

    private static func common(_ oid: UInt32) -> UInt32 { oid < BuiltInTypes.firstUserOID ? oid : 0 }
}
