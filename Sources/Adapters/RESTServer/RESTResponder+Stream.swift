internal import ControlAPI
internal import Hummingbird
internal import NIOCore

/// How a stream is sent.
extension RESTResponder {
    /// - record: is told the status that the request counts with, once: 200 where the stream is complete, else that of the error it ended with.
    static func response(_ stream: RESTStream, to input: RESTRequest, _ record: @escaping @Sendable (Int) -> Void) -> Response {
        let body = ResponseBody { writer in
            var status = 200
            let reading = input.caller?.watchReading()
            defer {
                reading?.end()
                record(status)
            }
            do {
                status = try await send(stream, to: &writer, input, reading)
            } catch {
                // The caller does not hear it.
                status = APIErrorCode.deadlinePassed.status
                throw error
            }
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: headers(contentType: RESTStream.contentType, Names(of: input)), body: body)
    }

    /// Sends all lines; the status that stands for them. Throws when they cannot be sent.
    private static func send(
        _ stream: RESTStream, to writer: inout any ResponseBodyWriter, _ input: RESTRequest, _ reading: StallWatch?
    ) async throws -> Int {
        var piece = stream.first
        while true {
            try await send(piece.bytes, to: &writer, reading)
            guard !piece.isLast else { return 200 }
            do {
                piece = try await input.whileCallerWaits { try await stream.next() }
            } catch {
                let error = apiError(error, logger: input.logger)
                try await send(RESTStream.lastLine(error, requestID: input.id), to: &writer, reading)
                return error.code.status
            }
        }
    }

    private static func send(_ bytes: [UInt8], to writer: inout any ResponseBodyWriter, _ reading: StallWatch?) async throws {
        var rest = ByteBuffer(bytes: bytes)
        guard let reading else { return try await writer.write(rest) }
        while let piece = rest.readSlice(length: min(rest.readableBytes, reading.pieceMax)), piece.readableBytes > 0 {
            try await reading.whileSending { try await writer.write(piece) }
        }
    }
}
