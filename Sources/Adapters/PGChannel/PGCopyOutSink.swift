internal import NIOCore

/// Runs of whole CopyData messages of a COPY TO STDOUT, between the event loop and the caller. Confined to the loop. While it is full the client does not
/// read.
final class PGCopyOutSink {
    static let bytesMax = 256 << 10

    private var runs: [ByteBuffer] = []
    private var bytes = 0
    private var waiter: EventLoopPromise<[ByteBuffer]?>?
    private var isEnded = false
    private var isDiscarding = false
    private var error: PGClientError?

    var isFull: Bool { bytes >= Self.bytesMax }

    func add(_ run: ByteBuffer) {
        guard !isEnded, !isDiscarding else { return }
        runs.append(run)
        bytes += run.readableBytes
        deliver()
    }

    /// Nobody will take any more: what comes is dropped.
    func discard() {
        isDiscarding = true
        runs = []
        bytes = 0
    }

    /// After an error what was not taken is dropped, so that the connection can be read to the end of the COPY.
    func end(_ error: PGClientError?) {
        guard !isEnded else { return }
        isEnded = true
        self.error = error
        if error != nil {
            runs = []
            bytes = 0
        }
        deliver()
    }

    /// The runs that have come since the last call, nil behind the last one. One caller at a time.
    func next(_ promise: EventLoopPromise<[ByteBuffer]?>) {
        waiter = promise
        deliver()
    }

    private func deliver() {
        guard let waiter else { return }
        if !runs.isEmpty {
            self.waiter = nil
            let taken = runs
            runs = []
            bytes = 0
            waiter.succeed(taken)
        } else if isEnded {
            self.waiter = nil
            if let error { waiter.fail(error) } else { waiter.succeed(nil) }
        }
    }
}
