internal import NIOCore
internal import PGWire
internal import SessionCore

/// Messages of the speaker that need more than being passed on.
extension ClientSession {
    func received(_ kind: UInt8, _ message: ByteBuffer, from backend: Backend) {
        switch kind {
        case BackendKind.errorResponse:
            if let farewell = Self.farewell(message) {
                // The server ends its session, not the client's; and it may say so after its commit is durable. `backendLost` answers.
                backend.farewell = farewell
                return backend.close()
            }
            // No PostgreSQL has an error to tell that nobody asked for, but for one that ends its session.
            if script.isEmpty, onDrained == nil { return backend.close() }
            if replicas.read != nil, retriesOnPrimary(after: message) { return }
            receivedError(message)
        case BackendKind.copyInResponse:
            if script.isEmpty { return backend.close() }
            script.copyInStarted()
            forward(message)
            work = .copyIn
            flushClient()
            pump()
        case BackendKind.parameterStatus:
            if script.received(kind) != .drop { forward(message) }
        default:
            // A notification: of the speaker it stands where it may in the answer.
            // Of a backend that is not kept it is another client's, which listened there before.
            if isPinned(backend) { forward(message) }
        }
    }

    /// The text of an error that ends a server's session. Nearly all others are told from it by the first byte of their severity.
    private static func farewell(_ message: ByteBuffer) -> String? {
        var message = message
        guard let severity = message.getInteger(at: message.readerIndex + FrameHeader.length + 1, as: UInt8.self),
            severity == UInt8(ascii: "F") || severity == UInt8(ascii: "P"), let frame = try? message.readFrame(limit: .max),
            let error = try? ServerError(body: frame.body), error.isFatal
        else { return nil }
        return "\(error.sqlState.code) \(error.message)"
    }

    private func receivedError(_ message: ByteBuffer) {
        unit.hasFailed = true
        if case .ok = unit.outcome { unit.outcome = .shardError }
        unit.audited?.received(error: message)
        if scatter != nil { return failScatter { forward(asClientsOwn(message)) } }
        if script.failed(leavesPortal: script.isAtBind && Self.leavesPortal(message)) == .replace {
            if let bytes = script.takeReplacement() { forward(bytes) }
        } else {
            forward(asClientsOwn(message))
        }
        pendingEffects.removeAll()
        if batch.settingsBefore != nil { transactionOfPipelineEnded(committed: false) }
        forgetCaptures()
        undoSkipped()
        if work == .copyIn { leaveCopyIn() }
        if batch.isOpen { batch.isSkipping = true }
        // In the middle of a batch there is no ReadyForQuery yet that would call it.
        if script.isEmpty { answersDrained() }
    }

    /// In the extended protocol the client sends another Sync, for PostgreSQL ignored the one under way.
    private func leaveCopyIn() {
        work = batch.isOpen ? .batch : .awaitingReady
        batch.needsSync = batch.isOpen
    }

    // MARK: COPY FROM STDIN of one shard

    /// The client's side of a COPY: its data is passed on as it comes.
    func handleCopyIn(_ kind: UInt8, _ frame: ByteBuffer) throws(WireError) {
        if copy != nil { return try handleSplitCopy(kind, frame) }
        switch kind {
        case FrontendKind.copyData:
            participants[speaker].backend.send(frame)
        case FrontendKind.copyDone, FrontendKind.copyFail:
            participants[speaker].backend.send(frame)
            leaveCopyIn()
        case FrontendKind.flush, FrontendKind.sync:
            // PostgreSQL ignores them during COPY.
            break
        case FrontendKind.terminate:
            closeClient()
        default:
            throw WireError(.unexpectedMessage, kind: kind)
        }
    }
}
