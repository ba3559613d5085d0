package import NIOCore
internal import PGWire
internal import Synchronization

extension PGClient {
    /// The two directions of a statement that is answered by CopyBothResponse: START_REPLICATION. Valid inside of `copyBoth` only.
    package struct Duplex: Sendable {
        fileprivate let client: PGClient
        fileprivate let sink: NIOLoopBoundBox<PGCopyOutSink>
        fileprivate let id: UInt64
        fileprivate let silenceMax: TimeAmount?
        fileprivate let loss: StreamLoss

        /// What has come since the last call: runs of whole CopyData messages (`ByteBuffer.readCopyDataContent` takes them apart). nil: the server has
        /// ended the stream. The server is not read further while nobody asks. One caller at a time. Throws `PGClientError`.
        package func next() async throws -> [ByteBuffer]? {
            try await loss.noting { try await client.nextRuns(sink, id, silenceMax: silenceMax) }
        }

        /// Sends the content of one CopyData message. From any task. Throws `PGClientError`.
        package func send(_ content: ByteBuffer) async throws {
            var message = ByteBuffer()
            message.writeCopyData(content)
            try await loss.noting { try await client.sendCopy(message, id, silenceMax: silenceMax) }
        }
    }

    /// How long the server may take to end a stream that was asked to end; then the connection is closed.
    private static let duplexEndLimit = TimeAmount.seconds(10)

    /// Runs a statement in which both sides send, for as long as `body` runs. Then the stream is ended in order; when `body` throws, or the server does not
    /// end it, or the task is cancelled, the connection is closed. A statement that begins no stream leaves it open.
    ///
    /// - silenceMax: how long the server may send nothing to who asks, and take nothing of what is sent; then the stream fails with `timedOut`. To begin it,
    ///   the server has the time of any call.
    ///
    /// Throws `PGClientError`, and what `body` throws.
    package func copyBoth<Value: Sendable>(
        _ sql: String, silenceMax: TimeAmount? = nil, _ body: @Sendable (Duplex) async throws -> Value
    ) async throws -> Value {
        try Self.requireText(sql)
        var request = ByteBuffer()
        request.writeQuery(sql)
        let (id, query) = (makeCallID(), request)
        let sink = NIOLoopBoundBox.makeBoxSendingValue(PGCopyOutSink(), eventLoop: eventLoop)
        let ready = eventLoop.makePromise(of: Void.self)
        limit(ready.futureResult, of: id, to: callTimeout)
        let answer = Task { try await self.perform({ _ in .copyBoth(sink.value, ready: ready) }, query, id: id, timeout: .hours(24 * 365)) }
        return try await withTaskCancellationHandler {
            do {
                try await ready.futureResult.get()
            } catch {
                if Task.isCancelled { channel.close(promise: nil) }
                _ = try await answer.value
                throw error
            }
            let loss = StreamLoss()
            do {
                let value = try await body(Duplex(client: self, sink: sink, id: id, silenceMax: silenceMax, loss: loss))
                try await end(sink, id)
                _ = try await answer.value
                return value
            } catch {
                channel.close(promise: nil)
                // Where the stream failed, that is the reason; the body may have failed for another server's, and this stream by its being closed here.
                if loss.isNoted { _ = try await answer.value }
                _ = try? await answer.value
                throw error
            }
        } onCancel: {
            answer.cancel()
        }
    }

    private func end(_ sink: NIOLoopBoundBox<PGCopyOutSink>, _ id: UInt64) async throws {
        try await eventLoop.submit { [handler, eventLoop] in
            sink.value.discard()
            var done = ByteBuffer()
            done.writeCopyDone()
            handler.value.sendCopy(id, done, promise: eventLoop.makePromise())
            handler.value.readOn()
            eventLoop.assumeIsolated().scheduleTask(in: Self.duplexEndLimit) { handler.value.abandon(id, .timedOut) }
        }.get()
    }
}

/// Whether a stream failed by itself, while its body still went on.
private final class StreamLoss: Sendable {
    private let hasFailed = Atomic(false)

    var isNoted: Bool { hasFailed.load(ordering: .acquiring) }

    func noting<Value: Sendable>(_ call: () async throws -> Value) async throws -> Value {
        do {
            return try await call()
        } catch {
            // Who is cancelled was made to fail by something else.
            if !Task.isCancelled { hasFailed.store(true, ordering: .releasing) }
            throw error
        }
    }
}
