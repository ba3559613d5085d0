public import NIOCore

// The client's messages that have no content.
extension ByteBuffer {
    @inlinable package mutating func writeSync() { writeEmptyFrame(FrontendKind.sync) }
    @inlinable package mutating func writeFlush() { writeEmptyFrame(FrontendKind.flush) }
    @inlinable package mutating func writeTerminate() { writeEmptyFrame(FrontendKind.terminate) }
}

// The server's messages that have no content.
extension ByteBuffer {
    @inlinable package mutating func writeParseComplete() { writeEmptyFrame(BackendKind.parseComplete) }
    @inlinable package mutating func writeBindComplete() { writeEmptyFrame(BackendKind.bindComplete) }
    @inlinable package mutating func writeCloseComplete() { writeEmptyFrame(BackendKind.closeComplete) }
    @inlinable package mutating func writeNoData() { writeEmptyFrame(BackendKind.noData) }
    @inlinable package mutating func writeEmptyQueryResponse() { writeEmptyFrame(BackendKind.emptyQueryResponse) }
    @inlinable package mutating func writePortalSuspended() { writeEmptyFrame(BackendKind.portalSuspended) }
}
