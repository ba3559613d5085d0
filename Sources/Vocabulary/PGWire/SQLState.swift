/// A SQLSTATE: five digits or upper-case letters, the first two its class (PostgreSQL documentation, appendix A).
package struct SQLState: Hashable, Sendable {
    package let code: String

    /// nil unless `code` is five digits or upper-case letters.
    package init?(code: String) {
        guard code.utf8.count == 5, code.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) }) else { return nil }
        self.code = code
    }

    private init(_ code: String) { self.code = code }

    /// The first two characters.
    package var classCode: Substring { code.prefix(2) }
}

extension SQLState: CustomStringConvertible {
    package var description: String { code }
}

extension SQLState {
    package static let successfulCompletion = SQLState("00000")
    package static let warning = SQLState("01000")
    package static let connectionException = SQLState("08000")
    package static let unableToEstablishConnection = SQLState("08001")
    package static let connectionDoesNotExist = SQLState("08003")
    package static let serverRejectedConnection = SQLState("08004")
    package static let connectionFailure = SQLState("08006")
    /// Whether a COMMIT took effect is not known.
    package static let transactionResolutionUnknown = SQLState("08007")
    package static let protocolViolation = SQLState("08P01")
    package static let featureNotSupported = SQLState("0A000")
    package static let stringDataRightTruncation = SQLState("22001")
    package static let characterNotInRepertoire = SQLState("22021")
    package static let invalidParameterValue = SQLState("22023")
    package static let invalidTextRepresentation = SQLState("22P02")
    package static let invalidBinaryRepresentation = SQLState("22P03")
    package static let badCopyFileFormat = SQLState("22P04")
    package static let numericValueOutOfRange = SQLState("22003")
    package static let integrityConstraintViolation = SQLState("23000")
    package static let notNullViolation = SQLState("23502")
    package static let foreignKeyViolation = SQLState("23503")
    package static let uniqueViolation = SQLState("23505")
    package static let checkViolation = SQLState("23514")
    package static let invalidTransactionState = SQLState("25000")
    package static let activeTransaction = SQLState("25001")
    package static let readOnlyTransaction = SQLState("25006")
    package static let noActiveTransaction = SQLState("25P01")
    package static let inFailedTransaction = SQLState("25P02")
    package static let idleInTransactionTimeout = SQLState("25P03")
    package static let transactionTimeout = SQLState("25P04")
    package static let invalidStatementName = SQLState("26000")
    package static let invalidAuthorizationSpecification = SQLState("28000")
    package static let invalidPassword = SQLState("28P01")
    package static let dependentObjectsStillExist = SQLState("2BP01")
    package static let invalidCursorName = SQLState("34000")
    package static let invalidSavepoint = SQLState("3B001")
    package static let invalidCatalogName = SQLState("3D000")
    package static let invalidSchemaName = SQLState("3F000")
    package static let serializationFailure = SQLState("40001")
    package static let statementCompletionUnknown = SQLState("40003")
    package static let deadlockDetected = SQLState("40P01")
    package static let insufficientPrivilege = SQLState("42501")
    package static let syntaxError = SQLState("42601")
    package static let ambiguousColumn = SQLState("42702")
    package static let undefinedColumn = SQLState("42703")
    package static let undefinedObject = SQLState("42704")
    package static let duplicateObject = SQLState("42710")
    package static let undefinedFunction = SQLState("42883")
    package static let undefinedTable = SQLState("42P01")
    package static let undefinedParameter = SQLState("42P02")
    package static let duplicateCursor = SQLState("42P03")
    package static let duplicateDatabase = SQLState("42P04")
    package static let duplicatePreparedStatement = SQLState("42P05")
    package static let duplicateTable = SQLState("42P07")
    package static let insufficientResources = SQLState("53000")
    package static let diskFull = SQLState("53100")
    package static let outOfMemory = SQLState("53200")
    package static let tooManyConnections = SQLState("53300")
    package static let configurationLimitExceeded = SQLState("53400")
    package static let programLimitExceeded = SQLState("54000")
    package static let statementTooComplex = SQLState("54001")
    package static let objectNotInPrerequisiteState = SQLState("55000")
    package static let objectInUse = SQLState("55006")
    package static let lockNotAvailable = SQLState("55P03")
    package static let queryCanceled = SQLState("57014")
    package static let adminShutdown = SQLState("57P01")
    package static let crashShutdown = SQLState("57P02")
    package static let cannotConnectNow = SQLState("57P03")
    package static let idleSessionTimeout = SQLState("57P05")
    package static let systemError = SQLState("58000")
    package static let ioError = SQLState("58030")
    package static let internalError = SQLState("XX000")
    package static let dataCorrupted = SQLState("XX001")
}
