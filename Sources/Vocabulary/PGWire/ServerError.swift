package import NIOCore

/// An ErrorResponse or NoticeResponse with all of its fields, in the order sent, unknown ones included.
///
/// `message`, `detail` and the like may quote row values: they go to the client that asked, and never into a log (`description` is safe to log).
package struct ServerError: Error, Hashable, Sendable {
    package enum Severity: String, Hashable, Sendable {
        case error = "ERROR"
        case fatal = "FATAL"
        case panic = "PANIC"
        case warning = "WARNING"
        case notice = "NOTICE"
        case debug = "DEBUG"
        case info = "INFO"
        case log = "LOG"
    }

    /// The fields' codes, of the protocol's "Error and Notice Message Fields".
    package enum FieldCode: UInt8, Hashable, Sendable, CaseIterable {
        case severity = 0x53  // 'S', may be localized
        case severityPlain = 0x56  // 'V', never localized
        case sqlState = 0x43  // 'C'
        case message = 0x4D  // 'M'
        case detail = 0x44  // 'D'
        case hint = 0x48  // 'H'
        case position = 0x50  // 'P'
        case internalPosition = 0x70  // 'p'
        case internalQuery = 0x71  // 'q'
        case context = 0x57  // 'W'
        case schema = 0x73  // 's'
        case table = 0x74  // 't'
        case column = 0x63  // 'c'
        case dataType = 0x64  // 'd'
        case constraint = 0x6E  // 'n'
        case file = 0x46  // 'F'
        case line = 0x4C  // 'L'
        case routine = 0x52  // 'R'
    }

    package struct Field: Hashable, Sendable {
        package let code: UInt8
        package var value: String

        package init(code: UInt8, value: String) {
            self.code = code
            self.value = value
        }
    }

    package private(set) var fields: [Field]

    package init(fields: [Field]) { self.fields = fields }

    package init(
        severity: Severity = .error, sqlState: SQLState, message: String, detail: String? = nil, hint: String? = nil,
        position: Int? = nil
    ) {
        fields = []
        self[.severity] = severity.rawValue
        self[.severityPlain] = severity.rawValue
        self[.sqlState] = sqlState.code
        self[.message] = message
        self[.detail] = detail
        self[.hint] = hint
        self[.position] = position.map(String.init)
    }

    package subscript(code: FieldCode) -> String? {
        get { fields.first { $0.code == code.rawValue }?.value }
        set {
            let index = fields.firstIndex { $0.code == code.rawValue }
            switch (index, newValue) {
            case (let index?, let value?): fields[index].value = value
            case (let index?, nil): fields.remove(at: index)
            case (nil, let value?): fields.append(Field(code: code.rawValue, value: value))
            case (nil, nil): break
            }
        }
    }

    package var severity: Severity { Severity(rawValue: self[.severityPlain] ?? self[.severity] ?? "") ?? .error }
    /// `internalError` where the server sent none.
    package var sqlState: SQLState { self[.sqlState].flatMap(SQLState.init(code:)) ?? .internalError }
    package var message: String { self[.message] ?? "" }
    package var detail: String? { self[.detail] }
    package var hint: String? { self[.hint] }
    /// The place in the statement, in characters from 1.
    package var position: Int? { self[.position].flatMap { Int($0) } }
    package var schema: String? { self[.schema] }
    package var table: String? { self[.table] }
    package var column: String? { self[.column] }
    package var constraint: String? { self[.constraint] }

    /// The session is over after it.
    package var isFatal: Bool { severity == .fatal || severity == .panic }
}

extension ServerError: CustomStringConvertible {
    /// Names of the schema, and no text that could quote a row.
    package var description: String {
        var text = "\(severity.rawValue) \(sqlState.code)"
        if let table { text += " table \(table)" }
        if let constraint { text += " constraint \(constraint)" }
        if let routine = self[.routine] { text += " in \(routine)" }
        return text
    }
}

extension ServerError {
    /// `kind` is that of ErrorResponse or NoticeResponse. Text that is not UTF-8 is repaired: PostgreSQL sends errors before the encoding is agreed on.
    package init(body: ByteBuffer, kind: UInt8 = BackendKind.errorResponse) throws(WireError) {
        var body = body
        var fields: [Field] = []
        while true {
            let code = try body.readChecked(UInt8.self, kind: kind)
            guard code != 0 else { break }
            fields.append(Field(code: code, value: try body.readCStringRepairing(kind: kind)))
        }
        try body.requireEmpty(kind: kind)
        self.init(fields: fields)
    }

    /// Only the SQLSTATE, without building the rest; nil where there is none.
    package static func sqlState(of body: ByteBuffer) -> SQLState? {
        var body = body
        while let code = body.readInteger(as: UInt8.self), code != 0 {
            guard let value = try? body.readCStringSlice(kind: BackendKind.errorResponse) else { return nil }
            if code == FieldCode.sqlState.rawValue { return value.utf8Text.flatMap(SQLState.init(code:)) }
        }
        return nil
    }
}

extension ByteBuffer {
    package mutating func writeErrorResponse(_ error: ServerError) {
        writeServerError(BackendKind.errorResponse, error)
    }

    package mutating func writeNoticeResponse(_ notice: ServerError) {
        writeServerError(BackendKind.noticeResponse, notice)
    }

    private mutating func writeServerError(_ kind: UInt8, _ error: ServerError) {
        writeFrame(kind) { buffer in
            for field in error.fields where field.code != 0 {
                buffer.writeInteger(field.code)
                buffer.writeCString(field.value)
            }
            buffer.writeInteger(0 as UInt8)
        }
    }
}
